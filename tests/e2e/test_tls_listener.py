"""TLS listeners for MQTT and HTTP: versions, ciphers, client certificates, reload, hostile peers."""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess

from harness import DEADLINE_S, TOCSIN, Case, Subscriber, main, run_command, wait_until
from peers import Certificates, openssl

RULE = """
[[channel]]
name = "console"
type = "log"
[[source]]
name = "telemetry"
topic = "devices/{device}/telemetry"
[[rule]]
name = "all"
channel = "console"
"""


class TlsCase(Case):
    def setUp(self):
        super().setUp()
        self.certificates = Certificates(self.directory)
        self.ca = self.certificates.ca[0]
        self.pair = [self.path("server.pem"), self.path("server.key")]
        self.install(self.certificates.issue("server"))

    def install(self, pair):
        for source, target in zip(pair, self.pair):
            shutil.copy(source, target)

    def config(self, more_tls="", more=""):
        return f"""
[http]
listen = "127.0.0.1:0"
listen_tls = "127.0.0.1:0"
[mqtt]
listen = "127.0.0.1:0"
listen_tls = "127.0.0.1:0"
[tls]
certificate = "{self.pair[0]}"
key = "{self.pair[1]}"
{more_tls}
{RULE}
{more}
"""

    def refused(self, engine, reason, listener="mqtt"):
        return engine.metric("tocsin_tls_refused_total", listener=listener, reason=reason)

    def publish(self, engine, payload, *options, version="mqttv5"):
        return run_command("mosquitto_pub", "-h", "localhost", "-p", engine.mqtts, "--cafile",
                           self.ca, "-V", version, "-q", 1, "-t", "devices/d/telemetry", "-m",
                           payload, *options)

    def curl(self, engine, path, *options, stdin=b""):
        return run_command("curl", "-sS", "--max-time", int(DEADLINE_S), "--cacert", self.ca,
                           f"https://localhost:{engine.https}{path}", *options, stdin=stdin)

    def s_client(self, port, *options, stdin=b"Q\n"):
        done = run_command("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile",
                           self.ca, *options, stdin=stdin)
        return (done.stdout + done.stderr).decode(errors="replace")

    def context(self):
        return ssl.create_default_context(cafile=self.ca)

    def connect(self, port, context=None):
        raw = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
        return (context or self.context()).wrap_socket(
            raw, server_hostname="localhost", suppress_ragged_eofs=False)


class Peers(TlsCase):
    def test_devices_publish_and_subscribe(self):
        engine = self.start(self.config())
        subscriber = self.watch(Subscriber(engine.mqtts, "devices/#",
                                           options=("--cafile", self.ca, "-h", "localhost")))
        subscriber.wait_ready()
        for version in ("mqttv311", "mqttv5"):
            self.assertEqual(self.publish(engine, '{"v":1}', version=version).returncode, 0)
        engine.wait_line(r'\{"v":1\}', count=2)
        self.assertEqual(engine.metric("tocsin_tls_handshakes_total", listener="mqtt"), 3)

    def test_ecdsa_certificate(self):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", self.pair[1], "-out", self.pair[0], "-days", "2", "-subj",
                "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
        self.ca = self.pair[0]
        engine = self.start(self.config())
        self.assertEqual(self.publish(engine, '{"ec":1}').returncode, 0)
        self.assertIn("ECDHE-ECDSA", self.s_client(engine.mqtts))

    def test_https_with_bodies_and_answers_of_many_records(self):
        engine = self.start(self.config())
        batch = json.dumps([{"type": "telemetry", "subject": "s", "id": str(i), "source": "/s",
                             "specversion": "1.0", "data": {"text": "x" * 300, "n": i}}
                            for i in range(900)])
        self.assertGreater(len(batch), 300_000)
        done = self.curl(engine, "/api/events/batch", "-H",
                         "Content-Type: application/cloudevents-batch+json", "-H", "Expect:",
                         "--data-binary", "@-", "-w", "%{http_code}", stdin=batch.encode())
        self.assertEqual(done.stdout[-3:], b"202", done.stdout[:300])
        metrics = self.curl(engine, "/metrics").stdout
        self.assertGreater(len(metrics), 2 * 16384, "an answer of several records")
        self.assertTrue(metrics.endswith(b"\n"))

    def test_end_is_announced(self):
        """Goal: the end of an answer cannot be forged by cutting the connection."""
        engine = self.start(self.config())
        with self.connect(engine.https) as tls:
            tls.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = b""
            while chunk := tls.recv(4096):  # Raises when the end comes without a closing alert.
                answer += chunk
        self.assertTrue(answer.startswith(b"HTTP/1.1 "), answer)

    def test_sessions_are_resumed(self):
        engine = self.start(self.config())
        text = self.s_client(engine.mqtts, "-tls1_2", "-reconnect", stdin=b"")
        self.assertEqual(text.count("\nReused, "), 5, text)

    def test_stops_with_open_connections(self):
        engine = self.start(self.config())
        with self.connect(engine.https), self.connect(engine.mqtts):
            raw = socket.create_connection(("127.0.0.1", engine.mqtts))
            self.addCleanup(raw.close)
            engine.wait_metric("tocsin_tls_connections", 2, listener="mqtt")
            self.assertEqual(engine.stop(), 0)


