"""Topic names, topic filters and how they match (section 4.7)."""

import mqtt_wire as wire
from mqtt_wire import V3, V5
from support import Case, covers, main


class Matching(Case):
    def matches(self, version, filters, names, prefix=None):
        """For each filter the names that reach its subscriber."""
        prefix = self.topic() + "/" if prefix is None else prefix
        publisher = self.client(version)
        readers = [self.client(version) for _ in filters]
        for reader, wanted in zip(readers, filters):
            self.assertEqual(1, reader.subscribe(prefix + wanted, 1), wanted)
        for name in names:
            publisher.publish(prefix + name, b"x")
        return [[message.topic[len(prefix):] for message in self.before_mark(publisher, reader)]
                for reader in readers]

    # Goal: '#' stands for any number of levels at the end, none included; '+' for exactly one.
    @covers(v3="MQTT-4.7.1-2 MQTT-4.7.1-3 MQTT-3.3.2-3",
            v5="MQTT-4.7.1-1 MQTT-4.7.1-2 MQTT-3.3.2-3")
    def test_wildcards(self, version):
        names = ["a", "a/", "a/b", "a/b/c", "/a", "b/b", "aa", "a//c"]
        expected = {
            "#": names, "a/#": ["a", "a/", "a/b", "a/b/c", "a//c"], "+": ["a", "aa"],
            "a/+": ["a/", "a/b"], "+/b": ["a/b", "b/b"], "+/b/#": ["a/b", "a/b/c", "b/b"],
            "a/+/c": ["a/b/c", "a//c"], "+/+": ["a/", "a/b", "/a", "b/b"], "/+": ["/a"],
            "a/b/c/#": ["a/b/c"], "+/+/+/#": ["a/b/c", "a//c"]}
        self.assertEqual(list(expected.values()), self.matches(version, list(expected), names))

    # Goal: names and filters are compared byte by byte: case, slashes, blanks, and characters that
    # look the same stay different.
    @covers(v3="MQTT-4.7.3-4 MQTT-1.5.3-3", v5="MQTT-4.7.3-4 MQTT-1.5.4-3")
    def test_no_normalization(self, version):
        names = ["x", "X", "x/", "/x", "x//", " x", "\u00e9", "e\u0301", "\ufeffx", "x\ufeff",
                 "\u212b", "\u00c5", "./x", "x/../x", "\U0001f600", "\ufffd"]
        self.assertEqual([[name] for name in names], self.matches(version, names, names))

    def publish_private(self, version, topic):
        """To a topic that clients may not be allowed to publish to."""
        client = self.client(version)
        client.send_publish(topic, b"hidden", 1, 1, retain=True)
        answer = client._read()
        if answer is not None and answer.kind == wire.PUBACK and answer.reason < 0x80:
            client.publish(topic, b"", retain=True)

    # Goal: filters that begin with a wildcard see nothing of topics that begin with '$'.
    @covers(v3="MQTT-4.7.2-1", v5="MQTT-4.7.2-1")
    def test_dollar(self, version):
        root, publisher = self.topic(), self.client(version)
        everything, second = self.client(version), self.client(version)
        everything.subscribe("#", 1)
        second.subscribe(f"+/{root}/#", 1)
        self.publish_private(version, f"$private/{root}/a")
        publisher.send_publish(f"public/{root}/a", b"seen")
        mine = [message.payload for message in self.before_mark(publisher, everything)
                if root in message.topic]
        self.assertEqual([b"seen"], mine)
        self.assertEqual([b"seen"], [m.payload for m in self.before_mark(publisher, second)])

    # Goal: the same for retained messages.
    @covers(v3="MQTT-4.7.2-1 MQTT-4.7.1-2 MQTT-4.7.1-3",
            v5="MQTT-4.7.2-1 MQTT-4.7.1-1 MQTT-4.7.1-2")
    def test_retained(self, version):
        root, publisher = self.topic(), self.client(version)
        for name in ("a", "a/b", "a/b/c", "b/b"):
            publisher.publish(f"{root}/{name}", name, retain=True)
        self.publish_private(version, f"$private/{root}/a")
        for wanted, expected in (("#", [b"a", b"a/b", b"a/b/c", b"b/b"]), ("+/b", [b"a/b", b"b/b"]),
                                 ("a/#", [b"a", b"a/b", b"a/b/c"]), ("+", [b"a"])):
            reader = self.client(version)
            reader.subscribe(f"{root}/{wanted}", 1)
            found = self.before_mark(publisher, reader)
            self.assertEqual(expected, sorted(message.payload for message in found), wanted)
        reader = self.client(version)
        reader.subscribe(f"+/{root}/#", 1)
        self.no_message(publisher, reader)
        for name in ("a", "a/b", "a/b/c", "b/b"):
            publisher.publish(f"{root}/{name}", b"", retain=True)


class Filters(Case):
    # Goal: a filter that is none is refused, with its own code or with the connection.
    @covers(v3="MQTT-4.7.1-2 MQTT-4.7.1-3 MQTT-4.7.3-1 MQTT-4.7.3-2",
            v5="MQTT-4.7.1-1 MQTT-4.7.1-2 MQTT-4.7.3-1 MQTT-4.7.3-2")
    def test_refused(self, version):
        for wrong in ("a#", "a/b#", "#/a", "a/#/b", "##", "+a", "a+", "a/b+/c", "a/++", "+#", "",
                      "a\0b"):
            for kind in ("subscribe", "unsubscribe"):
                with self.subTest(filter=wrong, kind=kind):
                    client = self.client(version)
                    client.send(wire.subscribe(1, (wrong, 0), version=version)
                                if kind == "subscribe" else
                                wire.unsubscribe(1, wrong, version=version))
                    self.check_refused(client, version, kind)

    def check_refused(self, client, version, kind):
        answer = client._read()
        if answer is None:
            self.assertEqual(V3, version, "closed without a DISCONNECT")
        elif answer.kind == wire.DISCONNECT:
            self.assertIn(answer.reason, (0x8F, 0x81, 0x82))
        elif kind == "subscribe":
            self.assertEqual([0x80 if version == V3 else 0x8F], answer.reasons)
        elif version == V5:
            self.assertIn(answer.reasons, ([0x8F], [0x11]))

    # Goal: the longest topic there can be is delivered, or refused; nothing breaks.
    @covers(v3="MQTT-4.7.3-3", v5="MQTT-4.7.3-3")
    def test_longest(self, version):
        root = self.topic()
        topic = root + "/" + "x" * (65535 - len(root) - 1)
        client = self.client(version)
        client.send_publish(topic, b"long", 1, 1)
        answer = client._read()
        if answer is not None and answer.kind == wire.PUBACK and answer.reason < 0x80:
            reader = self.client(version)
            if reader.subscribe(topic, 1) < 0x80:
                client.send_publish(topic, b"long", 1, 2)
                self.assertEqual(topic, reader.message().topic)
        self.client(version).ping()


if __name__ == "__main__":
    main()
