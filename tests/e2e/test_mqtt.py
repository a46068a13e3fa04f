"""The MQTT listener: reason codes, malformed packets, notifications to subscribers, no loops."""

import re

from harness import Case, LISTENERS, main, run_command, wait_until
from mqtt_client import (CONNECT, DISCONNECT, PINGREQ, PINGRESP, PUBACK, RawClient, packet,
                         publish_packet, text)

CONFIG = LISTENERS + """
[[source]]
name = "telemetry"
topic = "devices/{device}/telemetry"
[[source]]
name = "retired"
topic = "retired/#"
active = false
[[channel]]
name = "console"
type = "log"
[[channel]]
name = "subscribers"
type = "mqtt"
broker = "self"
topic = "notifications/{recipient}"
[[rule]]
name = "seen"
source = "telemetry"
channel = "console"
body = "{{device}} {{n}}"
[[rule]]
name = "tell"
source = "telemetry"
channel = "subscribers"
pattern = { tell = [{ exists = true }] }
recipient_field = "tell"
body = "{{device}} says {{n}}"
"""


class MqttCase(Case):
    threads = 0
    config = CONFIG

    def setUp(self):
        super().setUp()
        self.tocsin = self.start(f"[server]\nthreads = {self.threads}\n" + self.config)

    def raw(self, **options):
        client = RawClient(self.tocsin.mqtt, **options)
        self.addCleanup(client.__exit__)
        return client


