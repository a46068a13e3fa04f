"""Where webhooks must not go (X19), and what payload values must not become (X20)."""

import json

from harness import Case, main, wait_until
from peers import WebhookPeer, dead_letters, webhook_config


class Egress(Case):
    def setUp(self):
        super().setUp()
        self.peer = WebhookPeer()
        self.addCleanup(self.peer.close)

    def send(self, engine, payload):
        status, _, body = engine.post(json.dumps({"event": "t", "payload": payload}))
        self.assertEqual(status, 202, body)

    def test_loopback_is_refused(self):
        """Goal: without egress_allow no connection reaches a loopback listener, by name or not."""
        for host in ("localhost", "127.0.0.1", "127.1.2.3", "[::1]", "[::ffff:127.0.0.1]"):
            with self.subTest(host):
                self.data = self.path("data" + host.strip("[]").replace(":", "-"))
                engine = self.start(webhook_config(
                    f'url = "{self.peer.url(host)}"\nplain_http = true', server=""))
                self.send(engine, {"n": 1})
                engine.wait_metric("tocsin_notifications_dead_total", 1, reason="refused_address")
                letter = wait_until(lambda: dead_letters(self.data), "a dead letter")[0]
                self.assertEqual((letter["reason"], letter["attempts"]), ("refused_address", 1))
                self.assertIn("egress_allow", letter["detail"])
                self.assertEqual(engine.metric("tocsin_delivery_attempts_total",
                                               verdict="permanent"), 1)
                engine.stop()
        self.assertEqual(self.peer.accepted, 0)

    def test_other_reserved_addresses_are_refused(self):
        """Goal: private, link-local (cloud metadata) and unspecified targets are refused too."""
        targets = ["http://10.1.2.3/", "http://192.168.0.1/", "http://172.16.0.1/",
                   "http://169.254.169.254/latest/meta-data/", "http://100.64.0.1/",
                   f"http://0.0.0.0:{self.peer.port}/", f"http://[::]:{self.peer.port}/",
                   "http://[fe80::1]/", "http://[fc00::1]/", "http://[::ffff:10.0.0.1]/",
                   "http://[64:ff9b::7f00:1]/", "http://224.0.0.1/", "http://255.255.255.255/",
                   "http://[2002:7f00:1::]/"]
        engine = self.start(webhook_config('plain_http = true', server="",
                                           rule='recipient_field = "to"'))
        for target in targets:
            self.send(engine, {"to": target})
        engine.wait_metric("tocsin_notifications_dead_total", len(targets))
        letters = wait_until(lambda: len(dead_letters(self.data)) == len(targets)
                             and dead_letters(self.data), "all dead letters")
        self.assertEqual({letter["recipient"]: letter["reason"] for letter in letters},
                         {target: "refused_address" for target in targets})
        self.assertEqual(self.peer.accepted, 0)

    def test_recipients_from_payloads(self):
        """Goal: no spelling of the loopback address in a payload reaches the listener. Method: a
        good target, given in the same way where it is allowed, shows that the path works."""
        port = self.peer.port
        spellings = [
            f"http://2130706433:{port}/", f"http://0x7f000001:{port}/",
            f"http://0x7f.0.0.1:{port}/", f"http://0177.0.0.1:{port}/",
            f"http://017700000001:{port}/", f"http://127.1:{port}/", f"http://127.0.1:{port}/",
            f"http://0:{port}/", f"http://user@127.0.0.1:{port}/",
            f"http://user:password@localhost:{port}/", f"http://example.org@127.0.0.1:{port}/",
            f"http://127.0.0.1:{port}#@example.org/", f"http://example.org\\@127.0.0.1:{port}/",
            f"http://[::ffff:127.0.0.1]:{port}/", f"http://[::ffff:7f00:1]:{port}/",
            f"http://[::127.0.0.1]:{port}/", f"http://[::1%25lo]:{port}/", f"http://[::1]:{port}/",
            f"http://localhost:{port}/", f"http://LOCALHOST:{port}/", f"http://localhost.:{port}/",
            f"http://127.0.0.1.:{port}/", f"http://127.0.0.1:{port}/", f"http:127.0.0.1:{port}/",
            f"http:///127.0.0.1:{port}/", f"//127.0.0.1:{port}/", f"127.0.0.1:{port}",
            f"ftp://127.0.0.1:{port}/", "file:///etc/passwd", f"http://%31%32%37.0.0.1:{port}/",
            f"http://127。0。0。1:{port}/", f"http://①②⑦.0.0.1:{port}/",
            f"http://127.0.0.1:{port}/\r\nX-Evil: 1", f"http://127.0.0.1 :{port}/",
            f"http://127.0.0.1\x00.example.org:{port}/", f"http://127.0.0.1:{port + 65536}/",
            f"http://127.0.0.1:+{port}/", "http://", "http://:80/", "x" * 5000]
        engine = self.start(webhook_config('plain_http = true', server="",
                                           rule='recipient_field = "to"'))
        for target in spellings:
            self.send(engine, {"to": target})

        def ended():
            return ((engine.metric("tocsin_notifications_dead_total") or 0)
                    + engine.metric("tocsin_notifications_suppressed_total")) == len(spellings)

        wait_until(ended, "every recipient has ended")
        self.assertEqual(self.peer.accepted, 0)
        self.assertEqual(engine.metric("tocsin_notifications_sent_total"), 0)
        reasons = {letter["reason"] for letter in dead_letters(self.data)}
        self.assertLessEqual(reasons, {"refused_address", "protocol", "exhausted"})
        exhausted = [letter for letter in dead_letters(self.data)
                     if letter["reason"] == "exhausted" and not letter["detail"].startswith("dns")]
        self.assertEqual(exhausted, [])
        engine.stop()
        self.data = self.path("data-allowed")
        engine = self.start(webhook_config('plain_http = true', rule='recipient_field = "to"'))
        self.send(engine, {"to": self.peer.url("127.0.0.1")})
        self.peer.wait(1)
        # Allowed or not, what is no plain URL is refused.
        for target in spellings[:13]:
            self.send(engine, {"to": target})
        wait_until(lambda: (engine.metric("tocsin_notifications_dead_total") or 0)
                   + engine.metric("tocsin_notifications_suppressed_total") == 13, "13 ended")
        self.assertEqual(self.peer.accepted, 1)

    def test_plain_http_needs_consent(self):
        """Goal: a payload cannot switch encryption off."""
        engine = self.start(webhook_config(f'url = "https://localhost:{self.peer.port}/"',
                                           rule='recipient_field = "to"'))
        self.send(engine, {"to": self.peer.url()})
        engine.wait_metric("tocsin_notifications_dead_total", 1, reason="protocol")
        self.assertEqual(self.peer.accepted, 0)

    def test_narrow_allowance(self):
        """Goal: egress_allow opens what it names, not its neighbours."""
        engine = self.start(webhook_config('plain_http = true',
                                           server='egress_allow = ["127.0.0.2/32"]',
                                           rule='recipient_field = "to"'))
        self.send(engine, {"to": self.peer.url("127.0.0.1")})
        engine.wait_metric("tocsin_notifications_dead_total", 1, reason="refused_address")
        self.assertEqual(self.peer.accepted, 0)


