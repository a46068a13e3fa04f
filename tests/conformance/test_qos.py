"""The delivery protocols of the three QoS levels, both ways (sections 3.3 to 3.7, 4.3, 4.6)."""

import time

import mqtt_wire as wire
from mqtt_wire import V3, V5
from support import Case, covers, main, tocsin_only


class Receiving(Case):
    """What a client publishes."""

    # Goal: QoS 0 has no identifier and no answer, and goes out as it is.
    @covers(v3="MQTT-3.3.4-1 MQTT-4.3.1-1 MQTT-2.3.1-5 MQTT-3.3.1-2",
            v5="MQTT-3.3.4-1 MQTT-4.3.1-1 MQTT-2.2.1-2 MQTT-3.3.1-2")
    def test_qos0(self, version):
        topic, watcher, publisher = self.topic(), self.client(version), self.client(version)
        watcher.subscribe(topic, 2)
        publisher.send_publish(topic, b"\0\1rest")
        message = watcher.message()
        self.assertEqual((b"\0\1rest", 0, False), (message.payload, message.qos, message.dup))
        self.assertEqual([], publisher.ping())

    # Goal: each QoS 1 message gets a PUBACK with its identifier; the identifier is free then, and
    # a message that uses it again is new, whatever its DUP flag says.
    @covers(v3="MQTT-4.3.2-2 MQTT-2.3.1-6 MQTT-3.3.4-1",
            v5="MQTT-4.3.2-4 MQTT-4.3.2-5 MQTT-2.2.1-5 MQTT-3.3.4-1 MQTT-3.4.2-1")
    def test_qos1(self, version):
        topic, watcher, publisher = self.topic(), self.client(version), self.client(version)
        watcher.subscribe(topic, 1)
        for packet_id in (1, 65535, 300):
            publisher.send_publish(topic, b"x", 1, packet_id)
        self.assertEqual([1, 65535, 300],
                         [publisher.expect(wire.PUBACK).packet_id for _ in range(3)])
        for dup in (False, True):
            publisher.send_publish(topic, b"y", 1, 300, dup=dup)
            self.assertEqual(300, publisher.expect(wire.PUBACK).packet_id)
        self.assertEqual([b"x"] * 3 + [b"y"] * 2, [watcher.message().payload for _ in range(5)])

    # Goal: a QoS 2 message arrives once however often it is sent before PUBREL; every PUBLISH gets
    # a PUBREC, every PUBREL a PUBCOMP; afterwards the identifier means a new message.
    @covers(v3="MQTT-4.3.3-2 MQTT-2.3.1-6 MQTT-3.3.4-1",
            v5="MQTT-4.3.3-8 MQTT-4.3.3-10 MQTT-4.3.3-11 MQTT-4.3.3-12 MQTT-2.2.1-5 MQTT-3.3.4-1 "
               "MQTT-3.5.2-1 MQTT-3.7.2-1")
    def test_qos2(self, version):
        topic, watcher, publisher = self.topic(), self.client(version), self.client(version)
        watcher.subscribe(topic, 2)
        for payload in (b"first", b"second"):
            for dup in (False, True, True):
                publisher.send_publish(topic, payload, 2, 7, dup=dup)
                self.assertEqual(7, publisher.expect(wire.PUBREC).packet_id)
            publisher.send_ack(wire.PUBREL, 7)
            answer = publisher.expect(wire.PUBCOMP)
            self.assertEqual((7, 0), (answer.packet_id, answer.reason))
        found = self.before_mark(publisher, watcher, 2)
        self.assertEqual([b"first", b"second"], [message.payload for message in found])

    # Goal: a PUBREL that nothing waits for is answered too, over 5.0 with its own code.
    @covers(v3="MQTT-4.3.3-2", v5="MQTT-4.3.3-11 MQTT-3.7.2-1")
    def test_unknown_pubrel(self, version):
        client = self.client(version)
        client.send_ack(wire.PUBREL, 4711)
        answer = client.expect(wire.PUBCOMP)
        self.assertEqual(4711, answer.packet_id)
        self.assertIn(answer.reason, (0,) if version == V3 else (0, 0x92))

    # Goal: DUP of what came in says nothing about what goes out.
    @covers(v3="MQTT-3.3.1-3", v5="MQTT-3.3.1-3")
    def test_dup_not_passed_on(self, version):
        for qos in (1, 2):
            topic, watcher = self.topic(), self.client(version)
            watcher.subscribe(topic, 2)
            self.client(version).publish(topic, b"x", qos, dup=True)
            self.assertFalse(watcher.message().dup)

    # Goal: QoS 3, and DUP with QoS 0, are malformed.
    @covers(v3="MQTT-3.3.1-4 MQTT-3.3.1-2", v5="MQTT-3.3.1-4 MQTT-3.3.1-2 MQTT-4.13.1-1")
    def test_wrong_flags(self, version):
        for flags in (6, 8):
            client = self.client(version)
            client.send(wire.packet(wire.PUBLISH, wire.text("a") + b"\0\1\0x", flags))
            client.closed(0x81, 0x82)

    # Goal: an identifier of 0 is refused wherever one is needed.
    @covers(v3="MQTT-2.3.1-1", v5="MQTT-2.2.1-3")
    def test_identifier_zero(self, version):
        for packet in (wire.publish("a", b"x", 1, 0, version=version),
                       wire.publish("a", b"x", 2, 0, version=version),
                       wire.subscribe(0, ("a", 0), version=version),
                       wire.unsubscribe(0, "a", version=version)):
            client = self.client(version)
            client.send(packet)
            client.closed(0x81, 0x82)

    # Goal: an exchange is completed although its message has expired in between.
    @covers(v5="MQTT-4.3.3-13")
    def test_expired_exchange(self, version):
        topic, publisher = self.topic(), self.client(version)
        publisher.send_publish(topic, b"x", 2, 9, props=((wire.MESSAGE_EXPIRY, 1),))
        self.assertEqual(0, publisher.expect(wire.PUBREC).reason % 0x10)
        time.sleep(1.1)
        publisher.send_ack(wire.PUBREL, 9)
        answer = publisher.expect(wire.PUBCOMP)
        self.assertEqual((9, 0), (answer.packet_id, answer.reason))

    # Goal: a message that was refused ends its exchange: the identifier is free. Over 3.1.1 who
    # may not publish is acknowledged all the same or disconnected.
    @tocsin_only
    @covers(v3="MQTT-3.3.5-2", v5="MQTT-4.3.3-9 MQTT-3.5.2-1 MQTT-3.4.2-1 MQTT-4.4.0-2")
    def test_not_authorized(self, version):
        topic, watcher = self.topic(), self.client(version)
        watcher.subscribe(topic, 2)
        for qos in (1, 2):
            publisher = self.client(version)
            publisher.send_publish("notifications/not/for/devices", b"x", qos, 5)
            if version == V3:
                answer = publisher._read()
                if answer is not None:
                    self.assertEqual(5, answer.packet_id)
                continue
            answer = publisher.expect(wire.PUBREC if qos == 2 else wire.PUBACK)
            self.assertIn(answer.reason, (0x87, 0x90))
            self.assertLess(publisher.publish(topic, b"good", qos, packet_id=5), 0x80)
            self.assertEqual(b"good", watcher.message().payload)


