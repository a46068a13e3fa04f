"""A slow disk: memory holds, nothing acknowledged is lost, and who does not need the disk is served."""

import json
import os
import signal
import subprocess
import threading
import time
import unittest

from harness import Process, main, wait_until
from memory_case import MemoryCase
from peers import MqttClient, WebhookPeer, dead_letters

# Each write (of up to 128 KiB) and each sync takes this long: at most 4 MiB/s, like a worn card.
WAIT_MS = 30
LOAD_S = 5.0
PRODUCERS = 3
WINDOW = 500
# Debian's python3-fusepy is there for Debian's interpreter, whichever one runs this test.
DISK_COMMAND = ("/usr/bin/python3", "-B", os.path.join(os.path.dirname(__file__), "slow_disk.py"))


class Session(MqttClient):
    """One connection; each event has a name of its own."""

    def __init__(self, port, name, pad):
        super().__init__(port, name, WINDOW)
        self._name = name
        self._pad = "x" * pad

    def publish_next(self):
        event = {"n": f"{self._name}-{self.sent}", "pad": self._pad}
        self.publish("t/x", json.dumps(event).encode(), 0.2)

    def names(self):
        """(acknowledged, sent), when nothing more is sent."""
        sent = {f"{self._name}-{n}" for n in range(self.sent)}
        with self._condition:
            # A packet id tells which one it is: no more than a window is outstanding.
            missing = {f"{self._name}-{n}" for n in range(max(0, self.sent - WINDOW), self.sent)
                       if n % 65535 + 1 in self._outstanding}
        return sent - missing, sent


class Producer:
    """Publishes as fast as acknowledgements allow, and connects again when it is turned away."""

    def __init__(self, port, number, pad):
        self.sessions = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._produce, args=(port, number, pad), daemon=True)
        self._thread.start()

    def _produce(self, port, number, pad):
        while not self._stopping.is_set():
            try:
                session = Session(port, f"p{number}-{len(self.sessions)}", pad)
            except (OSError, AssertionError):
                time.sleep(0.05)  # Refused for now.
                continue
            self.sessions.append(session)
            # A window that is full waits for the disk: that is the back-pressure.
            while not self._stopping.is_set() and not session.closed:
                session.publish_next()

    def stop(self):
        self._stopping.set()
        self._thread.join()

    def close(self):
        for session in self.sessions:
            session.close()

    @property
    def acknowledged(self):
        return sum(session.acknowledged for session in list(self.sessions))

    @property
    def sent(self):
        return sum(session.sent for session in list(self.sessions))

    def names(self):
        """(acknowledged, sent), of a producer that has stopped."""
        pairs = [session.names() for session in self.sessions]
        return set().union(*(p[0] for p in pairs)), set().union(*(p[1] for p in pairs))


class Posts:
    """One HTTP producer that gives every event a second, and remembers the answers."""

    def __init__(self, engine):
        self.answers = {}
        self._engine = engine
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._produce, daemon=True)
        self._thread.start()

    def _produce(self):
        while not self._stopping.is_set():
            name = f"post-{len(self.answers)}"
            body = json.dumps({"event": "t", "payload": {"n": name, "pad": "x" * 5000}})
            try:
                self.answers[name] = self._engine.post(body)[0]
            except OSError as error:
                self.answers[name] = error
            time.sleep(0.05)

    def stop(self):
        self._stopping.set()
        self._thread.join()

    def names(self):
        """(accepted, refused, all)"""
        accepted = {name for name, answer in self.answers.items() if answer == 202}
        refused = {name for name, answer in self.answers.items() if answer in (429, 503)}
        return accepted, refused, set(self.answers)


