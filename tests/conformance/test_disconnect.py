"""PINGREQ and DISCONNECT (sections 3.12 to 3.14)."""

import mqtt_wire as wire
from mqtt_wire import V3, V5
from support import Case, covers, main


class Ping(Case):
    # Goal: each PINGREQ gets one PINGRESP.
    @covers(v3="MQTT-3.12.4-1", v5="MQTT-3.12.4-1")
    def test_answered(self, version):
        client = self.client(version)
        client.send(wire.PING * 5)
        self.assertEqual([wire.PINGRESP] * 5, [client.receive().kind for _ in range(5)])
        self.assertEqual([], client.ping())


class Disconnect(Case):
    # Goal: the server closes after a DISCONNECT without a word, and does nothing more for it.
    @covers(v3="MQTT-3.14.4-1 MQTT-3.14.4-2", v5="MQTT-3.14.4-1 MQTT-3.14.4-2")
    def test_from_client(self, version):
        watcher, topic = self.client(version), self.topic()
        watcher.subscribe(topic)
        client = self.client(version)
        client.send(wire.disconnect() + wire.publish(topic, b"late", 1, 1, version=version) +
                    wire.PING)
        self.assertIsNone(client.closed())
        self.no_message(self.client(version), watcher)

    # Goal: every reason that a client may give is taken.
    @covers(v5="MQTT-3.14.2-1")
    def test_reasons(self, version):
        for reason in (0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98,
                       0x99):
            client = self.client(version)
            client.send(wire.disconnect(reason, ((wire.REASON_STRING, "so"),
                                                 (wire.USER_PROPERTY, ("a", "b")))))
            self.assertIsNone(client.closed())

    # Goal: a DISCONNECT with wrong flags, or with anything it may not hold, is malformed.
    @covers(v3="MQTT-3.14.1-1 MQTT-2.2.2-2", v5="MQTT-3.14.1-1 MQTT-4.13.1-1")
    def test_malformed(self, version):
        client = self.client(version)
        client.send(wire.disconnect(flags=1))
        client.closed(0x81)
        if version == V3:
            return
        for packet in (wire.disconnect(0, ((wire.MESSAGE_EXPIRY, 1),)), wire.disconnect(0x01),
                       wire.packet(wire.DISCONNECT, b"\0\x05\x11\0"),
                       wire.disconnect(0, ((wire.SESSION_EXPIRY, 1), (wire.SESSION_EXPIRY, 1)))):
            with self.subTest(packet=packet):
                client = self.client(version)
                client.send(packet)
                client.closed(0x81, 0x82)

    # Goal: the server's DISCONNECT has a reason, no expiry interval (support checks properties),
    # is its last packet, and the connection ends with it.
    @covers(v5="MQTT-3.14.2-1 MQTT-3.14.2-2 MQTT-3.14.4-1 MQTT-3.14.4-2 MQTT-4.13.1-1 "
               "MQTT-4.13.2-1")
    def test_from_server(self, version):
        name = self.name()
        first = self.keeper(version, name)
        topic = self.topic()
        first.subscribe(topic, 1)
        self.keeper(version, name)
        self.client(version).publish(topic, b"for the second")
        self.assertEqual([], first.closed(0x8E).all(wire.SESSION_EXPIRY))
        client = self.client(version)
        client.send(wire.subscribe(1, ("a", 0xC0)) + wire.PING * 10)
        client.closed(0x81)


if __name__ == "__main__":
    main()
