"""Starts a real tocsin and real peers for end-to-end tests.

Every process is killed and every temporary directory removed at the end of its test; what they
printed is shown when the test failed. Waiting is always for a condition, with a deadline.
"""

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

TOCSIN = os.environ.get("TOCSIN", "build/debug/tocsin")
# Kind of I/O that every started engine is told to use; its own choice when not set.
TOCSIN_IO = os.environ.get("TOCSIN_IO")
EXIT_SKIPPED = 77
# Sanitizer builds and busy machines are slow; a deadline only bounds how long a failure takes.
DEADLINE_S = float(os.environ.get("TOCSIN_E2E_DEADLINE_S", "20"))

LISTENERS = """
[http]
listen = "127.0.0.1:0"
[mqtt]
listen = "127.0.0.1:0"
"""


def wait_until(condition, what, timeout_s=DEADLINE_S):
    """Returns the first true value of condition(); raises AssertionError after the deadline."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {what}")
        time.sleep(0.01)


def run_command(*command, stdin=b"", timeout_s=DEADLINE_S, check=False, env=None):
    """Runs an external command to its end. Returns CompletedProcess with bytes."""
    done = subprocess.run([str(c) for c in command], input=stdin, capture_output=True,
                          timeout=timeout_s, check=False,
                          env=None if env is None else {**os.environ, **env})
    if check and done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}: {done.stderr!r}")
    return done


def free_port():
    """A port nobody listens on now: for peers that cannot choose one themselves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def default_config():
    """The text a user runs with first, on ephemeral ports."""
    text = run_command(TOCSIN, "check", "--defaults", check=True).stdout.decode()
    assert ":8080" in text and ":1883" in text
    return text.replace(":8080", ":0").replace(":1883", ":0")


def metric(text, name, **labels):
    """Sum of the samples of `name` that carry `labels`, in a text of /metrics."""
    total = None
    for line in text.splitlines():
        found = re.fullmatch(r"([a-zA-Z_:]\w*)(?:\{(.*)\})? (\S+)", line)
        if not found or found[1] != name:
            continue
        have = dict(re.findall(r'(\w+)="([^"]*)"', found[2] or ""))
        if all(have.get(key) == value for key, value in labels.items()):
            total = (total or 0) + float(found[3])
    return total


