"""SUBSCRIBE, UNSUBSCRIBE and what a subscription brings (sections 3.8 to 3.11, 3.3.4)."""

import mqtt_wire as wire
from mqtt_wire import V3, V5
from support import Case, covers, main

NO_LOCAL = 4


class Subscribe(Case):
    # Goal: each SUBSCRIBE is answered with its identifier, and each filter with its own code, in
    # the order of the filters.
    @covers(v3="MQTT-3.8.4-1 MQTT-3.8.4-2 MQTT-3.8.4-4 MQTT-3.8.4-5 MQTT-3.9.3-1 MQTT-3.9.3-2 "
               "MQTT-2.3.1-7",
            v5="MQTT-3.8.4-1 MQTT-3.8.4-2 MQTT-3.8.4-5 MQTT-3.8.4-6 MQTT-3.8.4-7 MQTT-3.9.3-1 "
               "MQTT-3.9.3-2 MQTT-2.2.1-6")
    def test_answer(self, version):
        client, root = self.client(version), self.topic()
        for packet_id, wanted in ((65535, (2, 0, 1, 1, 2)), (1, (0,)), (256, (1, 2))):
            client.send(wire.subscribe(packet_id, *(
                (f"{root}/{packet_id}/{n}", qos) for n, qos in enumerate(wanted)),
                version=version))
            answer = client.expect(wire.SUBACK)
            self.assertEqual((packet_id, list(wanted)), (answer.packet_id, answer.reasons))
        for n in range(5):
            client.publish(f"{root}/65535/{n}", b"%d" % n)
        self.assertEqual([b"%d" % n for n in range(5)], sorted(
            client.message().payload for _ in range(5)))

    # Goal: wildcards are supported.
    @covers(v3="MQTT-3.8.3-2", v5="MQTT-3.8.4-7")
    def test_wildcards(self, version):
        client = self.client(version)
        self.assertNotEqual(0, client.connack.get(wire.WILDCARD_AVAILABLE))
        for level in ("+", "#", "+/x/#"):
            self.assertEqual(1, client.subscribe(f"{self.topic()}/{level}", 1))

    # Goal: a message arrives with the lower of its own QoS and the granted one.
    @covers(v3="MQTT-3.8.4-6", v5="MQTT-3.8.4-8")
    def test_lower_qos(self, version):
        publisher = self.client(version)
        for granted in range(3):
            topic, client = self.topic(), self.client(version)
            self.assertEqual(granted, client.subscribe(topic, granted))
            for qos in range(3):
                publisher.publish(topic, b"x", qos)
                self.assertEqual(min(granted, qos), client.message().qos)

    # Goal: the same filter again replaces the subscription: its QoS changes, retained messages
    # come again, and there is one copy of each message, none lost.
    @covers(v3="MQTT-3.8.4-3", v5="MQTT-3.8.4-3 MQTT-3.8.4-4")
    def test_replaced(self, version):
        topic, client, publisher = self.topic(), self.client(version), self.client(version)
        publisher.publish(topic, b"kept", 2, retain=True)
        for qos in (0, 2, 1):
            self.assertEqual(qos, client.subscribe(topic, qos))
            message = client.message()
            self.assertEqual((b"kept", True, qos), (message.payload, message.retain, message.qos))
        # Subscribing again and again in the middle of a stream loses and doubles nothing.
        for n in range(20):
            publisher.send_publish(topic, b"%d" % n, 1, 100 + n)
            client.send(wire.subscribe(200 + n, (topic, 1), version=version))
        for _ in range(20):
            publisher.expect(wire.PUBACK)
            client.expect(wire.SUBACK)
        found = [m.payload for m in self.before_mark(publisher, client) if not m.retain]
        self.assertEqual([b"%d" % n for n in range(20)], found)
        publisher.publish(topic, b"", retain=True)

    # Goal: a SUBSCRIBE without filters, with wrong flags, options or text ends the connection.
    @covers(v3="MQTT-3.8.1-1 MQTT-3.8.3-1 MQTT-3.8.3-3 MQTT-3.8.3-4 MQTT-2.2.2-2 MQTT-4.8.0-1 "
               "MQTT-1.5.3-1",
            v5="MQTT-3.8.1-1 MQTT-3.8.3-1 MQTT-3.8.3-2 MQTT-3.8.3-5 MQTT-4.13.1-1 MQTT-1.5.4-1")
    def test_malformed(self, version):
        good = wire.properties((), version)
        for reasons, packet in (
                ((0x81,), wire.subscribe(1, ("a", 0), version=version, flags=0)),
                ((0x81,), wire.subscribe(1, ("a", 0), version=version, flags=3)),
                ((0x82, 0x81), wire.subscribe(1, version=version)),
                ((0x81, 0x82), wire.subscribe(1, ("a", 3), version=version)),
                ((0x81, 0x82), wire.subscribe(1, ("a", 0x40), version=version)),
                ((0x81, 0x82), wire.subscribe(1, ("a", 0x80), version=version)),
                ((0x81, 0x82), wire.subscribe(1, ("a", 0x30), version=version)),
                ((0x81, 0x8F), wire.subscribe(1, (b"\xff", 0), version=version)),
                ((0x81, 0x8F), wire.subscribe(1, (b"a\xed\xa0\x80", 0), version=version)),
                ((0x81,), wire.packet(wire.SUBSCRIBE, b"\0\1" + good + wire.text("a"))),
                ((0x81,), wire.packet(wire.SUBSCRIBE, b"\0\1" + good + b"\0\5a\0"))):
            with self.subTest(packet=packet):
                client = self.client(version)
                client.send(packet)
                client.closed(*reasons)
        if version == V3:  # The options of 5.0 are reserved bits here.
            for options in (4, 8, 16):
                client = self.client(version)
                client.send(wire.subscribe(1, ("a", options), version=version))
                client.closed()


