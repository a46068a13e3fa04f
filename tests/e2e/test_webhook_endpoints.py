"""What endpoints do wrong (X15): each ends with the right verdict, count and dead letter."""

import json
import socket
import time
from email.utils import formatdate

from harness import Case, main, wait_until
from peers import WebhookPeer, answer, dead_letters, reset, webhook_config


class EndpointCase(Case):
    def peer(self, script=None, **options):
        peer = WebhookPeer(script, **options)
        self.addCleanup(peer.close)
        return peer

    def engine(self, url, more=""):
        return self.start(webhook_config(f'url = "{url}"\nplain_http = true\n{more}'))

    def send(self, engine, payload=None):
        body = json.dumps({"event": "t", "payload": payload or {"n": 1}})
        self.assertEqual(engine.post(body)[0], 202)

    def attempts(self, engine):
        text = {}
        for verdict in ("delivered", "transient", "throttled", "permanent", "auth"):
            count = engine.metric("tocsin_delivery_attempts_total", verdict=verdict)
            if count:
                text[verdict] = int(count)
        return text

    def assert_dead(self, engine, attempts, errors, reason, detail):
        """The one notification is dead: `attempts` by verdict, `errors` by reason."""
        engine.wait_metric("tocsin_notifications_dead_total", 1)
        letter = wait_until(lambda: dead_letters(self.data), "a dead letter")[0]
        self.assertEqual(self.attempts(engine), attempts)
        for error, count in errors.items():
            self.assertEqual(engine.metric("tocsin_delivery_errors_total", reason=error), count)
        self.assertEqual((letter["reason"], letter["attempts"]), (reason, sum(attempts.values())))
        self.assertRegex(letter["detail"], detail)
        self.assertEqual(engine.metric("tocsin_notifications_sent_total"), 0)
        self.assertEqual(engine.metric("tocsin_notifications_pending"), 0)
        self.assertEqual((letter["channel"], letter["rule"], letter["body"]),
                         ("hook", "r", '{"n": 1}'))

    def assert_sent(self, engine, attempts):
        engine.wait_metric("tocsin_notifications_sent_total", 1)
        self.assertEqual(self.attempts(engine), attempts)
        self.assertEqual(dead_letters(self.data), [])

    @staticmethod
    def always(*arguments, **named):
        return lambda connection, _request: connection.sendall(answer(*arguments, **named)) or True

    @staticmethod
    def once(first, then=None):
        """`first(connection)` answers the first request; later ones succeed. Falsy: close."""
        state = {"first": True}

        def script(connection, _request):
            if state.pop("first", False):
                return first(connection)
            connection.sendall(then or answer())
            return True

        return script


class Statuses(EndpointCase):
    def test_500_then_200(self):
        peer = self.peer(self.once(lambda c: c.sendall(answer(500)) or True))
        engine = self.engine(peer.url())
        self.send(engine)
        self.assert_sent(engine, {"transient": 1, "delivered": 1})
        self.assertEqual(len({r.header("webhook-id") for r in peer.seen()}), 1)
        self.assertEqual(engine.metric("tocsin_delivery_errors_total", reason="status_server"), 1)

    def test_500_for_ever(self):
        peer = self.peer(self.always(500))
        engine = self.engine(peer.url())
        self.send(engine)
        self.assert_dead(engine, {"transient": 3}, {"status_server": 3}, "exhausted", "HTTP 500")

    def retry_after(self, status, value, floor_s):
        """The next attempt comes no sooner than the peer asked for, though the schedule would."""
        peer = self.peer(self.once(
            lambda c: c.sendall(answer(status, [f"Retry-After: {value()}"])) or True))
        engine = self.engine(peer.url())
        self.send(engine)
        self.assert_sent(engine, {"throttled": 1, "delivered": 1})
        first, second = peer.seen()
        self.assertGreaterEqual(second.seen_at - first.seen_at, floor_s)
        self.assertEqual(first.header("webhook-id"), second.header("webhook-id"))

    def test_429_seconds(self):
        self.retry_after(429, lambda: "1", 0.95)

    def test_503_seconds(self):
        self.retry_after(503, lambda: "1", 0.95)

    def test_429_date(self):
        # The date has whole seconds: three ahead is at least two.
        self.retry_after(429, lambda: formatdate(time.time() + 3, usegmt=True), 1.5)

    def test_503_date(self):
        self.retry_after(503, lambda: formatdate(time.time() + 3, usegmt=True), 1.5)

    def test_429_nonsense(self):
        """A Retry-After that says nothing leaves the schedule in charge."""
        peer = self.peer(self.once(
            lambda c: c.sendall(answer(429, ["Retry-After: soon -1 99999999999999999999"])) or True))
        engine = self.engine(peer.url())
        self.send(engine)
        self.assert_sent(engine, {"throttled": 1, "delivered": 1})

    def test_401(self):
        peer = self.peer(self.always(401))
        engine = self.engine(peer.url())
        self.send(engine)
        self.assert_dead(engine, {"auth": 1}, {"auth": 1}, "auth", "HTTP 401")
        self.assertEqual(len(peer.seen()), 1)

    def test_404(self):
        peer = self.peer(self.always(404, body=b"x" * 100))
        engine = self.engine(peer.url())
        self.send(engine)
        self.assert_dead(engine, {"permanent": 1}, {"status_client": 1}, "status_client",
                         "HTTP 404")
        self.assertEqual(len(peer.seen()), 1)

    def test_redirect_is_not_followed(self):
        other = self.peer()
        for status in (301, 302, 307, 308):
            with self.subTest(status=status):
                self.data = self.path(f"data-{status}")
                peer = self.peer(self.always(status, [f"Location: {other.url()}"]))
                engine = self.engine(peer.url())
                self.send(engine)
                self.assert_dead(engine, {"permanent": 1}, {"status_client": 1}, "status_client",
                                 f"HTTP {status}")
                self.assertEqual(len(peer.seen()), 1)
        self.assertEqual(other.accepted, 0)


