"""Servers and clients that the webhook and load tests talk to, and the certificates they show."""

import json
import re
import select
import socket
import ssl
import struct
import subprocess
import threading
import time
from pathlib import Path

from harness import LISTENERS, wait_until


LOOPBACK = 'egress_allow = ["127.0.0.0/8", "::1/128"]'


def webhook_config(channel, server=LOOPBACK, rule="", extra=""):
    """One source `t`, one rule and one webhook channel; short retries unless `channel` says more."""
    defaults = {"retry_schedule": '"50ms,50ms"', "retry_jitter": "false",
                "attempt_timeout_ms": '"5s"'}
    given = {line.split("=")[0].strip() for line in channel.splitlines()}
    options = "\n".join(f"{k} = {v}" for k, v in defaults.items() if k not in given)
    return (f"[server]\n{server}\n{LISTENERS}\n"
            f'[[source]]\nname = "t"\ntopic = "t/#"\n'
            f'[[channel]]\nname = "hook"\ntype = "webhook"\n{options}\n{channel}\n'
            f'[[rule]]\nname = "r"\nsource = "t"\nchannel = "hook"\n{rule}\n{extra}\n')


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def dead_letters(data):
    """Parsed lines of the dead-letter files: one per reactor, and what was rotated."""
    return [json.loads(line) for path in sorted(Path(data).glob("dead-letters*.ndjson*"))
            for line in path.read_text().splitlines()]


class Certificates:
    """An authority of our own, a stranger's authority, and the certificates that they sign."""

    GOOD_NAMES = "DNS:localhost,IP:127.0.0.1"

    def __init__(self, directory):
        self.directory = Path(directory)
        self.ca = self._authority("ca")
        self.stranger = self._authority("stranger")

    def _authority(self, name):
        certificate, key = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", key, "-out", certificate, "-days", "2", "-subj", f"/CN=Test {name}",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        return certificate, key

    def issue(self, name, names=GOOD_NAMES, authority=None, dates=None, subject="localhost"):
        """Returns (certificate, key). `dates` are (start, end) as YYYYMMDDHHMMSSZ."""
        directory = self.directory / f"issue-{name}"
        directory.mkdir()
        ca_certificate, ca_key = authority or self.ca
        key, request = directory / "leaf.key", directory / "leaf.csr"
        certificate, extensions = directory / "leaf.pem", directory / "ca.cnf"
        (directory / "index.txt").write_text("")
        (directory / "serial").write_text("1000\n")
        extensions.write_text(
            "[ca]\ndefault_ca=own\n[own]\npolicy=any\ndefault_md=sha256\n"
            f"database={directory}/index.txt\nserial={directory}/serial\n"
            f"new_certs_dir={directory}\nx509_extensions=leaf\n"
            f"[any]\ncommonName=supplied\n[leaf]\nsubjectAltName={names}\n")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request,
                "-subj", f"/CN={subject}")
        period = ["-startdate", dates[0], "-enddate", dates[1]] if dates else ["-days", "1"]
        openssl("ca", "-batch", "-config", extensions, "-cert", ca_certificate, "-keyfile", ca_key,
                "-in", request, "-out", certificate, "-notext", *period)
        return certificate, key

    def self_signed(self, name):
        certificate, key = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out",
                certificate, "-days", "1", "-subj", "/CN=localhost", "-addext",
                f"subjectAltName={self.GOOD_NAMES}")
        return certificate, key


def server_context(pair):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    return context


class Request:
    """One request as the peer saw it."""

    def __init__(self, line, headers, body, connection):
        self.line = line
        self.headers = headers  # [(lower-case name, value)]
        self.body = body
        self.connection = connection  # Number of the connection, from 1.
        self.seen_at = time.monotonic()

    def header(self, name):
        values = [value for key, value in self.headers if key == name]
        assert len(values) <= 1, f"header {name} is repeated: {values}"
        return values[0] if values else None


