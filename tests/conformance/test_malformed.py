"""Data representation, fixed headers, and everything that nobody may send (chapters 1, 2, 4.13)."""

import mqtt_wire as wire
from mqtt_wire import V3, V5, Will
from support import Case, covers, main

NOT_TEXT = {
    "surrogate": b"\xed\xa0\x80", "low surrogate": b"\xed\xbf\xbf", "overlong": b"\xc0\xaf",
    "overlong, 3 bytes": b"\xe0\x80\xaf", "null": b"a\0b", "overlong null": b"\xc0\x80",
    "cut": b"\xe2\x82", "continuation": b"\x80", "five bytes": b"\xf8\x88\x80\x80\x80",
    "above U+10FFFF": b"\xf4\x90\x80\x80", "byte FE": b"\xfe", "byte FF": b"a\xff"}


class Text(Case):
    # Goal: every kind of ill-formed text ends the connection, wherever text stands.
    @covers(v3="MQTT-1.5.3-1 MQTT-1.5.3-2 MQTT-4.8.0-1",
            v5="MQTT-1.5.4-1 MQTT-1.5.4-2 MQTT-1.5.7-1 MQTT-4.13.1-1")
    def test_ill_formed(self, version):
        for what, wrong in NOT_TEXT.items():
            packets = [wire.publish(wrong, b"x", version=version),
                       wire.subscribe(1, (wrong, 0), version=version),
                       wire.unsubscribe(1, wrong, version=version)]
            if version == V5:
                packets += [wire.publish("a", b"", props=((wire.USER_PROPERTY, ("k", wrong)),)),
                            wire.disconnect(0, ((wire.REASON_STRING, wrong),))]
            for packet in packets:
                with self.subTest(what=what, packet=packet):
                    client = self.client(version)
                    client.send(packet)
                    client.closed(0x81, 0x82, 0x8F, 0x90)

    # Goal: every kind of well-formed text is taken, and a byte order mark is a character.
    @covers(v3="MQTT-1.5.3-1 MQTT-1.5.3-3", v5="MQTT-1.5.4-1 MQTT-1.5.4-3")
    def test_well_formed(self, version):
        root, client = self.topic(), self.client(version)
        client.subscribe(root + "/#", 1)
        for value in ("\u00e9", "\u20ac", "\ud7ff", "\ue000", "\U00010000", "\U0010fffd", "\ufeff",
                      "\ufeffa\ufeff"):
            client.publish(f"{root}/{value}", b"x")
            self.assertEqual(f"{root}/{value}", client.message().topic)