class Overlapping(Case):
    # Goal: where several subscriptions match, the highest QoS counts.
    @covers(v3="MQTT-3.3.5-1", v5="MQTT-3.3.4-2")
    def test_highest_qos(self, version):
        topic, client, publisher = self.topic(), self.client(version), self.client(version)
        for level, qos in (("", 0), ("/#", 2), ("/+", 1)):
            client.subscribe(topic + level, qos)
        publisher.publish(topic, b"x", 2)
        found = self.before_mark(publisher, client, 2)
        self.assertEqual(2, max(message.qos for message in found))
        self.assertLessEqual(len(found), 2)

    # Goal: a message carries the identifiers of the subscriptions that it comes for.
    @covers(v5="MQTT-3.3.4-3 MQTT-3.3.4-4 MQTT-3.3.4-5")
    def test_identifiers(self, version):
        topic, client, publisher = self.topic(), self.client(version), self.client(version)
        self.assertNotEqual(0, client.connack.get(wire.SUBSCRIPTION_ID_AVAILABLE))
        for level, identifier in (("/a", 1), ("/#", 268435455), ("/+", None)):
            client.subscribe(topic + level, 1, props=(
                () if identifier is None else ((wire.SUBSCRIPTION_ID, identifier),)))
        publisher.publish(topic + "/a", b"x")
        found = self.before_mark(publisher, client)
        if len(found) == 1:
            self.assertEqual([1, 268435455], sorted(found[0].all(wire.SUBSCRIPTION_ID)))
        else:
            self.assertEqual([[], [1], [268435455]],
                             sorted(message.all(wire.SUBSCRIPTION_ID) for message in found))
        # A subscription made anew loses its identifier, and other clients never see it.
        client.subscribe(topic + "/#", 1)
        client.unsubscribe(topic + "/a", topic + "/+")
        publisher.publish(topic + "/a", b"y")
        self.assertEqual([], client.message().all(wire.SUBSCRIPTION_ID))

    # Goal: also retained messages, and after a reconnect.
    @covers(v5="MQTT-3.3.4-3 MQTT-3.1.2-5")
    def test_identifiers_later(self, version):
        name, topic, publisher = self.name(), self.topic(), self.client(version)
        publisher.publish(topic, b"kept", retain=True)
        keeper = self.keeper(version, name)
        keeper.subscribe(topic, 1, props=((wire.SUBSCRIPTION_ID, 128),))
        self.assertEqual([128], keeper.message().all(wire.SUBSCRIPTION_ID))
        keeper.disconnect()
        publisher.publish(topic, b"waiting")
        keeper = self.keeper(version, name)
        self.assertEqual([128], keeper.message().all(wire.SUBSCRIPTION_ID))
        publisher.publish(topic, b"", retain=True)

    # Goal: an identifier of 0, or two of them, is an error.
    @covers(v5="MQTT-4.13.1-1")
    def test_wrong_identifier(self, version):
        for props in (((wire.SUBSCRIPTION_ID, 0),),
                      ((wire.SUBSCRIPTION_ID, 1), (wire.SUBSCRIPTION_ID, 2))):
            client = self.client(version)
            client.send(wire.subscribe(1, ("a", 0), props=props))
            client.closed(0x82, 0x81)


class NoLocal(Case):
    # Goal: who asked so does not hear itself, and hears all others.
    @covers(v5="MQTT-3.8.3-3")
    def test_own(self, version):
        topic, client, other = self.topic(), self.client(version), self.client(version)
        client.subscribe(topic, 1, NO_LOCAL)
        other.subscribe(topic, 1)
        client.publish(topic, b"mine")
        self.assertEqual(b"mine", other.message().payload)
        other.publish(topic, b"theirs")
        self.assertEqual(b"theirs", client.message().payload)
        self.no_message(client, client)

    # Goal: it is the client identifier that counts, not the connection.
    @covers(v5="MQTT-3.8.3-3")
    def test_over_reconnect(self, version):
        name, topic = self.name(), self.topic()
        keeper = self.keeper(version, name)
        keeper.subscribe(topic, 1, NO_LOCAL)
        keeper.publish(topic, b"mine")
        keeper.disconnect()
        keeper = self.keeper(version, name)
        keeper.publish(topic, b"mine again")
        self.no_message(keeper, keeper)

    # Goal: it makes no sense for a shared subscription.
    @covers(v5="MQTT-3.8.3-4")
    def test_shared(self, version):
        client = self.client(version)
        client.send(wire.subscribe(1, (f"$share/g/{self.topic()}", NO_LOCAL)))
        client.closed(0x82)


