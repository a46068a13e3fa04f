"""The commands beside `run`: send, bench, check, doctor, version."""

import json
import signal

from harness import (LISTENERS, TOCSIN, Case, Process, default_config, free_port, main,
                     run_command)

THROUGH = """
[[source]]
name = "through"
topic = "through/{device}"
[[channel]]
name = "subscribers"
type = "mqtt"
qos = 1
[[rule]]
name = "through"
source = "through"
channel = "subscribers"
body = "sent_ns: {{sent_ns}}"
"""


class Send(Case):
    def setUp(self):
        super().setUp()
        self.tocsin = self.start(default_config())

    def send(self, *arguments, stdin=b""):
        return run_command(TOCSIN, "send", *arguments, stdin=stdin)

    # Goal: an event sent by HTTP is delivered, and the answer with its id is printed.
    def test_http(self):
        done = self.send("--http", f"127.0.0.1:{self.tocsin.http}", "--event", "order_created",
                         "--data", '{"order_id":7,"total":1,"customer_email":"a@b.c"}')
        self.assertEqual((0, b""), (done.returncode, done.stderr))
        self.assertRegex(json.loads(done.stdout)["id"], r"^[0-9a-f-]{36}$")
        self.tocsin.wait_line("Order #7 Confirmed")

    # Goal: the data may come from a file or from standard input.
    def test_data_sources(self):
        path = self.write("order.json", '{"order_id":8}')
        for data, stdin, number in ((f"@{path}", b"", 8), ("-", b'{"order_id":9}', 9)):
            done = self.send("--http", f"127.0.0.1:{self.tocsin.http}", "--event",
                             "order_created", "--data", data, stdin=stdin)
            self.assertEqual(0, done.returncode, done.stderr)
            self.tocsin.wait_line(f"Order #{number} Confirmed")

    # Goal: an event sent by MQTT is delivered, at both qualities of service.
    def test_mqtt(self):
        for qos in (0, 1):
            done = self.send("--mqtt", f"127.0.0.1:{self.tocsin.mqtt}", "--topic",
                             f"devices/d{qos}/telemetry", "--qos", qos, "--data",
                             '{"temperature":99}')
            self.assertEqual((0, b""), (done.returncode, done.stderr))
            self.assertIn(b"acknowledge", done.stdout)
            self.tocsin.wait_line(f"d{qos} is too hot")

    # Goal: what was not acknowledged fails with one line that says why.
    def test_failures(self):
        http = f"127.0.0.1:{self.tocsin.http}"
        mqtt = f"127.0.0.1:{self.tocsin.mqtt}"
        cases = (
            (1, b"status 4", ["--http", http, "--event", "nobody_knows"]),
            (1, b"not valid JSON", ["--http", http, "--event", "order_created", "--data", "{]"]),
            (1, b"cannot connect", ["--http", f"127.0.0.1:{free_port()}", "--event", "x"]),
            (1, b"refused", ["--mqtt", mqtt, "--topic", "devices/d/telemetry", "--data", "{]"]),
            (1, b"not a topic", ["--mqtt", mqtt, "--topic", "devices/+"]),
            (2, b"--event", ["--http", http]),
            (2, b"--topic", ["--mqtt", mqtt]),
            (2, b"cannot read", ["--http", http, "--event", "x", "--data", "@/nowhere/x"]),
        )
        for code, words, arguments in cases:
            with self.subTest(arguments=arguments):
                done = self.send(*arguments)
                self.assertEqual(code, done.returncode, done.stderr)
                self.assertIn(words, done.stderr)
                self.assertEqual(1, done.stderr.count(b"\n"), done.stderr)
                self.assertEqual(b"", done.stdout)