def answer(status=200, headers=(), body=b"", reason="Any"):
    lines = [f"HTTP/1.1 {status} {reason}", *headers, f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class WebhookPeer:
    """An HTTP server whose every answer is a function: `script(connection, request)` sends what it
    likes on the socket-like `connection` and returns whether the connection is kept."""

    def __init__(self, script=None, tls=None, on_accept=None, receive_buffer=None, strict=False):
        self.script = script or (lambda connection, request: connection.sendall(answer()) or True)
        self.on_accept = on_accept
        self._tls = tls
        self._strict = strict  # An end without close_notify is an error of the connection.
        self.ended = 0  # Connections that the other side ended in order.
        self.lock = threading.Lock()
        self.requests = []
        self.accepted = 0
        self.handshake_errors = []
        self.stopped = threading.Event()
        self._open = set()
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if receive_buffer:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(256)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def url(self, host="localhost", path="/hook"):
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{path}"

    def close(self):
        self.stopped.set()
        self._listener.close()
        with self.lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def seen(self):
        with self.lock:
            return list(self.requests)

    def wait(self, count, timeout_s=15.0):
        return wait_until(lambda: len(self.seen()) >= count and self.seen(),
                          f"{count} requests at the webhook peer", timeout_s)

    def _accept(self):
        while True:
            readable = []
            try:
                readable, _, _ = select.select([self._listener], [], [], 0.2)
                if not readable:
                    if self.stopped.is_set():
                        return
                    continue
                connection, _ = self._listener.accept()
            except (OSError, ValueError):
                return
            with self.lock:
                self.accepted += 1
                number = self.accepted
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection, number):
        try:
            if self.on_accept and not self.on_accept(connection, number):
                return
            if self._tls:
                connection = self._tls.wrap_socket(
                    connection, server_side=True, suppress_ragged_eofs=not self._strict)
            with self.lock:
                self._open.add(connection)
            stream = connection.makefile("rb")
            while True:
                request = self._read(stream, number)
                if request is None:
                    with self.lock:
                        self.ended += 1
                    return
                with self.lock:
                    self.requests.append(request)
                if not self.script(connection, request):
                    return
        except (OSError, ValueError) as error:
            with self.lock:
                self.handshake_errors.append(error)
        finally:
            with self.lock:
                self._open.discard(connection)
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.close()

    @staticmethod
    def _read(stream, number):
        line = stream.readline()
        if not line.endswith(b"\r\n"):
            return None
        headers = []
        while True:
            field = stream.readline()
            if field == b"\r\n":
                break
            if not field.endswith(b"\r\n") or b":" not in field:
                raise ValueError(f"not a header field: {field!r}")
            name, value = field[:-2].split(b":", 1)
            headers.append((name.decode().lower(), value.strip().decode()))
        size = int(dict(headers).get("content-length", "0"))
        body = stream.read(size)
        return Request(line[:-2].decode(), headers, body, number)


def reset(connection):
    """Closes with RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class OpensslPeer:
    """`openssl s_server`: prints what comes in and sends what is written to its standard input."""

    def __init__(self, pair, *options):
        self._process = subprocess.Popen(
            ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", str(pair[0]), "-key",
             str(pair[1]), *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._lock = threading.Lock()
        self._text = b""
        threading.Thread(target=self._read, daemon=True).start()
        found = wait_until(lambda: re.search(rb"ACCEPT \S*?:(\d+)\s", self.text()),
                           "openssl s_server listens")
        self.port = int(found.group(1))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()

    def _read(self):
        while True:
            piece = self._process.stdout.read1(65536)
            if not piece:
                return
            with self._lock:
                self._text += piece

    def text(self):
        with self._lock:
            return self._text

    def send(self, data):
        self._process.stdin.write(data)
        self._process.stdin.flush()


class MqttClient:
    """MQTT 3.1.1, QoS 1 publishing only. One thread sends (the caller's), one reads PUBACKs."""

    def __init__(self, port, client_id, window=1000):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        name = client_id.encode()
        body = b"\x00\x04MQTT\x04\x02" + struct.pack(">H", 0) + struct.pack(">H", len(name)) + name
        self._socket.sendall(b"\x10" + self._length(len(body)) + body)
        answered = self._exactly(4)
        assert answered == b"\x20\x02\x00\x00", answered
        self._condition = threading.Condition()
        self._window = window
        self._next = 0
        self._outstanding = {}
        self.sent = 0
        self.latencies_s = []
        self.closed = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @staticmethod
    def _length(size):
        out = bytearray()
        while True:
            size, low = divmod(size, 128)
            out.append(low | (128 if size else 0))
            if not size:
                return bytes(out)

    def _exactly(self, size):
        data = b""
        while len(data) < size:
            piece = self._socket.recv(size - len(data))
            if not piece:
                raise ConnectionError("the listener closed the connection")
            data += piece
        return data

    def _read(self):
        buffered = b""
        try:
            while True:
                piece = self._socket.recv(65536)
                if not piece:
                    break
                now = time.perf_counter()
                buffered += piece
                with self._condition:
                    while len(buffered) >= 4:
                        assert buffered[:2] == b"\x40\x02", buffered[:4]
                        number = int.from_bytes(buffered[2:4], "big")
                        self.latencies_s.append(now - self._outstanding.pop(number))
                        buffered = buffered[4:]
                    self._condition.notify_all()
        except OSError:
            pass
        with self._condition:
            self.closed = True
            self._condition.notify_all()

    @property
    def acknowledged(self):
        with self._condition:
            return len(self.latencies_s)

    def publish(self, topic, payload, timeout_s=30.0, due=None):
        """False when the window stayed full for `timeout_s` or the connection ended. The latency
        counts from `due` where it is given, so that a late sender does not hide a stall."""
        with self._condition:
            self._condition.wait_for(
                lambda: self.closed or len(self._outstanding) < self._window, timeout_s)
            if self.closed or len(self._outstanding) >= self._window:
                return False
            self._next = self._next % 65535 + 1
            number = self._next
            self._outstanding[number] = time.perf_counter() if due is None else due
        name = topic.encode()
        body = struct.pack(">H", len(name)) + name + struct.pack(">H", number) + payload
        try:
            self._socket.sendall(b"\x32" + self._length(len(body)) + body)
        except OSError:
            return False
        self.sent += 1
        return True

    def wait_acknowledged(self, timeout_s=30.0):
        with self._condition:
            return self._condition.wait_for(lambda: self.closed or not self._outstanding,
                                            timeout_s) and not self._outstanding

    def close(self):
        try:
            self._socket.sendall(b"\xe0\x00")
        except OSError:
            pass
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._reader.join(10)
        self._socket.close()
