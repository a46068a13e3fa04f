"""Webhooks over TLS: who is trusted, what is signed, what is reused, what is batched."""

import base64
import hashlib
import hmac
import json
import re
import socket
import ssl
import time
import warnings
from datetime import datetime, timezone

from harness import Case, main, wait_until
from peers import (Certificates, OpensslPeer, WebhookPeer, answer, dead_letters, server_context,
                   webhook_config)

KEY = bytes(range(32))
PREVIOUS_KEY = bytes(range(100, 132))


def secret(key):
    return "whsec_" + base64.b64encode(key).decode()


def signature(key, request):
    """Standard Webhooks 1.0, written from its text."""
    signed = b".".join([request.header("webhook-id").encode(),
                        request.header("webhook-timestamp").encode(), request.body])
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


class TlsCase(Case):
    def setUp(self):
        super().setUp()
        self.certificates = Certificates(self.directory)

    def peer(self, pair, script=None, **options):
        peer = WebhookPeer(script, tls=server_context(pair), **options)
        self.addCleanup(peer.close)
        return peer

    def engine(self, url, more=""):
        return self.start(webhook_config(
            f'url = "{url}"\nca_file = "{self.certificates.ca[0]}"\n{more}'))

    def send(self, engine, payload):
        status, _, body = engine.post(json.dumps({"event": "t", "payload": payload}))
        self.assertEqual(status, 202, body)
        return json.loads(body)["id"]


