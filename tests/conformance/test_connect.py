"""CONNECT and CONNACK (sections 3.1 and 3.2)."""

import time

import mqtt_wire as wire
from mqtt_wire import V3, Will
from support import Case, covers, main

MALFORMED, PROTOCOL_ERROR = 0x81, 0x82


class First(Case):
    # Goal: nothing but CONNECT opens a conversation, and nothing is said to who does not send it.
    @covers(v3="MQTT-3.1.0-1 MQTT-4.8.0-1", v5="MQTT-3.1.0-1 MQTT-3.14.0-1")
    def test_other_packets_first(self, version):
        for first in (wire.PING, wire.publish("a", b"1", version=version), wire.disconnect(),
                      wire.subscribe(1, ("a", 0), version=version)):
            client = self.dial(version)
            client.send(first)
            self.assertIsNone(client.refused())

    # Goal: one CONNECT a connection.
    @covers(v3="MQTT-3.1.0-2 MQTT-4.8.0-1", v5="MQTT-3.1.0-2 MQTT-4.13.1-1 MQTT-4.13.2-1")
    def test_second_connect(self, version):
        client = self.client(version)
        client.send_connect(self.name())
        client.closed(PROTOCOL_ERROR)

    # Goal: a stream of bytes has no packet borders: one byte at a time, and many packets at once.
    @covers(v3="MQTT-7.1.1-1 MQTT-7.0.0-2 MQTT-3.2.0-1",
            v5="MQTT-4.2.0-1 MQTT-3.2.0-1 MQTT-3.2.0-2")
    def test_stream(self, version):
        slow = self.dial(version)
        for byte in wire.connect(self.name(), version):
            slow.send(bytes([byte]))
        self.assertEqual(wire.CONNACK, slow.receive().kind)
        topic = self.topic()
        fast = self.dial(version)
        fast.send(wire.connect(self.name(), version) +
                  wire.subscribe(1, (topic, 0), version=version) +
                  wire.publish(topic, b"1", 1, 2, version=version) + wire.PING)
        kinds = [fast.receive().kind for _ in range(2)]
        self.assertEqual([wire.CONNACK, wire.SUBACK], kinds)
        self.assertEqual(2, fast.expect(wire.PUBACK).packet_id)
        self.assertEqual(b"1", fast.message().payload)
        fast.ping()


