"""What every conformance test uses: `covers`, a client that watches the server, and one server for
each test class.

MQTT_TARGET=host:port runs the tests against another broker; classes and tests that need Tocsin's
own configuration are skipped then.
"""

import functools
import itertools
import os
import shutil
import socket
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))

import mqtt_wire as wire  # noqa: E402
from harness import TOCSIN, Tocsin, run_command  # noqa: E402,F401
from harness import Case as Processes  # noqa: E402,F401
from mqtt_wire import V3, V5  # noqa: E402

TARGET = os.environ.get("MQTT_TARGET")
# Only bounds how long a failure takes.
DEADLINE_S = float(os.environ.get("TOCSIN_E2E_DEADLINE_S", "5"))
SHOWN = {V3: "3.1.1", V5: "5.0"}

_numbers = itertools.count(1)


def covers(v3="", v5=""):
    """The statements that a test proves. It runs once for each version that has any."""
    ids = {V3: v3.split(), V5: v5.split()}

    def decorate(test):
        @functools.wraps(test)
        def run(self):
            for version in (found for found in (V3, V5) if ids[found]):
                with self.subTest(version=SHOWN[version]):
                    test(self, version)

        run.covers = ids
        return run

    return decorate


def tocsin_only(test):
    """For what another broker cannot be made to do with its configuration of MQTT_TARGET."""
    return unittest.skipIf(TARGET, "needs Tocsin")(test)


