"""Tocsin as a client of other brokers: its subscriptions and its mqtt channels, seen by a broker
that the test plays."""

import socket
import unittest

import mqtt_wire as wire
from mqtt_wire import V3, V5
from support import DEADLINE_S, SHOWN, TARGET, Processes, covers, main

SUBSCRIPTION = """
[[subscription]]
name = "in"
broker = "mqtt://127.0.0.1:{port}"
topics = ["in/+/a", "in/b/#"]
protocol = "{version}"
keep_alive_s = 5
reconnect_min_ms = "20ms"
reconnect_max_ms = "50ms"
[[source]]
name = "known"
topic = "in/{{x}}/a"
"""

PRINTED = """
[[channel]]
name = "console"
type = "log"
[[rule]]
name = "seen"
channel = "console"
body = "n={{{{n}}}} "
"""

CHANNEL = """
[[source]]
name = "known"
[[channel]]
name = "out"
type = "mqtt"
broker = "mqtt://127.0.0.1:{port}"
topic = "out/{{recipient}}"
protocol = "{version}"
keep_alive_s = 5
reconnect_min_ms = "20ms"
reconnect_max_ms = "50ms"
retry_schedule = "100ms"
retry_jitter = false
attempts_max = 50
attempt_timeout_ms = "60s"
[[rule]]
name = "out"
channel = "out"
recipients = ["r"]
body = "{{{{n}}}}"
"""


class FromClient:
    """A packet of a client, parsed strictly."""

    def __init__(self, first, body, version):
        self.kind, self.flags, self.body = first >> 4, first & 15, body
        self.dup, self.qos, self.retain = bool(first & 8), first >> 1 & 3, bool(first & 1)
        self.packet_id, self.props, self.filters = None, [], []
        read = wire.Reader(body)
        if self.kind == wire.CONNECT:
            self._connect(read)
        elif self.kind == wire.PUBLISH:
            self.topic = read.text()
            self.packet_id = read.two() if self.qos else None
            self.props = read.properties() if version == V5 else []
            self.payload = read.take(read.left())
        elif self.kind in (wire.SUBSCRIBE, wire.UNSUBSCRIBE):
            self.packet_id = read.two()
            self.props = read.properties() if version == V5 else []
            while read.left():
                topic = read.text()
                self.filters.append((topic, read.byte() if self.kind == wire.SUBSCRIBE else None))
        elif self.kind in (wire.PUBACK, wire.PUBREC, wire.PUBREL, wire.PUBCOMP):
            self.packet_id = read.two()
            self.reason = read.byte() if read.left() else 0
            self.props = read.properties() if read.left() else []
        elif self.kind == wire.DISCONNECT:
            self.reason = read.byte() if read.left() else 0
            self.props = read.properties() if read.left() else []
        if read.left():
            raise wire.WireError(f"{read.left()} bytes behind {self}")
        if self.packet_id == 0:
            raise wire.WireError(f"packet identifier 0: {self}")
        if self.kind != wire.PUBLISH and self.flags != wire.FIXED_FLAGS.get(self.kind, 0):
            raise wire.WireError(f"flags {self.flags:#x}: {self}")

    def __repr__(self):
        return f"{wire.NAMES[self.kind]}{vars(self)}"

    def _connect(self, read):
        self.name, self.level, self.connect_flags = read.text(), read.byte(), read.byte()
        self.keep_alive = read.two()
        self.props = read.properties() if self.level == 5 else []
        self.client_id, self.user, self.password = read.text(), None, None
        if self.connect_flags & 4:
            if self.level == 5:
                read.properties()
            self.will = (read.text(), read.binary())
        if self.connect_flags & 128:
            self.user = read.text()
        if self.connect_flags & 64:
            self.password = read.binary()


