"""The HTTP listener: every envelope, batches, errors, and the protocol itself."""

import json
import re
import socket

from harness import Case, default_config, main, run_command, DEADLINE_S

SOURCE_INACTIVE = """
[[source]]
name = "retired"
active = false
"""


def order(number):
    return {"event": "order_created", "payload": {"order_id": number, "total": 5}}


class HttpCase(Case):
    def setUp(self):
        super().setUp()
        self.tocsin = self.start(default_config() + SOURCE_INACTIVE)

    def problem(self, answer, status, name):
        """The answer is an RFC 9457 document of this type; returns it."""
        self.assertEqual(status, answer[0], answer[2])
        self.assertEqual("application/problem+json", answer[1]["Content-Type"])
        document = json.loads(answer[2])
        self.assertEqual(f"urn:tocsin:problem:{name}", document["type"])
        self.assertEqual(status, document["status"])
        self.assertTrue(document["title"])
        return document

    def notified(self, order_id, event_id=None):
        end = re.escape(f"event={event_id})") if event_id else ""
        return self.tocsin.wait_line(rf"^\[info\] Order #{order_id} Confirmed .*{end}")


class Envelopes(HttpCase):
    # Goal: the other documents' names mean the same event.
    def test_aliases(self):
        for number, body in enumerate((
                {"eventId": "a-1", "eventType": "order_created", "source": "orders-service",
                 "timestamp": "2026-01-01T00:00:00Z", "data": {"order_id": 0}},
                {"event_name": "order_created", "event_data": {"order_id": 1}},
                {"name": "order_created", "payload": {"order_id": 2}})):
            status, _, answer = self.tocsin.post(json.dumps(body))
            self.assertEqual(202, status, answer)
            self.notified(number, json.loads(answer)["id"])

    # Goal: CloudEvents structured mode; both by its media type and as plain JSON.
    def test_cloudevents_structured(self):
        for number, kind in enumerate(("application/cloudevents+json",
                                       "application/cloudevents+json; charset=utf-8",
                                       "application/json")):
            event = {"specversion": "1.0", "id": f"c-{number}", "source": "/shop",
                     "type": "order_created", "data": {"order_id": number}}
            status, _, answer = self.tocsin.post(json.dumps(event), content_type=kind)
            self.assertEqual(202, status, answer)
            self.notified(number, json.loads(answer)["id"])

    # Goal: an attribute that CloudEvents requires is named when it is missing.
    def test_cloudevents_required(self):
        whole = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "order_created"}
        for name in whole:
            event = {key: value for key, value in whole.items() if key != name}
            document = self.problem(self.tocsin.post(
                json.dumps(event), content_type="application/cloudevents+json"), 422, "envelope")
            self.assertEqual(f"/{name}", document["errors"][0]["pointer"])

    # Goal: CloudEvents binary mode: attributes in header fields, the body is the data.
    def test_cloudevents_binary(self):
        fields = {"ce-specversion": "1.0", "ce-id": "b-1", "ce-source": "/shop",
                  "ce-type": "order_created"}
        status, _, answer = self.tocsin.post('{"order_id":77}', headers=fields)
        self.assertEqual(202, status, answer)
        self.notified(77, json.loads(answer)["id"])
        del fields["ce-id"]
        self.problem(self.tocsin.post('{"order_id":78}', headers=fields), 422, "envelope")

    # Goal: CloudEvents batch mode; a bad entry does not take its neighbours with it.
    def test_cloudevents_batch(self):
        events = [{"specversion": "1.0", "id": str(n), "source": "/shop", "type": "order_created",
                   "data": {"order_id": n}} for n in range(3)]
        del events[1]["source"]
        for path in ("/api/events", "/api/events/batch"):
            status, _, answer = self.tocsin.post(
                json.dumps(events), path, "application/cloudevents-batch+json")
            self.assertEqual(207, status, answer)
            entries = json.loads(answer)
            self.assertEqual("/source", entries[1]["error"]["errors"][0]["pointer"])
            self.notified(0, entries[0]["id"])
            self.notified(2, entries[2]["id"])


