"""Resident memory stays under the printed ceiling, whatever is slow; a full disk is survived (X5)."""

import json
import os
import shutil
import socket
import subprocess
import unittest

from harness import main, wait_until
from memory_case import MemoryCase
from peers import MqttClient, WebhookPeer


@unittest.skipUnless(os.path.exists("/proc/self/status"), "needs /proc")
class Ceiling(MemoryCase):
    def stuck_receiver(self, memory, payload):
        peer = WebhookPeer(lambda _c, _r: peer.stopped.wait(120))
        self.addCleanup(peer.close)
        engine = self.engine(peer.url(), memory)
        done = self.flat_out(engine, payload)
        self.assertGreater(done, 100)
        self.assertTrue(engine.running())
        self.assertEqual(engine.metric("tocsin_notifications_sent_total"), 0)
        self.assert_below_ceiling(engine, f"stuck receiver, {memory}, payloads of "
                                          f"{len(payload)} bytes, {done} acknowledged")

    SMALL = b'{"temperature":93.5,"pad":"%s"}' % (b"x" * 150)
    LARGE = b'{"temperature":93.5,"pad":"%s"}' % (b"x" * 60_000)

    def test_stuck_receiver_small_memory(self):
        self.stuck_receiver("64MiB", self.SMALL)

    def test_stuck_receiver_large_payloads_small_memory(self):
        self.stuck_receiver("64MiB", self.LARGE)

    def test_stuck_receiver_large_payloads(self):
        self.stuck_receiver("192MiB", self.LARGE)

    def test_many_connections(self):
        """Goal: 2000 idle connections and large payloads beside them; connections above the limit
        are refused instead of held. Half of the idle ones hang inside a large packet."""
        peer = WebhookPeer()
        self.addCleanup(peer.close)
        engine = self.engine(peer.url(), "128MiB")
        connect = b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x00\x00\x02"
        idle = []
        for n in range(2000):
            connection = socket.create_connection(("127.0.0.1", engine.mqtt), timeout=10)
            self.addCleanup(connection.close)
            try:
                connection.sendall(connect + b"%02d" % (n % 100) if n < 100
                                   else b"\x10\x12\x00\x04MQTT\x04\x02\x00\x00\x00\x06%06d" % n)
                if n % 2:
                    # A publish of 60 000 bytes of which a part never comes.
                    connection.sendall(b"\x32\xe4\xd4\x03\x00\x03t/x\x00\x01" + b"y" * 4000)
            except OSError:
                pass  # Refused: above the limit.
            idle.append(connection)
        wait_until(lambda: (engine.metric("tocsin_mqtt_accepted_total") or 0) >= 500, "connections")
        done = self.flat_out(engine, self.LARGE, 4.0, clients=2)
        status, _, _ = engine.post(json.dumps({"event": "t", "payload": {"n": 1}}))
        self.assertEqual(status, 202)
        count = engine.metric("tocsin_mqtt_connections")
        self.assert_below_ceiling(engine, f"{count:.0f} idle connections, {done} acknowledged")


@unittest.skipUnless(os.geteuid() == 0 and shutil.which("mount"), "needs to mount a tmpfs")
class FullDisk(MemoryCase):
    def setUp(self):
        super().setUp()
        self.disk = self.path("disk")
        os.mkdir(self.disk)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tocsin-test",
                                  self.disk], capture_output=True, check=False)
        if mounted.returncode != 0:
            self.skipTest("mount is not permitted here")
        # Cleanups run in reverse order: this one before processes end, hence lazily.
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk], check=True)

    def fill(self):
        for piece in (1 << 20, 4096):
            with open(os.path.join(self.disk, "ballast"), "ab", buffering=0) as file:
                try:
                    while file.write(b"\0" * piece) == piece:
                        pass
                except OSError:
                    pass

    def test_full_disk(self):
        """Goal: on a full disk nothing is acknowledged that is not stored, reading and delivering
        go on, memory holds, and it resumes by itself when there is space. Counted by id."""
        seen = set()

        def script(connection, request):
            data = json.loads(request.body)["data"]
            for item in data if isinstance(data, list) else [data]:
                seen.add(item["event_id"])
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            return True

        peer = WebhookPeer(script)
        self.addCleanup(peer.close)
        engine = self.engine(peer.url(), "64MiB", data=os.path.join(self.disk, "data"),
                             retention="1GiB")
        accepted, refused = set(), []

        def post(n):
            body = json.dumps({"event": "t", "payload": {"n": n, "pad": "x" * 50_000}})
            status, _, answer = engine.post(body)
            if status == 202:
                accepted.add(json.loads(answer)["id"])
            else:
                refused.append(status)
            return status

        for n in range(20):
            self.assertEqual(post(n), 202)
        self.fill()

        def until_refused():
            self.fill()
            return post(0) != 202

        wait_until(until_refused, "the disk is full and an event is refused", 30)
        self.assertIn(refused[-1], (503, 507))
        # Flat out against the full disk: QoS 1 gets no PUBACK. What was under way is refused too.
        client = MqttClient(engine.mqtt, "one", 10)
        client.publish("t/x", b'{"n":"mqtt","pad":"%s"}' % (b"x" * 50_000))
        done = self.flat_out(engine, Ceiling.LARGE, 5.0)
        self.assertEqual((client.acknowledged, done), (0, 0))
        client.close()
        self.assertEqual(post(1), refused[-1])
        # Reads and deliveries go on.
        self.assertEqual(engine.request("GET", "/healthz")[0], 200)
        self.assertEqual(engine.request("GET", "/readyz")[0], 503)
        wait_until(lambda: accepted <= seen, "what was accepted is delivered on a full disk")
        self.assertGreater(engine.metric("tocsin_journal_commit_failures_total", kind="no_space"), 0)
        # Space returns.
        os.unlink(os.path.join(self.disk, "ballast"))
        wait_until(lambda: post(2) == 202, "it resumes by itself", 30)
        for n in range(20):
            self.assertEqual(post(n), 202)
        wait_until(lambda: accepted <= seen, "everything accepted is delivered")
        self.assertEqual(engine.request("GET", "/readyz")[0], 200)
        client = MqttClient(engine.mqtt, "two", 10)
        client.publish("t/x", b'{"n":1}')
        self.assertTrue(client.wait_acknowledged(10))
        client.close()
        self.assert_below_ceiling(engine, "full disk")
        # Nothing refused is delivered: the receiver saw what was accepted and the last publish.
        engine.wait_metric("tocsin_notifications_sent_total", len(accepted) + 1)
        self.assertEqual(len(seen), len(accepted) + 1)
        engine.kill()
        again = self.engine(peer.url(), "64MiB", data=os.path.join(self.disk, "data"))
        self.assertEqual(again.metric("tocsin_journal_damaged_regions_total"), 0)


if __name__ == "__main__":
    main()
