"""Who may connect and what clients may do: refusals in the words of the protocol."""

import unittest

import mqtt_wire as wire
from mqtt_wire import V3, Will
from support import TARGET, TOCSIN, Case, covers, main, run_command


class Users(Case):
    @classmethod
    def setUpClass(cls):
        if TARGET:
            raise unittest.SkipTest("needs Tocsin")
        made = run_command(TOCSIN, "password", "--memory-kib", 8, "--passes", 1, stdin=b"right\n",
                           check=True)
        cls.config = f"""
[auth]
failures_free = 1000
[[user]]
name = "device"
password_hash = "{made.stdout.decode().strip()}"
publish = ["mine/%c/#"]
subscribe = ["mine/%c/#", "mine/all"]
"""
        super().setUpClass()

    def device(self, version, name=None, **options):
        return self.client(version, name, username="device", password="right", **options)

    # Goal: who shows the right credentials is in, with all fields of the payload in their order;
    # all others are refused with the code for it.
    @covers(v3="MQTT-3.1.3-1 MQTT-3.1.2-19 MQTT-3.1.2-21 MQTT-3.2.2-5 MQTT-3.2.2-4",
            v5="MQTT-3.1.4-2 MQTT-3.1.3-1 MQTT-3.1.2-17 MQTT-3.1.2-19 MQTT-3.2.2-7 MQTT-3.2.2-8")
    def test_credentials(self, version):
        name = self.name()
        self.device(version, name, will=Will(f"mine/{name}/will", b"x")).ping()
        for options in ({}, {"username": "device"}, {"username": "device", "password": "wrong"},
                        {"username": "nobody", "password": "right"},
                        {"username": "", "password": ""}):
            client = self.dial(version).send_connect(self.name(), **options)
            self.assertIsNotNone(client.refused(*((4, 5) if version == V3 else (0x86, 0x87))))

    # Goal: a message that is not allowed is refused, and its identifier is free again. Over 3.1.1
    # it is acknowledged all the same, or the connection ends.
    @covers(v3="MQTT-3.3.5-2", v5="MQTT-4.3.3-9 MQTT-3.4.2-1 MQTT-3.5.2-1 MQTT-4.3.2-5")
    def test_publish(self, version):
        name, watched = self.name(), self.name()
        watcher = self.device(version, watched)
        watcher.subscribe(f"mine/{watched}/#", 2)
        for qos in (1, 2):
            client = self.device(version, name)
            client.send_publish(f"mine/{watched}/x", b"not allowed", qos, 5)
            answer = client._read()
            if version == V3:
                self.assertIn(answer and answer.packet_id, (None, 5))
                continue
            self.assertEqual((5, 0x87), (answer.packet_id, answer.reason))
            client.subscribe(f"mine/{name}/#", 2)
            self.assertLess(client.publish(f"mine/{name}/x", b"good", qos, packet_id=5), 0x80)
            self.assertEqual(b"good", client.message().payload)
        last = self.device(version, watched)
        last.subscribe(f"mine/{watched}/#", 2)
        last.publish(f"mine/{watched}/mark", b"")
        self.assertEqual(f"mine/{watched}/mark", last.message().topic)

    # Goal: one filter that is not allowed fails alone, at its place.
    @covers(v3="MQTT-3.8.4-5 MQTT-3.9.3-1 MQTT-3.9.3-2",
            v5="MQTT-3.8.4-6 MQTT-3.8.4-7 MQTT-3.9.3-1 MQTT-3.9.3-2")
    def test_subscribe(self, version):
        name = self.name()
        client = self.device(version, name)
        client.send(wire.subscribe(3, ("mine/all", 1), ("#", 1), (f"mine/{name}/+", 2),
                                   ("mine/other/#", 0), version=version))
        failed = 0x80 if version == V3 else 0x87
        self.assertEqual([1, failed, 2, failed], client.expect(wire.SUBACK).reasons)
        client.publish(f"mine/{name}/a", b"x", 2)
        self.assertEqual(b"x", client.message().payload)

    # Goal: a will that its client may not publish is never published.
    @covers(v3="MQTT-3.1.2-12", v5="MQTT-3.1.4-2")
    def test_will(self, version):
        name = self.name()
        watcher = self.device(version, name)
        watcher.subscribe(f"mine/{name}/#", 1)
        client = self.dial(version).send_connect(
            self.name(), username="device", password="right", will=Will(f"mine/{name}/x", b"no"))
        client.receive()
        client.close()
        watcher.publish(f"mine/{name}/mark", b"")
        self.assertEqual(f"mine/{name}/mark", watcher.message().topic)


if __name__ == "__main__":
    main()