@unittest.skipUnless(os.geteuid() == 0 and os.path.exists("/dev/fuse"), "needs to mount with FUSE")
class SlowDisk(MemoryCase):
    def setUp(self):
        super().setUp()
        self.disk, self.stall = self.path("disk"), self.path("stall")
        self.data_on_disk = os.path.join(self.disk, "data")
        backing = self.path("backing")
        os.mkdir(self.disk)
        os.mkdir(backing)
        daemon = self.watch(Process("slow_disk", [*DISK_COMMAND, self.disk, backing, WAIT_MS,
                                                  self.stall]))

        def mounted():
            if not daemon.running():
                daemon.wait()
                if any("not permitted" in line for line in daemon.err):
                    self.skipTest("mount is not permitted here")
                raise AssertionError(daemon.transcript())
            return os.path.ismount(self.disk)

        wait_until(mounted, "the slow disk is mounted")
        # Cleanups run in reverse order: this one before processes end, hence lazily.
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk], check=True)
        self.addCleanup(self.go_on)
        self.delivered = []
        self.peer = WebhookPeer(self.receive)
        self.addCleanup(self.peer.close)

    def receive(self, connection, request):
        data = json.loads(request.body)["data"]
        names = [item["body"] for item in (data if isinstance(data, list) else [data])]
        with self.peer.lock:
            self.delivered.extend(names)
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        return True

    def ended(self):
        """Delivered, or a dead letter that waits for an operator: what the engine accounts for."""
        with self.peer.lock:
            delivered = list(self.delivered)
        return delivered + [letter["body"] for letter in dead_letters(self.data_on_disk)]

    def go_on(self):
        if os.path.exists(self.stall):
            os.unlink(self.stall)

    def start_engine(self):
        return self.engine(self.peer.url(), "64MiB", data=self.data_on_disk, retention="1GiB",
                           rule='body = "{{n}}"\n')

    def assert_serves(self, engine):
        self.assertEqual(engine.request("GET", "/healthz")[0], 200)

    def load(self, engine, seconds):
        """Returns when the load has lasted so long; /healthz was answered all the time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.assert_serves(engine)
            time.sleep(0.02)

    def stop_disk(self, engine, producers):
        """From here nothing more is stored. Returns the number of acknowledgements when none leave
        any more; /healthz is answered nevertheless."""
        with open(self.stall, "x", encoding="ascii"):
            pass
        same, before = 0, None
        while same < 50:
            self.assert_serves(engine)
            now = sum(p.acknowledged for p in producers)
            same = same + 1 if now == before else 0
            before = now
            time.sleep(0.02)
        return before

    def slow(self, pad):
        engine = self.start_engine()
        posts = Posts(engine)
        producers = [Producer(engine.mqtt, n, pad) for n in range(PRODUCERS)]
        self.load(engine, LOAD_S)
        before = self.stop_disk(engine, producers)
        self.assertGreater(before, 50)
        # Nobody is told that what waits for the disk is stored.
        self.assertGreater(sum(p.sent for p in producers), before)
        self.go_on()
        for producer in (*producers, posts):
            producer.stop()
        for producer in producers:
            self.addCleanup(producer.close)
            last = producer.sessions[-1]
            self.assertTrue(last.wait_acknowledged(60) or last.closed)
        acknowledged = set().union(*(p.names()[0] for p in producers))
        sent = set().union(*(p.names()[1] for p in producers))
        accepted, refused, posted = posts.names()
        self.assertEqual(accepted | refused, posted, posts.answers)
        self.assertGreater(len(acknowledged), before)
        stored = acknowledged | accepted
        wait_until(lambda: stored <= set(self.ended()), "what was acknowledged has ended", 60)
        wait_until(lambda: engine.metric("tocsin_notifications_pending") == 0, "all have ended")
        ended = self.ended()
        self.assertEqual(len(ended), len(set(ended)), "each once")
        self.assertLessEqual(set(ended), sent | accepted)
        self.assert_below_ceiling(
            engine, f"slow disk, events of {pad} bytes, {len(acknowledged)} of {len(sent)} publishes "
                    f"acknowledged, {len(accepted)} posts accepted, {len(refused)} refused, "
                    f"{len(ended) - len(self.delivered)} dead letters")

    def test_small_payloads(self):
        """Goal: flat out at QoS 1 on a disk that is slow and then stops for a while, memory holds
        and nothing acknowledged is lost. Counted by name: it has ended once; so has each event of
        HTTP that was answered 202, and none that was refused."""
        self.slow(150)

    def test_large_payloads(self):
        """Goal: the same when what is under way is many times larger than the memory."""
        self.slow(60_000)

    def test_kill_while_the_disk_is_slow(self):
        """Goal: what was acknowledged is delivered by the next start, if not before."""
        engine = self.start_engine()
        producers = [Producer(engine.mqtt, n, 5000) for n in range(PRODUCERS)]
        self.load(engine, 3.0)
        self.stop_disk(engine, producers)
        self.assert_below_ceiling(engine, "slow disk before the kill")
        engine.signal(signal.SIGKILL)
        self.go_on()
        engine.wait()
        for producer in producers:
            producer.stop()
            producer.close()
        acknowledged = set().union(*(p.names()[0] for p in producers))
        sent = set().union(*(p.names()[1] for p in producers))
        self.assertGreater(len(acknowledged), 50)
        self.assertGreater(len(sent), len(acknowledged))
        again = self.start_engine()
        wait_until(lambda: acknowledged <= set(self.ended()), "what was acknowledged has ended", 60)
        self.assertLessEqual(set(self.ended()), sent)
        self.assert_below_ceiling(again, f"after the kill, {len(acknowledged)} acknowledged")


if __name__ == "__main__":
    main()