class Bench(Case):
    def bench(self, *arguments):
        done = run_command(TOCSIN, "bench", "--json", *arguments)
        self.assertTrue(done.stdout, done.stderr)
        return done.returncode, json.loads(done.stdout)

    # Goal: every way to load the server ends without loss, and the server has counted the same.
    def test_lossless(self):
        tocsin = self.start(default_config())
        mqtt, http = f"127.0.0.1:{tocsin.mqtt}", f"127.0.0.1:{tocsin.http}"
        total = 0
        for arguments in (["--mqtt", mqtt, "--qos", 1, "--window", 50],
                          ["--mqtt", mqtt, "--qos", 0],
                          ["--mqtt", mqtt, "--threads", 2],
                          ["--http", http],
                          ["--http", http, "--pipeline", 4],
                          ["--http", http, "--batch", 20],
                          ["--http", http, "--rate", 2000]):
            with self.subTest(arguments=arguments):
                code, found = self.bench(*arguments, "--connections", 4, "--count", 1000)
                total += 1000
                self.assertEqual((0, True), (code, found["lossless"]), found)
                self.assertEqual((1000, 1000), (found["sent"], found["acknowledged"]))
                self.assertEqual(total, tocsin.metric("tocsin_events_received_total"))

    # Goal: a duration is kept to at a rate, and a subscriber gets every event once.
    def test_end_to_end(self):
        tocsin = self.start(default_config() + THROUGH)
        code, found = self.bench(
            "--mqtt", f"127.0.0.1:{tocsin.mqtt}", "--topic", "through/{n}", "--subscribe",
            "notifications/through", "--rate", 500, "--duration", 2, "--connections", 4)
        self.assertEqual(0, code, found)
        self.assertEqual(1000, found["sent"])
        self.assertEqual(1000, found["received"])
        self.assertGreater(found["end_to_end_us"]["p50"], 0)

    # Goal: what is refused, lost or never sent makes the run fail and is counted.
    def test_failures(self):
        tocsin = self.start(default_config())
        code, found = self.bench("--http", f"127.0.0.1:{tocsin.http}", "--event", "nobody_knows",
                                 "--count", 10, "--connections", 1)
        self.assertEqual((1, 10, False), (code, found["refused"], found["lossless"]))
        code, found = self.bench("--mqtt", f"127.0.0.1:{free_port()}", "--count", 10)
        self.assertEqual((1, False), (code, found["lossless"]))
        self.assertIn("cannot connect", found["first_error"])
        code, found = self.bench("--mqtt", f"127.0.0.1:{tocsin.mqtt}", "--subscribe", "notifications/nobody",
                                 "--count", 10, "--grace", "0.3")
        self.assertEqual((1, 10, 0), (code, found["acknowledged"], found["received"]))

    def test_arguments(self):
        for arguments in ([], ["--http", "x", "--mqtt", "y"], ["--mqtt", "127.0.0.1:0"],
                          ["--http", "127.0.0.1:1", "--threads", 9, "--connections", 2]):
            done = run_command(TOCSIN, "bench", *arguments)
            self.assertEqual(2, done.returncode, arguments)
            self.assertTrue(done.stderr)


class Others(Case):
    def test_version(self):
        done = run_command(TOCSIN, "version", check=True)
        self.assertRegex(done.stdout, rb"^tocsin \d+\.\d+\.\d+")

    # Goal: doctor names every I/O backend, the one that would be used, and says why.
    def test_doctor(self):
        done = run_command(TOCSIN, "doctor")
        self.assertEqual(0, done.returncode, done.stdout)
        for word in (b"kernel", b"I/O backend", b"uring", b"uring-single", b"epoll",
                     b"open files", b"clock"):
            self.assertIn(word, done.stdout)

    # Goal: an engine uses the I/O it is told to, by option or configuration, and refuses what is none.
    def test_io(self):
        for arguments, config in ((["--io", "epoll"], LISTENERS),
                                  ([], '[server]\nio = "epoll"\n' + LISTENERS)):
            tocsin = self.watch(Process("tocsin", [
                TOCSIN, "run", "--config", self.write("tocsin.toml", config), "--data", self.data,
                *arguments]))
            tocsin.wait_line("I/O by epoll: as configured", tocsin.err)
            tocsin.signal(signal.SIGTERM)
            self.assertEqual(0, tocsin.wait())
        done = run_command(TOCSIN, "run", "--io", "select")
        self.assertEqual(2, done.returncode)
        self.assertIn(b"--io", done.stderr)

    # Goal: check accepts the defaults and names file and line of what is wrong.
    def test_check(self):
        good = self.write("good.toml", default_config())
        self.assertEqual(0, run_command(TOCSIN, "check", good).returncode)
        bad = self.write("bad.toml", default_config() + '\n[mqtt2]\nx = 1\n')
        done = run_command(TOCSIN, "check", bad)
        self.assertEqual(2, done.returncode)
        self.assertIn(b"bad.toml:", done.stderr)


if __name__ == "__main__":
    main()
