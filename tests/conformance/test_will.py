"""Will messages (sections 3.1.2.5, 3.1.3.2 and 3.14.4)."""

import time

import mqtt_wire as wire
from mqtt_wire import V3, V5, Will
from support import Case, covers, main


class Published(Case):
    # Goal: a connection that ends without DISCONNECT publishes its will, not retained; once.
    @covers(v3="MQTT-3.1.2-8 MQTT-3.1.2-16 MQTT-3.1.2-10",
            v5="MQTT-3.1.2-7 MQTT-3.1.2-8 MQTT-3.1.2-14 MQTT-3.1.2-10")
    def test_lost_connection(self, version):
        for qos in range(3):
            name, topic, watcher = self.name(), self.topic(), self.client(version)
            watcher.subscribe(topic, 2)
            self.keeper(version, name, will=Will(topic, b"gone", qos)).close()
            will = watcher.message()
            self.assertEqual((b"gone", qos, False), (will.payload, will.qos, will.retain))
            late = self.client(version)
            late.subscribe(topic)
            self.no_message(watcher, late)
            # The will belongs to that connection, not to the session.
            again = self.keeper(version, name)
            self.assertTrue(again.connack.session_present)
            again.close()
            self.no_message(late, watcher)

    # Goal: a retained will stays for later subscribers.
    @covers(v3="MQTT-3.1.2-17", v5="MQTT-3.1.2-15")
    def test_retained(self, version):
        topic, watcher = self.topic(), self.client(version)
        watcher.subscribe(topic, 1)
        self.client(version, will=Will(topic, b"gone", 1, True)).close()
        self.assertEqual(b"gone", watcher.message().payload)
        late = self.client(version)
        late.subscribe(topic, 1)
        message = late.message()
        self.assertEqual((b"gone", True), (message.payload, message.retain))
        late.publish(topic, b"", retain=True)

    # Goal: the server's own reasons to end a connection count as well: a violation, a takeover.
    @covers(v3="MQTT-3.1.2-8", v5="MQTT-3.1.2-8")
    def test_ended_by_server(self, version):
        name, topic, watcher = self.name(), self.topic(), self.client(version)
        watcher.subscribe(topic)
        self.client(version, name, will=Will(topic, b"taken"))
        taker = self.client(version, name, will=Will(topic, b"wrong"))
        self.assertEqual(b"taken", watcher.message().payload)
        taker.send(wire.packet(wire.PUBLISH, wire.text(topic) + b"\0\1\0", 6))
        self.assertEqual(b"wrong", watcher.message().payload)

    # Goal: with reason 0x04 the will is published although the client left in order.
    @covers(v5="MQTT-3.1.2-8 MQTT-3.14.2-1")
    def test_disconnect_with_will(self, version):
        topic, watcher = self.topic(), self.client(version)
        watcher.subscribe(topic)
        self.client(version, will=Will(topic, b"asked for")).disconnect(4)
        self.assertEqual(b"asked for", watcher.message().payload)

    # Goal: the properties of a will arrive as they were given, user properties in their order.
    @covers(v5="MQTT-3.1.3-10 MQTT-3.3.2-18")
    def test_properties(self, version):
        topic, watcher = self.topic(), self.client(version)
        watcher.subscribe(topic)
        props = [(wire.PAYLOAD_FORMAT, 1), (wire.CONTENT_TYPE, "text/x"),
                 (wire.RESPONSE_TOPIC, "answer/here"), (wire.CORRELATION_DATA, b"\0\1"),
                 (wire.USER_PROPERTY, ("b", "1")), (wire.USER_PROPERTY, ("a", "2")),
                 (wire.USER_PROPERTY, ("b", "3"))]
        self.client(version, will=Will(topic, b"x", props=props)).close()
        will = watcher.message()
        self.assertEqual(sorted(props[:4]), sorted(p for p in will.props if p[0] < 0x20))
        self.assertEqual([("b", "1"), ("a", "2"), ("b", "3")], will.all(wire.USER_PROPERTY))


class NotPublished(Case):
    # Goal: DISCONNECT takes the will away.
    @covers(v3="MQTT-3.1.2-10 MQTT-3.14.4-3", v5="MQTT-3.1.2-10 MQTT-3.14.4-3")
    def test_disconnect(self, version):
        topic, watcher = self.topic(), self.client(version)
        watcher.subscribe(topic)
        self.client(version, will=Will(topic, b"no")).disconnect()
        if version == V5:
            self.client(version, will=Will(topic, b"no")).disconnect(0)
        self.no_message(self.client(version), watcher)

    # Goal: without a will nothing is published, not even the one of an earlier connection.
    @covers(v3="MQTT-3.1.2-12", v5="MQTT-3.1.2-10")
    def test_no_will(self, version):
        name, topic, watcher = self.name(), self.topic(), self.client(version)
        watcher.subscribe(topic)
        self.keeper(version, name, will=Will(topic, b"no")).disconnect()
        self.keeper(version, name).close()
        self.keeper(version, name).disconnect()
        self.no_message(self.client(version), watcher)


class Delayed(Case):
    # Goal: a will with a delay comes after it, not before.
    @covers(v5="MQTT-3.1.2-8")
    def test_delay(self, version):
        topic, watcher = self.topic(), self.client(version)
        watcher.subscribe(topic)
        client = self.client(version, props=((wire.SESSION_EXPIRY, 600),), will=Will(
            topic, b"late", props=((wire.WILL_DELAY, 1),)))
        began = time.monotonic()
        client.close()
        self.assertEqual(b"late", watcher.message().payload)
        self.assertGreater(time.monotonic() - began, 0.9, "it came at once")

    # Goal: who is back in time leaves no will. The will of another client, which ended later with
    # the same delay, tells that the time is over.
    @covers(v5="MQTT-3.1.3-9 MQTT-3.1.2-8")
    def test_back_in_time(self, version):
        name, topic, watcher = self.name(), self.topic(), self.client(version)
        watcher.subscribe(topic + "/#")

        def will(level):
            return Will(f"{topic}/{level}", b"x", props=((wire.WILL_DELAY, 1),))

        self.keeper(version, name, will=will("back")).close()
        back = self.keeper(version, name)
        self.assertTrue(back.connack.session_present)
        self.keeper(version, self.name(), will=will("away")).close()
        self.assertEqual(f"{topic}/away", watcher.message().topic)
        back.ping()


if __name__ == "__main__":
    main()
