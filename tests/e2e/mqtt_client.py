"""A raw MQTT 5 client: sends the bytes a test asks for and shows what comes back."""

import socket
import struct

from harness import DEADLINE_S

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK = 1, 2, 3, 4, 8, 9
PINGREQ, PINGRESP, DISCONNECT = 12, 13, 14


def variable_integer(value):
    out = b""
    while True:
        value, low = value >> 7, value & 0x7F
        out += bytes([low | (0x80 if value else 0)])
        if not value:
            return out


def packet(kind, body, flags=0):
    return bytes([kind << 4 | flags]) + variable_integer(len(body)) + body


def text(value):
    value = value if isinstance(value, bytes) else value.encode()
    return struct.pack(">H", len(value)) + value


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
        try:
            first = self._stream.read(1)
        except ConnectionResetError:
            return None
        if not first:
            return None
        length = shift = 0
        while True:
            byte = self._stream.read(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return first[0] >> 4, self._stream.read(length)

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
