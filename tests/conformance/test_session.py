"""Sessions: clean start, resumption, expiry, what waits in them (sections 3.1.2, 4.1, 4.4, 4.5)."""

import mqtt_wire as wire
from mqtt_wire import V3, V5, Will
from support import Case, covers, main


class Start(Case):
    # Goal: a clean start forgets the old session: its subscriptions and what waits in it.
    @covers(v3="MQTT-3.1.2-6 MQTT-3.2.2-1 MQTT-3.1.4-3",
            v5="MQTT-3.1.2-4 MQTT-3.2.2-2 MQTT-3.1.4-4")
    def test_clean(self, version):
        name, topic, publisher = self.name(), self.topic(), self.client(version)
        old = self.keeper(version, name)
        old.subscribe(topic, 1)
        old.disconnect()
        publisher.publish(topic, b"waiting")
        clean = self.client(version, name)
        self.assertFalse(clean.connack.session_present)
        publisher.publish(topic, b"later")
        self.no_message(publisher, clean)

    # Goal: without a clean start the session goes on: its subscriptions, and what waited in it, in
    # order. It belongs to the client identifier.
    @covers(v3="MQTT-3.1.2-4 MQTT-3.1.2-5 MQTT-3.2.2-2 MQTT-3.1.3-2 MQTT-3.1.4-3 MQTT-4.1.0-1 "
               "MQTT-4.5.0-1",
            v5="MQTT-3.1.2-5 MQTT-3.2.2-3 MQTT-3.1.2-23 MQTT-3.1.3-2 MQTT-3.1.4-4 MQTT-4.5.0-1")
    def test_resume(self, version):
        name, topic, publisher = self.name(), self.topic(), self.client(version)
        keeper = self.keeper(version, name)
        keeper.subscribe(topic, 2)
        keeper.disconnect()
        sent = [(bytes([65 + n]), 1 + n % 2) for n in range(6)]
        for payload, qos in sent:
            publisher.publish(topic, payload, qos)
        other = self.keeper(version, self.name())
        self.assertFalse(other.connack.session_present)
        keeper = self.keeper(version, name)
        self.assertTrue(keeper.connack.session_present)
        found = [keeper.message() for _ in sent]
        for qos in (1, 2):
            self.assertEqual([p for p, q in sent if q == qos],
                             [m.payload for m in found if m.qos == qos])
        publisher.publish(topic, b"live")
        self.assertEqual(b"live", keeper.message().payload)
        self.no_message(publisher, other)

    # Goal: where there is nothing to resume a session begins, and CONNACK says so.
    @covers(v3="MQTT-3.1.2-4 MQTT-3.2.2-3", v5="MQTT-3.1.2-6 MQTT-3.2.2-3")
    def test_nothing_to_resume(self, version):
        name = self.name()
        keeper = self.keeper(version, name)
        self.assertFalse(keeper.connack.session_present)
        keeper.disconnect()
        self.assertTrue(self.keeper(version, name).connack.session_present)

    # Goal: a session of 3.1.1 that began clean, or of 5.0 without an expiry interval, ends with
    # its connection, however that ends.
    @covers(v3="MQTT-3.1.2-6 MQTT-3.2.2-3", v5="MQTT-4.1.0-2 MQTT-3.2.2-3")
    def test_ends_with_connection(self, version):
        for polite in (True, False):
            name, topic = self.name(), self.topic()
            publisher, watcher = self.client(version), self.client(version)
            watcher.subscribe(topic)
            client = self.client(version, name, will=Will(topic, b"gone"))
            client.subscribe(topic, 1)
            if polite:
                client.disconnect()
            else:
                client.close()
                self.assertEqual(b"gone", watcher.message().payload)
            publisher.publish(topic, b"1")
            again = self.client(version, name, clean=False)
            self.assertFalse(again.connack.session_present)
            self.no_message(publisher, again)

    # Goal: a session lasts as long as its connection, however long nothing happens on it.
    @covers(v3="MQTT-4.1.0-2", v5="MQTT-4.1.0-1")
    def test_lasts_while_connected(self, version):
        topic, publisher = self.topic(), self.client(version)
        client = self.client(version, props=((wire.SESSION_EXPIRY, 0),))
        client.subscribe(topic, 1)
        for n in range(3):
            publisher.publish(topic, bytes([48 + n]))
            self.assertEqual(bytes([48 + n]), client.message().payload)

    # Goal: what a connection that takes over inherits is the session, with its subscriptions.
    @covers(v3="MQTT-3.1.4-2 MQTT-4.1.0-1", v5="MQTT-3.1.4-3 MQTT-3.1.2-5")
    def test_takeover_resumes(self, version):
        name, topic, publisher = self.name(), self.topic(), self.client(version)
        first = self.keeper(version, name)
        first.subscribe(topic, 1)
        second = self.keeper(version, name)
        self.assertTrue(second.connack.session_present)
        first.closed(0x8E)
        publisher.publish(topic, b"1")
        self.assertEqual(b"1", second.message().payload)

    # Goal: retained messages belong to no session.
    @covers(v3="MQTT-3.1.2-7")
    def test_retained_stay(self, version):
        topic = self.topic()
        publisher = self.client(version)
        publisher.publish(topic, b"kept", retain=True)
        publisher.disconnect()
        reader = self.client(version)
        reader.subscribe(topic)
        self.assertEqual(b"kept", reader.message().payload)
        reader.publish(topic, b"", retain=True)


