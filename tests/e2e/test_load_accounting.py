"""Everything is accounted for (DESIGN decision 12), under overload and when drained."""

import http.client
import json
import threading
import time

from harness import LISTENERS, Case, main, metric, wait_until
from peers import LOOPBACK, MqttClient, WebhookPeer, dead_letters

PRODUCERS = 3
PER_PRODUCER = 1500
WINDOW = 200
HTTP_PRODUCERS = 2
HTTP_BATCHES = 25
HTTP_BATCH = 40

CONFIG = """
[server]
memory_max = "80MiB"
{loopback}
{listeners}
[[source]]
name = "t"
topic = "t/#"
[[channel]]
name = "stuck"
type = "webhook"
url = "{stuck}"
plain_http = true
queue_max = 60
inflight_max = 16
connections_max = 16
attempts_max = 2
attempt_timeout_ms = "700ms"
retry_schedule = "50ms"
[[channel]]
name = "good"
type = "webhook"
url = "{good}"
plain_http = true
queue_max = 100000
queue_bytes_max = "64MiB"
batch_count = 50
retry_schedule = "50ms"
[[channel]]
name = "aged"
type = "webhook"
url = "{stuck}"
plain_http = true
expiry = "600ms"
queue_max = 100000
retry_schedule = "300ms"
attempt_timeout_ms = "400ms"
[[rule]]
name = "to-stuck"
source = "t"
channel = "stuck"
[[rule]]
name = "to-good"
source = "t"
channel = "good"
body = "{{{{n}}}}"
[[rule]]
name = "to-named"
source = "t"
channel = "good"
body = "{{{{n}}}}"
recipient_field = "to"
[rule.pattern]
kind = ["named"]
[[rule]]
name = "to-aged"
source = "t"
channel = "aged"
[rule.pattern]
kind = ["aged"]
"""


