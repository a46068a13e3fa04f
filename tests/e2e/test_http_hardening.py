"""The HTTP listener against the slow, the hostile, the compressed and the too fast."""

import gzip
import json
import os
import socket
import time
import zlib

from harness import Case, LISTENERS, main, run_command, wait_until, DEADLINE_S

EVENTS = """
[[source]]
name = "order_created"

[[source]]
name = "limited"
rate = 1
burst = 3
"""

SHORT = """
[http]
listen = "127.0.0.1:0"
head_timeout_ms = 400
body_timeout_ms = 600
send_timeout_ms = 500
idle_timeout_ms = 1500
"""


def order(number, event="order_created"):
    return json.dumps({"event": event, "payload": {"order_id": number}}).encode()


def post_bytes(body, fields=b""):
    return (b"POST /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n" + fields +
            b"Content-Length: %d\r\n\r\n" % len(body) + body)


class HardeningCase(Case):
    settings = LISTENERS

    def setUp(self):
        super().setUp()
        self.tocsin = self.start(self.settings + EVENTS)

    def connect(self):
        peer = socket.create_connection(("127.0.0.1", self.tocsin.http), DEADLINE_S)
        self.addCleanup(peer.close)
        return peer

    def read_to_end(self, peer):
        """What comes until the server closes. A reset counts as the end."""
        got = b""
        try:
            while piece := peer.recv(65536):
                got += piece
        except ConnectionResetError:
            pass
        return got

    def acknowledged(self):
        return self.tocsin.metric("tocsin_events_acknowledged_total")


