"""Stopping, reloading, crashing: what was acknowledged is never lost."""

import glob
import os
import re
import signal
import threading
import time

from harness import Case, LISTENERS, main, wait_until
from mqtt_client import PUBACK, RawClient, StandInBroker, publish_packet

RULE = """
[[rule]]
name = "{name}"
source = "telemetry"
channel = "console"
body = "{text} {{{{n}}}}"
"""
# Small segments: a start reads the last one, and loads reach several.
# Room for a whole backlog: these tests count what is printed, and what overflows a lane is a dead
# letter instead.
SERVER = """[server]
threads = {threads}
memory_max = "1GiB"
"""
BASE = LISTENERS + """
[journal]
segment_size = "2MiB"
[[source]]
name = "telemetry"
topic = "devices/{device}/telemetry"
[[channel]]
name = "console"
type = "log"
queue_max = 1000000
"""
CONFIG = BASE + RULE.format(name="seen", text="number")
TOPIC = "devices/a/telemetry"


class Load:
    """Publishes numbers with QoS 1 until the connection ends and keeps the acknowledged ones."""

    WINDOW = 200

    def __init__(self, port, first, device):
        self.acknowledged = []
        self._client = RawClient(port, f"load-{device}")
        self._topic = f"devices/{device}/telemetry"
        self._first = first
        self._free = threading.Semaphore(self.WINDOW)
        self._numbers = {}
        self._ended = False
        self._threads = [threading.Thread(target=run, daemon=True)
                         for run in (self._send, self._receive)]
        for thread in self._threads:
            thread.start()

    def _send(self):
        for count in range(1_000_000):
            self._free.acquire()
            if self._ended:
                return
            packet_id = count % 60_000 + 1
            self._numbers[packet_id] = self._first + count
            try:
                self._client.send(publish_packet(self._topic, b'{"n":%d}' % (self._first + count),
                                                 1, packet_id))
            except OSError:
                return

    def _receive(self):
        while (received := self._client.receive()) is not None:
            kind, body = received
            if kind == PUBACK and (len(body) == 2 or body[2] < 0x80):
                self.acknowledged.append(self._numbers[body[0] << 8 | body[1]])
            self._free.release()
        self._ended = True
        self._free.release()

    def join(self):
        for thread in self._threads:
            thread.join(20)
        self._client.__exit__()


class LifeCase(Case):
    threads = 0

    def begin(self, config=CONFIG):
        return self.start(SERVER.format(threads=self.threads) + config)

    @staticmethod
    def numbers(*processes):
        text = "\n".join(line for process in processes for line in list(process.out))
        return {int(number) for number in re.findall(r"number (\d+) \(rule=seen", text)}

    def replay_all(self):
        """Starts as if nothing had ever been processed: every event of the journal is printed."""
        os.unlink(os.path.join(self.data, "cursor"))
        tocsin = self.begin()
        wait_until(lambda: tocsin.metric("tocsin_journal_replayed_events_total") ==
                   tocsin.metric("tocsin_journal_recovered_events_total")
                   and tocsin.metric("tocsin_ledger_unsettled_blocks") == 0, "the replay's end")
        return tocsin