class Sending(Case):
    """What the server delivers."""

    # Goal: every message in flight has an identifier of its own, goes out without DUP and stays
    # unacknowledged until its PUBACK or PUBCOMP; used ones become free.
    @covers(v3="MQTT-4.3.2-1 MQTT-4.3.3-1 MQTT-2.3.1-4",
            v5="MQTT-2.2.1-4 MQTT-4.3.2-1 MQTT-4.3.2-2 MQTT-4.3.3-1 MQTT-4.3.3-2")
    def test_identifiers(self, version):
        topic, watcher, publisher = self.topic(), self.client(version), self.client(version)
        watcher.subscribe(topic, 2)
        held = []
        for round_ in range(3):
            for n in range(6):
                publisher.publish(topic, b"%d" % (round_ * 6 + n), 1 + n % 2)
            got = [watcher.message(ack=False) for _ in range(6)]
            for message in got[::2]:
                watcher.acknowledge(message)
            held += got[1::2]
        self.assertEqual(9, len({message.packet_id for message in held}))
        self.assertFalse([message for message in held if message.dup])
        for message in held:
            watcher.acknowledge(message)
        self.no_message(publisher, watcher)

    # Goal: PUBREC is answered with PUBREL for the same message, also when it comes twice.
    @covers(v3="MQTT-4.3.3-1 MQTT-2.3.1-6", v5="MQTT-4.3.3-4 MQTT-2.2.1-5 MQTT-3.6.2-1")
    def test_pubrel(self, version):
        topic, watcher, publisher = self.topic(), self.client(version), self.client(version)
        watcher.subscribe(topic, 2)
        publisher.publish(topic, b"x", 2)
        packet_id = watcher.message(ack=False).packet_id
        for _ in range(2):
            watcher.send_ack(wire.PUBREC, packet_id)
            self.assertEqual(packet_id, watcher.expect(wire.PUBREL).packet_id)
        watcher.send_ack(wire.PUBCOMP, packet_id)
        self.no_message(publisher, watcher)

    # Goal: messages of one client, topic and QoS arrive in their order, for every subscriber.
    @covers(v3="MQTT-4.6.0-5 MQTT-4.6.0-6", v5="MQTT-4.6.0-5 MQTT-4.6.0-6")
    def test_order(self, version):
        for qos in range(3):
            topic, publisher = self.topic(), self.client(version)
            watchers = [self.client(version) for _ in range(2)]
            for watcher, level in zip(watchers, ("", "/#")):
                watcher.subscribe(topic + level, qos)
            count = 60
            if qos:
                for n in range(count):
                    publisher.publish(topic, b"%d" % n, qos)
            else:
                publisher.send(*(wire.publish(topic, b"%d" % n, version=version)
                                 for n in range(count)))
            for watcher in watchers:
                self.assertEqual(list(range(count)),
                                 [int(watcher.message().payload) for _ in range(count)])

    # Goal: RETAIN makes no difference to that.
    @covers(v3="MQTT-4.6.0-6", v5="MQTT-4.6.0-5 MQTT-4.6.0-6")
    def test_order_with_retain(self, version):
        for qos in range(3):
            topic, publisher, watcher = self.topic(), self.client(version), self.client(version)
            watcher.subscribe(topic, qos)
            publisher.send(*(wire.publish(topic, b"%d" % n, qos, n + 1 if qos else None,
                                          retain=n % 2 == 0, version=version) for n in range(20)))
            self.assertEqual(list(range(20)), [int(watcher.message().payload) for _ in range(20)])
            publisher.publish(topic, b"", retain=True)

    # Goal: expiry counts until the first sending only: what was sent is repeated and completed.
    @covers(v5="MQTT-4.3.3-7")
    def test_no_expiry_once_sent(self, version):
        name, topic, publisher = self.name(), self.topic(), self.client(version)
        keeper = self.keeper(version, name)
        keeper.subscribe(topic, 2)
        publisher.publish(topic, b"x", 2, props=((wire.MESSAGE_EXPIRY, 1),))
        packet_id = keeper.message(ack=False).packet_id
        keeper.close()
        time.sleep(1.1)
        again = self.keeper(version, name)
        message = again.message()
        self.assertEqual((packet_id, True), (message.packet_id, message.dup))


class SeveralReactors(Sending):
    """The same where publishers and subscribers are on different threads."""
    threads = 4


if __name__ == "__main__":
    main()
