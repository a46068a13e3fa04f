"""Hours of service in seconds: memory and descriptors stay flat, and crowds come and go.

TOCSIN_SOAK_S is how long the steady load lasts (default 20).
"""

import json
import os
import random
import re
import select
import socket
import statistics
import subprocess
import threading
import time

from harness import LISTENERS, TOCSIN, Case, main, wait_until
from mqtt_client import CONNACK, RawClient, packet, publish_packet, text

SOAK_S = float(os.environ.get("TOCSIN_SOAK_S", "20"))
CROWD = 500

CONFIG = f"""
[server]
threads = 1
memory_max = "{{memory}}"
log_level = "warning"
{LISTENERS}
[journal]
segment_size = "4MiB"
retention_bytes = "16MiB"
[[source]]
name = "telemetry"
topic = "devices/{{device}}/telemetry"
level = "accepted"
[[source]]
name = "order_created"
level = "stored"
[[channel]]
name = "panel"
type = "mqtt"
qos = 0
[[rule]]
name = "seen"
source = "order_created"
channel = "panel"
body = "{{{{device}}}}"
[[rule]]
name = "hot"
source = "telemetry"
pattern = {{ temperature = [{{ numeric = [">", 80] }}] }}
channel = "panel"
body = "{{{{device}}}} {{{{temperature}}}}"
"""

# More than the noise of an allocator, less than 20 s would leak at 30 bytes an event, or four
# crowds at 500 bytes a connection.
GROWTH_MAX_BYTES = 2 * 2**20
CROWD_GROWTH_MAX_BYTES = 2**20