class Stop(LifeCase):
    # Goal: SIGTERM under load: exit 0, and everything acknowledged was or will be delivered.
    def test_drain(self):
        first = self.begin()
        load = Load(first.mqtt, 0, "a")
        wait_until(lambda: len(load.acknowledged) > 500, "load")
        self.assertEqual(0, first.stop())
        load.join()
        second = self.begin()
        wait_until(lambda: set(load.acknowledged) <= self.numbers(first, second),
                   "every acknowledged event delivered")

    # Goal: a receiver that is away does not hold the end up beyond the drain timeout, the log says
    # what that means, and the notification is delivered after the next start.
    def test_receiver_away(self):
        broker = StandInBroker(acknowledge=False)
        self.addCleanup(broker.close)
        config = BASE.replace("[http]", 'drain_timeout_ms = "500ms"\n[http]', 1) + f"""
[[channel]]
name = "out"
type = "mqtt"
broker = "mqtt://127.0.0.1:{broker.port}"
retry_schedule = "200ms"
attempts_max = 100
[[rule]]
name = "tell"
source = "telemetry"
channel = "out"
body = "number {{{{n}}}}"
"""
        first = self.begin(config)
        self.assertEqual(0, first.publish(TOPIC, '{"n":41}'))
        wait_until(lambda: broker.published, "the first attempt")
        first.signal(signal.SIGTERM)
        self.assertEqual(0, first.wait(timeout_s=10))
        first.wait_line("warning .*begins again at the next start", first.err)
        broker.acknowledge = True
        second = self.begin(config)
        wait_until(lambda: second.metric("tocsin_notifications_sent_total", channel="out") == 1,
                   "the delivery after the restart")

    # Goal: a second signal does not wait for the drain: the exit code and one sentence say that
    # something was left, and the next start delivers it.
    def test_second_signal(self):
        broker = StandInBroker(acknowledge=False)
        self.addCleanup(broker.close)
        config = BASE.replace("[http]", 'drain_timeout_ms = "5m"\n[http]', 1) + f"""
[[channel]]
name = "out"
type = "mqtt"
broker = "mqtt://127.0.0.1:{broker.port}"
attempt_timeout_ms = "170s"
[[rule]]
name = "tell"
source = "telemetry"
channel = "out"
body = "number {{{{n}}}}"
"""
        for number, name in ((signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "SIGINT")):
            broker.published.clear()
            first = self.begin(config)
            self.assertEqual(0, first.publish(TOPIC, '{"n":41}'))
            wait_until(lambda: broker.published, "the first attempt")
            first.signal(signal.SIGTERM)
            first.wait_line("draining", first.err)
            first.signal(number)  # An echo of the first one.
            time.sleep(1.1)
            self.assertTrue(first.running())
            first.signal(number)
            self.assertEqual(1, first.wait())
            first.wait_line(f"error .*second {name}: [1-9][0-9]* notifications and "
                            "[1-9][0-9]* blocks of events are unfinished", first.err)
        broker.acknowledge = True
        second = self.begin(config)
        wait_until(lambda: second.metric("tocsin_notifications_sent_total", channel="out") == 2,
                   "the deliveries after the restart")

    # Goal: an idle process ends at once on SIGTERM and on SIGINT, also with open connections.
    def test_idle(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            tocsin = self.begin()
            client = RawClient(tocsin.mqtt)
            tocsin.signal(number)
            self.assertEqual(0, tocsin.wait(timeout_s=8))
            client.__exit__()


class Reload(LifeCase):
    def reload(self, tocsin, config, outcome):
        seen = len([line for line in tocsin.err if re.search(outcome, line)])
        self.write("tocsin.toml", SERVER.format(threads=self.threads) + config)
        tocsin.signal(signal.SIGHUP)
        tocsin.wait_line(outcome, tocsin.err, count=seen + 1)

    # Goal: a good file takes effect: new rule and channel, a removed rule, a new source; nothing
    # asks for a restart, connections stay open, what was sent before is not touched.
    def test_good(self):
        tocsin = self.begin()
        client = RawClient(tocsin.mqtt)
        self.addCleanup(client.__exit__)
        self.assertEqual(0, client.publish(TOPIC, b'{"n":1}', 1))
        tocsin.wait_line(r"number 1 \(rule=seen")
        changed = BASE + """
[[source]]
name = "doors"
topic = "doors/{door}"
[[channel]]
name = "other"
type = "log"
""" + RULE.format(name="fresh", text="new").replace('"console"', '"other"') + RULE.format(
            name="door", text="open").replace('"telemetry"', '"doors"')
        self.assertEqual(0, client.publish("doors/front", b'{"n":1}', 2), "no event yet")
        self.reload(tocsin, changed, "info reloaded")
        self.assertEqual(0, client.publish(TOPIC, b'{"n":2}', 3))
        self.assertEqual(0, client.publish("doors/front", b'{"n":3}', 4))
        tocsin.wait_line(r"new 2 \(rule=fresh")
        tocsin.wait_line(r"open 3 \(rule=door")
        self.assertEqual([], tocsin.matching(r"number 2"))
        self.assertEqual([], [line for line in tocsin.err if "restart" in line])
        self.assertEqual(0, tocsin.stop())

    # Goal: a bad file is refused with its place in the log, the old rules run on, and a later
    # good one is taken.
    def test_bad(self):
        tocsin = self.begin()
        for bad, words in ((CONFIG + "[[rule]\n", "tocsin.toml"),
                           (CONFIG + RULE.format(name="x", text="x").replace("console", "gone"),
                            "gone"),
                           (CONFIG.replace('"log"', '"pigeon"'), "channel")):
            self.reload(tocsin, bad, "error reload refused.*old configuration runs on")
            tocsin.wait_line(words, tocsin.err)
            tocsin.publish(TOPIC, '{"n":1}')
        tocsin.wait_line(r"number 1 \(rule=seen", count=3)
        self.reload(tocsin, CONFIG + RULE.format(name="x", text="fixed"), "info reloaded")
        tocsin.publish(TOPIC, '{"n":2}')
        tocsin.wait_line(r"fixed 2 \(rule=x")
        tocsin.wait_line(r"number 2 \(rule=seen")

    # Goal: what cannot change without a restart says so.
    def test_needs_restart(self):
        tocsin = self.begin()
        self.reload(tocsin, CONFIG.replace("[http]", "[http]\nconnections_max = 7"),
                    r"warning \[http\] has changed: that takes a restart")

    # Goal: reloading under load loses nothing.
    def test_under_load(self):
        tocsin = self.begin()
        load = Load(tocsin.mqtt, 0, "a")
        for count in range(5):
            wait_until(lambda: len(load.acknowledged) > 200 * (count + 1), "load")
            self.reload(tocsin, CONFIG + RULE.format(name=f"r{count}", text="x"), "info reloaded")
        self.assertEqual(0, tocsin.stop())
        load.join()
        after = self.begin()
        wait_until(lambda: set(load.acknowledged) <= self.numbers(tocsin, after),
                   "every acknowledged event delivered")


class Crash(LifeCase):
    # Goal: an event that was acknowledged but not delivered when the process was killed is
    # matched and delivered after the restart, with the same notification id.
    # Method: the receiver takes the first attempt, notes the id and never acknowledges.
    def test_same_notification(self):
        broker = StandInBroker(acknowledge=False)
        self.addCleanup(broker.close)
        config = BASE + f"""
[[channel]]
name = "out"
type = "mqtt"
broker = "mqtt://127.0.0.1:{broker.port}"
topic = "out/{{rule}}"
retry_schedule = "200ms"
attempts_max = 100
[[rule]]
name = "tell"
source = "telemetry"
channel = "out"
body = "number {{{{n}}}}"
"""
        first = self.begin(config)
        wait_until(lambda: any("connected" in line for line in first.err), "the connection")
        self.assertEqual(0, first.publish(TOPIC, '{"n":41}'))
        wait_until(lambda: broker.published, "the first attempt")
        first.kill()
        broker.acknowledge = True
        second = self.begin(config)
        wait_until(lambda: second.metric("tocsin_notifications_sent_total", channel="out") == 1,
                   "the delivery after the restart")
        uuid = rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
        ids = {re.search(uuid, body)[0] for body in broker.published}
        self.assertEqual(1, len(ids), broker.published)
        self.assertTrue(all(body.endswith(b"number 41") for body in broker.published))

    # Goal: what was delivered and settled is not delivered again.
    def test_settled(self):
        first = self.begin()
        for n in range(5):
            first.publish(TOPIC, f'{{"n":{n}}}')
        first.wait_line(r"number \d", count=5)
        wait_until(lambda: first.metric("tocsin_ledger_cursor") == 5, "the cursor")
        first.kill()
        second = self.begin()
        second.publish(TOPIC, '{"n":9}')
        second.wait_line("number 9")
        self.assertEqual({9}, self.numbers(second))

    # Goal: kill -9 under load, several times: every event acknowledged with QoS 1 is in the
    # journal afterwards, and was delivered.
    # Method: two clients count; at the end the whole journal is replayed and compared.
    def test_kill_under_load(self):
        acknowledged = set()
        runs = []
        for count in range(3):
            tocsin = self.begin()
            loads = [Load(tocsin.mqtt, count * 10_000_000 + device * 1_000_000, device)
                     for device in range(2)]
            wait_until(lambda: all(len(load.acknowledged) > 400 for load in loads), "load")
            tocsin.kill()
            for load in loads:
                load.join()
                acknowledged.update(load.acknowledged)
            runs.append(tocsin)
        runs.append(self.begin())
        wait_until(lambda: acknowledged <= self.numbers(*runs), "everything delivered")
        runs[-1].kill()
        last = self.replay_all()
        wait_until(lambda: acknowledged <= self.numbers(last), "everything in the journal")


class Damage(LifeCase):
    EVENTS = 20

    def fill(self):
        tocsin = self.begin()
        for n in range(self.EVENTS):
            self.assertEqual(0, tocsin.publish(TOPIC, f'{{"n":{n}}}'))
        tocsin.kill()
        segments = sorted(glob.glob(os.path.join(self.data, "journal", "*.seg")))
        self.assertTrue(segments)
        with open(segments[-1], "rb") as file:
            used = len(file.read().rstrip(b"\0"))
        return segments[-1], used

    # Goal: garbage behind the last block is cut; every event is there and new ones follow it.
    def test_garbage_behind(self):
        path, used = self.fill()
        with open(path, "r+b") as file:
            file.seek((used + 4095) // 4096 * 4096)
            file.write(os.urandom(10_000))
        self.check(set(range(self.EVENTS)))

    # Goal: bytes appended to the file.
    def test_appended(self):
        path, _ = self.fill()
        with open(path, "ab") as file:
            file.write(os.urandom(5_000))
        self.check(set(range(self.EVENTS)))

    # Goal: a file cut within its last block loses that block and no other.
    def test_truncated(self):
        path, used = self.fill()
        os.truncate(path, used - 3)
        self.check(set(range(self.EVENTS - 1)))

    # Goal: an empty, or garbage, cursor means that everything is processed again, nothing worse.
    def test_cursor(self):
        for content in (b"", b"garbage", os.urandom(4096)):
            self.data = self.path(f"data-{len(content)}")
            self.fill()
            with open(os.path.join(self.data, "cursor"), "wb") as file:
                file.write(content)
            tocsin = self.begin()
            wait_until(lambda: self.numbers(tocsin) == set(range(self.EVENTS)), "all again")
            self.assertEqual(0, tocsin.stop())

    def check(self, expected):
        tocsin = self.replay_all()
        wait_until(lambda: expected <= self.numbers(tocsin), "the events before the damage")
        self.assertEqual(expected, self.numbers(tocsin))
        tocsin.publish(TOPIC, '{"n":777}')
        tocsin.wait_line("number 777")
        self.assertEqual(0, tocsin.stop())
        again = self.replay_all()
        wait_until(lambda: expected | {777} == self.numbers(again), "all events, once more")


class CrashOneThread(Crash):
    threads = 1


class CrashTwoThreads(Crash):
    threads = 2


class CrashFourThreads(Crash):
    threads = 4


class StopOneThread(Stop):
    threads = 1


class StopTwoThreads(Stop):
    threads = 2


class StopFourThreads(Stop):
    threads = 4


if __name__ == "__main__":
    main()