class Header(Case):
    # Goal: another protocol name gets no session.
    @covers(v3="MQTT-3.1.2-1", v5="MQTT-3.1.2-1")
    def test_protocol_name(self, version):
        for name in ("MQTX", "mqtt", "", "MQTT5"):
            client = self.dial(version).send_connect(self.name(), name=name)
            client.refused(1, 0x84, MALFORMED, PROTOCOL_ERROR)

    # Goal: a level that we do not speak is refused with the code that its client understands.
    @covers(v3="MQTT-3.1.2-2", v5="MQTT-3.1.2-2")
    def test_protocol_level(self, version):
        for level in ((1, 2) if version == V3 else (6, 127)):
            client = self.dial(version).send_connect(self.name(), level=level)
            frame = wire.read_frame(client._stream)
            if version == V3:
                self.assertEqual((0x20, b"\0\1"), frame)
            elif frame is not None:
                self.assertEqual(0x20, frame[0])
                self.assertIn(frame[1][:2], (b"\0\1", b"\0\x84"))
            self.assertIsNone(wire.read_frame(client._stream))

    # Goal: the reserved flag is checked; what is malformed gets no 3.1.1 CONNACK.
    @covers(v3="MQTT-3.1.2-3 MQTT-3.1.4-1 MQTT-3.2.2-6", v5="MQTT-3.1.2-3 MQTT-3.1.4-1")
    def test_reserved_flag(self, version):
        self.dial(version).send_connect(self.name(), flags=3).refused(
            *([] if version == V3 else [MALFORMED]))

    # Goal: no will, no will QoS, no will retain, no will fields.
    @covers(v3="MQTT-3.1.2-11 MQTT-3.1.2-13 MQTT-3.1.2-15", v5="MQTT-3.1.2-11 MQTT-3.1.2-13")
    def test_will_flags_without_will(self, version):
        for flags in (2 | 8, 2 | 16, 2 | 24, 2 | 32):
            client = self.dial(version).send_connect(self.name(), flags=flags)
            client.refused(MALFORMED, PROTOCOL_ERROR)
        client = self.dial(version).send_connect(self.name(), will=Will("a", b"1"), flags=2)
        client.refused(MALFORMED, PROTOCOL_ERROR)

    # Goal: a will QoS of 3 is refused, the others are accepted.
    @covers(v3="MQTT-3.1.2-14", v5="MQTT-3.1.2-12")
    def test_will_qos(self, version):
        for qos in range(3):
            client = self.client(version, will=Will(self.topic(), b"1", qos))
            client.disconnect()
        client = self.dial(version).send_connect(self.name(), will=Will("a", b"1", 3))
        client.refused(MALFORMED, PROTOCOL_ERROR)

    # Goal: a will flag announces a topic and a payload.
    @covers(v3="MQTT-3.1.2-9", v5="MQTT-3.1.2-9")
    def test_will_fields_missing(self, version):
        for tail in (b"", wire.properties((), version) + wire.text("only/topic")):
            client = self.dial(version).send_connect(self.name(), flags=2 | 4, tail=tail)
            client.refused(MALFORMED, PROTOCOL_ERROR)

    # Goal: the flags say which credentials follow; more or less is malformed.
    @covers(v3="MQTT-3.1.2-18 MQTT-3.1.2-19 MQTT-3.1.2-20 MQTT-3.1.2-21",
            v5="MQTT-3.1.2-16 MQTT-3.1.2-17 MQTT-3.1.2-18 MQTT-3.1.2-19")
    def test_credentials_and_flags(self, version):
        for flags, tail in ((2 | 128, b""), (2 | 128 | 64, wire.text("user")), (2, b"\0\1u"),
                            (2 | 128, wire.text("user") + wire.text("password"))):
            with self.subTest(flags=flags, tail=tail):
                client = self.dial(version).send_connect(self.name(), flags=flags, tail=tail)
                client.refused(MALFORMED, PROTOCOL_ERROR)

    # Goal: over 3.1.1 a password needs a user name.
    @covers(v3="MQTT-3.1.2-22")
    def test_password_alone(self, version):
        client = self.dial(version).send_connect(self.name(), password="secret")
        self.assertIsNone(client.refused())

    # Goal: every field at its place: identifier, will, user name, password. Whether the
    # credentials are right is another question, but nothing is malformed.
    @covers(v3="MQTT-3.1.3-1 MQTT-3.1.3-3", v5="MQTT-3.1.3-1 MQTT-3.1.3-3")
    def test_payload_order(self, version):
        watcher, topic = self.client(version), self.topic()
        watcher.subscribe(topic)
        client = self.client(version, will=Will(topic, b"order"))
        client.close()
        self.assertEqual(b"order", watcher.message().payload)
        client = self.dial(version).send_connect(self.name(), will=Will(topic, b"order"),
                                                 username="user", password="secret")
        self.assertIn(client.receive().reason, (0, 4, 5, 0x86, 0x87))
        empty = self.dial(version)
        head = wire.text("MQTT") + bytes([wire.LEVEL[version], 2, 0, 60])
        empty.send(wire.packet(wire.CONNECT, head + wire.properties((), version)))
        empty.refused(MALFORMED, PROTOCOL_ERROR)