class Batches(HttpCase):
    # Goal: each entry of a batch gets its answer at its place, the good ones are stored and
    # notified, the bad ones say why. Method: bad entries of each kind between good ones, in both
    # forms; of the ids in the answer, each must be printed with the entry's own number.
    def check(self, status, body, numbers, errors):
        self.assertEqual(207, status, body)
        entries = json.loads(body)
        self.assertEqual(len(numbers) + len(errors), len(entries))
        for index, name in errors.items():
            self.assertEqual(f"urn:tocsin:problem:{name}", entries[index]["error"]["type"])
        for index, number in numbers.items():
            self.notified(number, entries[index]["id"])
        self.assertEqual(len(numbers), self.tocsin.metric("tocsin_events_acknowledged_total"))

    def test_array(self):
        status, _, body = self.tocsin.post(json.dumps(
            [order(1), {"event": "nobody_knows", "payload": {}}, order(2), 7, order(3),
             {"event": "retired", "payload": {}}, order(4), {"event": "order_created"}]),
            "/api/events/batch")
        self.check(status, body, {0: 1, 2: 2, 4: 3, 6: 4},
                   {1: "unknown_source", 3: "envelope", 5: "inactive_source", 7: "envelope"})

    def test_ndjson(self):
        lines = [json.dumps(order(1)), "{broken", json.dumps(order(2)), '{"event":"nobody_knows",'
                 '"payload":1}', json.dumps(order(3))]
        status, _, body = self.tocsin.post("\n".join(lines) + "\n", "/api/events/batch",
                                           "application/x-ndjson")
        self.check(status, body, {0: 1, 2: 2, 4: 3}, {1: "json_syntax", 3: "unknown_source"})

    # Goal: all good is 202, all bad is 422, and what is no batch is refused as a whole.
    def test_whole(self):
        answer = self.tocsin.post(json.dumps([order(1), order(2)]), "/api/events/batch")
        self.assertEqual(202, answer[0], answer[2])
        self.assertEqual(2, len({entry["id"] for entry in json.loads(answer[2])}))
        answer = self.tocsin.post('[{"event":"nobody_knows","payload":1}]', "/api/events/batch")
        self.assertEqual(422, answer[0], answer[2])
        self.problem(self.tocsin.post(json.dumps(order(1)), "/api/events/batch"), 400, "entries")
        self.problem(self.tocsin.post("[", "/api/events/batch"), 400, "json_syntax")
        self.problem(self.tocsin.post("[" + ",".join(["1"] * 1001) + "]", "/api/events/batch"),
                     413, "entries")
        self.problem(self.tocsin.post("1", "/api/events/batch", "text/csv"), 415, "content_type")


class Errors(HttpCase):
    # Goal: each kind of bad input has its own status and problem type, and none is stored.
    def test_refusals(self):
        big = json.dumps({"event": "order_created", "payload": "x" * 200_000})
        for body, kind, status, name in (
                ('{"event":', "application/json", 400, "json_syntax"),
                ("", "application/json", 400, "empty"),
                ("[1]", "application/json", 422, "envelope"),
                ('{"payload":{}}', "application/json", 422, "envelope"),
                ('{"event":"order_created"}', "application/json", 422, "envelope"),
                ('{"event":{},"payload":{}}', "application/json", 422, "envelope"),
                ('{"event":"nobody_knows","payload":{}}', "application/json", 422,
                 "unknown_source"),
                ('{"event":"retired","payload":{}}', "application/json", 422, "inactive_source"),
                ("<a/>", "text/xml", 415, "content_type"),
                ("{}", "application/cloudevents+xml", 415, "content_type"),
                (json.dumps(order(1)), "application/json; charset=latin1", 415, "content_type"),
                (big, "application/json", 413, "too_large"),
                (json.dumps(order(1)) + "}", "application/json", 400, "json_syntax"),
                (json.dumps(order(1)) + " x", "application/json", 400, "json_syntax")):
            with self.subTest(body=body[:40], kind=kind):
                self.problem(self.tocsin.post(body, content_type=kind), status, name)
        self.assertEqual(0, self.tocsin.metric("tocsin_events_acknowledged_total"))

    # Goal: payloads that broke other engines (depth, 1e400, encodings, NUL, BOM, trailing bytes)
    # are refused with a reason and the process lives on.
    def test_hostile_payloads(self):
        def event(payload):
            return b'{"event":"order_created","payload":' + payload + b"}"

        for body, name in (
                (event(b"[" * 20_000 + b"]" * 20_000), "json_depth"),
                (event(b'{"a":' * 5_000 + b"1" + b"}" * 5_000), "json_depth"),
                (event(b"[" * 20_000), "json_depth|json_syntax"),
                (event(b"1e400"), "json_number"),
                (event(b"-1e400"), "json_number"),
                (event(b'"\xff\xfe"'), "json_utf8"),
                (event(b'"\xc0\xaf"'), "json_utf8"),
                (event(b'"\xed\xa0\x80"'), "json_utf8"),
                (event(b'"\x00"'), "json_syntax"),
                (event(b"1") + b"\x00", "json_syntax"),
                (b"\xef\xbb\xbf" + event(b"1"), "json_syntax"),
                (event(b"NaN"), "json_syntax"),
                (event(b"01"), "json_syntax"),
                (event(b"1,"), "json_syntax"),
                (event(b"1") + event(b"2"), "json_syntax"),
                (event(b"'a'"), "json_syntax")):
            with self.subTest(body=body[:60]):
                status, _, answer = self.tocsin.post(body)
                self.assertEqual(400, status, answer)
                self.assertRegex(json.loads(answer)["type"], f"^urn:tocsin:problem:({name})$")
        refused = self.tocsin.metric("tocsin_events_refused_total")
        self.assertEqual(16, refused)

    # Goal: of duplicate keys the last one counts everywhere: envelope and rule see the same.
    def test_duplicate_keys(self):
        status, _, answer = self.tocsin.post(
            '{"event":"nobody_knows","event":"order_created","payload":{"order_id":1,'
            '"order_id":2}}')
        self.assertEqual(202, status, answer)
        self.assertEqual("order_created", json.loads(answer)["event"])
        self.notified(2, json.loads(answer)["id"])

    # Goal: a lone surrogate is either refused or passed on unharmed, and never breaks the answer.
    def test_lone_surrogate(self):
        status, _, answer = self.tocsin.post(
            '{"event":"order_created","payload":{"order_id":"\\ud800"}}')
        self.assertIn(status, (202, 400))
        json.loads(answer.decode("utf-8"))
        self.assertEqual(202, self.tocsin.post(json.dumps(order(5)))[0])
        self.notified(5)

    # Goal: the limit itself, envelope included, passes and one byte more does not.
    def test_size_limit(self):
        self.tocsin.stop()
        self.tocsin = self.start("[server]\nevent_size_max = \"1KiB\"\n" + default_config())

        def event(size):
            head, tail = b'{"event":"order_created","payload":"', b'"}'
            return head + b"x" * (size - len(head) - len(tail)) + tail

        self.assertEqual(202, self.tocsin.post(event(1024))[0])
        self.problem(self.tocsin.post(event(1025)), 413, "too_large")


