"""Limits that client and server give each other: Receive Maximum, Maximum Packet Size (sections
3.1.2.11, 3.3.4 and 4.9)."""

import mqtt_wire as wire
from mqtt_wire import V5
from support import Case, covers, main


class SendQuota(Case):
    """The client's Receive Maximum. support checks that it is never exceeded."""

    def full(self, version, quota, qos):
        """(client with its quota used up, the unacknowledged messages, topic, publisher)"""
        topic, publisher = self.topic(), self.client(version)
        client = self.client(version, props=((wire.RECEIVE_MAXIMUM, quota),))
        client.subscribe(topic, 2)
        for n in range(quota + 3):
            publisher.publish(topic, b"%d" % n, qos)
        return client, [client.message(ack=False) for _ in range(quota)], topic, publisher

    # Goal: no more than Receive Maximum messages wait for their acknowledgement; each
    # acknowledgement lets the next one through; nothing is lost.
    @covers(v5="MQTT-3.3.4-9 MQTT-4.9.0-1 MQTT-4.9.0-2")
    def test_window(self, version):
        for quota in (1, 4):
            for qos in (1, 2):
                client, held, _, publisher = self.full(version, quota, qos)
                self.no_message(publisher, client)
                payloads = [message.payload for message in held]
                while held:
                    client.acknowledge(held.pop(0))
                    if len(payloads) < quota + 3:
                        held.append(client.message(ack=False))
                        payloads.append(held[-1].payload)
                self.assertEqual([b"%d" % n for n in range(quota + 3)], payloads)
                self.no_message(publisher, client)

    # Goal: for QoS 2 it is PUBCOMP, not PUBREC, that frees; a PUBREC with an error frees at once.
    @covers(v5="MQTT-3.3.4-9 MQTT-4.9.0-2 MQTT-4.3.3-4")
    def test_qos2_frees(self, version):
        client, held, _, publisher = self.full(version, 1, 2)
        client.send_ack(wire.PUBREC, held[0].packet_id)
        client.expect(wire.PUBREL)
        self.no_message(publisher, client)
        client.send_ack(wire.PUBCOMP, held[0].packet_id)
        second = client.message(ack=False)
        client.send_ack(wire.PUBREC, second.packet_id, 0x80)
        client.message()

    # Goal: with the quota used up everything else goes on: pings, QoS 0, subscriptions, and what
    # the client publishes.
    @covers(v5="MQTT-3.3.4-10 MQTT-4.9.0-3")
    def test_others_go_on(self, version):
        client, _, topic, publisher = self.full(version, 2, 1)
        other = self.topic()
        client.ping()
        self.assertEqual(0, client.subscribe(other, 0))
        publisher.publish(other, b"QoS 0")
        self.assertEqual(b"QoS 0", client.message().payload)
        for qos in (1, 2):
            self.assertLess(client.publish(self.topic(), b"x", qos), 0x80)
        client.unsubscribe(topic)
        client.ping()

    # Goal: a session that is resumed with a smaller maximum keeps to that.
    @covers(v5="MQTT-3.3.4-9 MQTT-4.4.0-1")
    def test_smaller_on_return(self, version):
        name, topic, publisher = self.name(), self.topic(), self.client(version)
        keeper = self.keeper(version, name)
        keeper.subscribe(topic, 1)
        for n in range(5):
            publisher.publish(topic, b"%d" % n)
        for _ in range(5):
            keeper.message(ack=False)
        keeper.close()
        keeper = self.keeper(version, name, props=((wire.RECEIVE_MAXIMUM, 2),))
        self.assertEqual([b"%d" % n for n in range(5)],
                         [keeper.message().payload for _ in range(5)])


class ReceiveQuota(Case):
    """The server's Receive Maximum."""

    # Goal: who has more QoS 2 messages open than the server allows is told so and cut off.
    @covers(v5="MQTT-3.3.4-7 MQTT-4.13.1-1")
    def test_exceeded(self, version):
        client, topic = self.client(version), self.topic()
        quota = client.connack.get(wire.RECEIVE_MAXIMUM, 65535)
        client.send(b"".join(wire.publish(topic, b"x", 2, n) for n in range(1, quota + 2)))
        client.closed(0x93)

    # Goal: exactly as many as allowed are accepted, again and again.
    @covers(v5="MQTT-3.3.4-7 MQTT-4.9.0-1")
    def test_filled(self, version):
        client, topic = self.client(version), self.topic()
        quota = client.connack.get(wire.RECEIVE_MAXIMUM, 65535)
        self.assertGreater(quota, 0)
        for _ in range(2):
            client.send(b"".join(wire.publish(topic, b"x", 2, n) for n in range(1, quota + 1)))
            for _ in range(quota):
                client.expect(wire.PUBREC)
            client.send(b"".join(wire.ack(wire.PUBREL, n) for n in range(1, quota + 1)))
            for _ in range(quota):
                client.expect(wire.PUBCOMP)