class Unsubscribe(Case):
    # Goal: each UNSUBSCRIBE is answered with its identifier, also where there was nothing; over
    # 5.0 with a code for each filter in their order.
    @covers(v3="MQTT-3.10.4-4 MQTT-3.10.4-5 MQTT-3.10.4-6 MQTT-2.3.1-7",
            v5="MQTT-3.10.4-4 MQTT-3.10.4-5 MQTT-3.10.4-6 MQTT-3.11.3-1 MQTT-3.11.3-2 MQTT-2.2.1-6")
    def test_answer(self, version):
        client, topic = self.client(version), self.topic()
        client.subscribe(topic + "/a", 1)
        client.subscribe(topic + "/b", 1)
        client.send(wire.unsubscribe(65535, topic, topic + "/a", topic + "/#", topic + "/b",
                                     version=version))
        answer = client.expect(wire.UNSUBACK)
        self.assertEqual(65535, answer.packet_id)
        self.assertEqual([] if version == V3 else [0x11, 0, 0x11, 0], answer.reasons)
        client.publish(topic + "/a", b"x")
        client.publish(topic + "/b", b"x")
        self.no_message(client, client)

    # Goal: filters are compared as they are written; only an exact match ends a subscription.
    @covers(v3="MQTT-3.10.4-1 MQTT-3.10.4-2", v5="MQTT-3.10.4-1 MQTT-3.10.4-2")
    def test_exact(self, version):
        client, topic, publisher = self.client(version), self.topic(), self.client(version)
        client.subscribe(topic + "/+", 1)
        client.unsubscribe(topic + "/#", topic + "/a", topic + "/+/", topic.upper() + "/+", "#")
        publisher.publish(topic + "/a", b"1")
        self.assertEqual(b"1", client.message().payload)
        client.unsubscribe(topic + "/+")
        publisher.publish(topic + "/a", b"2")
        self.no_message(publisher, client)

    # Goal: what was on its way is completed.
    @covers(v3="MQTT-3.10.4-3", v5="MQTT-3.10.4-3")
    def test_completed(self, version):
        topic, client, publisher = self.topic(), self.client(version), self.client(version)
        client.subscribe(topic, 2)
        publisher.publish(topic, b"1", 1)
        publisher.publish(topic, b"2", 2)
        pair = [client.message(ack=False) for _ in range(2)]
        client.unsubscribe(topic)
        for message in pair:
            client.acknowledge(message)
        self.no_message(publisher, client)

    # Goal: also over a reconnect.
    @covers(v3="MQTT-3.10.4-3 MQTT-4.4.0-1", v5="MQTT-3.10.4-3 MQTT-4.4.0-1")
    def test_completed_later(self, version):
        name, topic, publisher = self.name(), self.topic(), self.client(version)
        keeper = self.keeper(version, name)
        keeper.subscribe(topic, 2)
        publisher.publish(topic, b"1", 2)
        packet_id = keeper.message(ack=False).packet_id
        keeper.unsubscribe(topic)
        keeper.close()
        keeper = self.keeper(version, name)
        self.assertEqual(packet_id, keeper.message().packet_id)
        publisher.publish(topic, b"2", 2)
        self.no_message(publisher, keeper)

    # Goal: without filters, with wrong flags or text the connection ends.
    @covers(v3="MQTT-3.10.1-1 MQTT-3.10.3-1 MQTT-3.10.3-2 MQTT-2.2.2-2",
            v5="MQTT-3.10.1-1 MQTT-3.10.3-1 MQTT-3.10.3-2 MQTT-4.13.1-1")
    def test_malformed(self, version):
        for reasons, packet in (
                ((0x81,), wire.unsubscribe(1, "a", version=version, flags=0)),
                ((0x81,), wire.unsubscribe(1, "a", version=version, flags=10)),
                ((0x82, 0x81), wire.unsubscribe(1, version=version)),
                ((0x81, 0x8F), wire.unsubscribe(1, b"\xff", version=version)),
                ((0x81, 0x8F), wire.unsubscribe(1, b"a\0", version=version)),
                ((0x81,), wire.packet(wire.UNSUBSCRIBE,
                                      b"\0\1" + wire.properties((), version) + b"\0\5a"))):
            with self.subTest(packet=packet):
                client = self.client(version)
                client.send(packet)
                client.closed(*reasons)


class SeveralReactors(Overlapping):
    """The same where publishers and subscribers are on different threads."""
    threads = 4


if __name__ == "__main__":
    main()