class Faults(EndpointCase):
    SHORT = 'attempt_timeout_ms = "400ms"'

    def hang(self, first_bytes):
        def script(connection, _request):
            connection.sendall(first_bytes)
            peer.stopped.wait(20)
            return False

        peer = self.peer(script)
        engine = self.engine(peer.url(), self.SHORT)
        self.send(engine)
        self.assert_dead(engine, {"transient": 3}, {"timeout": 3}, "exhausted", "timeout")
        self.assertEqual(len({r.header("webhook-id") for r in peer.seen()}), 1)

    def test_hang_before_head(self):
        self.hang(b"")

    def test_hang_in_head(self):
        self.hang(b"HTTP/1.1 200 OK\r\nContent-Le")

    def test_hang_after_head(self):
        self.hang(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")

    def test_hang_before_accept_of_tls(self):
        """A peer that accepts and never begins its handshake."""
        peer = self.peer(on_accept=lambda _c, _n: peer.stopped.wait(20))
        engine = self.start(webhook_config(f'url = "https://localhost:{peer.port}/"\n{self.SHORT}'))
        self.send(engine)
        self.assert_dead(engine, {"transient": 3}, {"timeout": 3}, "exhausted", "timeout")

    def test_endless_body(self):
        """Goal: an endless body costs neither memory nor a delivery: the status has decided."""
        def script(connection, _request):
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
            for _ in range(20000):
                connection.sendall(chunk)
            return False

        peer = self.peer(script)
        engine = self.engine(peer.url(), 'attempt_timeout_ms = "2s"')
        before = engine.metric("process_resident_memory_bytes")
        self.send(engine)
        self.assert_sent(engine, {"delivered": 1})
        self.assertEqual(len(peer.seen()), 1)
        # The connection was dropped, so the next message needs a new one.
        self.send(engine)
        engine.wait_metric("tocsin_notifications_sent_total", 2)
        self.assertEqual(peer.accepted, 2)
        self.assertLess(engine.metric("process_resident_memory_bytes") - before, 100 << 20)

    def test_endless_head(self):
        def script(connection, _request):
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            for n in range(100000):
                connection.sendall(b"X-%d: %s\r\n" % (n, b"y" * 1000))
            return False

        peer = self.peer(script)
        engine = self.engine(peer.url())
        self.send(engine)
        self.assert_dead(engine, {"transient": 3}, {"protocol": 3}, "exhausted", "not valid HTTP")

    def test_bad_chunks(self):
        peer = self.peer(lambda c, _: c.sendall(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n") or True)
        engine = self.engine(peer.url())
        self.send(engine)
        self.assert_dead(engine, {"transient": 3}, {"protocol": 3}, "exhausted", "not valid HTTP")

    def test_not_http(self):
        peer = self.peer(lambda c, _: c.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n") or True)
        engine = self.engine(peer.url())
        self.send(engine)
        self.assert_dead(engine, {"transient": 3}, {"protocol": 3}, "exhausted", "not valid HTTP")

    def test_not_http_at_once(self):
        """Goal: an answer in another protocol fails when its first words come, on a new connection
        and on a kept one, not when the attempt's time is over."""
        def script(connection, _request):
            with peer.lock:
                count = len(peer.requests)
            connection.sendall(answer() if count == 1 else b"220 mail ESMTP\r\n")
            return True

        peer = self.peer(script)
        engine = self.engine(peer.url(), 'attempt_timeout_ms = "1m"')
        self.send(engine)
        peer.wait(1)
        engine.wait_metric("tocsin_notifications_sent_total", 1, channel="hook")
        self.send(engine)
        wait_until(lambda: engine.metric("tocsin_delivery_attempts_total", channel="hook",
                                         verdict="transient") == 3, "three failures")

    def test_reset_mid_body(self):
        def script(connection, _request):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            time.sleep(0.05)  # Lets the head arrive: a reset discards what was not read yet.
            reset(connection)
            return False

        peer = self.peer(script)
        engine = self.engine(peer.url())
        self.send(engine)
        self.assert_dead(engine, {"transient": 3}, {"reset": 3}, "exhausted", "^reset: ")

    def test_end_mid_body(self):
        peer = self.peer(lambda c, _: c.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"))
        engine = self.engine(peer.url())
        self.send(engine)
        self.assert_dead(engine, {"transient": 3}, {"reset": 3}, "exhausted", "^reset: ")

    def test_close_instead_of_answer(self):
        peer = self.peer(lambda _c, _r: False)
        engine = self.engine(peer.url())
        self.send(engine)
        self.assert_dead(engine, {"transient": 3}, {"reset": 3}, "exhausted", "^reset: ")
        # A fresh connection that ends is an attempt; nothing is repeated behind the policy's back.
        self.assertEqual(len(peer.seen()), 3)

    def test_body_until_end(self):
        """An answer without a length ends with the connection: that is valid."""
        peer = self.peer(lambda c, _: c.sendall(b"HTTP/1.1 200 OK\r\n\r\nbody"))
        engine = self.engine(peer.url())
        self.send(engine)
        self.assert_sent(engine, {"delivered": 1})

    def test_idle_close_costs_no_attempt(self):
        """Goal: the end of a kept connection, seen or crossing our request, burns no attempt.
        Method: the peer ends the connection after an answer that promised to keep it, in one run
        at once, in the other only when the next request has arrived."""
        def close_at_once(connection, request):
            connection.sendall(answer())
            return request.connection != 1

        def close_on_second(connection, request):
            count[request.connection] = count.get(request.connection, 0) + 1
            if request.connection == 1 and count[1] == 2:
                return False
            connection.sendall(answer())
            return True

        count = {}
        for name, script in (("seen", close_at_once), ("crossing", close_on_second)):
            with self.subTest(name):
                self.data = self.path(f"data-{name}")
                peer = self.peer(script)
                engine = self.engine(peer.url(), "connections_max = 1\nattempts_max = 1")
                self.send(engine)
                engine.wait_metric("tocsin_notifications_sent_total", 1)
                self.send(engine)
                engine.wait_metric("tocsin_notifications_sent_total", 2)
                self.assertEqual(self.attempts(engine), {"delivered": 2})
                self.assertEqual(peer.accepted, 2)
                self.assertEqual(dead_letters(self.data), [])

    def test_reset_of_kept_connection(self):
        """The same with RST instead of FIN."""
        count = []

        def script(connection, request):
            count.append(request)
            if len(count) == 2:
                reset(connection)
                return False
            connection.sendall(answer())
            return True

        peer = self.peer(script)
        engine = self.engine(peer.url(), "connections_max = 1\nattempts_max = 1")
        for sent in (1, 2):
            self.send(engine)
            engine.wait_metric("tocsin_notifications_sent_total", sent)
        self.assertEqual(self.attempts(engine), {"delivered": 2})

    def test_slow_reader(self):
        """Goal: a peer that reads slowly still gets its message, whole."""
        size = 60_000

        def trickle(connection, _number):
            data = b""
            while b"\r\n\r\n" not in data or len(data.split(b"\r\n\r\n", 1)[1]) < size:
                piece = connection.recv(2048)
                if not piece:
                    return False
                data += piece
                time.sleep(0.01)
            bodies.append(data.split(b"\r\n\r\n", 1)[1])
            connection.sendall(answer())
            return False

        bodies = []
        peer = self.peer(on_accept=trickle, receive_buffer=4096)
        engine = self.engine(peer.url())
        self.send(engine, {"text": "z" * size})
        self.assert_sent(engine, {"delivered": 1})
        self.assertEqual(json.loads(bodies[0])["data"]["body"]["text"], "z" * size)

    def test_reader_that_stops(self):
        """A peer that never reads a large message: the attempt times out."""
        peer = self.peer(on_accept=lambda _c, _n: peer.stopped.wait(20), receive_buffer=4096)
        engine = self.engine(peer.url(), self.SHORT + "\nbatch_count = 100\n"
                             'batch_bytes = "4MiB"\nlinger_ms = "300ms"')
        entry = {"event": "t", "payload": {"text": "z" * 40_000}}
        status, _, _ = engine.post(json.dumps([entry] * 20), "/api/events/batch")
        self.assertEqual(status // 100, 2)
        engine.wait_metric("tocsin_notifications_dead_total", 20)
        self.assertEqual(engine.metric("tocsin_delivery_errors_total", reason="timeout"),
                         engine.metric("tocsin_delivery_attempts_total", verdict="transient"))

    def test_nobody_listens(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))  # Bound, not listening: refuses, and stays ours.
            engine = self.engine(f"http://localhost:{unused.getsockname()[1]}/")
            self.send(engine)
            self.assert_dead(engine, {"transient": 3}, {"connect": 3}, "exhausted",
                             "(?i)connect: .*refused")

    def test_name_does_not_exist(self):
        engine = self.engine("http://no-such-host.invalid/", 'attempt_timeout_ms = "15s"')
        self.send(engine)
        self.assert_dead(engine, {"transient": 3}, {"dns": 3}, "exhausted",
                         "^dns: no-such-host.invalid: ")


if __name__ == "__main__":
    main()
