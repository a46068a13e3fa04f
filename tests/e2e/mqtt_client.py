"""Raw MQTT 5 peers: a client that sends what a test asks for, a broker that may never answer."""

import os
import socket
import struct
import sys
import threading

from harness import DEADLINE_S

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "conformance"))

from mqtt_wire import (CONNACK, CONNECT, DISCONNECT, PINGREQ, PINGRESP, PUBACK,  # noqa: E402,F401
                       PUBLISH, SUBACK, SUBSCRIBE, packet, read_packet, text)


def publish_packet(topic, payload, qos=1, packet_id=1, flags=0):
    identifier = struct.pack(">H", packet_id) if qos else b""
    return packet(PUBLISH, text(topic) + identifier + b"\0" + payload, qos << 1 | flags)


class RawClient:
    def __init__(self, port, client_id="raw", connect=True):
        self._socket = socket.create_connection(("127.0.0.1", port), DEADLINE_S)
        self._socket.settimeout(DEADLINE_S)
        self._stream = self._socket.makefile("rb")
        if connect:
            self.send(packet(CONNECT, text("MQTT") + b"\x05\x02" + struct.pack(">H", 60) + b"\0" +
                             text(client_id)))
            kind, body = self.receive()
            assert (kind, body[1]) == (CONNACK, 0), (kind, body)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stream.close()
        self._socket.close()

    def send(self, data):
        self._socket.sendall(data)

    def receive(self):
        """(type, body), or None when the server has closed the connection."""
        return read_packet(self._stream)

    def publish(self, topic, payload, packet_id=1):
        """Publishes with QoS 1; returns the reason code of the PUBACK."""
        self.send(publish_packet(topic, payload, 1, packet_id))
        kind, body = self.receive()
        assert kind == PUBACK and struct.unpack(">H", body[:2])[0] == packet_id, (kind, body)
        return body[2] if len(body) > 2 else 0

    def subscribe(self, topic, qos=1, packet_id=9):
        """Returns the reason code of the SUBACK."""
        self.send(packet(SUBSCRIBE, struct.pack(">H", packet_id) + b"\0" + text(topic) +
                         bytes([qos]), 2))
        kind, body = self.receive()
        assert kind == SUBACK, (kind, body)
        return body[-1]


class StandInBroker:
    """Accepts one connection at a time, keeps what is published, acknowledges only if told to."""

    def __init__(self, acknowledge):
        self.acknowledge = acknowledge
        self.subscribe_reason = 1  # What SUBACK says: the granted QoS, or from 0x80 on no.
        self.subscribes = 0
        self.published = []  # Bodies of PUBLISH packets.
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        self._listener.close()

    def _serve(self):
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with peer, peer.makefile("rb") as stream:
                try:
                    while (received := read_packet(stream)) is not None:
                        self._answer(peer, *received)
                except OSError:
                    pass

    def _answer(self, peer, kind, body):
        if kind == CONNECT:
            peer.sendall(packet(CONNACK, b"\0\0\0"))
        elif kind == PINGREQ:
            peer.sendall(packet(PINGRESP, b""))
        elif kind == SUBSCRIBE:
            self.subscribes += 1
            peer.sendall(packet(SUBACK, body[:2] + b"\0" + bytes([self.subscribe_reason])))
        elif kind == PUBLISH:
            self.published.append(body)
            if self.acknowledge:
                at = 2 + struct.unpack(">H", body[:2])[0]
                peer.sendall(packet(PUBACK, body[at:at + 2]))