class Client:
    """One connection. What arrives is checked against everything that binds the server always:
    the limits this client announced, packet identifiers, DUP, topic aliases."""

    def __init__(self, address, version):
        self.version = version
        self.connack = None
        self._socket = socket.create_connection(address, DEADLINE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = self._socket.makefile("rb")
        self._inbox = []
        self._packet_ids = itertools.count(1)
        self._limits = {}
        self._terse = False
        self._aliases = {}
        self._inflight = set()

    def close(self):
        """Without DISCONNECT."""
        self._stream.close()
        self._socket.close()

    # ------------------------------------------------------------ sending

    def send(self, *packets):
        for packet in packets:
            kind = packet[0] >> 4
            if kind in (wire.PUBACK, wire.PUBCOMP) or (
                    kind == wire.PUBREC and len(packet) > 4 and packet[4] >= 0x80):
                self._inflight.discard(int.from_bytes(packet[2:4], "big"))
        try:
            self._socket.sendall(b"".join(packets))
        except (BrokenPipeError, ConnectionResetError):
            pass  # What the server said before it closed is still to be read.

    def send_connect(self, client_id="", **options):
        props = options.get("props", ())
        if not isinstance(props, bytes):
            self._limits = {identifier: value for identifier, value in props if value}
            self._terse = (wire.REQUEST_PROBLEM, 0) in props
        self.send(wire.connect(client_id, self.version, **options))
        return self

    def connect(self, client_id="", **options):
        """Returns the CONNACK, which must accept."""
        self.send_connect(client_id, **options)
        self.connack = self.receive()
        if (self.connack.kind, self.connack.reason) != (wire.CONNACK, 0):
            raise AssertionError(f"not accepted: {self.connack}")
        return self.connack

    def next_id(self):
        return next(self._packet_ids)

    def subscribe(self, topic, qos=0, options=0, props=()):
        """Returns the reason code of the SUBACK."""
        packet_id = self.next_id()
        self.send(wire.subscribe(packet_id, (topic, qos | options), props=props,
                                 version=self.version))
        answer = self.expect(wire.SUBACK)
        assert answer.packet_id == packet_id and len(answer.reasons) == 1, answer
        return answer.reasons[0]

    def unsubscribe(self, *topics):
        """Returns the UNSUBACK."""
        packet_id = self.next_id()
        self.send(wire.unsubscribe(packet_id, *topics, version=self.version))
        answer = self.expect(wire.UNSUBACK)
        assert answer.packet_id == packet_id, answer
        return answer

    def send_publish(self, topic, payload=b"", qos=0, packet_id=None, **options):
        """Returns the packet identifier."""
        if qos and packet_id is None:
            packet_id = self.next_id()
        self.send(wire.publish(topic, payload, qos, packet_id, version=self.version, **options))
        return packet_id

    def publish(self, topic, payload=b"", qos=1, **options):
        """Publishes and waits for the end of the exchange. Returns the first reason code."""
        packet_id = self.send_publish(topic, payload, qos, **options)
        if not qos:
            return None
        answer = self.expect(wire.PUBREC if qos == 2 else wire.PUBACK)
        assert answer.packet_id == packet_id, answer
        if qos == 2 and answer.reason < 0x80:
            self.send_ack(wire.PUBREL, packet_id)
            done = self.expect(wire.PUBCOMP)
            assert done.packet_id == packet_id, done
        return answer.reason

    def send_ack(self, kind, packet_id, reason=None):
        self.send(wire.ack(kind, packet_id, reason, version=self.version))

    def acknowledge(self, message):
        """The whole exchange for a PUBLISH that arrived."""
        if message.qos == 1:
            self.send_ack(wire.PUBACK, message.packet_id)
        elif message.qos == 2:
            self.send_ack(wire.PUBREC, message.packet_id)
            assert self.expect(wire.PUBREL).packet_id == message.packet_id
            self.send_ack(wire.PUBCOMP, message.packet_id)
        return message

    def disconnect(self, reason=None, props=None):
        """DISCONNECT, and until the server has closed: it has done what it does then."""
        self.send(wire.disconnect(reason, props))
        self.closed()

    # ------------------------------------------------------------ receiving

    def _read(self):
        """The next packet, or None at the end of the connection."""
        try:
            frame = wire.read_frame(self._stream)
        except TimeoutError:
            raise AssertionError(
                f"nothing within {DEADLINE_S:g} s; before: {self._inbox}") from None
        if frame is None:
            return None
        first, body = frame
        size = 1 + len(wire.variable_integer(len(body))) + len(body)
        packet = wire.Packet(first, body, self.version, size)
        if self.version == V5:
            self._check_limits(packet)
        if packet.kind == wire.PUBLISH:
            self._check_publish(packet)
        return packet

    def _check_limits(self, packet):
        size_max = self._limits.get(wire.PACKET_SIZE_MAXIMUM)
        assert size_max is None or packet.size <= size_max, f"{packet.size} bytes: {packet}"
        if self._terse and packet.kind not in (
                wire.PUBLISH, wire.CONNACK, wire.DISCONNECT):
            assert not packet.props, f"problem information unasked: {packet}"

    def _check_publish(self, packet):
        alias = packet.get(wire.TOPIC_ALIAS)
        if alias is not None:
            assert 0 < alias <= self._limits.get(wire.ALIAS_MAXIMUM, 0), packet
            if packet.topic:
                self._aliases[alias] = packet.topic
            packet.topic = self._aliases.get(alias, "")
        assert packet.topic, f"no topic: {packet}"
        if packet.qos:
            resumed = self.connack is not None and self.connack.session_present
            assert packet.packet_id not in self._inflight, f"identifier in use: {packet}"
            assert resumed or not packet.dup, f"DUP without a resumed session: {packet}"
            self._inflight.add(packet.packet_id)
            quota = self._limits.get(wire.RECEIVE_MAXIMUM, 65535)
            assert len(self._inflight) <= quota, f"more than {quota} at once: {packet}"

    def receive(self):
        """The next packet, in the order of arrival."""
        packet = self._inbox.pop(0) if self._inbox else self._read()
        if packet is None:
            raise AssertionError("the server closed the connection")
        return packet

    def expect(self, kind):
        """The next packet of a type; others stay for later."""
        for at, packet in enumerate(self._inbox):
            if packet.kind == kind:
                return self._inbox.pop(at)
        while True:
            packet = self._read()
            if packet is None or (packet.kind == wire.DISCONNECT and kind != wire.DISCONNECT):
                raise AssertionError(f"closed ({packet}) instead of {wire.NAMES[kind]}; "
                                     f"before: {self._inbox}")
            if packet.kind == kind:
                return packet
            self._inbox.append(packet)

    def message(self, ack=True):
        """The next PUBLISH, acknowledged."""
        message = self.expect(wire.PUBLISH)
        return self.acknowledge(message) if ack else message

    def ping(self):
        """Everything that arrived before the answer to a PINGREQ."""
        self.send(wire.PING)
        self.expect(wire.PINGRESP)
        return self._inbox

    def closed(self, *reasons):
        """Until the server has closed. Over 5.0 it must have said one of `reasons`, if given."""
        said = None
        while True:
            packet = self._inbox.pop(0) if self._inbox else self._read()
            if packet is None:
                break
            assert said is None, f"{packet} after {said}"
            if packet.kind in (wire.DISCONNECT, wire.CONNACK):
                said = packet
        if reasons and self.version == V5:
            assert said is not None and said.kind == wire.DISCONNECT, f"closed with {said}"
            assert said.reason in reasons, f"closed with {said}, not {[hex(r) for r in reasons]}"
        return said

    def refused(self, *reasons):
        """Closed in answer to CONNECT: without a word, or with a CONNACK with one of `reasons`."""
        said = self._read()
        if said is None:
            return None
        assert said.kind == wire.CONNACK, f"{said} instead of CONNACK"
        assert said.reason in reasons, f"refused with {said}, not {[hex(r) for r in reasons]}"
        assert not said.session_present, said
        more = self._read()
        assert more is None, f"{more} after a refusal"
        return said


class Case(unittest.TestCase):
    """Tests that share one server. `mqtt_options` are lines of [mqtt], `config` further tables."""

    mqtt_options = ""
    threads = 1
    config = ""

    @classmethod
    def setUpClass(cls):
        cls.server = None
        cls.failed = False
        if TARGET:
            if cls.mqtt_options or cls.config:
                raise unittest.SkipTest("needs Tocsin")
            host, port = TARGET.rsplit(":", 1)
            cls.address = (host, int(port))
            return
        cls.directory = tempfile.mkdtemp(prefix="tocsin-conformance-")
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        path = os.path.join(cls.directory, "tocsin.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"[server]\nthreads = {cls.threads}\n[http]\nlisten = []\n[mqtt]\n"
                       f'listen = "127.0.0.1:0"\n{cls.mqtt_options}\n{cls.config}\n')
        cls.server = Tocsin(path, os.path.join(cls.directory, "data"))
        cls.addClassCleanup(cls._end)
        cls.address = ("127.0.0.1", cls.server.wait_started().mqtt)

    @classmethod
    def _end(cls):
        alive = cls.server.running()
        cls.server.close()
        if cls.failed or not alive:
            print(cls.server.transcript(), file=sys.stderr)
        assert alive, "the server did not survive"

    def run(self, result=None):
        count = len(result.failures) + len(result.errors)
        super().run(result)
        type(self).failed |= len(result.failures) + len(result.errors) > count

    @staticmethod
    def name():
        """A client identifier of its own."""
        return f"conformance{next(_numbers)}x{os.getpid()}"[:23]

    @staticmethod
    def topic(*levels):
        """A topic of its own, with these levels below."""
        return "/".join((f"conformance/{os.getpid()}/{next(_numbers)}",) + levels)

    def dial(self, version):
        """A connection on which nothing was sent."""
        client = Client(self.address, version)
        self.addCleanup(client.close)
        return client

    def client(self, version, client_id=None, **options):
        """A connected client."""
        client = self.dial(version)
        client.connect(self.name() if client_id is None else client_id, **options)
        return client

    def keeper(self, version, client_id, clean=False, props=(), **options):
        """A connected client whose session outlives its connection."""
        return self.client(version, client_id, clean=clean,
                           props=((wire.SESSION_EXPIRY, 600), *props), **options)

    def before_mark(self, publisher, subscriber, qos=1):
        """What reached the subscriber, acknowledged, before a message that the publisher sends
        now: so what the publisher had done before that and has not arrived never will."""
        mark = self.topic("mark")
        subscriber.subscribe(mark, 0)
        publisher.publish(mark, b"mark", qos)
        found = []
        while (message := subscriber.expect(wire.PUBLISH)).topic != mark:
            found.append(subscriber.acknowledge(message))
        return found

    def no_message(self, publisher, subscriber, qos=1):
        self.assertEqual([], self.before_mark(publisher, subscriber, qos))


def main():
    unittest.main(verbosity=2)
