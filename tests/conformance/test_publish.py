"""Topic names and properties of PUBLISH (sections 3.3.2 and 3.3.4)."""

import time

import mqtt_wire as wire
from mqtt_wire import V3, V5
from support import Case, covers, main


class Names(Case):
    # Goal: the topic arrives as it was published, and only where the filter selects it.
    @covers(v3="MQTT-3.3.2-3 MQTT-3.3.2-1", v5="MQTT-3.3.2-3 MQTT-3.3.2-1")
    def test_topic(self, version):
        root, publisher = self.topic(), self.client(version)
        watcher = self.client(version)
        watcher.subscribe(root + "/+/b", 1)
        for level in ("a/b", "a/c", "c/b", "a/b/c"):
            publisher.publish(f"{root}/{level}", b"x")
        found = self.before_mark(publisher, watcher)
        self.assertEqual([f"{root}/a/b", f"{root}/c/b"], [message.topic for message in found])

    # Goal: a topic name that is no text closes the connection.
    @covers(v3="MQTT-3.3.2-1 MQTT-1.5.3-1 MQTT-1.5.3-2 MQTT-4.7.3-2",
            v5="MQTT-3.3.2-1 MQTT-1.5.4-1 MQTT-1.5.4-2 MQTT-4.7.3-2")
    def test_not_text(self, version):
        for wrong in (b"a/\xff", b"\xed\xa0\x80", b"a\0b", b"\xf4\x90\x80\x80"):
            client = self.client(version)
            client.send(wire.publish(wrong, b"x", version=version))
            client.closed(0x81, 0x82, 0x90)
        client = self.client(version)  # A length that the packet does not have.
        client.send(wire.packet(wire.PUBLISH, b"\0\x09abc"))
        client.closed(0x81)

    # Goal: wildcards have no place in a topic name, whatever the QoS.
    @covers(v3="MQTT-3.3.2-2 MQTT-4.7.1-1", v5="MQTT-3.3.2-2 MQTT-4.7.0-1")
    def test_wildcards(self, version):
        root, watcher = self.topic(), self.client(version)
        watcher.subscribe(root + "/#", 1)
        for level in ("#", "+", "a+", "+/a"):
            for qos in (0, 1):
                client = self.client(version)
                client.send_publish(f"{root}/{level}", b"x", qos, 1 if qos else None)
                client.closed(0x81, 0x82, 0x90)
        self.no_message(self.client(version), watcher)

    # Goal: a topic has at least one character.
    @covers(v3="MQTT-4.7.3-1", v5="MQTT-4.7.3-1")
    def test_empty(self, version):
        client = self.client(version)
        client.send_publish("", b"x")
        client.closed(0x82, 0x81, 0x90)

    # Goal: payloads are bytes: empty ones, and all values.
    @covers(v3="MQTT-3.3.4-1", v5="MQTT-3.3.4-1")
    def test_payload(self, version):
        topic, watcher, publisher = self.topic(), self.client(version), self.client(version)
        watcher.subscribe(topic, 1)
        for payload in (b"", bytes(range(256)), b"x" * 20000):
            publisher.publish(topic, payload)
            self.assertEqual(payload, watcher.message().payload)