class Expiry(Case):
    # Goal: a session that was away for longer than it may is gone. Its will, which the end of the
    # session publishes long before its delay is over, tells when.
    @covers(v5="MQTT-4.1.0-2 MQTT-3.1.2-8")
    def test_expires(self, version):
        name, topic, watcher = self.name(), self.topic(), self.client(version)
        watcher.subscribe(topic)
        client = self.client(version, name, props=((wire.SESSION_EXPIRY, 1),), will=Will(
            topic, b"over", props=((wire.WILL_DELAY, 300),)))
        client.close()
        self.assertEqual(b"over", watcher.message().payload)
        self.assertFalse(self.keeper(version, name).connack.session_present)

    # Goal: DISCONNECT may change the expiry interval in both directions.
    @covers(v5="MQTT-4.1.0-2 MQTT-3.1.2-23")
    def test_changed_at_the_end(self, version):
        name = self.name()
        self.client(version, name, props=((wire.SESSION_EXPIRY, 1),)).disconnect(
            0, ((wire.SESSION_EXPIRY, 600),))
        keeper = self.keeper(version, name)
        self.assertTrue(keeper.connack.session_present)
        keeper.disconnect(0, ((wire.SESSION_EXPIRY, 0),))
        self.assertFalse(self.keeper(version, name).connack.session_present)

    # Goal: a session that was to end with its connection cannot be kept by DISCONNECT.
    @covers(v5="MQTT-4.13.1-1")
    def test_not_from_zero(self, version):
        client = self.client(version)
        client.send(wire.disconnect(0, ((wire.SESSION_EXPIRY, 600),)))
        client.closed(0x82)


