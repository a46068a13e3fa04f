"""Tocsin as the only broker: mosquitto's clients and raw ones talk to each other through it."""

import struct

from harness import Case, LISTENERS, Subscriber, main, publish, run_command, wait_until
from mqtt_client import (CONNECT, DISCONNECT, PINGREQ, PINGRESP, PUBACK, PUBLISH, SUBACK,
                         RawClient, packet, text)

PUBREC, PUBREL, PUBCOMP = 5, 6, 7

CONFIG = LISTENERS + """
[[source]]
name = "telemetry"
topic = "devices/{device}/telemetry"
[[channel]]
name = "console"
type = "log"
[[rule]]
name = "seen"
source = "telemetry"
channel = "console"
body = "{{device}} {{n}}"
"""


def property_u32(identifier, value):
    return struct.pack(">BI", identifier, value)


class Client(RawClient):
    """A 5.0 client that says exactly what it wants."""

    def __init__(self, port, client_id, clean=True, expiry_s=0, will=None, will_delay_s=0):
        super().__init__(port, connect=False)
        properties = property_u32(17, expiry_s) if expiry_s else b""
        flags, payload = 2 if clean else 0, text(client_id)
        if will:
            flags |= 4
            delay = property_u32(24, will_delay_s)
            payload += bytes([len(delay)]) + delay + text(will[0]) + text(will[1])
        self.send(packet(CONNECT, text("MQTT") + bytes([5, flags]) + struct.pack(">H", 60) +
                         bytes([len(properties)]) + properties + payload))
        kind, body = self.receive()
        assert (kind, body[1]) == (2, 0), (kind, body)
        self.session_present = body[0] == 1

    def subscribe(self, topic, qos=1, packet_id=9):
        self.send(packet(8, struct.pack(">H", packet_id) + b"\0" + text(topic) + bytes([qos]), 2))
        kind, body = self.receive()
        assert kind == SUBACK, (kind, body)
        return body[-1]

    def message(self, qos=1):
        """Topic and payload of the next PUBLISH, acknowledged; answers each PUBREL before it."""
        while True:
            kind, body = self.receive()
            if kind != PUBREL:
                break
            self.send(packet(PUBCOMP, body[:2]))
        assert kind == PUBLISH, (kind, body)
        size = struct.unpack(">H", body[:2])[0]
        self.send(packet(PUBACK if qos == 1 else PUBREC, body[2 + size:4 + size]))
        rest = body[4 + size:]
        return body[2:2 + size].decode(), rest[1 + rest[0]:]

    def ping(self):
        """Until the server has read everything that was sent before."""
        self.send(packet(PINGREQ, b""))
        kind, _ = self.receive()
        assert kind == PINGRESP, kind


class BrokerCase(Case):
    threads = 1

    def setUp(self):
        super().setUp()
        self.begin()

    def begin(self):
        self.tocsin = self.start(f"[server]\nthreads = {self.threads}\n" + CONFIG)
        return self.tocsin

    def client(self, *arguments, **options):
        client = Client(self.tocsin.mqtt, *arguments, **options)
        self.addCleanup(client.__exit__)
        return client

    def publish(self, topic, payload, qos=1, version="5", options=()):
        done = publish(self.tocsin.mqtt, topic, payload, qos, version, options)
        self.assertEqual(0, done.returncode, done.stderr)


