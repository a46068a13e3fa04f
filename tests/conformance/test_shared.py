"""Shared subscriptions of 5.0 (section 4.8.2)."""

import mqtt_wire as wire
from mqtt_wire import V5
from support import Case, covers, main


class Filters(Case):
    # Goal: what is no shared filter is refused, with its own code or with the connection.
    @covers(v5="MQTT-4.8.2-1 MQTT-4.8.2-2")
    def test_refused(self, version):
        for wrong in ("$share/", "$share/g", "$share/g/", "$share//a", "$share/+/a",
                      "$share/#/a", "$share/g+/a", "$share/g#/a", "$share/g/a#", "$share/g/#/a"):
            with self.subTest(filter=wrong):
                client = self.client(version)
                client.send(wire.subscribe(1, (wrong, 1)))
                answer = client.receive()
                if answer.kind == wire.DISCONNECT:
                    self.assertIn(answer.reason, (0x8F, 0x81, 0x82))
                else:
                    self.assertEqual([0x8F], answer.reasons)

    # Goal: they are supported, with any name and any filter behind it.
    @covers(v5="MQTT-4.8.2-1 MQTT-4.8.2-2")
    def test_accepted(self, version):
        client, publisher = self.client(version), self.client(version)
        self.assertNotEqual(0, client.connack.get(wire.SHARED_AVAILABLE))
        for name, level, published in (("a", "/b", "/b"), ("ü $x", "/+/c", "/b/c"),
                                       ("g", "/#", "/b")):
            topic = self.topic()
            self.assertEqual(1, client.subscribe(f"$share/{name}/{topic}{level}", 1))
            publisher.publish(topic + published, b"x")
            self.assertEqual(topic + published, client.message().topic)
            self.assertEqual([0], client.unsubscribe(f"$share/{name}/{topic}{level}").reasons)
            publisher.publish(topic + published, b"y")
            self.no_message(publisher, client)


class Sharing(Case):
    threads = 4

    # Goal: each message goes to one member of each group, and to everybody who shares nothing; a
    # member that leaves leaves the messages to the others. No retained message is shared.
    @covers(v5="MQTT-4.8.2-1 MQTT-3.3.1-9 MQTT-4.5.0-1")
    def test_groups(self, version):
        topic, publisher = self.topic(), self.client(version)
        publisher.publish(topic, b"kept", retain=True)
        groups = {name: [self.client(version) for _ in range(3)] for name in ("one", "two")}
        for name, members in groups.items():
            for member in members:
                # A thread that the message has not reached yet would take it for a new one.
                self.no_message(publisher, member)
                member.subscribe(f"$share/{name}/{topic}", 1)
        alone = self.client(version)
        alone.subscribe(topic, 1)
        self.assertEqual(b"kept", alone.message().payload)
        sent = [b"%d" % n for n in range(30)]
        for payload in sent:
            publisher.publish(topic, payload)
        for name, members in groups.items():
            found = [[m.payload for m in self.before_mark(publisher, member)]
                     for member in members]
            self.assertEqual(sorted(sent), sorted(sum(found, [])), name)
            self.assertGreater(sum(1 for part in found if part), 1, "one member got everything")
        self.assertEqual(sent, [m.payload for m in self.before_mark(publisher, alone)])
        for member in groups["one"][:2]:
            member.disconnect()
        publisher.publish(topic, b"rest")
        self.assertEqual(b"rest", groups["one"][2].message().payload)
        publisher.publish(topic, b"", retain=True)

    # Goal: each member gets its messages with the QoS that it was granted.
    @covers(v5="MQTT-4.8.2-3 MQTT-3.8.4-8")
    def test_granted_qos(self, version):
        topic, publisher = self.topic(), self.client(version)
        members = [self.client(version) for _ in range(3)]
        for qos, member in enumerate(members):
            self.assertEqual(qos, member.subscribe(f"$share/g/{topic}", qos))
        for n in range(24):
            publisher.publish(topic, b"%d" % n, 2)
        found = [self.before_mark(publisher, member, 2) for member in members]
        self.assertEqual(24, sum(len(part) for part in found))
        for qos, part in enumerate(found):
            self.assertEqual({qos} if part else set(), {message.qos for message in part})

    def begun(self, version, qos=2, expiry=600):
        """(name, its client, the message it has not acknowledged, a later member, a publisher)"""
        name, topic, publisher = self.name(), self.topic(), self.client(version)
        first = self.client(version, name, props=((wire.SESSION_EXPIRY, expiry),))
        first.subscribe(f"$share/g/{topic}", qos)
        publisher.publish(topic, b"begun", qos)
        message = first.message(ack=False)
        second = self.client(version)
        second.subscribe(f"$share/g/{topic}", qos)
        return name, first, message, second, publisher

    # Goal: a QoS 2 delivery that has begun is completed with the same client after its return.
    @covers(v5="MQTT-4.8.2-4 MQTT-4.4.0-1")
    def test_completed_on_return(self, version):
        name, first, message, second, publisher = self.begun(version)
        first.close()
        first = self.keeper(version, name)
        again = first.message()
        self.assertEqual((message.packet_id, True, b"begun"),
                         (again.packet_id, again.dup, again.payload))
        self.no_message(publisher, second, 2)

    # Goal: if its session ends first, nobody else gets the message.
    @covers(v5="MQTT-4.8.2-5")
    def test_session_ended(self, version):
        name, first, _, second, publisher = self.begun(version)
        first.close()
        self.client(version, name).ping()  # A clean start ends the session.
        self.no_message(publisher, second, 2)

    # Goal: a message that one member refuses goes to no other.
    @covers(v5="MQTT-4.8.2-6")
    def test_refused_by_member(self, version):
        for qos in (1, 2):
            _, first, message, second, publisher = self.begun(version, qos)
            first.send_ack(wire.PUBACK if qos == 1 else wire.PUBREC, message.packet_id, 0x80)
            first.ping()
            self.no_message(publisher, second, qos)


if __name__ == "__main__":
    main()