class Header(Case):
    # Goal: the reserved flags of every packet are checked.
    @covers(v3="MQTT-2.2.2-1 MQTT-2.2.2-2 MQTT-3.6.1-1 MQTT-3.8.1-1 MQTT-3.10.1-1 MQTT-3.14.1-1 "
               "MQTT-4.8.0-1",
            v5="MQTT-2.1.3-1 MQTT-3.6.1-1 MQTT-3.8.1-1 MQTT-3.10.1-1 MQTT-3.14.1-1 MQTT-4.13.1-1")
    def test_flags(self, version):
        body = b"\0\1"
        subscribe = body + wire.properties((), version) + wire.text("a")
        for kind, content in ((wire.PUBACK, body), (wire.PUBREC, body), (wire.PUBREL, body),
                              (wire.PUBCOMP, body), (wire.SUBSCRIBE, subscribe + b"\0"),
                              (wire.UNSUBSCRIBE, subscribe), (wire.PINGREQ, b""),
                              (wire.DISCONNECT, b"")):
            for flags in {0, 1, 2, 4, 8, 15} - {wire.FIXED_FLAGS.get(kind, 0)}:
                with self.subTest(kind=wire.NAMES[kind], flags=flags):
                    client = self.client(version)
                    client.send(wire.packet(kind, content, flags))
                    client.closed(0x81)
        for flags in (1, 2, 8):
            client = self.dial(version)
            client.send(wire.packet(wire.CONNECT, wire.connect("x", version)[2:], flags))
            client.refused(0x81)

    # Goal: packets that only a server sends, or that do not exist, end the connection.
    @covers(v3="MQTT-4.8.0-1", v5="MQTT-4.13.1-1")
    def test_not_for_a_server(self, version):
        for packet in (wire.packet(wire.CONNACK, b"\0\0" + wire.properties((), version)),
                       wire.packet(wire.SUBACK, b"\0\1" + wire.properties((), version) + b"\0"),
                       wire.packet(wire.UNSUBACK, b"\0\1" + wire.properties((), version)),
                       wire.packet(wire.PINGRESP), wire.packet(0), wire.packet(wire.AUTH)):
            with self.subTest(packet=packet):
                client = self.client(version)
                client.send(packet)
                client.closed(0x81, 0x82)

    # Goal: a remaining length takes at most four bytes, over 5.0 as few as possible.
    @covers(v3="MQTT-4.8.0-1", v5="MQTT-1.5.5-1 MQTT-4.13.1-1")
    def test_lengths(self, version):
        wrong = [b"\xff\xff\xff\xff\x01", b"\x80\x80\x80\x80\x00"]
        if version == V5:
            wrong += [b"\x80\x00", b"\x80\x80\x00"]
        for length in wrong:
            client = self.client(version)
            client.send(wire.packet(wire.PINGREQ, length=length))
            client.closed(0x81, 0x95)

    # Goal: the same for the lengths and numbers within a packet.
    @covers(v5="MQTT-1.5.5-1 MQTT-4.13.1-1")
    def test_inner_lengths(self, version):
        topic = wire.text("a")
        for packet in (wire.packet(wire.PUBLISH, topic + b"\x80\x00"),
                       wire.packet(wire.PUBLISH, topic + b"\xff\xff\xff\xff\x01"),
                       wire.packet(wire.SUBSCRIBE, b"\0\1\x03\x0b\x81\x00" + topic + b"\0")):
            with self.subTest(packet=packet):
                client = self.client(version)
                client.send(packet)
                client.closed(0x81)

    # Goal: every packet is as long as its content, and no longer.
    @covers(v3="MQTT-4.8.0-1 MQTT-3.1.4-1", v5="MQTT-4.13.1-1 MQTT-3.1.4-1")
    def test_cut_and_padded(self, version):
        packets = [wire.ack(wire.PUBACK, 1, version=version),
                   wire.ack(wire.PUBREL, 1, version=version), wire.packet(wire.PINGREQ),
                   wire.subscribe(1, ("a", 0), version=version),
                   wire.unsubscribe(1, "a", version=version)]
        for packet in packets:
            kind, flags, body = packet[0] >> 4, packet[0] & 15, packet[2:]
            # The acknowledgements of 5.0 may be longer, but not with these bytes.
            for content in ([body[:-1]] if body else []) + [body + b"\0\xff"]:
                with self.subTest(kind=wire.NAMES[kind], content=content):
                    client = self.client(version)
                    client.send(wire.packet(kind, content, flags))
                    client.closed(0x81, 0x82)
        body = wire.connect("abc", version)[2:]
        for content in (body[:-1], body[:8], body[:3], b"", body + b"x"):
            client = self.dial(version)
            client.send(wire.packet(wire.CONNECT, content))
            client.refused(0x81, 0x82, 0x84)

    # Goal: a violation ends one connection; the others do not notice.
    @covers(v3="MQTT-4.8.0-1", v5="MQTT-4.13.1-1 MQTT-4.13.2-1")
    def test_others_unharmed(self, version):
        topic, watcher = self.topic(), self.client(version)
        watcher.subscribe(topic, 1)
        client = self.client(version, will=Will(topic, b"violated"))
        client.send(wire.publish(topic, b"good", 1, 1, version=version) + b"\xf7\x00")
        self.assertEqual([b"good", b"violated"],
                         sorted(watcher.message().payload for _ in range(2)))
        watcher.ping()


class Authentication(Case):
    """AUTH of 5.0: no authentication method is offered."""

    # Goal: an unknown method is refused with the code for it.
    @covers(v5="MQTT-4.12.0-1 MQTT-4.12.0-4")
    def test_unknown_method(self, version):
        client = self.dial(version).send_connect(self.name(), props=(
            (wire.AUTH_METHOD, "no-such-method"), (wire.AUTH_DATA, b"x")))
        self.assertIsNotNone(client.refused(0x8C, 0x87))

    # Goal: who names no method hears of none, and may not send AUTH.
    @covers(v5="MQTT-4.12.0-6 MQTT-4.12.0-7 MQTT-3.15.2-1")
    def test_no_method(self, version):
        for reason in (0x00, 0x18, 0x19, 0x7F):
            client = self.client(version)
            self.assertIsNone(client.connack.get(wire.AUTH_METHOD))
            client.send(wire.auth(reason, ((wire.AUTH_METHOD, "x"),)))
            client.closed(0x82, 0x81, 0x8C)

    # Goal: the reserved flags of AUTH.
    @covers(v5="MQTT-3.15.1-1")
    def test_flags(self, version):
        for flags in (1, 2, 8):
            client = self.client(version)
            client.send(wire.auth(0x19, ((wire.AUTH_METHOD, "x"),), flags))
            client.closed(0x81, 0x82)


if __name__ == "__main__":
    main()