class Resend(Case):
    # Goal: what was not acknowledged comes again after a reconnect, with its identifier, marked
    # as a repetition and in its order; what was acknowledged does not. Nothing comes twice
    # before that.
    @covers(v3="MQTT-4.4.0-1 MQTT-3.3.1-1 MQTT-4.3.2-1 MQTT-2.3.1-4",
            v5="MQTT-4.4.0-1 MQTT-3.3.1-1 MQTT-4.3.2-3 MQTT-4.3.3-3 MQTT-2.2.1-4")
    def test_publish(self, version):
        for qos in (1, 2):
            name, topic, publisher = self.name(), self.topic(), self.client(version)
            first = self.keeper(version, name)
            first.subscribe(topic, qos)
            for n in range(4):
                publisher.publish(topic, bytes([65 + n]), qos)
            sent = [first.message(ack=False) for _ in range(4)]
            first.acknowledge(sent[0])
            self.assertEqual([False] * 4, [message.dup for message in sent])
            self.no_message(publisher, first)
            first.close()
            again = self.keeper(version, name)
            self.assertTrue(again.connack.session_present)
            back = [again.message() for _ in range(3)]
            self.assertEqual([(m.packet_id, m.payload, qos, True) for m in sent[1:]],
                             [(m.packet_id, m.payload, m.qos, m.dup) for m in back])
            self.no_message(publisher, again)
            again.close()
            self.no_message(publisher, self.keeper(version, name))

    # Goal: after PUBREC the PUBREL is repeated, and the PUBLISH never again; after PUBCOMP neither.
    @covers(v3="MQTT-4.4.0-1 MQTT-4.3.3-1", v5="MQTT-4.4.0-1 MQTT-4.3.3-5 MQTT-4.3.3-6")
    def test_pubrel(self, version):
        name, topic, publisher = self.name(), self.topic(), self.client(version)
        keeper = self.keeper(version, name)
        keeper.subscribe(topic, 2)
        publisher.publish(topic, b"1", 2)
        packet_id = keeper.message(ack=False).packet_id
        keeper.send_ack(wire.PUBREC, packet_id)
        self.assertEqual(packet_id, keeper.expect(wire.PUBREL).packet_id)
        keeper.close()
        again = self.keeper(version, name)
        first = again.receive()
        self.assertEqual((wire.PUBREL, packet_id), (first.kind, first.packet_id))
        again.send_ack(wire.PUBCOMP, packet_id)
        self.no_message(publisher, again)
        again.close()
        self.assertEqual([], self.keeper(version, name).ping())

    # Goal: an exchange that the client began goes on in the new connection, without a second copy.
    @covers(v3="MQTT-4.3.3-2 MQTT-4.1.0-1", v5="MQTT-4.3.3-10 MQTT-4.3.3-11 MQTT-3.1.2-23")
    def test_incoming_qos2(self, version):
        name, topic, watcher = self.name(), self.topic(), self.client(version)
        watcher.subscribe(topic, 2)
        keeper = self.keeper(version, name)
        keeper.send_publish(topic, b"once", 2, 77)
        keeper.expect(wire.PUBREC)
        keeper.close()
        keeper = self.keeper(version, name)
        keeper.send_publish(topic, b"once", 2, 77, dup=True)
        self.assertEqual(77, keeper.expect(wire.PUBREC).packet_id)
        keeper.send_ack(wire.PUBREL, 77)
        answer = keeper.expect(wire.PUBCOMP)
        self.assertEqual((77, 0), (answer.packet_id, answer.reason))
        found = self.before_mark(keeper, watcher, 2)
        self.assertEqual([b"once"], [message.payload for message in found])

    # Goal: an acknowledgement that reports an error is one: the message does not come again.
    @covers(v5="MQTT-4.4.0-2 MQTT-4.3.3-4")
    def test_refused(self, version):
        for qos in (1, 2):
            name, topic, publisher = self.name(), self.topic(), self.client(version)
            keeper = self.keeper(version, name)
            keeper.subscribe(topic, qos)
            publisher.publish(topic, b"1", qos)
            message = keeper.message(ack=False)
            keeper.send_ack(wire.PUBACK if qos == 1 else wire.PUBREC, message.packet_id, 0x83)
            self.assertEqual([], keeper.ping())
            keeper.close()
            again = self.keeper(version, name)
            self.assertEqual([], again.ping())
            self.no_message(publisher, again)


class SeveralReactors(Start):
    """The same where the connections of one session come to different threads."""
    threads = 4


if __name__ == "__main__":
    main()