class Properties(Case):
    # Goal: everything that a publisher says about its message reaches each subscriber unaltered,
    # user properties in their order.
    @covers(v5="MQTT-3.3.2-4 MQTT-3.3.2-15 MQTT-3.3.2-16 MQTT-3.3.2-17 MQTT-3.3.2-18 "
               "MQTT-3.3.2-20 MQTT-1.5.7-1")
    def test_unaltered(self, version):
        topic, publisher = self.topic(), self.client(version)
        watchers = [self.client(version) for _ in range(2)]
        for qos, watcher in enumerate(watchers):
            watcher.subscribe(topic, qos)
        pairs = [("z", "1"), ("a", ""), ("", "b"), ("z", "1"), ("\ufeffä", "€")]
        single = [(wire.PAYLOAD_FORMAT, 1), (wire.CONTENT_TYPE, "text/plain; charset=ü"),
                  (wire.RESPONSE_TOPIC, "answer/to/me"), (wire.CORRELATION_DATA, bytes(range(99)))]
        props = single + [(wire.USER_PROPERTY, pair) for pair in pairs]
        for retain in (False, True):
            publisher.publish(topic, b"text", 1, props=props, retain=retain)
            if retain:
                watchers.append(self.client(version))
                watchers[-1].subscribe(topic)
            for watcher in watchers:
                message = watcher.message()
                for identifier, value in single:
                    self.assertEqual(value, message.get(identifier))
                self.assertEqual(pairs, message.all(wire.USER_PROPERTY))
        publisher.publish(topic, b"", retain=True)
        publisher.publish(topic, b"plain")
        for message in self.before_mark(publisher, watchers[0]):
            self.assertEqual([], message.props)

    # Goal: an empty property value, and a format of 0, are values too.
    @covers(v5="MQTT-3.3.2-4 MQTT-3.3.2-20")
    def test_small_values(self, version):
        topic, watcher, publisher = self.topic(), self.client(version), self.client(version)
        watcher.subscribe(topic)
        publisher.publish(topic, b"x", props=((wire.PAYLOAD_FORMAT, 0), (wire.CONTENT_TYPE, "")))
        self.assertEqual("", watcher.message().get(wire.CONTENT_TYPE))

    # Goal: properties that are no text, or name what cannot be answered to, are refused.
    @covers(v5="MQTT-3.3.2-13 MQTT-3.3.2-14 MQTT-3.3.2-19 MQTT-1.5.4-1 MQTT-1.5.4-2 MQTT-1.5.7-1")
    def test_wrong_texts(self, version):
        for props in (((wire.RESPONSE_TOPIC, b"\xff"),), ((wire.RESPONSE_TOPIC, "a/#"),),
                      ((wire.RESPONSE_TOPIC, "+"),), ((wire.RESPONSE_TOPIC, b"a\0"),),
                      ((wire.CONTENT_TYPE, b"\xed\xa0\x80"),), ((wire.CONTENT_TYPE, b"\0"),),
                      ((wire.USER_PROPERTY, (b"\xff", b"x")),),
                      ((wire.USER_PROPERTY, (b"x", b"\xc0\x80")),)):
            with self.subTest(props=props):
                client = self.client(version)
                client.send_publish(self.topic(), b"x", 0, props=props)
                client.closed(0x81, 0x82, 0x90)

    # Goal: what a client may not say in PUBLISH is an error.
    @covers(v5="MQTT-3.3.4-6 MQTT-4.13.1-1")
    def test_wrong_properties(self, version):
        expiry = (wire.MESSAGE_EXPIRY, 1)
        for reasons, props in (((0x82,), ((wire.SUBSCRIPTION_ID, 1),)),
                               ((0x81, 0x82), ((wire.SUBSCRIPTION_ID, 0),)),
                               ((0x81, 0x82), (expiry, expiry)),
                               ((0x81, 0x82), ((wire.SESSION_EXPIRY, 1),)),
                               ((0x81, 0x82), ((wire.PAYLOAD_FORMAT, 2),)),
                               ((0x81,), b"\x05\x02\0\0")):
            with self.subTest(props=props):
                client = self.client(version)
                client.send_publish(self.topic(), b"x", 0, props=props)
                client.closed(*reasons)


class MessageExpiry(Case):
    # Goal: what has waited too long is not delivered; what is delivered says how long it may
    # still wait.
    @covers(v5="MQTT-3.3.2-5 MQTT-3.3.2-6")
    def test_waiting(self, version):
        name, topic, publisher = self.name(), self.topic(), self.client(version)
        keeper = self.keeper(version, name)
        keeper.subscribe(topic, 1)
        keeper.disconnect()
        for seconds in (1, 100):
            publisher.publish(topic, b"%d" % seconds, props=((wire.MESSAGE_EXPIRY, seconds),))
        publisher.publish(topic, b"retained", retain=True, props=((wire.MESSAGE_EXPIRY, 1),))
        time.sleep(2.1)
        keeper = self.keeper(version, name)
        found = self.before_mark(publisher, keeper)
        self.assertEqual([b"100"], [message.payload for message in found])
        self.assertIn(found[0].get(wire.MESSAGE_EXPIRY), range(80, 99))
        late = self.client(version)
        late.subscribe(topic)
        self.no_message(publisher, late)

    # Goal: a message that waits for nothing keeps its interval.
    @covers(v5="MQTT-3.3.2-6")
    def test_at_once(self, version):
        topic, watcher = self.topic(), self.client(version)
        watcher.subscribe(topic)
        self.client(version).publish(topic, b"x", props=((wire.MESSAGE_EXPIRY, 1000),))
        self.assertIn(watcher.message().get(wire.MESSAGE_EXPIRY), range(990, 1001))


if __name__ == "__main__":
    main()