class Peer:
    """The broker's end of one connection."""

    def __init__(self, connection, version):
        self._socket, self._version = connection, version
        connection.settimeout(DEADLINE_S)
        self._stream = connection.makefile("rb")

    def close(self):
        self._stream.close()
        self._socket.close()

    def deadline(self, seconds):
        self._socket.settimeout(seconds)

    def send(self, *packets):
        self._socket.sendall(b"".join(packets))

    def receive(self):
        """The next packet, or None at the end of the connection."""
        frame = wire.read_frame(self._stream)
        return frame and FromClient(*frame, self._version)

    def next(self, kind):
        """The next packet, of this type; a PINGREQ in between is answered."""
        while (packet := self.receive()) is not None and packet.kind == wire.PINGREQ != kind:
            self.send(wire.packet(wire.PINGRESP))
        assert packet is not None and packet.kind == kind, f"{packet}, not {wire.NAMES[kind]}"
        return packet

    def accept(self, props=(), session_present=False):
        """Reads the CONNECT and accepts it."""
        connect = self.next(wire.CONNECT)
        self.send(wire.packet(wire.CONNACK, bytes([session_present, 0]) +
                              wire.properties(props, self._version)))
        return connect

    def grant(self):
        """Reads the SUBSCRIBEs of all filters and grants what they ask for."""
        asked = []
        while len(asked) < 2:
            subscribe = self.next(wire.SUBSCRIBE)
            asked += subscribe.filters
            self.send(wire.packet(wire.SUBACK, subscribe.packet_id.to_bytes(2, "big") +
                                  wire.properties((), self._version) +
                                  bytes(options & 3 for _, options in subscribe.filters)))
        return asked


@unittest.skipIf(TARGET, "needs Tocsin")
class ClientCase(Processes):
    def listen(self):
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(DEADLINE_S * 2)
        self.addCleanup(listener.close)
        return listener

    def run_against(self, listener, config, version):
        port = listener.getsockname()[1]
        settings = config.format(port=port, version=SHOWN[version].removesuffix(".0"))
        self.tocsin = self.start("[server]\nthreads = 1\n[http]\nlisten = '127.0.0.1:0'\n"
                                 f"[mqtt]\nlisten = []\n{settings}", self.path(f"data-{port}"))
        return self.tocsin

    def peer(self, listener, version):
        connection, _ = listener.accept()
        peer = Peer(connection, version)
        self.addCleanup(peer.close)
        return peer


