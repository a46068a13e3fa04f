"""Ten thousand idle devices cost little memory, and stay connected."""

import http.client
import os
import re
import resource
import selectors
import socket
import unittest

from harness import DEADLINE_S, LISTENERS, Case, default_config, main, wait_until

CONNECTIONS = 10_000
GROWTH_MAX = 40 << 20

CONFIG = """
[server]
memory_max = "1GiB"
threads = 1
""" + LISTENERS


def resident_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmRSS:\s+(\d+) kB", file.read())[1]) * 1024


def allow_descriptors(wanted):
    """Raises this process's limit, which the engine inherits; returns what there is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in ((max(soft, wanted), max(hard, wanted)), (hard, hard)):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)
            break
        except (ValueError, OSError):
            continue
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def connect_packet(number):
    """MQTT 3.1.1, clean session, no keep-alive: the device may stay silent for ever."""
    client_id = b"sensor-%012d" % number
    body = b"\x00\x04MQTT\x04\x02\x00\x00" + len(client_id).to_bytes(2, "big") + client_id
    return b"\x10" + bytes([len(body)]) + body


@unittest.skipUnless(os.path.exists("/proc/self/status"), "needs /proc")
class Idle(Case):
    def connect_all(self, port, count, first=0):
        """Opens the connections, a few hundred handshakes at a time, and waits for each CONNACK."""
        connections = []
        with selectors.DefaultSelector() as selector:
            waiting = 0
            while len(connections) < count or waiting:
                while len(connections) < count and waiting < 200:
                    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
                    self.addCleanup(connection.close)
                    connection.sendall(connect_packet(first + len(connections)))
                    selector.register(connection, selectors.EVENT_READ)
                    connections.append(connection)
                    waiting += 1
                ready = selector.select(20)
                self.assertTrue(ready, f"{waiting} CONNACKs are missing")
                for key, _ in ready:
                    self.assertEqual(key.fileobj.recv(16), b"\x20\x02\x00\x00")
                    selector.unregister(key.fileobj)
                    waiting -= 1
        return connections

    def test_idle_connections_cost_little(self):
        # The engine keeps half of its descriptors for HTTP and 256 for itself.
        descriptors = allow_descriptors(2 * CONNECTIONS + 1024)
        count = min(CONNECTIONS, (descriptors - 512) // 2)
        engine = self.start(CONFIG)
        # The first connections touch what all share.
        warm = self.connect_all(engine.mqtt, 20)
        before = resident_bytes(engine.pid)
        connections = self.connect_all(engine.mqtt, count - len(warm), first=len(warm))
        growth = resident_bytes(engine.pid) - before
        each = growth / len(connections)
        print(f"\n{len(connections)} idle connections: {growth / 2**20:.1f} MiB more, "
              f"{each:.0f} bytes each; {before / 2**20:.1f} MiB before")
        self.assertLess(growth, GROWTH_MAX * len(connections) / CONNECTIONS)

        # They are alive: each tenth asks, and is answered.
        for connection in connections[::10]:
            connection.sendall(b"\xc0\x00")
        for connection in connections[::10]:
            self.assertEqual(connection.recv(16), b"\xd0\x00")
        # And their end gives back what they had.
        for connection in connections + warm:
            connection.close()
        wait_until(lambda: engine.metric("tocsin_mqtt_connections") == 0, "all closed")
        again = self.connect_all(engine.mqtt, count, first=CONNECTIONS)
        self.assertEqual(len(again), count)
        second = resident_bytes(engine.pid) - before
        self.assertLess(second, growth + (4 << 20), "the second round is paid for by the first")


class IdleHttp(Case):
    # Goal: hundreds of idle connections that have each sent an event cost little memory.
    def test_memory(self):
        tocsin = self.start(default_config())

        def talk(stays=True):
            connection = http.client.HTTPConnection("127.0.0.1", tocsin.http,
                                                    timeout=DEADLINE_S)
            connection.request("POST", "/api/events", '{"event":"order_created","payload":{"order_id":1}}')
            answer = connection.getresponse()
            answer.read()
            self.assertEqual(202, answer.status)
            if stays:
                self.addCleanup(connection.close)
            else:
                connection.close()

        for _ in range(300):  # What does not depend on the number of connections grows first.
            talk(stays=False)
        before = tocsin.metric("process_resident_memory_bytes")
        for _ in range(300):
            talk()
        grown = tocsin.metric("process_resident_memory_bytes") - before
        self.assertLess(grown / 300, 2048)


if __name__ == "__main__":
    main()