class Injection(Case):
    EVIL = ["a\r\nX-Evil: 1\r\n\r\n{\"forged\":true}", "b\n[info] forged line",
            "c\u0000d", "e\"},{\"forged\":true,\"x\":\"", "f\u2028g\u2029h\u0085i", "\u001b[31mred",
            "{{n}}", "</script><b>", "%0d%0aX-Evil: 1"]

    def test_webhook(self):
        """Goal: control characters in values, recipients, topics and ids stay inside the JSON of
        one request; no header, request or member is forged."""
        peer = WebhookPeer()
        self.addCleanup(peer.close)
        engine = self.start(webhook_config(
            f'url = "{peer.url()}"\nplain_http = true\nattempts_max = 1',
            rule="subject = 's {{v}}'\nbody = 'b {{v}}'"))
        for value in self.EVIL:
            status, _, body = engine.post(json.dumps({"event": "t", "payload": {"v": value}}))
            self.assertEqual(status, 202, body)
        requests = peer.wait(len(self.EVIL))
        engine.wait_metric("tocsin_notifications_sent_total", len(self.EVIL))
        self.assertEqual(len(peer.seen()), len(self.EVIL))
        expected = ["host", "user-agent", "content-type", "content-length", "webhook-id",
                    "webhook-timestamp"]
        seen = []
        for request in requests:
            self.assertEqual(request.line, "POST /hook HTTP/1.1")
            self.assertEqual([name for name, _ in request.headers], expected)
            self.assertFalse(any(b < 0x20 for b in request.body), request.body)
            message = json.loads(request.body)
            self.assertEqual(set(message), {"type", "timestamp", "data"})
            data = message["data"]
            self.assertEqual(len(data), 8)
            self.assertNotIn("forged", data)
            # A subject is one line wherever it goes.
            self.assertFalse(set(data["subject"]) & set("\r\n\0"), data["subject"])
            seen.append(data["body"][2:])
        self.assertEqual(sorted(seen), sorted(self.EVIL))

    def test_event_headers(self):
        """Goal: attributes of the event (CloudEvents type, trace) cannot forge request headers."""
        peer = WebhookPeer()
        self.addCleanup(peer.close)
        engine = self.start(webhook_config(f'url = "{peer.url()}"\nplain_http = true',
                                           rule="body = '{{v}}'"))
        accepted = 0
        for number, value in enumerate(self.EVIL):
            event = {"specversion": "1.0", "id": f"{number}", "source": "/s" + value,
                     "type": "t" + value, "traceparent": "00-" + value, "subject": value,
                     "data": {"v": value}}
            status, _, _ = engine.post(json.dumps(event),
                                       content_type="application/cloudevents+json")
            self.assertIn(status, (202, 400, 404, 422))
            accepted += status == 202
            status, _, _ = engine.post(json.dumps({"event": "t" + value, "payload": {}}))
            self.assertIn(status, (400, 404, 422))
        event = {"specversion": "1.0", "id": "tp", "source": "/s", "type": "t",
                 "traceparent": "00-1\r\nX-Evil: 1", "data": {"v": "tp"}}
        status, _, _ = engine.post(json.dumps(event), content_type="application/cloudevents+json")
        accepted += status == 202
        engine.wait_metric("tocsin_events_evaluated_total", accepted)
        created = engine.metric("tocsin_notifications_created_total")
        engine.wait_metric("tocsin_notifications_sent_total", created)
        for request in peer.seen():
            self.assertEqual(request.line, "POST /hook HTTP/1.1")
            names = [name for name, _ in request.headers]
            self.assertNotIn("x-evil", names)
            self.assertTrue(all(value.isprintable() for _, value in request.headers))
            json.loads(request.body)

    def test_lines(self):
        """Goal: one notification is one line of the log channel, one dead letter one line of its
        file, and neither holds a raw control character."""
        config = webhook_config(
            'plain_http = true\nattempts_max = 1',
            rule='recipient_field = "v"\nsubject = "{{v}}"\nbody = "{{v}}"',
            extra='[[channel]]\nname = "print"\ntype = "log"\n'
                  '[[rule]]\nname = "p"\nsource = "t"\nchannel = "print"\n'
                  'subject = "{{v}}"\nbody = "{{v}}"')
        engine = self.start(config)
        first_lines = len(engine.out)
        for value in self.EVIL:
            self.assertEqual(
                engine.post(json.dumps({"event": "t", "payload": {"v": value}}))[0], 202)
        engine.wait_metric("tocsin_notifications_sent_total", len(self.EVIL), channel="print")
        wait_until(lambda: len(engine.out) >= first_lines + len(self.EVIL), "the printed lines")
        wait_until(lambda: (engine.metric("tocsin_notifications_dead_total") or 0)
                   + engine.metric("tocsin_notifications_suppressed_total") == len(self.EVIL),
                   "every webhook has ended")
        engine.stop()
        printed = engine.out[first_lines:]
        self.assertEqual(len(printed), len(self.EVIL))
        for line in printed:
            self.assertIn("(rule=p", line)
            self.assertFalse([c for c in line if ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0], line)
        for line in engine.err:
            self.assertFalse([c for c in line if ord(c) < 0x20], line)
            self.assertFalse(line.startswith("[info] forged"), line)
        with open(self.path("data/dead-letters.ndjson"), "rb") as file:
            text = file.read()
        self.assertTrue(text.endswith(b"\n"))
        self.assertFalse([b for b in text.replace(b"\n", b"") if b < 0x20])
        for line in text.decode().rstrip("\n").split("\n"):
            letter = json.loads(line)
            self.assertNotIn("forged", letter)
            self.assertIn(letter["body"], self.EVIL)


if __name__ == "__main__":
    main()