class Subscribing(ClientCase):
    # Goal: CONNECT first and well-formed, then SUBSCRIBE for every filter; each message is
    # acknowledged in the order in which it came, also one that no source takes; on the way out
    # DISCONNECT, then nothing.
    @covers(v3="MQTT-3.1.0-1 MQTT-2.3.1-1 MQTT-2.3.1-2 MQTT-3.8.1-1 MQTT-3.8.3-3 MQTT-4.5.0-2 "
               "MQTT-4.6.0-2 MQTT-3.14.4-1 MQTT-3.14.4-2 MQTT-7.0.0-1 MQTT-7.1.2-1 MQTT-4.3.2-2",
            v5="MQTT-3.1.0-1 MQTT-2.2.1-3 MQTT-3.8.1-1 MQTT-3.8.3-2 MQTT-4.5.0-2 MQTT-4.6.0-2 "
               "MQTT-3.14.4-1 MQTT-3.14.4-2 MQTT-4.3.2-4 MQTT-4.12.0-7 MQTT-3.1.2-30")
    def test_conversation(self, version):
        listener = self.listen()
        tocsin = self.run_against(listener, SUBSCRIPTION, version)
        peer = self.peer(listener, version)
        connect = peer.accept()
        self.assertEqual(("MQTT", wire.LEVEL[version], "tocsin-in"),
                         (connect.name, connect.level, connect.client_id))
        self.assertEqual(0, connect.connect_flags & ~2)
        self.assertNotIn(wire.AUTH_METHOD, dict(connect.props))
        asked = peer.grant()
        self.assertEqual(["in/+/a", "in/b/#"], [topic for topic, _ in asked])
        sent = [(5, "in/1/a", b'{"n":1}'), (1, "in/b/none", b"{}"), (9, "in/2/a", b"not json"),
                (65535, "in/3/a", b'{"n":2}'), (1, "in/4/a", b'{"n":3}')]
        for packet_id, topic, payload in sent:
            peer.send(wire.publish(topic, payload, 1, packet_id, version=version))
            if packet_id == 9:  # Some at once, and one whose identifier is free again.
                for expected in (5, 1, 9):
                    self.assertEqual(expected, peer.next(wire.PUBACK).packet_id)
        for expected in (65535, 1):
            self.assertEqual(expected, peer.next(wire.PUBACK).packet_id)
        self.assertEqual(0, tocsin.stop())
        peer.next(wire.DISCONNECT)
        self.assertIsNone(peer.receive())

    def begin_qos2(self, version):
        """(Tocsin that prints what it got, the listener)"""
        listener = self.listen()
        config = SUBSCRIPTION.replace("protocol =", "qos = 2\nprotocol =") + PRINTED
        return self.run_against(listener, config, version), listener

    # Goal: QoS 2 is received exactly once, and answered in order, also when PUBREL comes in
    # another one.
    @covers(v3="MQTT-4.3.3-2 MQTT-4.6.0-3 MQTT-2.3.1-6",
            v5="MQTT-4.3.3-8 MQTT-4.3.3-10 MQTT-4.3.3-11 MQTT-4.3.3-12 MQTT-4.6.0-3 MQTT-2.2.1-5")
    def test_qos2(self, version):
        tocsin, listener = self.begin_qos2(version)
        peer = self.peer(listener, version)
        peer.accept()
        peer.grant()
        ids = (7, 3, 5)
        for dup in (False, True):
            for packet_id in ids:
                peer.send(wire.publish("in/1/a", f'{{"n":{packet_id}}}', 2, packet_id, dup,
                                       version=version))
            for packet_id in ids:
                self.assertEqual(packet_id, peer.next(wire.PUBREC).packet_id)
        for packet_id in reversed(ids):
            peer.send(wire.ack(wire.PUBREL, packet_id, version=version))
            self.assertEqual(packet_id, peer.next(wire.PUBCOMP).packet_id)
        peer.send(wire.publish("in/1/a", '{"n":99}', 2, 7, version=version))
        self.assertEqual(7, peer.next(wire.PUBREC).packet_id)
        tocsin.wait_line("n=99 ")
        self.assertEqual(4, len(tocsin.matching(r"n=\d+ ")))

    # Goal: a broker that still has the session sends again what was not completed, and it counts
    # once; a broker that has forgotten it begins anew, and so do we.
    @covers(v3="MQTT-4.3.3-2 MQTT-4.1.0-1", v5="MQTT-3.2.2-5 MQTT-4.3.3-10 MQTT-4.1.0-1")
    def test_qos2_over_reconnect(self, version):
        tocsin, listener = self.begin_qos2(version)
        for session_present, payload in ((False, '{"n":1}'), (True, '{"n":1}'), (False, '{"n":2}')):
            peer = self.peer(listener, version)
            peer.accept(session_present=session_present)
            peer.grant()
            peer.send(wire.publish("in/1/a", payload, 2, 9, session_present, version=version))
            self.assertEqual(9, peer.next(wire.PUBREC).packet_id)
            peer.close()
        tocsin.wait_line("n=2 ")
        self.assertEqual(2, len(tocsin.matching(r"n=\d+ ")))

    # Goal: a quiet connection is kept alive.
    @covers(v3="MQTT-3.1.2-23")
    def test_keep_alive(self, version):
        listener = self.listen()
        self.run_against(listener, SUBSCRIPTION, version)
        peer = self.peer(listener, version)
        self.assertEqual(5, peer.accept().keep_alive)
        peer.grant()
        peer.deadline(DEADLINE_S + 5)
        self.assertEqual(wire.PINGREQ, peer.receive().kind)

    # Goal: the broker's keep-alive counts where it names one.
    @covers(v5="MQTT-3.1.2-20 MQTT-3.1.2-21 MQTT-3.2.2-21")
    def test_server_keep_alive(self, version):
        listener = self.listen()
        self.run_against(listener, SUBSCRIPTION.replace("keep_alive_s = 5", "keep_alive_s = 600"),
                         version)
        peer = self.peer(listener, version)
        peer.accept(((wire.SERVER_KEEP_ALIVE, 1),))
        peer.grant()
        self.assertEqual(wire.PINGREQ, peer.receive().kind)

    # Goal: every alias within the client's own offer is understood.
    @covers(v5="MQTT-3.3.2-10 MQTT-3.3.2-7")
    def test_aliases(self, version):
        listener = self.listen()
        tocsin = self.run_against(listener, SUBSCRIPTION, version)
        for _ in range(2):
            peer = self.peer(listener, version)
            offer = dict(peer.accept().props).get(wire.ALIAS_MAXIMUM, 0)
            peer.grant()
            if offer:
                alias = ((wire.TOPIC_ALIAS, offer),)
                peer.send(wire.publish("in/1/a", b'{"n":1}', 1, 1, props=alias),
                          wire.publish("", b'{"n":2}', 1, 2, props=alias))
                self.assertEqual([0, 0], [peer.next(wire.PUBACK).reason for _ in range(2)])
            peer.close()
        tocsin.signal(9)

    # Goal: ill-formed text of a broker ends the connection.
    @covers(v3="MQTT-1.5.3-1 MQTT-1.5.3-2 MQTT-4.8.0-1", v5="MQTT-1.5.4-1 MQTT-1.5.4-2")
    def test_ill_formed(self, version):
        listener = self.listen()
        self.run_against(listener, SUBSCRIPTION, version)
        for topic in (b"in/\xff/a", b"in/\0/a"):
            peer = self.peer(listener, version)
            peer.accept()
            peer.grant()
            peer.send(wire.publish(topic, b"{}", 1, 1, version=version))
            while (packet := peer.receive()) is not None:
                self.assertEqual(wire.DISCONNECT, packet.kind)