class Protocol(HttpCase):
    def exchange(self, request, answers):
        """Sends bytes, reads until `answers` complete responses came: [(status, body)]."""
        with socket.create_connection(("127.0.0.1", self.tocsin.http), DEADLINE_S) as peer:
            peer.settimeout(DEADLINE_S)
            for part in request if isinstance(request, list) else [request]:
                peer.sendall(part)
            stream = peer.makefile("rb")
            found = []
            for _ in range(answers):
                status = int(stream.readline().split()[1])
                length = 0
                while (line := stream.readline()) not in (b"\r\n", b""):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                found.append((status, stream.read(length)))
            return found

    @staticmethod
    def post_bytes(number, extra=b""):
        body = json.dumps(order(number)).encode()
        return (b"POST /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json"
                b"\r\n" + extra + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    # Goal: many requests in one write are answered in order, bad ones in between included.
    def test_pipelined(self):
        request = b""
        for number in range(40):
            if number % 10 == 5:
                request += (b"POST /api/events HTTP/1.1\r\nHost: localhost\r\n"
                            b"Content-Length: 1\r\n\r\n{")
            else:
                request += self.post_bytes(number)
        answers = self.exchange(request, 40)
        for number, (status, body) in enumerate(answers):
            if number % 10 == 5:
                self.assertEqual(400, status)
            else:
                self.assertEqual(202, status)
                self.assertEqual(number, json.loads(body)["payload"]["order_id"])

    # Goal: requests after each other share one connection.
    def test_keep_alive(self):
        before = self.tocsin.metric("tocsin_http_connections_opened_total")
        done = run_command("curl", "-sS", "-m", "10", *[
            f"http://127.0.0.1:{self.tocsin.http}/healthz"] * 5, check=True)
        self.assertEqual(b"ok\n" * 5, done.stdout)
        # One for curl, one for the second look at the metrics.
        self.assertEqual(before + 2, self.tocsin.metric("tocsin_http_connections_opened_total"))

    # Goal: a chunked body, cut at awkward places and sent in pieces, is the same event.
    def test_chunked(self):
        body = json.dumps(order(91)).encode()
        chunks = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(body[i:i + 7]), body[i:i + 7])
                          for i in range(0, len(body), 7)) + b"0\r\nTrailer: x\r\n\r\n"
        head = (b"POST /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        whole = head + chunks
        for request in (whole, [whole[i:i + 1] for i in range(len(whole))]):
            [(status, answer)] = self.exchange(request, 1)
            self.assertEqual(202, status, answer)
            self.notified(91, json.loads(answer)["id"])

    # Goal: curl's "Expect: 100-continue" for large bodies does not stall.
    def test_expect_continue(self):
        done = run_command("curl", "-sS", "-m", "10", "-o", "/dev/null", "-w", "%{http_code}",
                           "-H", "Expect: 100-continue", "-H", "Content-Type: application/json",
                           "--expect100-timeout", "9", "--data-binary", "@-",
                           f"http://127.0.0.1:{self.tocsin.http}/api/events",
                           stdin=json.dumps(order(3)).encode(), timeout_s=8, check=True)
        self.assertEqual(b"202", done.stdout)

    # Goal: what is no valid HTTP, or smells of request smuggling, is refused and closed.
    def test_malformed(self):
        for request, status in (
                (b"nonsense\r\n\r\n", 400),
                (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
                (b"GET /healthz HTTP/2.0\r\nHost: a\r\n\r\n", 505),
                (b"POST /api/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
                 b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
                (b"POST /api/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
                 b"Content-Length: 2\r\n\r\n{}", 400),
                (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
                 431),
                (b"POST /api/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999\r\n"
                 b"\r\n", 413)):
            with self.subTest(request=request[:50]):
                self.assertEqual(status, self.exchange(request, 1)[0][0])

    # Goal: HEAD is GET without the body; unknown paths are 404, wrong methods 405 with Allow.
    def test_methods(self):
        status, fields, body = self.tocsin.request("HEAD", "/healthz")
        self.assertEqual((200, "3", b""), (status, fields["Content-Length"], body))
        self.problem(self.tocsin.request("GET", "/nowhere"), 404, "not_found")
        self.problem(self.tocsin.post("{}", "/nowhere"), 404, "not_found")
        for method, path, allow in (("GET", "/api/events", "POST"),
                                    ("DELETE", "/api/events/batch", "POST"),
                                    ("POST", "/metrics", "GET, HEAD")):
            answer = self.tocsin.request(method, path)
            self.problem(answer, 405, "method")
            self.assertEqual(allow, answer[1]["Allow"])

    # Goal: a web page of another site cannot trigger events: neither by its origin nor by a host
    # name that it points at this machine.
    def test_foreign_pages(self):
        for fields in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
            status, _, answer = self.tocsin.post(json.dumps(order(1)), headers=fields)
            self.assertEqual(403, status, answer)


class Status(HttpCase):
    # Goal: health, and readiness with its components.
    def test_health(self):
        self.assertEqual((200, b"ok\n"), self.tocsin.request("GET", "/healthz")[::2])
        status, fields, body = self.tocsin.request("GET", "/readyz")
        self.assertEqual((200, "application/json"), (status, fields["Content-Type"]))
        document = json.loads(body)
        self.assertEqual("ready", document["status"])
        self.assertTrue(document["components"])
        self.assertTrue(all(part["ready"] for part in document["components"].values()))

    # Goal: /metrics is valid Prometheus text: each family declared once and before its samples,
    # samples of a family together, no sample twice, histograms cumulative with +Inf = _count.
    def test_metrics(self):
        self.tocsin.post(json.dumps(order(1)))
        self.notified(1)
        status, fields, body = self.tocsin.request("GET", "/metrics")
        self.assertEqual(200, status)
        self.assertTrue(fields["Content-Type"].startswith("text/plain; version=0.0.4"))
        text = body.decode("utf-8")
        self.assertTrue(text.endswith("\n"))
        families, helped, seen, current = {}, set(), {}, None
        label = r'[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*"'
        sample = re.compile(r"([a-zA-Z_:][\w:]*)(\{(?:%s(?:,%s)*)?\})? (\S+)" % (label, label))
        for line in text.splitlines():
            if line.startswith("# HELP "):
                name = line.split(" ", 3)[2]
                self.assertNotIn(name, helped)
                helped.add(name)
            elif line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                self.assertNotIn(name, families)
                self.assertIn(kind, ("counter", "gauge", "histogram"))
                families[name] = kind
                current = name
            else:
                found = sample.fullmatch(line)
                self.assertTrue(found, line)
                family = found[1]
                if families[current] == "histogram":
                    family = re.sub("_(bucket|sum|count)$", "", family)
                self.assertEqual(current, family, "samples of a family stand together")
                key = (found[1], found[2] or "")
                self.assertNotIn(key, seen)
                seen[key] = float(found[3])
        self.assertEqual(helped, set(families))
        for name, kind in families.items():
            if kind == "counter":
                self.assertTrue(name.endswith("_total"), name)
            if kind == "histogram":
                self.check_histogram(name, seen)

    def check_histogram(self, name, seen):
        series = {}
        for (sample, labels), value in seen.items():
            if sample == name + "_bucket":
                le = re.search(r'le="([^"]+)"', labels)[1]
                rest = re.sub(r',?le="[^"]+"', "", labels).replace("{}", "")
                series.setdefault(rest, []).append((float(le.replace("+Inf", "inf")), value))
        self.assertTrue(series, name)
        for labels, buckets in series.items():
            self.assertEqual(sorted(buckets), buckets)
            self.assertEqual(float("inf"), buckets[-1][0])
            self.assertEqual(seen[(name + "_count", labels)], buckets[-1][1])


if __name__ == "__main__":
    main()