class SlowClients(HardeningCase):
    settings = SHORT

    # Goal: a head or body that trickles in is answered with 408 and closed, a client that sends
    # nothing is closed without an answer, and each is counted by its reason.
    def test_deadlines(self):
        head = self.connect()
        head.sendall(b"POST /api/ev")
        body = self.connect()
        body.sendall(b"POST /api/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
        idle = self.connect()
        for peer in (head, body):
            self.assertRegex(self.read_to_end(peer), rb"^HTTP/1\.1 408 (?s:.*)Connection: close")
        self.assertEqual(b"", self.read_to_end(idle))
        for reason in ("head_timeout", "body_timeout", "idle_timeout"):
            self.assertEqual(1, self.tocsin.metric("tocsin_http_refused_total", reason=reason))

    # Goal: a client that sends requests and does not read the answers is closed, and does not hold
    # up others.
    def test_reader(self):
        peer = self.connect()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50

        def ended():
            try:
                peer.settimeout(0.05)
                peer.send(request)
            except (ConnectionError, BrokenPipeError):
                return True
            except TimeoutError:
                pass
            return (self.tocsin.metric("tocsin_http_refused_total", reason="send_timeout") or 0) > 0

        wait_until(ended, "the slow reader is closed")
        self.tocsin.wait_metric("tocsin_http_refused_total", 1, reason="send_timeout")
        self.assertEqual(202, self.tocsin.post(order(1))[0])


class Expectations(HardeningCase):
    def curl(self, *arguments):
        """(status, what curl said)"""
        done = run_command("curl", "-sS", "-v", "-o", self.path("answer"), "-w", "%{http_code}",
                           *arguments)
        return done.stdout.decode(), done.stderr.decode()

    # Goal: curl waits for our 100 and goes on; it does not wait for its own patience to end.
    def test_continue(self):
        url = f"http://127.0.0.1:{self.tocsin.http}/api/events"
        body = self.write("body", order(1))
        status, talk = self.curl("--expect100-timeout", "15", "-H", "Expect: 100-continue",
                                 "-H", "Content-Type: application/json", "--data-binary",
                                 f"@{body}", url)
        self.assertEqual("202", status, talk)
        self.assertIn("HTTP/1.1 100 Continue", talk)

    # Goal: what will be refused is refused before the body is sent.
    def test_refused_before_the_body(self):
        url = f"http://127.0.0.1:{self.tocsin.http}/api/events"
        large = self.write("large", b"x" * 3_000_000)
        for fields, expected in (([], "413"), (["-H", "Content-Encoding: br"], "415")):
            body = large if expected == "413" else self.write("small", order(1))
            status, talk = self.curl("--expect100-timeout", "15", "-H", "Expect: 100-continue",
                                     *fields, "--data-binary", f"@{body}", url)
            self.assertEqual(expected, status, talk)
            self.assertNotIn("100 Continue", talk)
        status, talk = self.curl("-H", "Expect: something", "--data-binary", "{}", url)
        self.assertEqual("417", status, talk)


class Compressed(HardeningCase):
    def post(self, body, coding="gzip", path="/api/events"):
        return self.tocsin.post(body, path, headers={"Content-Encoding": coding})

    def test_gzip(self):
        self.assertEqual(202, self.post(gzip.compress(order(1)))[0])
        batch = b"[" + b",".join(order(n) for n in range(1000)) + b"]"
        status, _, answer = self.post(gzip.compress(batch), path="/api/events/batch")
        self.assertEqual(202, status, answer[:200])
        self.assertEqual(1000, len(json.loads(answer)))
        done = run_command("curl", "-sS", "--data-binary", "@-", "-H", "Content-Encoding: gzip", "-H",
                           "Content-Type: application/json",
                           f"http://127.0.0.1:{self.tocsin.http}/api/events",
                           stdin=gzip.compress(order(2)), check=True)
        self.assertIn(b"triggered", done.stdout)
        self.assertEqual(1002, self.acknowledged())

    # Goal: damage, other codings and bombs are refused, each with its status, and a bomb is not
    # unpacked: memory stays where it was.
    def test_refusals(self):
        good = gzip.compress(order(1))
        for body, coding, status in ((good[:-1], "gzip", 400), (good + b"x", "gzip", 400),
                                     (order(1), "gzip", 400), (zlib.compress(order(1)), "gzip", 400),
                                     (zlib.compress(order(1)), "deflate", 415),
                                     (good, "br", 415), (gzip.compress(good), "gzip, gzip", 415)):
            answer = self.post(body, coding)
            self.assertEqual(status, answer[0], (body[:20], coding, answer[2]))
            self.assertEqual("gzip" if status == 415 else None, answer[1]["Accept-Encoding"])
        bomb = gzip.compress(b"[" + b" " * 200_000_000 + b"]", 1)
        self.assertGreater(len(bomb), 500_000)
        before = self.tocsin.metric("process_resident_memory_bytes")
        for _ in range(20):
            self.assertEqual(413, self.post(bomb[:800_000], path="/api/events/batch")[0])
        # A sanitizer keeps freed memory for a while; less than one unpacked bomb it is there, too.
        growth_max = (190 if "TOCSIN_INSTRUMENTED" in os.environ else 8) << 20
        self.assertLess(self.tocsin.metric("process_resident_memory_bytes") - before, growth_max)
        self.assertEqual(0, self.acknowledged())


class Quotas(HardeningCase):
    settings = LISTENERS + """
[quota]
client_rate = 1
client_burst = 20
"""

    # Goal: over the rate is 429 with how long to wait, nothing beyond it is taken, and after the
    # wait it goes on. Health checks are charged to nobody.
    def test_client(self):
        began = time.monotonic()
        statuses = []
        for number in range(30):
            status, headers, body = self.tocsin.post(order(number))
            statuses.append(status)
            if status == 429:
                self.assertGreaterEqual(int(headers["Retry-After"]), 1)
                self.assertEqual('"client";q=20;w=20', headers["RateLimit-Policy"])
                self.assertRegex(headers["RateLimit"], r'^"client";r=0;t=\d+$')
                self.assertEqual("urn:tocsin:problem:quota", json.loads(body)["type"])
            self.assertEqual(200, self.tocsin.request("GET", "/healthz")[0])
        passed = statuses.count(202)
        self.assertGreaterEqual(passed, 20)
        self.assertLessEqual(passed, 20 + int(time.monotonic() - began) + 1)
        self.assertEqual({202, 429}, set(statuses))
        self.assertEqual(passed, self.acknowledged())
        self.assertEqual(30 - passed, self.tocsin.metric("tocsin_quota_refused_total",
                                                         kind="client"))
        wait_until(lambda: self.tocsin.post(order(99))[0] == 202, "the bucket fills again")

    # Goal: a batch costs what it holds, and is taken as a whole or not at all.
    def test_batch(self):
        def batch(size):
            body = b"\n".join(order(n) for n in range(size))
            return self.tocsin.post(body, "/api/events/batch", "application/x-ndjson")[0]

        self.assertEqual(202, batch(15))
        self.assertEqual(429, batch(15))
        self.assertEqual(15, self.acknowledged())
        self.assertEqual(202, batch(5))

    # Goal: a source's rate is a verdict of each entry.
    def test_source(self):
        batch = [json.loads(order(n, "limited" if n < 6 else "order_created")) for n in range(8)]
        status, headers, body = self.tocsin.post(json.dumps(batch), "/api/events/batch")
        self.assertEqual(207, status, body)
        self.assertIsNone(headers["Retry-After"])
        entries = json.loads(body)
        refused = [e["error"] for e in entries if "error" in e]
        self.assertEqual(3, len(refused), body)
        self.assertEqual({429}, {e["status"] for e in refused})
        self.assertIn("id", entries[7])
        status, headers, _ = self.tocsin.post(order(9, "limited"))
        self.assertEqual(429, status)
        self.assertEqual("1", headers["Retry-After"])
        self.assertEqual(4, self.tocsin.metric("tocsin_quota_refused_total", kind="source"))


class Smuggling(HardeningCase):
    # Goal: over a real socket, whatever is doubtful is refused and the request hidden behind it is
    # never executed. The table of all cases is in the unit test; these are one of each kind.
    def test_hidden_requests(self):
        chunked = b"Transfer-Encoding: chunked\r\n"
        start = b"POST /api/events HTTP/1.1\r\nHost: localhost\r\n"
        hidden = post_bytes(order(666))
        for request in (
                start + b"Content-Length : 0\r\n\r\n",
                start + b"Content-Length: +0\r\n\r\n",
                start + b"Content-Length: 0x0\r\n\r\n",
                start + b"Content-Length: 0\r\nContent-Length: 9\r\n\r\n",
                start + b"Content-Length: 0\r\n" + chunked + b"\r\n0\r\n\r\n",
                start + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
                start + chunked + b"\r\n0;" + b"a" * 9000 + b"\r\n\r\n",
                start + chunked + b"\r\n0\r\n" + hidden[:20] + b"\r\n\r\n",
                start + b"X: a\nContent-Length: 0\r\n\r\n",
                start + b"X: a\r\n b\r\n\r\n",
                start + b"X: a\0b\r\n\r\n",
                start + b"Host: localhost\r\n\r\n",
                b"POST /api/events HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
                b"POST http://127.0.0.1/api/events HTTP/1.1\r\nHost: localhost\r\n\r\n",
                start + b"X: " + b"a" * 70000 + b"\r\n\r\n",
        ):
            with self.subTest(request=request[:90]):
                peer = self.connect()
                peer.sendall(request + hidden)
                answer = self.read_to_end(peer)
                self.assertRegex(answer, rb"^HTTP/1\.1 (400|431|501) ")
                self.assertEqual(1, answer.count(b"HTTP/1.1 "), answer)
                self.assertIn(b"Connection: close\r\n", answer)
        self.assertEqual(0, self.acknowledged())


class Draining(HardeningCase):
    # Goal: SIGTERM closes idle connections, lets a request that has begun end, and says close.
    def test_drain(self):
        idle = self.connect()
        used = self.connect()
        used.sendall(post_bytes(order(1)))
        self.assertRegex(used.recv(65536), rb"^HTTP/1\.1 202 ")
        half = self.connect()
        request = post_bytes(order(2))
        half.sendall(request[:-5])
        self.tocsin.wait_metric("tocsin_http_connections", 3)
        self.tocsin.signal(15)
        self.assertEqual(b"", self.read_to_end(idle))
        self.assertEqual(b"", self.read_to_end(used))
        half.sendall(request[-5:])
        answer = self.read_to_end(half)
        self.assertRegex(answer, rb"^HTTP/1\.1 202 (?s:.*)Connection: close")
        self.assertEqual(0, self.tocsin.wait())


if __name__ == "__main__":
    main()