class Process:
    """A child process whose output lines are collected by threads."""

    def __init__(self, name, command, env=None):
        self.name = name
        self.out = []
        self.err = []
        self._child = subprocess.Popen(
            [str(c) for c in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=None if env is None else {**os.environ, **env})
        self._readers = [
            threading.Thread(target=self._read, args=pair, daemon=True)
            for pair in ((self._child.stdout, self.out), (self._child.stderr, self.err))]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _read(stream, lines):
        for line in stream:
            lines.append(line.decode(errors="replace").rstrip("\n"))

    @property
    def pid(self):
        return self._child.pid

    def running(self):
        return self._child.poll() is None

    def signal(self, number):
        self._child.send_signal(number)

    def wait(self, timeout_s=DEADLINE_S):
        """Exit code; all output is collected then."""
        try:
            code = self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end within {timeout_s:g} s") from None
        for reader in self._readers:
            reader.join(timeout_s)
        return code

    def kill(self):
        """SIGKILL; returns when it is gone."""
        if self.running():
            self._child.kill()
        self.wait()

    def close(self):
        self.kill()
        self._child.stdout.close()
        self._child.stderr.close()

    def wait_line(self, pattern, lines=None, count=1, timeout_s=DEADLINE_S):
        """Waits until `count` lines of the output (or `lines`) match; returns the last match."""
        lines = self.out if lines is None else lines

        def enough():
            found = [m for m in (re.search(pattern, line) for line in list(lines)) if m]
            return found[count - 1] if len(found) >= count else None

        return wait_until(enough, f"{count} lines of {self.name} like {pattern!r}", timeout_s)

    def matching(self, pattern):
        return [line for line in list(self.out) if re.search(pattern, line)]

    def transcript(self):
        shown = [f"--- {self.name} (exit {self._child.poll()})"]
        for mark, lines in ((" | ", self.out), ("2| ", self.err)):
            shown += [mark + line[:400] for line in lines[-60:]]
        return "\n".join(shown)


class Tocsin(Process):
    """A running engine. `http`, `mqtt`, `https` and `mqtts` are its ports once started
    (None when off)."""

    def __init__(self, config_path=None, data=None, env=None):
        command = [TOCSIN, "run"]
        if config_path:
            command += ["--config", config_path]
        if data:
            command += ["--data", data]
        if TOCSIN_IO:
            command += ["--io", TOCSIN_IO]
        super().__init__("tocsin", command, env)
        self.http = None
        self.mqtt = None
        self.https = None
        self.mqtts = None

    def wait_started(self):
        def started():
            if not self.running():
                self.wait()
                raise AssertionError(f"tocsin ended at once: {self.err}")
            return any(line.startswith("  memory ") for line in list(self.out))

        wait_until(started, "the first lines of tocsin")
        for line in list(self.out):
            found = re.match(r"  (HTTPS?|MQTTS?) .*:(\d+)$", line)
            if found:
                setattr(self, found[1].lower(), int(found[2]))
        return self

    def request(self, method, path, body=None, content_type=None, headers=None):
        """One HTTP request on a connection of its own: (status, headers, body)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=DEADLINE_S)
        try:
            fields = dict(headers or {})
            if content_type:
                fields["Content-Type"] = content_type
            connection.request(method, path, body, fields)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def post(self, body, path="/api/events", content_type="application/json", headers=None):
        return self.request("POST", path, body, content_type, headers)

    def publish(self, topic, payload, qos=1, version="5", options=()):
        """Publishes with mosquitto_pub; returns its exit code."""
        return publish(self.mqtt, topic, payload, qos, version, options).returncode

    def metrics(self):
        status, _, body = self.request("GET", "/metrics")
        assert status == 200, status
        return body.decode()

    def metric(self, name, **labels):
        return metric(self.metrics(), name, **labels)

    def wait_metric(self, name, value, **labels):
        return wait_until(lambda: (self.metric(name, **labels) or 0) >= value,
                          f"{name}{labels} >= {value}")

    def stop(self):
        """SIGTERM; returns the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()


def publish(port, topic, payload, qos=1, version="5", options=()):
    return run_command("mosquitto_pub", "-h", "127.0.0.1", "-p", port, "-V",
                       {"5": "mqttv5", "3.1.1": "mqttv311"}[version], "-q", qos, "-t", topic,
                       "-m", payload, *options)


class Subscriber(Process):
    """A mosquitto_sub that prints `topic qos payload` per message; ready when constructed."""

    def __init__(self, port, topic, qos=1, version="5", options=()):
        super().__init__("mosquitto_sub", [
            "stdbuf", "-oL", "mosquitto_sub", "-d", "-h", "127.0.0.1", "-p", port, "-V",
            {"5": "mqttv5", "3.1.1": "mqttv311"}[version], "-q", qos, "-t", topic, "-F",
            "MSG %t %q %p", *options])

    def wait_ready(self):
        self.wait_line(r"Subscribed \(mid")
        return self

    def wait_message(self, pattern, count=1, timeout_s=DEADLINE_S):
        return self.wait_line("^MSG " + pattern, count=count, timeout_s=timeout_s)

    def messages(self):
        return [line[4:] for line in list(self.out) if line.startswith("MSG ")]


class Broker:
    """A real mosquitto on a port of its own, which stays the same over restarts."""

    def __init__(self, case, settings="allow_anonymous true", port=None, listener=""):
        self._case = case
        self.port = port or free_port()
        self._config = case.write(f"mosquitto-{self.port}.conf",
                                  f"listener {self.port} 127.0.0.1\n{listener}\n{settings}\n")
        self.process = None

    def start(self):
        self.process = self._case.watch(
            Process("mosquitto", [shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-v", "-c",
                                  self._config]))

        def listening():
            if not self.process.running():
                raise AssertionError(self.process.transcript())
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        wait_until(listening, "mosquitto listens")
        return self

    def kill(self):
        self.process.kill()


class Case(unittest.TestCase):
    """A test with a temporary directory and processes that end with it."""

    def run(self, result=None):
        self._result = result
        return super().run(result)

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="tocsin-e2e-")
        self.data = self.path("data")
        self._processes = []
        self.addCleanup(self._clean)

    def _clean(self):
        # A failed subtest is recorded as an object of its own.
        failed = self._result is not None and any(
            getattr(test, "test_case", test) is self
            for test, _ in self._result.failures + self._result.errors)
        for process in self._processes:
            process.close()
        if failed:
            for process in self._processes:
                print(process.transcript(), file=sys.stderr)
        shutil.rmtree(self.directory, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        path = self.path(name)
        with open(path, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        return path

    def watch(self, process):
        """The process is killed at the end of this test."""
        self._processes.append(process)
        return process

    def start(self, config, data=None, env=None):
        """Starts tocsin with a configuration text (not a file) and waits for its first lines."""
        return self.watch(Tocsin(self.write("tocsin.toml", config), data or self.data,
                                 env)).wait_started()

    def subscribe(self, port, topic, qos=1, version="5", options=()):
        return self.watch(Subscriber(port, topic, qos, version, options)).wait_ready()


def io_offered(backend):
    """Whether this machine has that kind of I/O."""
    rows = run_command(TOCSIN, "doctor", check=True).stdout.decode()
    return re.search(rf"^  {re.escape(backend)} +yes$", rows, re.MULTILINE) is not None


def main():
    if TOCSIN_IO and not io_offered(TOCSIN_IO):
        print(f"skipped: no {TOCSIN_IO} on this machine")
        sys.exit(EXIT_SKIPPED)
    unittest.main(verbosity=2)
