"""From starting the process to its first acknowledged event."""

import os
import socket
import sys
import time

import peers
from processes import Server, free_port

ROUNDS = 7
# CONNECT (3.1.1, clean session, no keep-alive, client "s") and, without waiting for the answer, a
# PUBLISH with QoS 1 and packet identifier 1.
CONNECT = bytes([0x10, 13, 0, 4]) + b"MQTT" + bytes([4, 2, 0, 0, 0, 1]) + b"s"
TOPIC = b"devices/s/telemetry"
BODY = b'{"temperature":1}'
PUBLISH = (bytes([0x32, 2 + len(TOPIC) + 2 + len(BODY), 0, len(TOPIC)]) + TOPIC + b"\0\1" + BODY)
ANSWER = bytes([0x20, 2, 0, 0, 0x40, 2, 0, 1])


def first_acknowledgement(port, deadline_s=20):
    deadline = time.monotonic() + deadline_s
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as peer:
                peer.sendall(CONNECT + PUBLISH)
                got = b""
                while len(got) < len(ANSWER):
                    more = peer.recv(64)
                    if not more:
                        break
                    got += more
                if got == ANSWER:
                    return
        except OSError:
            pass
        time.sleep(0.0002)
    raise RuntimeError("no acknowledgement")


def one(name, command, port, core, directory):
    before = time.monotonic()
    server = Server(name, command, core, directory)
    try:
        first_acknowledgement(port)
        return (time.monotonic() - before) * 1e3
    finally:
        server.stop()


def command_of(key, binary, directory, number):
    """The command that starts the peer on a fresh directory, and its port."""
    port = free_port()
    if key == "mosquitto":
        config = peers.write(directory, "start.conf", peers.MOSQUITTO.format(port=port))
        return [peers.find("mosquitto"), "-c", config], port
    fresh = os.path.join(directory, f"start-{key}-{number}")
    if key == "nats":
        config = peers.write(directory, "start-nats.conf", peers.NATS.format(
            port=port, client_port=free_port(), directory=fresh))
        return [peers.find("nats-server"), "-c", config], port
    text = peers.tocsin_config(binary, "stored", fresh, ports={"http": free_port(), "mqtt": port})
    return [binary, "run", "--config", peers.write(directory, "start.toml", text)], port


def run(binary, cores, keys, directory):
    """{peer: [milliseconds a round]}, in turns; Tocsin acknowledges at level stored."""
    found = {}
    for number in range(ROUNDS):
        for key in keys:
            print(f"start {number + 1}/{ROUNDS}: {key}", file=sys.stderr)
            command, port = command_of(key, binary, directory, number)
            found.setdefault(key, []).append(one(f"start-{key}", command, port, cores[0], directory))
    return found