class Refused(TlsCase):
    def test_old_versions(self):
        engine = self.start(self.config())
        for option in ("-tls1", "-tls1_1"):
            text = self.s_client(engine.mqtts, option, "-cipher", "DEFAULT@SECLEVEL=0")
            self.assertIn("alert protocol version", text)
        self.assertEqual(self.refused(engine, "version"), 2)

    def test_weak_ciphers(self):
        engine = self.start(self.config())
        for cipher in ("AES128-SHA", "AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA", "NULL-SHA256"):
            text = self.s_client(engine.mqtts, "-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0")
            self.assertIn("handshake failure", text, cipher)
        self.assertEqual(self.refused(engine, "cipher"), 4)

    def test_renegotiation(self):
        engine = self.start(self.config())
        child = subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{engine.mqtts}", "-tls1_2"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        child.stdin.write(b"R\n")
        child.stdin.flush()
        output = b""
        while b"no renegotiation" not in output:
            line = child.stdout.readline()
            self.assertNotEqual(line, b"", output)
            output += line
        child.stdin.close()
        self.assertEqual(self.publish(engine, '{"alive":1}').returncode, 0)

    def test_what_is_no_tls(self):
        engine = self.start(self.config())
        for index, rubbish in enumerate((b"GET / HTTP/1.1\r\n\r\n", os.urandom(3000),
                                         b"\x16\x03\x01\xff\xff" + b"\0" * 1000,
                                         b"\x16\x03\x01\x00\x04\x01\xff\xff\xff"), 1):
            with socket.create_connection(("127.0.0.1", engine.mqtts), timeout=DEADLINE_S) as raw:
                raw.sendall(rubbish)
                raw.shutdown(socket.SHUT_WR)
                try:
                    while raw.recv(4096):
                        pass
                except ConnectionResetError:
                    pass
            wait_until(lambda n=index: sum(self.refused(engine, reason) for reason in
                                           ("protocol", "closed", "version", "cipher")) >= n,
                       "refusals")
        self.assertEqual(engine.metric("tocsin_tls_connections", listener="mqtt"), 0)
        self.assertEqual(engine.metric("tocsin_tls_memory_bytes"), 0)
        self.assertEqual(self.publish(engine, '{"alive":1}').returncode, 0)

    def test_slow_handshakes_end_and_do_not_keep_others_out(self):
        """Goal: who does not finish his handshake holds his place for the timeout only."""
        engine = self.start(self.config("handshakes_max = 2\nhandshake_timeout_ms = 700"))
        stuck = [socket.create_connection(("127.0.0.1", engine.mqtts), timeout=DEADLINE_S)
                 for _ in range(4)]
        for one in stuck:
            self.addCleanup(one.close)
        stuck[0].sendall(b"\x16\x03\x01\x02\x00")  # The beginning of a hello.
        engine.wait_metric("tocsin_tls_connections", 4, listener="mqtt")
        for one in stuck:
            one.settimeout(DEADLINE_S)
            try:
                while one.recv(100):
                    pass
            except ConnectionResetError:
                pass
        self.assertEqual(self.refused(engine, "timeout"), 4)
        self.assertEqual(self.publish(engine, '{"alive":1}').returncode, 0)