class Producers:
    """What was sent and acknowledged, counted by the senders themselves."""

    def __init__(self, engine, named_url):
        self.engine = engine
        self.named_url = named_url
        self.lock = threading.Lock()
        self.good = set()
        self.mqtt_sent = self.mqtt_acknowledged = 0
        self.mqtt_bad = self.http_bad = 0
        self.failures = []
        self.threads = [threading.Thread(target=self._guard, args=(self._mqtt, p))
                        for p in range(PRODUCERS)]
        self.threads += [threading.Thread(target=self._guard, args=(self._http, p))
                         for p in range(HTTP_PRODUCERS)]

    def _guard(self, work, number):
        try:
            work(number)
        except Exception as error:  # pylint: disable=broad-except
            with self.lock:
                self.failures.append(f"{work.__name__}({number}): {error!r}")

    def payload(self, name, n):
        value = {"n": name}
        if n % 7 == 0:
            value["kind"] = "aged"
        elif n % 5 == 0:
            # Twice the same, none at all, or something that is no recipient.
            value["kind"] = "named"
            value["to"] = ([self.named_url, self.named_url], [], 17, self.named_url)[n // 5 % 4]
        return value

    def _mqtt(self, producer):
        client = MqttClient(self.engine.mqtt, f"producer-{producer}", WINDOW)
        bad = 0
        good = set()
        for n in range(PER_PRODUCER):
            name = f"m{producer}-{n}"
            # One of ten is not JSON, one has a topic that no source takes.
            if n % 10 == 3:
                done = client.publish("t/x", b'{"n": broken')
                bad += 1
            elif n % 10 == 8:
                done = client.publish("elsewhere/x", b'{"n":1}')
                bad += 1
            else:
                done = client.publish("t/x", json.dumps(self.payload(name, n)).encode())
                good.add(name)
            if not done:
                raise AssertionError(f"publish {n} failed")
        if not client.wait_acknowledged(40):
            raise AssertionError(f"{client.acknowledged} of {client.sent} acknowledged")
        with self.lock:
            self.good |= good
            self.mqtt_sent += client.sent
            self.mqtt_acknowledged += client.acknowledged
            self.mqtt_bad += bad
        client.close()

    def _http(self, producer):
        connection = http.client.HTTPConnection("127.0.0.1", self.engine.http, timeout=40)
        for batch in range(HTTP_BATCHES):
            names, entries = [], []
            for n in range(HTTP_BATCH):
                names.append(f"h{producer}-{batch}-{n}")
                source = "unknown" if n % 10 == 5 else "t"
                entries.append({"event": source, "payload": self.payload(names[-1], n)})
            waiting = list(range(HTTP_BATCH))
            while waiting:
                connection.request("POST", "/api/events/batch",
                                   json.dumps([entries[i] for i in waiting]),
                                   {"Content-Type": "application/json"})
                reply = connection.getresponse()
                body = reply.read()
                if reply.status in (429, 503):
                    time.sleep(0.05)  # What the answer asks of a producer.
                    continue
                answers = json.loads(body)
                again = []
                for i, entry in zip(waiting, answers, strict=True):
                    if "id" in entry:
                        with self.lock:
                            self.good.add(names[i])
                    elif entry["error"]["status"] in (429, 503):
                        again.append(i)
                    else:
                        with self.lock:
                            self.http_bad += 1
                waiting = again
        connection.close()


def total(text, name, **labels):
    return int(metric(text, name, **labels) or 0)


class Accounting(Case):
    def channel_identity(self, text, channel):
        ends = sum(total(text, f"tocsin_notifications_{end}", channel=channel) for end in
                   ("sent_total", "dead_total", "cancelled_total", "expired_total", "pending"))
        self.assertEqual(total(text, "tocsin_notifications_created_total", channel=channel), ends,
                         f"created = sent + dead + cancelled + expired + pending of {channel}")

    def targets_identity(self, text):
        self.assertEqual(
            total(text, "tocsin_notification_targets_total"),
            total(text, "tocsin_notifications_routed_total")
            + total(text, "tocsin_notifications_suppressed_total")
            + total(text, "tocsin_notifications_merged_total"))

    def run_load(self, threads):
        bodies = {}
        lock = threading.Lock()

        def good(connection, request):
            data = json.loads(request.body)["data"]
            with lock:
                for item in data if isinstance(data, list) else [data]:
                    bodies.setdefault(item["rule"], []).append(item["body"])
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            return True

        stuck = WebhookPeer(lambda _c, _r: stuck.stopped.wait(60))
        self.addCleanup(stuck.close)
        peer = WebhookPeer(good)
        self.addCleanup(peer.close)
        named = peer.url(path="/named")
        listeners = LISTENERS.replace("[mqtt]", '[mqtt]\nunmatched_topics = "refuse"')
        config = CONFIG.format(loopback=LOOPBACK, listeners=listeners, stuck=stuck.url(),
                               good=peer.url())
        engine = self.start(config.replace("[server]", f"[server]\nthreads = {threads}"))
        producers = Producers(engine, named)
        for thread in producers.threads:
            thread.start()
        samples = 0
        outstanding = PRODUCERS * WINDOW + HTTP_PRODUCERS * HTTP_BATCH
        while any(thread.is_alive() for thread in producers.threads):
            text = engine.metrics()
            samples += 1
            in_flight = (total(text, "tocsin_events_received_total")
                         - total(text, "tocsin_events_refused_total")
                         - total(text, "tocsin_events_acknowledged_total"))
            self.assertLessEqual(in_flight, outstanding)
            if threads == 1:  # One thread writes and reads: a sample is a moment.
                self.assertGreaterEqual(in_flight, 0)
                self.targets_identity(text)
                for channel in ("stuck", "good", "aged"):
                    self.channel_identity(text, channel)
            time.sleep(0.005)
        self.assertEqual(producers.failures, [])
        self.assertGreater(samples, 3)
        self.drained(engine, producers)
        # By id: every accepted event has reached the good receiver once, or is a dead letter.
        self.assertEqual(engine.metric("tocsin_dead_letters_lost_total"), 0)
        ended = bodies["to-good"] + [letter["body"] for letter in dead_letters(self.data)
                                     if letter["rule"] == "to-good"]
        self.assertEqual(len(ended), len(set(ended)))
        self.assertEqual(set(ended), producers.good)

    def drained(self, engine, producers):
        wait_until(lambda: engine.metric("tocsin_events_evaluated_total") == len(producers.good)
                   and engine.metric("tocsin_notifications_pending") == 0, "everything has ended",
                   30)
        text = engine.metrics()
        refused = total(text, "tocsin_events_refused_total")
        received = total(text, "tocsin_events_received_total")
        stored = total(text, "tocsin_journal_appended_events_total")
        self.assertEqual(stored, len(producers.good))
        self.assertEqual(stored, total(text, "tocsin_events_acknowledged_total"))
        self.assertEqual(received, stored + refused, "received = stored + refused")
        self.assertEqual(producers.mqtt_sent, producers.mqtt_acknowledged)
        permanent = refused - total(text, "tocsin_events_refused_total", reason="capacity")
        self.assertEqual(permanent, producers.mqtt_bad + producers.http_bad)
        self.assertEqual(total(text, "tocsin_events_refused_total", reason="unknown_source")
                         + total(text, "tocsin_events_refused_total", reason="topic"),
                         producers.mqtt_bad // 2 + producers.http_bad)
        self.assertEqual(total(text, "tocsin_events_refused_total", reason="json_syntax"),
                         producers.mqtt_bad // 2)
        self.targets_identity(text)
        created = 0
        for channel in ("stuck", "good", "aged"):
            self.channel_identity(text, channel)
            self.assertEqual(total(text, "tocsin_notifications_pending", channel=channel), 0)
            created += total(text, "tocsin_notifications_created_total", channel=channel)
        self.assertEqual(created, total(text, "tocsin_notifications_routed_total"))
        self.assertEqual(total(text, "tocsin_notifications_created_total", channel="stuck"), stored)
        self.assertEqual(total(text, "tocsin_notifications_dead_total", channel="stuck"), stored)
        # Every kind of end has been seen, or the identities say little.
        self.assertGreater(total(text, "tocsin_notifications_dead_total", reason="overflow"), 0)
        self.assertGreater(total(text, "tocsin_notifications_dead_total", reason="exhausted"), 0)
        self.assertGreater(total(text, "tocsin_notifications_expired_total", channel="aged"), 0)
        self.assertGreater(total(text, "tocsin_notifications_merged_total"), 0)
        self.assertGreater(total(text, "tocsin_notifications_suppressed_total"), 0)
        self.assertEqual(total(text, "tocsin_notifications_pooled", state="used"), 0)
        dead = total(text, "tocsin_notifications_dead_total")

        def written():
            now = engine.metrics()
            return total(now, "tocsin_dead_letters_written_total") + total(
                now, "tocsin_dead_letters_lost_total") == dead

        wait_until(written, "dead letters are written or counted as lost")
        self.assertEqual(
            len(dead_letters(self.data)) + engine.metric("tocsin_dead_letters_dropped_total"),
            engine.metric("tocsin_dead_letters_written_total"))

    def test_one_thread(self):
        self.run_load(1)

    def test_several_threads(self):
        self.run_load(4)


if __name__ == "__main__":
    main()