class Properties(Case):
    # Goal: a CONNECT with wrong properties is refused with the code for it, never accepted.
    @covers(v5="MQTT-3.1.4-1 MQTT-4.13.1-1")
    def test_wrong_properties(self, version):
        expiry = wire.property_bytes(wire.SESSION_EXPIRY, 1)
        for reasons, props in (
                ({PROTOCOL_ERROR}, ((wire.RECEIVE_MAXIMUM, 0),)),
                ({PROTOCOL_ERROR}, ((wire.PACKET_SIZE_MAXIMUM, 0),)),
                ({PROTOCOL_ERROR}, ((wire.REQUEST_PROBLEM, 2),)),
                ({PROTOCOL_ERROR}, ((wire.REQUEST_RESPONSE, 2),)),
                ({PROTOCOL_ERROR}, ((wire.SESSION_EXPIRY, 1), (wire.SESSION_EXPIRY, 1))),
                ({PROTOCOL_ERROR}, ((wire.AUTH_DATA, b"x"),)),
                ({MALFORMED, PROTOCOL_ERROR}, ((wire.TOPIC_ALIAS, 1),)),
                ({MALFORMED, PROTOCOL_ERROR}, ((0x7F, 1),)),
                ({MALFORMED}, wire.variable_integer(len(expiry) - 1) + expiry),
                ({MALFORMED}, wire.variable_integer(200) + expiry)):
            with self.subTest(props=props):
                client = self.dial(version).send_connect(self.name(), props=props)
                client.refused(*reasons)

    # Goal: response information only for who asked for it.
    @covers(v5="MQTT-3.1.2-28")
    def test_response_information(self, version):
        for props in ((), ((wire.REQUEST_RESPONSE, 0),)):
            connack = self.client(version, props=props).connack
            self.assertIsNone(connack.get(wire.RESPONSE_INFORMATION))

    # Goal: who wants no problem information gets none in acknowledgements (support checks each).
    @covers(v5="MQTT-3.1.2-29")
    def test_no_problem_information(self, version):
        client = self.client(version, props=((wire.REQUEST_PROBLEM, 0),))
        client.publish(self.topic(), b"1", 1)
        client.publish(self.topic(), b"1", 2)
        client.send_ack(wire.PUBREL, 999)
        client.expect(wire.PUBCOMP)
        client.unsubscribe(self.topic())
        client.subscribe(self.topic())
        client.ping()

    # Goal: full QoS and retained messages are supported, so nothing less is announced, any
    # subscription is accepted and so is any will.
    @covers(v5="MQTT-3.2.2-9 MQTT-3.2.2-10 MQTT-3.2.2-12 MQTT-3.2.2-13 MQTT-2.2.2-1 MQTT-3.2.2-1")
    def test_capabilities(self, version):
        will = Will(self.topic(), b"", 2, True)
        client = self.client(version, will=will)
        self.assertIsNone(client.connack.get(wire.MAXIMUM_QOS))
        self.assertNotEqual(0, client.connack.get(wire.RETAIN_AVAILABLE))
        for qos in range(3):
            self.assertEqual(qos, client.subscribe(self.topic(), qos))
        client.disconnect()


class Identifier(Case):
    # Goal: the identifier is well-formed text.
    @covers(v3="MQTT-3.1.3-4 MQTT-1.5.3-1 MQTT-1.5.3-2",
            v5="MQTT-3.1.3-4 MQTT-1.5.4-1 MQTT-1.5.4-2")
    def test_utf8(self, version):
        for wrong in (b"\xff", b"a\xed\xa0\x80", b"\xc0\x80", b"a\0b"):
            client = self.dial(version).send_connect(wrong)
            client.refused(2, MALFORMED, PROTOCOL_ERROR, 0x85)

    # Goal: what every server must allow.
    @covers(v3="MQTT-3.1.3-5", v5="MQTT-3.1.3-5")
    def test_alphabet(self, version):
        for name in ("0123456789abcdefghijklm", "nopqrstuvwxyzABCDEFGHIJ", "KLMNOPQRSTUVWXYZ", "x"):
            self.client(version, name).disconnect()

    # Goal: a client without an identifier gets one of its own, and is told over 5.0.
    @covers(v3="MQTT-3.1.3-6", v5="MQTT-3.1.3-6 MQTT-3.1.3-7 MQTT-3.2.2-16")
    def test_assigned(self, version):
        pair = [self.client(version, "", props=((wire.SESSION_EXPIRY, 600),)) for _ in range(2)]
        for client in pair:
            client.ping()
        if version == V3:
            return
        names = [client.connack.get(wire.ASSIGNED_CLIENT_ID) for client in pair]
        self.assertTrue(names[0] and names[1] and names[0] != names[1], names)
        pair[0].disconnect()
        again = self.keeper(version, names[0])
        self.assertTrue(again.connack.session_present)
        again.disconnect(0, ((wire.SESSION_EXPIRY, 0),))
        self.assertIsNone(self.client(version, self.name()).connack.get(wire.ASSIGNED_CLIENT_ID))

    # Goal: over 3.1.1 only a clean session may go without an identifier.
    @covers(v3="MQTT-3.1.3-7 MQTT-3.1.3-8 MQTT-3.2.2-5 MQTT-3.2.2-4")
    def test_empty_without_clean(self, version):
        said = self.dial(version).send_connect("", clean=False).refused(2)
        self.assertIsNotNone(said)

    # Goal: an identifier that is not accepted is refused with the code for it.
    @covers(v3="MQTT-3.1.3-9", v5="MQTT-3.1.3-8")
    def test_rejected(self, version):
        for size in (24, 256, 1024, 2000):
            client = self.dial(version).send_connect("x" * size)
            if (said := client.receive()).reason:
                self.assertEqual(2 if version == V3 else 0x85, said.reason)
                self.assertIsNone(client.closed())

    # Goal: the will's topic and the user name are well-formed text.
    @covers(v3="MQTT-3.1.3-10 MQTT-3.1.3-11 MQTT-1.5.3-1",
            v5="MQTT-3.1.3-11 MQTT-3.1.3-12 MQTT-1.5.4-1")
    def test_other_texts(self, version):
        for wrong in (b"\xff", b"a\xed\xbf\xbf", b"a\0"):
            client = self.dial(version).send_connect(self.name(), will=Will(wrong, b"1"))
            client.refused(MALFORMED, PROTOCOL_ERROR, 0x90)
            client = self.dial(version).send_connect(self.name(), username=wrong)
            client.refused(MALFORMED, PROTOCOL_ERROR)