class PacketSize(Case):
    # Goal: what is too large for the client is not sent, and counts as delivered: it holds no
    # place in the window and does not come again.
    @covers(v5="MQTT-3.1.2-24 MQTT-3.1.2-25")
    def test_too_large(self, version):
        name, topic, publisher = self.name(), self.topic(), self.client(version)
        limits = ((wire.PACKET_SIZE_MAXIMUM, 200), (wire.RECEIVE_MAXIMUM, 1))
        for qos in range(3):
            keeper = self.keeper(version, name, props=limits)
            keeper.subscribe(topic, qos)
            for size in (300, 10, 5000, 20):
                publisher.publish(topic, b"x" * size, qos)
            self.assertEqual([10, 20], [len(keeper.message().payload) for _ in range(2)])
            self.no_message(publisher, keeper)
            keeper.disconnect()
            if not qos:
                continue
            # The same for what waited meanwhile.
            publisher.publish(topic, b"x" * 300, qos)
            publisher.publish(topic, b"y", qos)
            keeper = self.keeper(version, name, props=limits)
            found = self.before_mark(publisher, keeper, qos)
            self.assertEqual([b"y"], [message.payload for message in found])
            keeper.disconnect()

    # Goal: a packet of exactly the size is sent.
    @covers(v5="MQTT-3.1.2-24")
    def test_exact(self, version):
        topic, publisher = self.topic(), self.client(version)
        client = self.client(version, props=((wire.PACKET_SIZE_MAXIMUM, 127),))
        client.subscribe(topic)
        room = 127 - len(wire.publish(topic, b""))
        publisher.publish(topic, b"x" * (room + 1))
        publisher.publish(topic, b"y" * room)
        self.assertEqual(b"y" * room, client.message().payload)

    # Goal: who sends more than the server announced is told so and cut off.
    @covers(v5="MQTT-3.2.2-15 MQTT-4.13.1-1")
    def test_exceeded(self, version):
        client = self.client(version)
        limit = client.connack.get(wire.PACKET_SIZE_MAXIMUM)
        if limit is None:
            self.skipTest("the server announced none")
        client.send(wire.packet(wire.PUBLISH, wire.text(self.topic()) + b"\0", 0, limit))
        client.closed(0x95)

    # Goal: no explanation makes an answer larger than the client can take; support checks each
    # packet. The limit is what a bare CONNACK takes, so hardly a Reason String fits.
    @covers(v5="MQTT-3.2.2-19 MQTT-3.2.2-20 MQTT-3.4.2-2 MQTT-3.4.2-3 MQTT-3.5.2-2 MQTT-3.5.2-3 "
               "MQTT-3.6.2-2 MQTT-3.6.2-3 MQTT-3.7.2-2 MQTT-3.7.2-3 MQTT-3.9.2-1 MQTT-3.9.2-2 "
               "MQTT-3.11.2-1 MQTT-3.11.2-2 MQTT-3.14.2-3 MQTT-3.14.2-4")
    def test_small_answers(self, version):
        size = self.client(version).connack.size
        client = self.client(version, props=((wire.PACKET_SIZE_MAXIMUM, size),))
        topic = self.topic()
        client.publish(topic, b"x", 1)
        client.publish(topic, b"x", 2)
        client.send_ack(wire.PUBREL, 999)
        client.expect(wire.PUBCOMP)
        client.send_ack(wire.PUBREC, 998)
        client.expect(wire.PUBREL)
        client.unsubscribe(topic)
        client.subscribe(topic, 2)
        # A message small enough to arrive, for the PUBREL.
        client.subscribe("s", 2)
        self.client(version).publish("s", b"", 2)
        client.message()
        client.subscribe("$share//x")
        client = self.client(version, props=((wire.PACKET_SIZE_MAXIMUM, size),))
        client.send(wire.packet(wire.PINGREQ, flags=1))
        client.closed(0x81)
        refused = self.dial(version).send_connect(
            self.name(), props=((wire.PACKET_SIZE_MAXIMUM, 6), (wire.AUTH_METHOD, "no-such")))
        refused.refused(0x8C, 0x87)


if __name__ == "__main__":
    main()