class Routing(BrokerCase):
    # Goal: what a device publishes reaches subscribers of both versions with every QoS, and is an
    # event as well where a source says so.
    def test_publish_subscribe(self):
        subscribers = [
            (self.subscribe(self.tocsin.mqtt, "devices/#", qos, version), qos)
            for qos in (0, 1, 2) for version in ("5", "3.1.1")]
        for qos in (0, 1, 2):
            self.publish("devices/a/telemetry", '{"n":%d}' % qos, qos)
            self.publish("devices/a/raw", f"not json {qos}", qos, "3.1.1")
        for subscriber, most in subscribers:
            for qos in (0, 1, 2):
                subscriber.wait_message(r'devices/a/telemetry %d {"n":%d}$' % (min(qos, most), qos))
                subscriber.wait_message(f"devices/a/raw {min(qos, most)} not json {qos}$")
        for qos in (0, 1, 2):
            self.tocsin.wait_line(f"a {qos} ")

    # Goal: retained messages: given to whoever comes later, replaced, cleared.
    def test_retained(self):
        self.publish("state/a", "1", options=["-r"])
        self.publish("state/a", "2", 2, options=["-r"])
        self.publish("state/b", "3", 0, "3.1.1", options=["-r"])
        # Nobody acknowledges QoS 0: it is there when it is there.
        wait_until(lambda: run_command(
            "mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.tocsin.mqtt), "-t", "state/b",
            "--retained-only", "-C", "1", "-W", "1").stdout == b"3\n", "what was published at QoS 0")
        later = self.subscribe(self.tocsin.mqtt, "state/+", 2, options=["--retained-only"])
        later.wait_message("state/a 2 2$")
        later.wait_message("state/b 0 3$")
        self.publish("state/a", "", options=["-r"])
        self.publish("state/end", "4", options=["-r"])
        last = self.subscribe(self.tocsin.mqtt, "state/#")
        last.wait_message("state/end 1 4$")
        self.assertEqual([], [line for line in last.messages() if line.startswith("state/a")])

    # Goal: request and response with what 5.0 has for it, user properties in order.
    def test_properties(self):
        seen = self.watch(PropertySubscriber(self.tocsin.mqtt, "request")).wait_ready()
        self.publish("request", "x", 1, options=[
            "-D", "publish", "response-topic", "answer", "-D", "publish", "correlation-data", "7",
            "-D", "publish", "user-property", "b", "1", "-D", "publish", "user-property", "a", "2",
            "-D", "publish", "content-type", "text/plain"])
        seen.wait_line(r"^MSG request x answer 7 text/plain b:1 a:2$")

    # Goal: a shared subscription gets each message once, spread over its members.
    def test_shared(self):
        members = [self.subscribe(self.tocsin.mqtt, "$share/crew/work/#") for _ in range(4)]
        everybody = self.subscribe(self.tocsin.mqtt, "work/#")
        for number in range(40):
            self.publish("work/x", str(number))
        everybody.wait_message("work/x 1 39$")

        def shared():
            return sorted(int(line.split()[-1]) for m in members for line in m.messages())

        wait_until(lambda: len(shared()) >= 40, "every message at one member")
        self.assertEqual(list(range(40)), shared())
        for member in members:
            self.assertGreater(len(member.messages()), 3)

    # Goal: the will of a client that vanishes; none of one that says goodbye.
    def test_wills(self):
        watcher = self.subscribe(self.tocsin.mqtt, "gone/#")
        polite = self.client("polite", will=("gone/polite", "x"))
        polite.send(packet(DISCONNECT, b""))
        self.assertIsNone(polite.receive())
        self.client("rude", will=("gone/rude", "x")).__exit__()
        # Its delay is cut short by the end of its session, which is now.
        self.client("late", will=("gone/late", "x"), will_delay_s=600).__exit__()
        slow = self.client("slow", expiry_s=600, will=("gone/slow", "x"), will_delay_s=1)
        slow.__exit__()
        for name in ("rude", "late", "slow"):
            watcher.wait_message(f"gone/{name} 0 x$")
        self.assertEqual(3, len(watcher.messages()))


class RoutingFourThreads(Routing):
    threads = 4


class PropertySubscriber(Subscriber):
    def __init__(self, port, topic):
        super().__init__(port, topic, options=["-F", "MSG %t %p %R %D %C %P"])


class Sessions(BrokerCase):
    # Goal: what comes while a client is away is there when it is back, from whichever reactor.
    def test_offline_messages(self):
        first = self.client("dev", clean=False, expiry_s=600)
        self.assertFalse(first.session_present)
        self.assertEqual(2, first.subscribe("news/#", 2))
        first.__exit__()
        for number in range(10):
            self.publish("news/x", str(number), 1 + number % 2)
        again = self.client("dev", clean=False, expiry_s=600)
        self.assertTrue(again.session_present)
        for number in range(10):
            self.assertEqual(("news/x", str(number).encode()), again.message(1 + number % 2))
        self.client("dev", clean=True)
        self.assertFalse(self.client("dev", clean=False).session_present)

    # Goal: the later connection takes over, whichever reactor it comes to; the earlier one is told.
    def test_takeover(self):
        client = self.client("same", clean=False, expiry_s=600)
        self.assertEqual(1, client.subscribe("t"))
        for number in range(20):
            later = self.client("same", clean=False, expiry_s=600)
            self.assertTrue(later.session_present)
            kind, body = client.receive()
            self.assertEqual((DISCONNECT, 0x8E), (kind, body[0]))
            self.assertIsNone(client.receive())
            self.publish("t", str(number))
            self.assertEqual(str(number).encode(), later.message()[1])
            later.ping()  # What is not acknowledged yet would rightly come again.
            client = later

    # Goal: kill -9: subscriptions, messages, retained messages and the halves of QoS 2 are there
    # again; nothing that was acknowledged is lost.
    def test_kill(self):
        first = self.client("dev", clean=False, expiry_s=600)
        self.assertEqual(2, first.subscribe("news/#", 2))
        first.__exit__()
        self.publish("kept", "r", options=["-r"])
        for number in range(50):
            self.publish("news/x", str(number), 2)
        self.tocsin.kill()
        self.begin()
        again = self.client("dev", clean=False, expiry_s=600)
        self.assertTrue(again.session_present)
        received = []
        for _ in range(50):
            received.append(int(again.message(2)[1]))
        self.assertEqual(list(range(50)), sorted(received))
        self.subscribe(self.tocsin.mqtt, "kept").wait_message("kept 1 r$")


class SessionsFourThreads(Sessions):
    threads = 4


if __name__ == "__main__":
    main()
