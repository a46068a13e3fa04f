"""Many idle MQTT clients behind TLS."""

import os
import socket
import ssl
import subprocess

from start_time import CONNECT


def make_certificate(directory):
    """A self-signed certificate for the loopback address: (certificate, key) as paths."""
    certificate, key = (os.path.join(directory, name) for name in ("tls.pem", "tls.key"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", certificate,
                    "-days", "2", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
    return certificate, key


class TlsCrowd:
    """`count` clients that are connected and silent while the context lives."""

    def __init__(self, address, certificate, count):
        self._address, self._count = address, count
        self._context = ssl.create_default_context(cafile=certificate)
        self._clients = []

    def __enter__(self):
        host, port = self._address.rsplit(":", 1)
        for number in range(self._count):
            plain = socket.create_connection((host, int(port)), 20)
            client = self._context.wrap_socket(plain, server_hostname="localhost")
            name = f"tls-{number}".encode()
            head = bytearray(CONNECT[:-3])
            head[1] = len(head) - 2 + 2 + len(name)
            client.sendall(bytes(head) + len(name).to_bytes(2, "big") + name)
            if client.recv(4)[:1] != b"\x20":
                raise RuntimeError("a TLS client was refused")
            self._clients.append(client)
        return self

    def __exit__(self, *_):
        for client in self._clients:
            client.close()