class Answer(Case):
    # Goal: a second client with an identifier takes the place of the first, which is told why.
    @covers(v3="MQTT-3.1.4-2", v5="MQTT-3.1.4-3")
    def test_takeover(self, version):
        name = self.name()
        first = self.client(version, name)
        second = self.client(version, name)
        first.closed(0x8E)
        second.ping()

    # Goal: success is said with code 0, before everything else, even what waits for the session.
    @covers(v3="MQTT-3.2.0-1 MQTT-3.1.4-4", v5="MQTT-3.2.0-1 MQTT-3.1.4-5")
    def test_connack_first(self, version):
        name, topic = self.name(), self.topic()
        keeper = self.keeper(version, name)
        keeper.subscribe(topic, 1)
        keeper.disconnect()
        self.client(version).publish(topic, b"waiting")
        keeper = self.dial(version)
        keeper.send_connect(name, clean=False, props=((wire.SESSION_EXPIRY, 600),))
        self.assertEqual(wire.CONNACK, keeper.receive().kind)
        self.assertEqual(b"waiting", keeper.message(ack=False).payload)

    # Goal: what stands behind a refused CONNECT has no effect.
    @covers(v3="MQTT-3.1.4-5", v5="MQTT-3.1.4-6 MQTT-4.12.0-1")
    def test_nothing_after_refusal(self, version):
        watcher, topic = self.client(version), self.topic()
        watcher.subscribe(topic)
        client = self.dial(version)
        refused = wire.connect("", version, clean=False) if version == V3 else wire.connect(
            self.name(), props=((wire.AUTH_METHOD, "no-such-method"),))
        client.send(refused + wire.publish(topic, b"1", 1, 1, version=version))
        self.assertIsNotNone(client.refused(2, 0x8C, 0x87))
        self.no_message(self.client(version), watcher)

    # Goal: a refusal never says that there is a session, uses a code for its cause, and closes.
    @covers(v5="MQTT-3.2.2-6 MQTT-3.2.2-7 MQTT-3.2.2-8 MQTT-3.14.0-1 MQTT-4.13.2-1")
    def test_refusal(self, version):
        name = self.name()
        self.keeper(version, name).disconnect()
        client = self.dial(version).send_connect(
            name, clean=False, props=((wire.AUTH_METHOD, "no-such-method"),))
        self.assertIsNotNone(client.refused(0x8C, 0x87))


class KeepAlive(Case):
    # Goal: a silent client is given up after its keep-alive, not before, and its will is published.
    @covers(v3="MQTT-3.1.2-24", v5="MQTT-3.1.2-22 MQTT-3.2.2-22")
    def test_silence(self, version):
        watcher, topic = self.client(version), self.topic()
        watcher.subscribe(topic)
        client = self.client(version, keep_alive=1, will=Will(topic, b"silent"))
        self.assertIn(client.connack.get(wire.SERVER_KEEP_ALIVE), (None, 1))
        client.closed(0x8D)
        self.assertEqual(b"silent", watcher.message().payload)

    # Goal: any packet counts as a sign of life.
    @covers(v3="MQTT-3.1.2-24 MQTT-3.12.4-1", v5="MQTT-3.1.2-22 MQTT-3.12.4-1")
    def test_signs_of_life(self, version):
        lively = self.client(version, keep_alive=1)
        for _ in range(3):
            time.sleep(0.6)
            lively.ping()


if __name__ == "__main__":
    main()
