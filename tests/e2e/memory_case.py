"""What the tests of the memory ceiling share: a webhook engine, load without pause, the peak."""

import re
import threading
import time

from harness import LISTENERS, Case
from peers import LOOPBACK, MqttClient

FLAT_OUT_S = 7.0

CONFIG = """
[server]
memory_max = "{memory}"
{loopback}
{listeners}
[journal]
segment_size = "4MiB"
retention_bytes = "{retention}"
[[source]]
name = "t"
topic = "t/#"
[[channel]]
name = "hook"
type = "webhook"
url = "{url}"
plain_http = true
queue_max = 1000000
queue_bytes_max = "1GiB"
retry_schedule = "50ms"
batch_count = 20
attempt_timeout_ms = "{timeout}"
[[rule]]
name = "r"
source = "t"
channel = "hook"
"""


def peak_resident_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmHWM:\s+(\d+) kB", file.read())[1]) * 1024


class MemoryCase(Case):
    def engine(self, url, memory, data=None, retention="32MiB", timeout="15s", rule=""):
        return self.start(CONFIG.format(memory=memory, loopback=LOOPBACK, listeners=LISTENERS,
                                        url=url, retention=retention, timeout=timeout) + rule,
                          data=data)

    def assert_below_ceiling(self, engine, what):
        ceiling = engine.metric("tocsin_memory_ceiling_bytes")
        printed = re.search(r"memory +at most (\d+)MiB", "\n".join(engine.out))
        self.assertEqual(int(printed[1]), int(ceiling) >> 20)
        peak = peak_resident_bytes(engine.pid)
        print(f"\n{what}: peak {peak / 2**20:.1f} MiB, ceiling {ceiling / 2**20:.1f} MiB")
        self.assertLessEqual(peak, ceiling, what)

    def flat_out(self, engine, payload, seconds=FLAT_OUT_S, clients=3, window=500):
        """Publishes as fast as acknowledgements allow; returns how many were acknowledged."""
        end = time.monotonic() + seconds
        counts = []

        def produce(number):
            while time.monotonic() < end:
                try:
                    client = MqttClient(engine.mqtt, f"producer-{number}", window)
                except (OSError, AssertionError):
                    time.sleep(0.05)  # Refused for now.
                    continue
                while time.monotonic() < end and (
                        client.publish("t/x", payload, 1.0) or not client.closed):
                    pass
                counts.append(client.acknowledged)
                client.close()

        threads = [threading.Thread(target=produce, args=(n,)) for n in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(counts)
