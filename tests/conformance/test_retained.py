"""Retained messages (section 3.3.1.3)."""

import mqtt_wire as wire
from mqtt_wire import V3, V5
from support import Case, covers, main

RETAIN_AS_PUBLISHED = 8
HANDLING_NEW, HANDLING_NEVER = 1 << 4, 2 << 4


class Reading(Case):
    def retained(self, version, topic, qos=2, options=0):
        """What a new subscriber to the topic gets at once."""
        reader = self.client(version)
        reader.subscribe(topic, qos, options)
        return self.before_mark(reader, reader)


class Retained(Reading):
    # Goal: the last retained message of a topic, with its QoS, is what a new subscriber gets, and
    # it is marked.
    @covers(v3="MQTT-3.3.1-5 MQTT-3.3.1-6 MQTT-3.3.1-8", v5="MQTT-3.3.1-5 MQTT-3.3.1-9")
    def test_kept(self, version):
        root, publisher, watcher = self.topic(), self.client(version), self.client(version)
        watcher.subscribe(root + "/+")
        for qos in range(3):
            publisher.publish(f"{root}/{qos}", b"old", 2 - qos, retain=True)
            publisher.publish(f"{root}/{qos}", b"%d" % qos, qos, retain=True)
        for _ in range(6):  # QoS 0 is not acknowledged: they are through when they have arrived.
            watcher.message()
        found = self.retained(version, root + "/+")
        self.assertEqual([(f"{root}/{qos}", b"%d" % qos, qos, True) for qos in range(3)],
                         sorted((m.topic, m.payload, m.qos, m.retain) for m in found))
        self.assertEqual([0], [m.qos for m in self.retained(version, root + "/2", 0)])

    # Goal: a retained message of QoS 0 takes the place of the old one.
    @covers(v3="MQTT-3.3.1-7", v5="MQTT-3.3.1-5")
    def test_qos0_replaces(self, version):
        topic, publisher, watcher = self.topic(), self.client(version), self.client(version)
        watcher.subscribe(topic)
        publisher.publish(topic, b"old", 1, retain=True)
        publisher.publish(topic, b"new", 0, retain=True)
        self.assertEqual([b"old", b"new"], [watcher.message().payload for _ in range(2)])
        found = self.retained(version, topic)
        self.assertIn([message.payload for message in found], ([b"new"], []))

    # Goal: an established subscription sees the message as any other.
    @covers(v3="MQTT-3.3.1-9", v5="MQTT-3.3.1-12")
    def test_established(self, version):
        topic, watcher = self.topic(), self.client(version)
        watcher.subscribe(topic, 1)
        self.client(version).publish(topic, b"x", retain=True)
        self.assertFalse(watcher.message().retain)

    # Goal: an empty retained message removes: it is delivered as usual and nothing is kept.
    @covers(v3="MQTT-3.3.1-10 MQTT-3.3.1-11", v5="MQTT-3.3.1-6 MQTT-3.3.1-7")
    def test_removed(self, version):
        topic, watcher, publisher = self.topic(), self.client(version), self.client(version)
        watcher.subscribe(topic, 1)
        publisher.publish(topic, b"x", retain=True)
        self.assertEqual(b"x", watcher.message().payload)
        self.assertEqual(1, len(self.retained(version, topic)))
        publisher.publish(topic, b"", retain=True)
        removal = watcher.message()
        self.assertEqual((b"", False), (removal.payload, removal.retain))
        self.assertEqual([], self.retained(version, topic))
        publisher.publish(self.topic(), b"", retain=True)

    # Goal: a message without the flag leaves the retained one alone.
    @covers(v3="MQTT-3.3.1-12", v5="MQTT-3.3.1-8")
    def test_not_retained(self, version):
        topic, publisher = self.topic(), self.client(version)
        publisher.publish(topic, b"kept", retain=True)
        publisher.publish(topic, b"other")
        publisher.publish(topic, b"")
        self.assertEqual([b"kept"], [m.payload for m in self.retained(version, topic)])
        other = self.topic()
        publisher.publish(other, b"never kept")
        self.assertEqual([], self.retained(version, other))


class Options(Reading):
    """The subscription options of 5.0."""

    # Goal: Retain Handling decides whether a subscription brings retained messages: always, when
    # it is new, never.
    @covers(v5="MQTT-3.3.1-9 MQTT-3.3.1-10 MQTT-3.3.1-11")
    def test_handling(self, version):
        topic, publisher = self.topic(), self.client(version)
        publisher.publish(topic, b"x", retain=True)
        for options, expected in ((0, [1, 1]), (HANDLING_NEW, [1, 0]), (HANDLING_NEVER, [0, 0])):
            reader, counts = self.client(version), []
            for _ in expected:
                reader.subscribe(topic, 1, options)
                counts.append(len(self.before_mark(publisher, reader)))
            self.assertEqual(expected, counts, options)
        reader = self.client(version)
        reader.subscribe(topic, 1, HANDLING_NEVER)
        reader.unsubscribe(topic)
        reader.subscribe(topic, 1, HANDLING_NEW)
        self.assertTrue(reader.message().retain)

    # Goal: Retain As Published keeps the flag as the publisher set it.
    @covers(v5="MQTT-3.3.1-12 MQTT-3.3.1-13")
    def test_as_published(self, version):
        topic, publisher = self.topic(), self.client(version)
        plain, faithful = self.client(version), self.client(version)
        plain.subscribe(topic, 1)
        faithful.subscribe(topic, 1, RETAIN_AS_PUBLISHED)
        for retain in (True, False):
            publisher.publish(topic, b"x", retain=retain)
            self.assertFalse(plain.message().retain)
            self.assertEqual(retain, faithful.message().retain)
        self.assertTrue(self.retained(version, topic, 0)[0].retain)


if __name__ == "__main__":
    main()