class Trusted(TlsCase):
    def test_signed_delivery_by_name(self):
        """Goal: what arrives is a Standard Webhooks message that an independent verifier accepts."""
        peer = self.peer(self.certificates.issue("good"))
        engine = self.engine(peer.url(), f'secret = "{secret(KEY)}"\n'
                             f'secret_previous = "{secret(PREVIOUS_KEY)}"\n'
                             'headers = ["X-Team: ops"]\nauthorization = "Bearer abc"')
        event_id = self.send(engine, {"n": 1, "text": 'Ünïcode "quoted" \\ \u0001'})
        request = peer.wait(1)[0]
        self.assertEqual(request.line, "POST /hook HTTP/1.1")
        self.assertEqual(request.header("host"), f"localhost:{peer.port}")
        self.assertEqual(request.header("content-type"), "application/json")
        self.assertEqual(request.header("authorization"), "Bearer abc")
        self.assertEqual(request.header("x-team"), "ops")
        self.assertRegex(request.header("webhook-id"), r"^msg_[0-9a-f]{32}$")
        self.assertLess(abs(int(request.header("webhook-timestamp")) - time.time()), 30)
        self.assertEqual(request.header("webhook-signature").split(" "),
                         [signature(KEY, request), signature(PREVIOUS_KEY, request)])
        message = json.loads(request.body)
        self.assertEqual(set(message), {"type", "timestamp", "data"})
        self.assertEqual(message["type"], "t")
        self.assertRegex(message["timestamp"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        age = datetime.now(timezone.utc) - datetime.fromisoformat(message["timestamp"])
        self.assertLess(abs(age.total_seconds()), 30)
        data = message["data"]
        self.assertEqual(set(data), {"id", "event_id", "event_type", "rule", "severity",
                                     "priority", "subject", "body"})
        self.assertEqual((data["event_id"], data["rule"], data["event_type"]),
                         (event_id, "r", "t"))
        self.assertEqual(data["body"], {"n": 1, "text": 'Ünïcode "quoted" \\ \u0001'})
        engine.wait_metric("tocsin_notifications_sent_total", 1, channel="hook")

    def test_delivery_by_address(self):
        """Goal: an IP address in the URL is verified against the certificate's IP names."""
        peer = self.peer(self.certificates.issue("good"))
        engine = self.engine(peer.url(host="127.0.0.1"))
        self.send(engine, {"n": 1})
        self.assertIsNone(peer.wait(1)[0].header("webhook-signature"))
        engine.wait_metric("tocsin_notifications_sent_total", 1)

    def test_raw_format(self):
        """Goal: `format = "raw"` sends the rendered body unchanged, signed as it is."""
        peer = self.peer(self.certificates.issue("good"))
        engine = self.start(webhook_config(
            f'url = "{peer.url()}"\nca_file = "{self.certificates.ca[0]}"\nformat = "raw"\n'
            f'content_type = "text/plain"\nsecret = "{secret(KEY)}"',
            rule='body = "n is {{n}}"'))
        self.send(engine, {"n": 7})
        request = peer.wait(1)[0]
        self.assertEqual((request.body, request.header("content-type")), (b"n is 7", "text/plain"))
        self.assertEqual(request.header("webhook-signature"), signature(KEY, request))

    def test_id_stable_over_retries(self):
        """Goal: each attempt carries the same id, a timestamp of its own and a fresh signature.
        Method: the peer fails thrice, and until seconds have passed since the first attempt, so that
        the timestamps must differ."""
        attempts = []

        def script(connection, _request):
            attempts.append(time.monotonic())
            late = len(attempts) > 3 and attempts[-1] - attempts[0] > 2.2
            connection.sendall(answer(200 if late else 500))
            return True

        peer = self.peer(self.certificates.issue("good"), script)
        engine = self.engine(peer.url(), f'secret = "{secret(KEY)}"\nattempts_max = 100')
        self.send(engine, {"n": 1})
        engine.wait_metric("tocsin_notifications_sent_total", 1)
        requests = peer.seen()
        self.assertGreaterEqual(len(requests), 3)
        self.assertEqual(len({r.header("webhook-id") for r in requests}), 1)
        self.assertGreaterEqual(len({r.header("webhook-timestamp") for r in requests}), 2)
        for request in requests:
            self.assertEqual(request.header("webhook-signature"), signature(KEY, request))
        ids = {json.loads(r.body)["data"]["id"] for r in requests}
        self.assertEqual(len(ids), 1)
        self.assertEqual(engine.metric("tocsin_delivery_attempts_total", verdict="transient"),
                         len(requests) - 1)

    def test_one_connection_for_many(self):
        """Goal: connections and their handshakes are reused."""
        peer = self.peer(self.certificates.issue("good"))
        engine = self.engine(peer.url(), "connections_max = 1")
        entries = [{"event": "t", "payload": {"n": n}} for n in range(200)]
        status, _, body = engine.post(json.dumps(entries), "/api/events/batch")
        self.assertEqual(status // 100, 2, body)
        requests = peer.wait(200)
        engine.wait_metric("tocsin_notifications_sent_total", 200)
        self.assertEqual(len(peer.seen()), 200)
        self.assertEqual({r.connection for r in requests}, {1})
        self.assertEqual(peer.accepted, 1)
        self.assertEqual(sorted(json.loads(r.body)["data"]["body"]["n"] for r in requests),
                         list(range(200)))

    def test_close_notify(self):
        """Goal: a connection that we end, idle or at our own end, ends with close_notify."""
        peer = self.peer(self.certificates.issue("good"), strict=True)
        engine = self.engine(peer.url(), 'idle_timeout_ms = "100ms"')
        self.send(engine, {"n": 1})
        peer.wait(1)
        wait_until(lambda: peer.ended == 1, "the end of the idle connection")
        self.assertEqual(0, engine.stop())
        engine = self.engine(peer.url())
        self.send(engine, {"n": 2})
        engine.wait_metric("tocsin_notifications_sent_total", 1, channel="hook")
        self.assertEqual(0, engine.stop())
        wait_until(lambda: peer.ended == 2, "the end of the kept connection")
        self.assertEqual([], peer.handshake_errors)

    def test_batches(self):
        """Goal: batch_count and linger_ms make one signed message out of many notifications."""
        peer = self.peer(self.certificates.issue("good"))
        engine = self.engine(peer.url(), f'batch_count = 10\nlinger_ms = "20s"\n'
                             f'secret = "{secret(KEY)}"')
        for n in range(20):
            self.send(engine, {"n": n})
        requests = peer.wait(2)
        engine.wait_metric("tocsin_notifications_sent_total", 20)
        self.assertEqual(len(peer.seen()), 2)
        seen = []
        for request in requests:
            message = json.loads(request.body)
            self.assertEqual(message["type"], "tocsin.batch")
            self.assertEqual(len(message["data"]), 10)
            self.assertEqual(request.header("webhook-signature"), signature(KEY, request))
            seen += [entry["body"]["n"] for entry in message["data"]]
        self.assertEqual(sorted(seen), list(range(20)))
        self.assertEqual(len({r.header("webhook-id") for r in requests}), 2)

    def test_linger_sends_a_part(self):
        """Goal: a batch that does not fill leaves when its linger is over."""
        peer = self.peer(self.certificates.issue("good"))
        engine = self.engine(peer.url(), 'batch_count = 100\nlinger_ms = "400ms"')
        for n in range(3):
            self.send(engine, {"n": n})
        data = json.loads(peer.wait(1)[0].body)["data"]
        engine.wait_metric("tocsin_notifications_sent_total", 3)
        sizes = [len(d) if isinstance(d, list) else 1
                 for d in (json.loads(r.body)["data"] for r in peer.seen())]
        self.assertEqual(sum(sizes), 3)
        self.assertIsInstance(data, list)

    def test_openssl_server(self):
        """Goal: another TLS implementation than Python's wrapper, TLS 1.2 and 1.3 offered."""
        with OpensslPeer(self.certificates.issue("good"), "-naccept", "1") as peer:
            engine = self.engine(f"https://localhost:{peer.port}/hook", f'secret = "{secret(KEY)}"')
            self.send(engine, {"n": 1})
            wait_until(lambda: re.search(rb"\r\n\r\n\{.*\}", peer.text(), re.S), "the request")
            self.assertIn(b"POST /hook HTTP/1.1\r\n", peer.text())
            self.assertEqual(engine.metric("tocsin_notifications_sent_total"), 0)
            peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")
            engine.wait_metric("tocsin_notifications_sent_total", 1)


class Refused(TlsCase):
    def refused(self, peer_port, accepted, reason, host="localhost"):
        """Nothing is delivered, every attempt is made and counted, the dead letter says why."""
        engine = self.engine(f"https://{host}:{peer_port}/hook")
        self.send(engine, {"n": 1})
        engine.wait_metric("tocsin_notifications_dead_total", 1, channel="hook")
        self.assertEqual(engine.metric("tocsin_notifications_sent_total"), 0)
        self.assertEqual(engine.metric("tocsin_delivery_attempts_total", verdict="transient"), 3)
        self.assertEqual(engine.metric("tocsin_delivery_errors_total", reason="tls"), 3)
        letter = wait_until(lambda: dead_letters(self.data), "a dead letter")[0]
        self.assertEqual((letter["attempts"], letter["reason"]), (3, "exhausted"))
        self.assertTrue(letter["detail"].startswith("tls: "), letter["detail"])
        self.assertRegex(letter["detail"], reason)
        self.assertEqual(accepted(), 3)

    def refused_by_certificate(self, pair, reason, host="localhost"):
        peer = self.peer(pair)
        self.refused(peer.port, lambda: peer.accepted, reason, host)
        self.assertEqual(peer.seen(), [])

    def test_expired(self):
        pair = self.certificates.issue("old", dates=("20200101000000Z", "20210101000000Z"))
        self.refused_by_certificate(pair, "certificate has expired")

    def test_not_yet_valid(self):
        pair = self.certificates.issue("new", dates=("20900101000000Z", "20910101000000Z"))
        self.refused_by_certificate(pair, "certificate is not valid yet")

    def test_other_host(self):
        pair = self.certificates.issue("other", names="DNS:example.org", subject="example.org")
        self.refused_by_certificate(pair, "another host name")

    def test_name_only_as_text(self):
        """A DNS name that reads like the address is not the address."""
        pair = self.certificates.issue("text", names="DNS:localhost", subject="localhost")
        self.refused_by_certificate(pair, "another host name", host="127.0.0.1")

    def test_self_signed(self):
        self.refused_by_certificate(self.certificates.self_signed("self"),
                                    "not signed by a trusted authority")

    def test_unknown_authority(self):
        pair = self.certificates.issue("strange", authority=self.certificates.stranger)
        self.refused_by_certificate(pair, "not signed by a trusted authority")

    def test_old_versions(self):
        """Goal: a peer that speaks TLS 1.0 and 1.1 only gets nothing."""
        context = server_context(self.certificates.issue("good"))
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
            client = ssl.create_default_context(cafile=self.certificates.ca[0])
            client.set_ciphers("ALL:@SECLEVEL=0")
            client.minimum_version = ssl.TLSVersion.TLSv1
        peer = WebhookPeer(tls=context)
        self.addCleanup(peer.close)
        # The peer works for those who still speak these versions.
        with socket.create_connection(("127.0.0.1", peer.port)) as plain:
            with client.wrap_socket(plain, server_hostname="localhost") as connection:
                self.assertEqual(connection.version(), "TLSv1.1")
        before = peer.accepted
        self.refused(peer.port, lambda: peer.accepted - before, "(?i)version|alert|min/max")
        self.assertEqual(peer.seen(), [])


if __name__ == "__main__":
    main()
