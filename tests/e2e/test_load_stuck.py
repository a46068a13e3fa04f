"""A receiver that accepts and never answers does not slow acknowledgements down."""

import os
import statistics
import tempfile
import time

from harness import LISTENERS, Case, main
from peers import LOOPBACK, MqttClient, WebhookPeer

RATE_PER_S = 500
ROUND_S = 0.75
ROUNDS = 21
RATIO_MAX = 2.0

CONFIG = """
[server]
{loopback}
{listeners}
[[source]]
name = "t"
topic = "t/#"
[[channel]]
name = "fine"
type = "mqtt"
[[rule]]
name = "to-fine"
source = "t"
channel = "fine"
"""

STUCK = """
[[channel]]
name = "stuck"
type = "webhook"
url = "{url}"
plain_http = true
queue_max = 2000
retry_schedule = "50ms"
attempt_timeout_ms = "2s"
[[rule]]
name = "to-stuck"
source = "t"
channel = "stuck"
"""


def p99(latencies_s):
    return sorted(latencies_s)[int(len(latencies_s) * 0.99)]


class StuckReceiver(Case):
    def in_memory(self):
        """A folder in memory: how long a disk takes to sync is no matter of receivers, and on some
        machines differs hundredfold from one second to the next."""
        shared = "/dev/shm"
        folder = tempfile.TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else None)
        self.addCleanup(folder.cleanup)
        return folder.name

    def engine(self, stuck_url=None):
        text = CONFIG.format(loopback=LOOPBACK, listeners=LISTENERS)
        if stuck_url:
            text += STUCK.format(url=stuck_url)
        engine = self.start(text, data=self.in_memory())
        client = MqttClient(engine.mqtt, "device", window=10_000)
        self.addCleanup(client.close)
        return engine, client

    def round(self, client):
        """p99 of one round at a fixed rate. The sender never waits for acknowledgements, so a
        stall is seen by every publish that falls into it."""
        before = len(client.latencies_s)
        begun = time.perf_counter()
        for n in range(int(RATE_PER_S * ROUND_S)):
            due = begun + n / RATE_PER_S
            wait = due - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
            self.assertTrue(client.publish("t/x", b'{"temperature":93.5,"n":%d}' % n))
        self.assertTrue(client.wait_acknowledged(30), "every publish is acknowledged")
        return p99(client.latencies_s[before:])

    def test_acknowledgements(self):
        """Goal: p99 of acknowledgements with a stuck receiver is at most twice that without.
        Method: two engines that differ only in that receiver, measured in turn, so that the noise
        of the machine meets both; the medians over the rounds are compared."""
        peer = WebhookPeer(lambda _c, _r: peer.stopped.wait(120))
        self.addCleanup(peer.close)
        _, free = self.engine()
        engine, stuck = self.engine(peer.url())
        self.round(free)
        self.round(stuck)
        peer.wait(8)  # All its connections hang now.
        pairs = []
        for number in range(ROUNDS):
            # Each goes first in turn.
            order = (free, stuck) if number % 2 == 0 else (stuck, free)
            measured = {id(client): self.round(client) for client in order}
            pairs.append((measured[id(free)], measured[id(stuck)]))
        without, with_stuck = (statistics.median(column) for column in zip(*pairs))
        ratios = sorted(b / a for a, b in pairs)
        print(f"\np99 of acknowledgements: {without * 1e3:.2f} ms without, "
              f"{with_stuck * 1e3:.2f} ms with a stuck receiver, ratio of medians "
              f"{with_stuck / without:.2f}; rounds {[f'{r:.2f}' for r in ratios]}, median "
              f"{statistics.median(ratios):.2f}")
        self.assertLessEqual(with_stuck / without, RATIO_MAX)
        # The receiver was stuck all the time, and its notifications are accounted for.
        self.assertEqual(engine.metric("tocsin_notifications_sent_total", channel="stuck"), 0)
        self.assertGreater(engine.metric("tocsin_delivery_errors_total", channel="stuck",
                                         reason="timeout"), 0)
        self.assertGreater(engine.metric("tocsin_notifications_dead_total", channel="stuck"), 0)


if __name__ == "__main__":
    main()
