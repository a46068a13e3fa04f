"""A burst of events for a receiver that answers: late, not dead."""

import json
import os

from harness import LISTENERS, Case, main
from peers import LOOPBACK, WebhookPeer

REQUESTS = 60
# An instrumented program is slower than what it waits for: a tenth is then as large a burst.
EVENTS = 100 if "TOCSIN_INSTRUMENTED" in os.environ else 1000

CONFIG = """
[server]
memory_max = "80MiB"
threads = {threads}
{loopback}
{listeners}
[[source]]
name = "t"
[[channel]]
name = "hook"
type = "webhook"
url = "{url}"
plain_http = true
queue_max = 1000000
queue_bytes_max = "1GiB"
batch_count = 50
[[rule]]
name = "r"
source = "t"
channel = "hook"
body = "{{{{n}}}}{pad}"
"""


class Burst(Case):
    def burst(self, requests, events, pad="", threads=1, idle_channels=0):
        """Goal: many times what a lane holds comes at once; all of it is delivered, exactly once,
        and nothing becomes a dead letter."""
        seen = []

        def script(connection, request):
            data = json.loads(request.body)["data"]
            items = data if isinstance(data, list) else [data]
            seen.extend(item["body"][:len("123456")] for item in items)
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            return True

        peer = WebhookPeer(script)
        self.addCleanup(peer.close)
        config = CONFIG.format(loopback=LOOPBACK, listeners=LISTENERS, url=peer.url(), pad=pad,
                               threads=threads)
        config += "".join(f'[[channel]]\nname = "idle-{n}"\ntype = "log"\n'
                          for n in range(idle_channels))
        engine = self.start(config)
        numbers = [f"{n:06}" for n in range(requests * events)]
        for start in range(0, len(numbers), events):
            body = "\n".join(json.dumps({"event": "t", "payload": {"n": n}})
                             for n in numbers[start:start + events])
            status, _, _ = engine.post(body, "/api/events/batch", "application/x-ndjson")
            self.assertEqual(status, 202)
        engine.wait_metric("tocsin_notifications_sent_total", len(numbers))
        self.assertEqual(engine.metric("tocsin_notifications_dead_total") or 0, 0)
        self.assertEqual(sorted(seen), numbers)

    def test_small(self):
        self.burst(REQUESTS, EVENTS)

    def test_large(self):
        self.burst(4, 200, pad="x" * 20_000)

    def test_many_channels(self):
        """Each lane has a small share of the memory."""
        self.burst(10, EVENTS, idle_channels=19)

    def test_threads(self):
        self.burst(10, EVENTS, threads=4, idle_channels=3)


if __name__ == "__main__":
    main()