class Publishing(ClientCase):
    def begin(self, version, props=(), events=6):
        """(Tocsin with these events on their way, the listener, its connected peer)"""
        listener = self.listen()
        tocsin = self.run_against(listener, CHANNEL, version)
        peer = self.peer(listener, version)
        self.connect = peer.accept(props)
        for n in range(events):
            status, _, _ = tocsin.post(f'{{"event":"known","payload":{{"n":{n}}}}}')
            self.assertEqual(202, status)
        return tocsin, listener, peer

    # Goal: what is published has identifiers that are free, and nothing that was not offered: no
    # RETAIN, no alias, no subscription identifier.
    @covers(v3="MQTT-2.3.1-2 MQTT-4.3.2-1 MQTT-3.3.2-1 MQTT-3.3.2-2",
            v5="MQTT-2.2.1-3 MQTT-4.3.2-1 MQTT-4.3.2-2 MQTT-3.2.2-14 MQTT-3.2.2-17 MQTT-3.2.2-18 "
               "MQTT-3.3.2-9 MQTT-3.3.4-6 MQTT-3.3.2-1 MQTT-3.3.2-2")
    def test_publish(self, version):
        _, _, peer = self.begin(version, ((wire.RETAIN_AVAILABLE, 0),))
        sent = [peer.next(wire.PUBLISH) for _ in range(6)]
        self.assertEqual({"out/r"}, {message.topic for message in sent})
        self.assertEqual(6, len({message.packet_id for message in sent}))
        self.assertEqual(sorted(b"%d" % n for n in range(6)), sorted(m.payload for m in sent))
        for message in sent:
            self.assertEqual((1, False, False), (message.qos, message.dup, message.retain))
            self.assertFalse({wire.TOPIC_ALIAS, wire.SUBSCRIPTION_ID} & set(dict(message.props)))

    # Goal: never more at once than the broker takes; pings go on meanwhile.
    @covers(v5="MQTT-3.3.4-7 MQTT-3.3.4-8 MQTT-4.9.0-1 MQTT-4.9.0-2 MQTT-4.9.0-3")
    def test_receive_maximum(self, version):
        _, _, peer = self.begin(version, ((wire.RECEIVE_MAXIMUM, 2),))
        peer.deadline(DEADLINE_S + 5)
        waiting = [peer.next(wire.PUBLISH).packet_id for _ in range(2)]
        # With nothing acknowledged the next thing that it says is that it is alive.
        self.assertEqual(wire.PINGREQ, peer.receive().kind)
        peer.send(wire.packet(wire.PINGRESP))
        for left in range(5, -1, -1):
            peer.send(wire.ack(wire.PUBACK, waiting.pop(0)))
            if left > len(waiting):
                waiting.append(peer.next(wire.PUBLISH).packet_id)

    # Goal: nothing above the QoS that the broker offers.
    @covers(v5="MQTT-3.2.2-11")
    def test_maximum_qos(self, version):
        _, _, peer = self.begin(version, ((wire.MAXIMUM_QOS, 0),), events=1)
        self.assertEqual(0, peer.next(wire.PUBLISH).qos)


if __name__ == "__main__":
    main()