class ClientCertificates(TlsCase):
    def setUp(self):
        super().setUp()
        self.device = self.certificates.issue("device", subject="device-7")
        self.stranger = self.certificates.issue("stranger", subject="device-7",
                                                authority=self.certificates.stranger)

    @staticmethod
    def shown(pair):
        return ("--cert", pair[0], "--key", pair[1])

    def test_required(self):
        engine = self.start(self.config(f'client_ca = "{self.ca}"\nclient_required = true'))
        self.assertEqual(self.publish(engine, '{"a":1}', *self.shown(self.device)).returncode, 0)
        self.assertNotEqual(self.publish(engine, '{"a":1}').returncode, 0)
        self.assertNotEqual(self.publish(engine, '{"a":1}', *self.shown(self.stranger)).returncode,
                            0)
        self.assertEqual(self.refused(engine, "certificate"), 2)
        self.assertEqual(engine.metric("tocsin_tls_handshakes_total", listener="mqtt"), 1)

    def test_optional_ones_must_be_right_all_the_same(self):
        engine = self.start(self.config(f'client_ca = "{self.ca}"'))
        self.assertEqual(self.publish(engine, '{"a":1}').returncode, 0)
        self.assertEqual(self.publish(engine, '{"a":1}', *self.shown(self.device)).returncode, 0)
        self.assertNotEqual(self.publish(engine, '{"a":1}', *self.shown(self.stranger)).returncode,
                            0)
        expired = self.certificates.issue("expired", subject="device-7",
                                          dates=("20200101000000Z", "20200201000000Z"))
        self.assertNotEqual(self.publish(engine, '{"a":1}', *self.shown(expired)).returncode, 0)
        self.assertEqual(self.refused(engine, "certificate"), 2)


class Reload(TlsCase):
    def served(self, engine):
        return ssl.get_server_certificate(("127.0.0.1", engine.mqtts))

    def test_a_new_certificate_is_used_and_connections_stay(self):
        engine = self.start(self.config())
        before = self.served(engine)
        with self.connect(engine.https) as old:
            self.install(self.certificates.issue("next"))
            engine.signal(signal.SIGHUP)
            wait_until(lambda: self.served(engine) != before, "the new certificate")
            old.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertTrue(old.recv(4096).startswith(b"HTTP/1.1 "))
        self.assertEqual(self.publish(engine, '{"a":1}').returncode, 0)

    def test_a_bad_certificate_changes_nothing(self):
        engine = self.start(self.config())
        before = self.served(engine)
        other = self.certificates.issue("other")
        for number, break_it in enumerate((lambda: self.write("server.pem", "no certificate"),
                                           lambda: shutil.copy(other[0], self.pair[0]),
                                           lambda: os.remove(self.pair[0])), 1):
            break_it()
            engine.signal(signal.SIGHUP)
            engine.wait_line("reload refused", lines=engine.err, count=number)
            self.assertEqual(self.served(engine), before)
        self.assertTrue(any("tls.key" in line and "does not belong" in line for line in engine.err))


class Check(TlsCase):
    def check(self, config):
        done = run_command(TOCSIN, "check", self.write("check.toml", config))
        return done.returncode, done.stderr.decode()

    def test_files_are_looked_at(self):
        self.assertEqual(self.check(self.config())[0], 0)
        other = self.certificates.issue("other")
        for config, key in (
                (self.config(f'client_ca = "{self.path("none")}"'), "tls.client_ca"),
                (self.config("client_required = true"), "tls.client_ca"),
                (self.config().replace(self.pair[0], self.path("none")), "tls.certificate"),
                (self.config().replace(self.pair[1], str(other[1])), "tls.key"),
                (self.config().replace(self.pair[1], self.pair[0]), "tls.key"),
                ('[mqtt]\nlisten_tls = "127.0.0.1:0"', "tls.certificate"),
                (self.config().replace('listen_tls = "127.0.0.1:0"', 'listen_tls = "0.0.0.0:0"'),
                 "listen_tls")):
            code, problems = self.check(config)
            self.assertEqual(code, 2, config)
            self.assertIn(key, problems)


if __name__ == "__main__":
    main()
