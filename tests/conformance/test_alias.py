"""Topic aliases of 5.0 (section 3.3.2.3.4)."""

import mqtt_wire as wire
from mqtt_wire import V5
from support import Case, covers, main


def aliased(number):
    return ((wire.TOPIC_ALIAS, number),)


class Incoming(Case):
    # Goal: every alias up to the announced maximum can be set, used and set anew.
    @covers(v5="MQTT-3.3.2-12 MQTT-3.2.2-17")
    def test_all(self, version):
        root, publisher, watcher = self.topic(), self.client(version), self.client(version)
        watcher.subscribe(root + "/#", 1)
        highest = publisher.connack.get(wire.ALIAS_MAXIMUM, 0)
        self.assertGreater(highest, 0, "no aliases are offered")
        some = sorted({1, 2, highest // 2 or 1, highest})
        for number in some:
            publisher.publish(f"{root}/{number}", b"set", props=aliased(number))
        for number in some:
            publisher.publish("", b"used", props=aliased(number))
        publisher.publish(f"{root}/other", b"anew", props=aliased(1))
        publisher.publish("", b"used", props=aliased(1))
        names = [f"{root}/{number}" for number in some]
        self.assertEqual(names * 2 + [f"{root}/other"] * 2,
                         [m.topic for m in self.before_mark(publisher, watcher)])

    # Goal: 0, one above the maximum, and one that was never set are errors.
    @covers(v5="MQTT-3.3.2-8 MQTT-3.3.2-9 MQTT-3.2.2-17 MQTT-4.13.1-1")
    def test_wrong(self, version):
        highest = self.client(version).connack.get(wire.ALIAS_MAXIMUM, 0)
        for number, topic, reasons in ((0, self.topic(), (0x94,)), (0, "", (0x94, 0x82)),
                                       (1, "", (0x82, 0x94))):
            client = self.client(version)
            client.send_publish(topic, b"x", props=aliased(number))
            client.closed(*reasons)
        if highest < 65535:
            client = self.client(version)
            client.send_publish(self.topic(), b"x", props=aliased(highest + 1))
            client.closed(0x94)

    # Goal: aliases end with their connection, also where the session goes on.
    @covers(v5="MQTT-3.3.2-7")
    def test_not_carried_over(self, version):
        name, topic = self.name(), self.topic()
        keeper = self.keeper(version, name)
        keeper.publish(topic, b"x", props=aliased(1))
        keeper.disconnect()
        keeper = self.keeper(version, name)
        self.assertTrue(keeper.connack.session_present)
        keeper.send_publish("", b"y", props=aliased(1))
        keeper.closed(0x82, 0x94)


class Outgoing(Case):
    # Goal: the server uses no alias that the client did not offer; support checks each message.
    @covers(v5="MQTT-3.1.2-26 MQTT-3.1.2-27 MQTT-3.3.2-8 MQTT-3.3.2-11")
    def test_within_offer(self, version):
        root, publisher = self.topic(), self.client(version)
        offers = ((), ((wire.ALIAS_MAXIMUM, 0),), ((wire.ALIAS_MAXIMUM, 1),),
                  ((wire.ALIAS_MAXIMUM, 3),))
        watchers = [self.client(version, props=props) for props in offers]
        for watcher in watchers:
            watcher.subscribe(root + "/#", 1)
        sent = [f"{root}/{n % 5}" for n in range(30)]
        for topic in sent:
            publisher.publish(topic, b"x")
        for watcher in watchers:
            self.assertEqual(sent, [watcher.message().topic for _ in sent])

    # Goal: what was sent with an alias means the same after a reconnect: nothing is carried over.
    @covers(v5="MQTT-3.3.2-7 MQTT-4.4.0-1")
    def test_not_carried_over(self, version):
        name, topic, publisher = self.name(), self.topic(), self.client(version)
        for _ in range(2):
            keeper = self.keeper(version, name, props=((wire.ALIAS_MAXIMUM, 5),))
            keeper.subscribe(topic, 1)
            for n in range(4):
                publisher.publish(topic, b"%d" % n)
            found = [keeper.message(ack=n % 2 == 0) for n in range(4)]
            self.assertEqual([topic] * 4, [message.topic for message in found])
            keeper.close()


if __name__ == "__main__":
    main()
