"""A subscription to an existing broker acknowledges what is stored: nothing that the broker has
accepted is lost, whoever is restarted."""

import re
import signal
import struct
import threading

from harness import Broker, Case, LISTENERS, main, publish, wait_until
from mqtt_client import (CONNECT, PUBACK, SUBSCRIBE, RawClient, StandInBroker, publish_packet,
                         text)


def config(port, more=""):
    """Every number below t/ becomes a line on standard output."""
    return f"""
[server]
threads = 1
{LISTENERS}
[[subscription]]
name = "in"
broker = "mqtt://127.0.0.1:{port}"
topics = ["t/#"]
reconnect_min_ms = "20ms"
reconnect_max_ms = "100ms"
{more}
[[source]]
name = "numbers"
topic = "t/{{line}}"
[[channel]]
name = "console"
type = "log"
[[rule]]
name = "seen"
source = "numbers"
channel = "console"
body = "number {{{{n}}}} end"
"""


# A session may hold any number of messages; every change is written, not only every half hour.
DURABLE = """allow_anonymous true
user root
persistence true
persistence_location {}/
autosave_on_changes true
autosave_interval 1
max_queued_messages 0"""


class Publisher(threading.Thread):
    """Publishes ascending numbers with QoS 1, one at a time, through every restart of the broker.
    `acknowledged` are those that the broker has answered for."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self._port = port
        self._ended = threading.Event()
        self.acknowledged = []
        self.start()

    def run(self):
        number = 0
        while not self._ended.is_set():
            try:
                with RawClient(self._port, "publisher") as client:
                    while not self._ended.is_set():
                        number += 1
                        client.publish("t/a", b'{"n":%d}' % number, number % 60000 + 1)
                        self.acknowledged.append(number)
                        self._ended.wait(0.002)  # Lasts longer than what happens meanwhile.
            except (OSError, AssertionError, TypeError):
                self._ended.wait(0.02)

    def wait_more(self, count):
        enough = len(self.acknowledged) + count
        wait_until(lambda: len(self.acknowledged) >= enough, f"{enough} acknowledged publishes")

    def end(self):
        self._ended.set()
        self.join()
        return set(self.acknowledged)


class StoredCase(Case):
    def connected(self, tocsin, state=1):
        wait_until(lambda: tocsin.metric("tocsin_subscription_connected") == state,
                   f"subscription connected = {state}")

    @staticmethod
    def numbers(*processes):
        return [int(found[1]) for process in processes for line in list(process.out)
                if (found := re.search(r"number (\d+) end", line))]


class Restarts(StoredCase):
    def nothing_lost(self, more):
        broker = Broker(self, DURABLE.format(self.directory)).start()
        runs = [self.start(config(broker.port, more))]
        self.connected(runs[-1])
        publisher = Publisher(broker.port)

        def restart_broker():
            broker.process.signal(signal.SIGTERM)
            broker.process.wait()
            broker.start()

        for _ in range(2):
            # Killed in the middle of the stream, back at once.
            publisher.wait_more(100)
            runs[-1].kill()
            runs.append(self.start(config(broker.port, more)))
            # The broker goes and comes while we listen.
            publisher.wait_more(100)
            restart_broker()
            self.connected(runs[-1])
            publisher.wait_more(100)
            # Both: the broker comes back with what it has kept for us, and waits until we do.
            runs[-1].kill()
            publisher.wait_more(50)
            restart_broker()
            publisher.wait_more(50)
            runs.append(self.start(config(broker.port, more)))
        self.connected(runs[-1])
        acknowledged = publisher.end()
        self.assertGreaterEqual(len(acknowledged), 600)
        wait_until(lambda: not acknowledged - set(self.numbers(*runs)),
                   "every acknowledged number")
        wait_until(lambda: runs[-1].metric("tocsin_subscription_unacknowledged") == 0,
                   "every message acknowledged to the broker")
        self.assertEqual(0, runs[-1].stop())

    # Goal: each message that the broker acknowledged to its publisher becomes a notification,
    # although Tocsin is killed and the broker restarted again and again, together too.
    def test_qos_1(self):
        self.nothing_lost("")

    def test_qos_2_over_3_1_1(self):
        self.nothing_lost('qos = 2\nprotocol = "3.1.1"')

    # Goal: with QoS 2 and nobody dying every number comes exactly once.
    def test_qos_2_is_exactly_once(self):
        broker = Broker(self).start()
        tocsin = self.start(config(broker.port, "qos = 2\nreceive_maximum = 3"))
        self.connected(tocsin)
        for number in range(50):
            publish(broker.port, "t/a", f'{{"n":{number}}}', qos=2)
        wait_until(lambda: len(self.numbers(tocsin)) >= 50, "50 numbers")
        self.assertEqual(list(range(50)), sorted(self.numbers(tocsin)))

    # Goal: what was published while we were away comes later; what was not asked for any more is
    # acknowledged and dropped.
    def test_away(self):
        broker = Broker(self).start()
        first = self.start(config(broker.port).replace('["t/#"]', '["t/#", "old/#"]'))
        self.connected(first)
        self.assertEqual(0, first.stop())
        publish(broker.port, "old/a", '{"n":0}')
        for number in range(1, 11):
            publish(broker.port, "t/a", f'{{"n":{number}}}')
        second = self.start(config(broker.port))
        wait_until(lambda: len(self.numbers(second)) == 10, "what was kept")
        self.assertEqual(list(range(1, 11)), self.numbers(second))
        self.assertEqual(1, second.metric("tocsin_subscription_unwanted_total"))


class Scripted(StandInBroker):
    """A broker that publishes its messages after SUBACK and keeps the acknowledgements."""

    def __init__(self, *messages):
        self.connects = []
        self.acks = []
        self._messages = messages
        super().__init__(acknowledge=True)

    def _answer(self, peer, kind, body):
        super()._answer(peer, kind, body)
        if kind == CONNECT:
            self.connects.append(body)
        elif kind == PUBACK:
            self.acks.append(struct.unpack(">H", body[:2])[0])
        elif kind == SUBSCRIBE:
            for number, payload in enumerate(self._messages, 1):
                peer.sendall(publish_packet("t/a", payload, 1, number))


class Acknowledgements(StoredCase):
    # Goal: acknowledgements come in the order of the messages; what can never be stored (bad, too
    # large) is acknowledged and counted, or the broker would offer it for ever.
    def test_order(self):
        broker = Scripted(b'{"n":1}', b"no json", b"x" * 300_000, b'{"n":2}')
        self.addCleanup(broker.close)
        tocsin = self.start(config(broker.port))
        wait_until(lambda: len(broker.acks) == 4, "four acknowledgements")
        self.assertEqual([1, 2, 3, 4], broker.acks)
        wait_until(lambda: self.numbers(tocsin) == [1, 2], "two events")
        for reason in ("json_syntax", "too_large"):
            self.assertEqual(1, tocsin.metric("tocsin_subscription_refused_total", reason=reason))

    # Goal: the session survives us (clean start off, an expiry, the same client id) and says how
    # much may be under way.
    def test_connect(self):
        broker = Scripted()
        self.addCleanup(broker.close)
        tocsin = self.start(config(broker.port, "receive_maximum = 7\nsession_expiry_s = 3600"))
        self.connected(tocsin)
        body = broker.connects[0]
        self.assertEqual(text("MQTT") + b"\x05\x00", body[:8])
        self.assertIn(b"\x11" + struct.pack(">I", 3600) + b"\x21" + struct.pack(">H", 7), body)
        self.assertIn(text("tocsin-in"), body)


if __name__ == "__main__":
    main()