def resident_bytes(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def sockets(pid):
    """Descriptors that are sockets: files of the journal come and go on their own."""
    found = 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found += os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:")
        except FileNotFoundError:
            continue
    return found


def instrumented():
    """A sanitizer keeps what was freed: its memory says nothing."""
    with open(TOCSIN, "rb") as file:
        return re.search(rb"__(asan|tsan)_init", file.read()) is not None


def growth(samples):
    """By how much the line through (time, value) samples rises from its first to its last."""
    times, values = zip(*samples)
    slope, _ = statistics.linear_regression(times, values)
    return slope * (times[-1] - times[0])


def connect_packet(client_id):
    return packet(1, text("MQTT") + b"\x05\x02\0\x3c\0" + text(client_id))


class Crowd:
    """Many MQTT 5 clients that all do the same at the same time."""

    def __init__(self, port, names):
        self._names = names
        self._sockets = []
        for _ in names:
            peer = socket.socket()
            peer.setblocking(False)
            peer.connect_ex(("127.0.0.1", port))
            self._sockets.append(peer)

    def _exchange(self, packets, size):
        """Everybody sends and then reads `size` bytes; b"" for those that were cut off."""
        out = dict(zip(self._sockets, packets))
        answers = {peer: b"" for peer in self._sockets}
        waiting = set(self._sockets)
        poller = select.poll()
        by_fd = {peer.fileno(): peer for peer in self._sockets}
        for peer in self._sockets:
            poller.register(peer, select.POLLOUT)
        deadline = time.monotonic() + 60
        while waiting and time.monotonic() < deadline:
            for fd, _ in poller.poll(1000):
                peer = by_fd[fd]
                try:
                    if out[peer]:
                        out[peer] = out[peer][peer.send(out[peer]):]
                        if not out[peer]:
                            poller.modify(peer, select.POLLIN)
                        continue
                    got = peer.recv(size - len(answers[peer]))
                except OSError:
                    got = b""
                answers[peer] = answers[peer] + got if got else b""
                if not got or len(answers[peer]) == size:
                    waiting.discard(peer)
                    poller.unregister(peer)
        assert not waiting, f"{len(waiting)} of {len(self._sockets)} clients got no answer"
        return [answers[peer] for peer in self._sockets]

    def connect(self):
        """How many were accepted."""
        answers = self._exchange([connect_packet(name) for name in self._names], 4)
        return sum(a[:1] == bytes([CONNACK << 4]) and a[3] == 0 for a in answers)

    def publish(self):
        """How many got their acknowledgement. Reads what CONNACK left unread, too."""
        packets = [publish_packet(f"devices/{name}/telemetry", b'{"temperature":20}')
                   for name in self._names]
        for peer, data in zip(self._sockets, packets):
            peer.setblocking(True)
            peer.settimeout(60)
            peer.sendall(data)
        return sum(self._acknowledged(peer) for peer in self._sockets)

    @staticmethod
    def _acknowledged(peer):
        got = b""
        while True:
            try:
                more = peer.recv(4096)
            except OSError:
                return False
            got += more
            if not more:
                return False
            # Packet identifier 1, with or without a reason code.
            if re.search(rb"\x40[\x02-\x04]\x00\x01", got):
                return True

    def cut_off(self):
        """How many of them the server has closed; waits until it is everybody."""
        closed = 0
        for peer in self._sockets:
            peer.setblocking(True)
            peer.settimeout(60)
            try:
                while peer.recv(4096):
                    pass
                closed += 1
            except ConnectionError:
                closed += 1
            except TimeoutError:
                pass
        return closed

    def vanish(self):
        """All connections at once, without a word."""
        for peer in self._sockets:
            peer.close()


class Soak(Case):
    def setUp(self):
        super().setUp()
        # The steady load gets small pools, which are soon touched whole; a crowd and its successor
        # need large ones.
        memory = "64MiB" if "steady" in self.id() else "256MiB"
        self.tocsin = self.start(CONFIG.replace("{memory}", memory))

    def load(self, *arguments, seconds):
        """A generator in the background; its JSON when it has ended."""
        command = [TOCSIN, "bench", "--json", "--duration", str(seconds), "--grace", "30",
                   *map(str, arguments)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def warm_up(self):
        """Every pool is touched and the journal wraps: first use is no leak."""
        self.result(self.load("--mqtt", f"127.0.0.1:{self.tocsin.mqtt}", "--qos", 1, "--window", 500,
                              seconds=min(SOAK_S, 2 + SOAK_S / 10)))

    def result(self, process):
        out, err = process.communicate(timeout=120)
        self.assertTrue(out, err)
        return json.loads(out)

    def reconnect(self, end, failures):
        """Clients that come, publish and leave, politely or not, some with a name of many."""
        chance = random.Random(42)
        while time.monotonic() < end:
            try:
                client = RawClient(self.tocsin.mqtt, f"guest-{chance.randrange(100)}")
                with client:
                    client.publish("devices/guest/telemetry", b'{"temperature":90}')
                    if chance.random() < 0.5:
                        client.send(packet(14, b""))
            except (OSError, AssertionError, TypeError) as error:
                failures.append(error)
            time.sleep(0.005)

    # Goal: under steady mixed load, with devices that come and go, neither memory nor descriptors
    # grow, and every event is acknowledged.
    def test_flat_under_steady_load(self):
        mqtt, http = f"127.0.0.1:{self.tocsin.mqtt}", f"127.0.0.1:{self.tocsin.http}"
        self.warm_up()
        warm_s, pid = SOAK_S / 4, self.tocsin.pid
        subscriber = self.subscribe(self.tocsin.mqtt, "notifications/#", qos=0)
        begin = time.monotonic()
        end = begin + warm_s + SOAK_S
        loads = [self.load("--mqtt", mqtt, "--qos", 1, "--rate", 2000, seconds=warm_s + SOAK_S),
                 self.load("--mqtt", mqtt, "--qos", 0, "--rate", 1000, "--connections", 4,
                           seconds=warm_s + SOAK_S),
                 self.load("--http", http, "--rate", 200, seconds=warm_s + SOAK_S)]
        failures = []
        guests = threading.Thread(target=self.reconnect, args=(end - 0.5, failures))
        guests.start()
        memory, files = [], []
        while time.monotonic() < end - 0.5:
            if time.monotonic() > begin + warm_s:
                memory.append((time.monotonic(), resident_bytes(pid)))
                files.append((time.monotonic(), descriptors(pid)))
            subscriber.out.clear()
            time.sleep(0.1)
        guests.join()
        for load in loads:
            found = self.result(load)
            self.assertTrue(found["lossless"], found)
        self.assertEqual([], failures[:3])
        print(f"\nsoak of {SOAK_S:g} s: memory {memory[0][1] / 2**20:.1f} to "
              f"{memory[-1][1] / 2**20:.1f} MiB, trend {growth(memory) / 1024:+.0f} KiB; descriptors "
              f"{min(f for _, f in files)} to {max(f for _, f in files)}")
        self.assertLess(abs(growth(files)), 5)
        if not instrumented():
            self.assertLess(growth(memory), GROWTH_MAX_BYTES)

    def crowds(self, names_of, rounds):
        """Crowds that come all at once and vanish; (memory, descriptors) after each."""
        self.warm_up()
        pid = self.tocsin.pid
        wait_until(lambda: sockets(pid) == 2, "only the listeners are left")
        alone = sockets(pid)
        samples = []
        for number in range(rounds):
            crowd = Crowd(self.tocsin.mqtt, names_of(number))
            self.assertEqual(CROWD, crowd.connect())
            self.assertEqual(CROWD, crowd.publish())
            crowd.vanish()
            wait_until(lambda: sockets(pid) <= alone, "all connections are closed")
            samples.append(resident_bytes(pid))
        with RawClient(self.tocsin.mqtt, "after") as client:
            self.assertEqual(0, client.publish("devices/after/telemetry", b'{"temperature":1}'))
        return samples

    def assert_no_growth(self, samples):
        """Nothing grows any more once a crowd of this size has been there twice."""
        print(f"\nmemory after each crowd: {', '.join(f'{s / 2**20:.1f}' for s in samples)} MiB")
        if not instrumented():
            self.assertLess(samples[-1] - samples[1], CROWD_GROWTH_MAX_BYTES)

    # Goal: 500 clients that reconnect at once under their old names find service, leave nothing.
    def test_storm_with_the_same_names(self):
        self.assert_no_growth(self.crowds(lambda _: [f"d{i}" for i in range(CROWD)], rounds=6))

    # Goal: the same when every client has a name that was never seen.
    def test_storm_with_new_names(self):
        self.assert_no_growth(
            self.crowds(lambda number: [f"d{number}-{i}" for i in range(CROWD)], rounds=6))

    # Goal: a crowd that comes back before its old connections are gone takes its sessions over: the
    # old connections are ended, the new ones served.
    def test_storm_of_takeovers(self):
        pid = self.tocsin.pid
        alone = sockets(pid)
        names = [f"d{i}" for i in range(CROWD)]
        crowd = Crowd(self.tocsin.mqtt, names)
        self.assertEqual(CROWD, crowd.connect())
        for _ in range(3):
            successor = Crowd(self.tocsin.mqtt, names)
            self.assertEqual(CROWD, successor.connect())
            self.assertEqual(CROWD, crowd.cut_off())
            crowd.vanish()
            crowd = successor
        self.assertEqual(CROWD, crowd.publish())
        self.assertEqual(alone + CROWD, sockets(pid))
        crowd.vanish()
        wait_until(lambda: sockets(pid) <= alone, "all connections are closed")


if __name__ == "__main__":
    main()