class ReasonCodes(MqttCase):
    # Goal: a device learns why its message was refused, stays connected, and its good messages
    # before and after are events.
    def test_refused_publishes(self):
        client = self.raw()
        self.assertEqual(0x00, client.publish("devices/a/telemetry", b'{"n":1}', 1))
        for number, (topic, payload, code) in enumerate((
                ("devices/a/telemetry", b"not json", 0x99),
                ("devices/a/telemetry", b'{"n":', 0x99),
                ("devices/a/telemetry", b'"\xff"', 0x99),
                ("devices/a/telemetry", b"1e400", 0x99),
                ("devices/a/telemetry", b"[" * 20_000 + b"]" * 20_000, 0x99),
                ("devices/a/telemetry", b'"' + b"x" * 100_000 + b'"', 0x97),
                ("retired/a", b"{}", 0x90),
                ("$SYS/x", b"{}", 0x87),
                ("notifications/x", b"{}", 0x87),
                ("notifications/x/devices/a/telemetry", b"{}", 0x87))):
            with self.subTest(topic=topic, payload=payload[:20]):
                self.assertEqual(code, client.publish(topic, payload, 100 + number))
        self.assertEqual(0x00, client.publish("devices/a/telemetry", b'{"n":2}', 2))
        self.tocsin.wait_line("a 2")
        self.assertEqual(2, self.tocsin.metric("tocsin_events_acknowledged_total"))

    # Goal: a malformed packet closes its connection, with 0x81 or 0x82 where a client can hear
    # it, and no other connection.
    def test_malformed(self):
        other = self.raw(client_id="other")
        for data in (
                b"\x00\x00",  # Type 0.
                b"\x30\xff\xff\xff\xff\x7f",  # Length of five bytes.
                packet(3, b"\0\x01a\0\x01\0{}", 6),  # QoS 3.
                packet(3, text("devices/+/telemetry") + b"\0\x01\0{}", 2),  # Wildcard.
                packet(3, text(b"a\xff") + b"\0\x01\0{}", 2),  # Topic not UTF-8.
                packet(3, text("a") + b"\0\0\0{}", 2),  # Identifier 0.
                packet(3, b"\0\x50a", 0),  # Topic beyond the packet.
                packet(3, text("a") + b"\0\x01\x7f", 2),  # Properties beyond the packet.
                packet(8, b"\0\x01\0", 2),  # SUBSCRIBE without a filter.
                packet(8, b"\0\x01\0" + text("notifications/#") + b"\x01", 0),  # Wrong flags.
                packet(2, b"\0\0\0"),  # A server's packet.
                packet(CONNECT, text("MQTT") + b"\x05\x02\0\0\0" + text("again"))):
            with self.subTest(data=data):
                client = self.raw(client_id="bad")
                client.send(data)
                answer = client.receive()
                if answer is not None:
                    self.assertEqual(DISCONNECT, answer[0])
                    self.assertIn(answer[1][0], (0x81, 0x82, 0x90))
                    self.assertIsNone(client.receive())
        other.send(packet(PINGREQ, b""))
        self.assertEqual((PINGRESP, b""), other.receive())
        self.assertEqual(0, self.tocsin.metric("tocsin_events_acknowledged_total"))

    # Goal: the first packet must be a CONNECT of a known version.
    def test_first_packet(self):
        for data in (packet(PINGREQ, b""), b"GET / HTTP/1.1\r\n\r\n",
                     packet(CONNECT, text("MQTT") + b"\x09\x02\0\0" + text("x"))):
            client = self.raw(connect=False)
            client.send(data)
            while client.receive() is not None:
                pass

    # Goal: many publishes in one write, cut anywhere, are each acknowledged once.
    def test_burst(self):
        client = self.raw()
        data = b"".join(publish_packet("devices/a/telemetry", b'{"n":%d}' % n, 1, n)
                        for n in range(1, 501))
        for start in range(0, len(data), 997):
            client.send(data[start:start + 997])
        acknowledged = []
        for _ in range(500):
            kind, body = client.receive()
            self.assertEqual(PUBACK, kind)
            acknowledged.append(body[0] << 8 | body[1])
        self.assertEqual(list(range(1, 501)), sorted(acknowledged))
        wait_until(lambda: len(self.tocsin.matching(r"\ba \d+ \(rule=seen")) == 500,
                   "500 notifications")

    # Goal: good and bad publishes of one write are looked into together, and yet each gets its own
    # answer and counts once; nothing is lost, and the connection stays.
    def test_mixed_burst(self):
        client = self.raw()
        topic = "devices/a/telemetry"
        # From here on the topic is known.
        self.assertEqual(0x00, client.publish(topic, b'{"n":0}', 1000))
        bad = (b"not json", b'{"n":', b'"\xff"', b"1e400", b"[" * 200 + b"]" * 200, b"   ",
               b'"open', b"}", b'{"n":1}\\', b"1\n2")
        data = b""
        expected = {}
        for n in range(1, 301):
            wrong = n % 3 == 0 or 100 < n < 200
            expected[n] = 0x99 if wrong else 0x00
            data += publish_packet(topic, bad[n % len(bad)] if wrong else b'{"n": %d\n}' % n, 1, n)
            if n % 10 == 5:
                data += publish_packet(topic, bad[n // 10 % len(bad)], 0)
        client.send(data)
        answers = {}
        for _ in expected:
            kind, body = client.receive()
            self.assertEqual(PUBACK, kind)
            code = body[2] if len(body) > 2 else 0
            answers[body[0] << 8 | body[1]] = code
            self.assertEqual(code != 0, b" is " in body or b" are " in body, "a reason to read")
        self.assertEqual(expected, answers)
        client.send(packet(PINGREQ, b""))
        self.assertEqual((PINGRESP, b""), client.receive())
        good = [0] + [n for n, code in expected.items() if code == 0]
        wait_until(lambda: len(self.tocsin.matching(r"\ba \d+ \(rule=seen")) >= len(good),
                   f"{len(good)} notifications")
        seen = [int(re.search(r"\ba (\d+) \(rule=seen", line)[1])
                for line in self.tocsin.matching(r"\ba \d+ \(rule=seen")]
        self.assertEqual(good, sorted(seen))
        refused = len(expected) + 1 - len(good) + 30
        metrics = self.tocsin.metrics()
        for name in ("tocsin_mqtt_publishes_refused_total", "tocsin_events_refused_total"):
            counts = re.findall(rf'^{name}{{reason="(\w+)"}} (\d+)$', metrics, re.MULTILINE)
            self.assertEqual(refused, sum(int(count) for _, count in counts), counts)
            self.assertLessEqual({"json_syntax", "json_utf8", "json_number", "json_depth", "empty"},
                                 {reason for reason, count in counts if int(count) > 0})
        self.assertEqual(len(good), self.tocsin.metric("tocsin_events_decoded_total"))
        self.assertEqual(len(good) + refused, self.tocsin.metric("tocsin_events_received_total"))

    # Goal: in MQTT 3.1.1, which has no reason codes, every publish of the burst is acknowledged.
    def test_mixed_burst_without_reasons(self):
        client = self.raw(connect=False)
        client.send(packet(CONNECT, text("MQTT") + b"\x04\x02\0\x3c" + text("old")))
        self.assertEqual(b"\0\0", client.receive()[1])
        for n in range(1, 101):
            payload = b"[" if n % 2 == 0 else b'{"n":%d}' % n
            client.send(packet(3, text("devices/a/telemetry") + n.to_bytes(2, "big") + payload, 2))
        acknowledged = [client.receive() for _ in range(100)]
        self.assertEqual({(PUBACK, n.to_bytes(2, "big")) for n in range(1, 101)},
                         set(acknowledged))
        self.assertEqual(50, self.tocsin.metric("tocsin_mqtt_publishes_refused_total",
                                                reason="json_syntax"))

    # Goal: a client identifier that connects again takes the session over (3.1.4-3).
    def test_takeover(self):
        first = self.raw(client_id="same")
        second = self.raw(client_id="same")
        kind, body = first.receive()
        self.assertEqual((DISCONNECT, 0x8E), (kind, body[0]))
        self.assertEqual(0, second.publish("devices/a/telemetry", b'{"n":1}'))


class UnmatchedRefused(MqttCase):
    config = CONFIG.replace("[mqtt]", '[mqtt]\nunmatched_topics = "refuse"')

    # Goal: where it is wished, only what a source knows is taken.
    def test_refused(self):
        client = self.raw()
        self.assertEqual(0x90, client.publish("nobody/knows", b"{}"))
        self.assertEqual(0x00, client.publish("devices/a/telemetry", b'{"n":1}'))


class Notifications(MqttCase):
    # Goal: a subscriber receives what a rule sends it, at the QoS that it asked for, in both
    # protocol versions; and a filter selects.
    def test_subscribers(self):
        subscribers = [
            (self.subscribe(self.tocsin.mqtt, "notifications/#", qos, version), qos)
            for qos in (0, 1) for version in ("5", "3.1.1")]
        narrow = self.subscribe(self.tocsin.mqtt, "notifications/+/night")
        for n, recipient in enumerate(("shift/day", "shift/night")):
            self.tocsin.publish("devices/b7/telemetry", f'{{"n":{n},"tell":"{recipient}"}}')
        for subscriber, qos in subscribers:
            subscriber.wait_message(f"notifications/shift/day {qos} b7 says 0$")
            subscriber.wait_message(f"notifications/shift/night {qos} b7 says 1$")
        narrow.wait_message("notifications/shift/night 1 b7 says 1$")
        self.assertEqual(1, len(narrow.messages()))

    # Goal: QoS 1 is kept towards the subscriber: more messages than the window arrive all, in
    # order, once each.
    def test_order(self):
        subscriber = self.subscribe(self.tocsin.mqtt, "notifications/#")
        with self.raw() as client:
            for n in range(300):
                client.send(publish_packet("devices/b/telemetry",
                                           b'{"n":%d,"tell":"x"}' % n, 1, n + 1))
            for _ in range(300):
                self.assertEqual(PUBACK, client.receive()[0])
        wait_until(lambda: len(subscriber.messages()) >= 300, "300 messages")
        numbers = [int(re.search(r"says (\d+)$", line)[1]) for line in subscriber.messages()]
        self.assertEqual(list(range(300)), numbers)

    # Goal: no loop: what is published below notifications/ is no event and reaches no subscriber,
    # in either version, whatever the QoS.
    def test_no_loop(self):
        subscriber = self.subscribe(self.tocsin.mqtt, "notifications/#")
        for version in ("5", "3.1.1"):
            for qos in (0, 1):
                self.tocsin.publish("notifications/x", '{"n":1,"tell":"x"}', qos, version)
        # What comes after them on the same way shows that they are through.
        self.tocsin.publish("devices/b/telemetry", '{"n":5,"tell":"done"}')
        subscriber.wait_message("notifications/done 1 b says 5$")
        self.assertEqual(1, len(subscriber.messages()))
        self.assertEqual(1, self.tocsin.metric("tocsin_events_acknowledged_total"))
        self.assertEqual(4, self.tocsin.metric("tocsin_mqtt_publishes_refused_total",
                                               reason="topic"))

    # Goal: a recipient from a payload cannot lead a notification out of its topics.
    def test_hostile_recipient(self):
        subscriber = self.subscribe(self.tocsin.mqtt, "notifications/#")
        for n, recipient in enumerate(("a/#", "+", "", "x\\u0000y")):
            self.tocsin.publish("devices/b/telemetry", f'{{"n":{n},"tell":"{recipient}"}}')
        self.tocsin.publish("devices/b/telemetry", '{"n":5,"tell":"ok"}')
        subscriber.wait_message("notifications/ok 1 b says 5$")
        self.assertEqual(1, len(subscriber.messages()))


class NotificationsOneThread(Notifications):
    threads = 1


class NotificationsFourThreads(Notifications):
    threads = 4


class ReasonCodesOneThread(ReasonCodes):
    threads = 1


class ReasonCodesFourThreads(ReasonCodes):
    threads = 4


if __name__ == "__main__":
    main()
