"""The load generator as a capacity planner: sinks, searches, sweeps, servers of its own."""

import json
import os
import re
import socket
import xml.etree.ElementTree as xml

from harness import TOCSIN, Case, Process, default_config, main, run_command


class BenchCase(Case):
    def bench(self, *arguments):
        """Its exit code and the JSON that it printed."""
        done = run_command(TOCSIN, "bench", "--json", *arguments, timeout_s=120)
        self.assertTrue(done.stdout, done.stderr)
        return done.returncode, json.loads(done.stdout)

    def sink(self):
        process = self.watch(Process("sink", [TOCSIN, "bench", "--sink", 0]))
        return process, process.wait_line(r"sink on (\S+)")[1]


class Sink(BenchCase):
    # Goal: the sink answers everything that the generator sends, in every way of sending.
    def test_answers_everything(self):
        _, address = self.sink()
        for arguments in (["--mqtt", address, "--qos", 0], ["--mqtt", address, "--qos", 1],
                          ["--mqtt", address, "--qos", 2, "--window", 7],
                          ["--mqtt", address, "--qos", 2, "--mqtt-version", "3.1.1"],
                          ["--mqtt", address, "--qos", 1, "--payload-size", 60_000],
                          ["--http", address], ["--http", address, "--pipeline", 16],
                          ["--http", address, "--batch", 100],
                          ["--http", address, "--rate", 4000]):
            with self.subTest(arguments=arguments):
                code, found = self.bench(*arguments, "--connections", 4, "--count", 2000)
                self.assertEqual((0, True), (code, found["lossless"]), found)
                self.assertEqual((2000, 2000), (found["sent"], found["acknowledged"]))
                self.assertGreater(found["acknowledged_in_us"]["p50"], 0)

    # Goal: it ends at once and cleanly when told to.
    def test_ends(self):
        process, _ = self.sink()
        self.assertEqual(0, self.stop(process))

    def stop(self, process):
        process.signal(15)
        return process.wait()


class Measuring(BenchCase):
    # Goal: what is sent during the warm-up is not measured, and nothing is lost by it.
    def test_warm_up(self):
        _, address = self.sink()
        code, found = self.bench("--mqtt", address, "--rate", 2000, "--warm-up", 0.5, "--duration",
                                 0.5, "--connections", 4)
        self.assertEqual((0, 2000), (code, found["acknowledged"]), found)
        self.assertLess(found["seconds"], found["acknowledged"] / 2000)
        self.assertIsNotNone(found["late_us"])
        self.assertIn(found["bound_by"], ("none", "generator", "server"))

    # Goal: the real server takes every shape of the default payloads, and QoS 0 shows a latency.
    def test_every_shape(self):
        tocsin = self.start(default_config())
        code, found = self.bench("--mqtt", f"127.0.0.1:{tocsin.mqtt}", "--qos", 0, "--shapes", 12,
                                 "--count", 1200)
        self.assertEqual((0, 1200), (code, found["acknowledged"]), found)
        self.assertGreater(found["acknowledged_in_us"]["p99"], 0)
        self.assertEqual(1200, tocsin.metric("tocsin_events_received_total"))


class Planner(BenchCase):
    # Goal: a search doubles and bisects, every step is told, and the best one keeps the goal.
    # Method: the sink is fast, so --rate begins where even a loaded machine soon breaks the goal.
    def test_find_rate(self):
        _, address = self.sink()
        picture = self.path("plot.svg")
        code, found = self.bench("--mqtt", address, "--find-rate", "--goal-p99-ms", 50, "--rate",
                                 500_000, "--warm-up", 0.1, "--duration", 0.2, "--svg", picture)
        [point] = found["points"]
        self.assertGreaterEqual(len(point["steps"]), 2)
        self.assertEqual(500_000, point["steps"][0]["rate"])
        kept = [s["events_per_s"] for s in point["steps"] if s["kept"] and s["bound_by"] == "none"]
        self.assertEqual((0 if kept else 1, max(kept, default=0)), (code, point["events_per_s"]))
        self.assertIn(point["bound_by"], ("server", "generator"))
        marks = [e for e in xml.parse(picture).iter() if e.tag.endswith("circle")]
        self.assertLessEqual(len(marks), len(point["steps"]))
        self.assertTrue(marks)

    # Goal: sweeps measure every combination, in a server of our own with that many rules, which
    # leaves nothing behind.
    def test_sweep_with_a_server_of_our_own(self):
        code, found = self.bench("--self", "mqtt", "--directory", self.directory, "--sweep",
                                 "rules=0,40", "--sweep", "qos=0,1", "--connections", 2, "--count",
                                 500)
        self.assertEqual(0, code, found)
        self.assertEqual(["rules=0 qos=0", "rules=0 qos=1", "rules=40 qos=0", "rules=40 qos=1"],
                         [point["name"] for point in found["points"]])
        for point in found["points"]:
            self.assertGreater(point["events_per_s"], 0)
            self.assertIsNotNone(point["steps"][0]["server_busy"])
            self.assertGreater(point["steps"][0]["server_mib"], 1)
        self.assertEqual([], os.listdir(self.directory))

    # Goal: its server also serves HTTP, and events through to a subscriber.
    def test_server_of_our_own_other_ways(self):
        for arguments in (["--self", "http", "--level", "stored"],
                          ["--self", "mqtt", "--topic", "through/{n}", "--subscribe",
                           "notifications/through", "--rate", 500]):
            with self.subTest(arguments=arguments):
                code, found = self.bench(*arguments, "--count", 200, "--connections", 2,
                                         "--directory", self.directory)
                self.assertEqual(0, code, found)
                self.assertGreater(found["points"][0]["steps"][0]["p99_us"], 0)

    # Goal: people get a sizing table on standard output.
    def test_sizing_table(self):
        _, address = self.sink()
        done = run_command(TOCSIN, "bench", "--mqtt", address, "--sweep", "connections=1,3",
                           "--count", 100)
        self.assertEqual(0, done.returncode, done.stderr)
        rows = done.stdout.decode().splitlines()
        self.assertEqual(4, len(rows))
        self.assertRegex(rows[2], r"^\| connections=1 \| \d+ \|")
        self.assertEqual(1, len({row.count("|") for row in rows}))

    # Goal: a server that nobody reaches is a failure with its reason, not a capacity.
    def test_nobody_there(self):
        # Bound, so that nobody else gets the port, but not listening.
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{nobody.getsockname()[1]}"
            done = run_command(TOCSIN, "bench", "--mqtt", address, "--sweep", "qos=0",
                               "--count", 10)
        self.assertEqual(1, done.returncode)
        self.assertIn(b"cannot connect", done.stderr)

    def test_arguments(self):
        for words, arguments in ((b"keys are", ["--mqtt", "x", "--sweep", "colour=1"]),
                                 (b"needs --self", ["--mqtt", "x", "--sweep", "rules=1"]),
                                 (b"--find-rate", ["--mqtt", "x", "--goal-p99-ms", 5]),
                                 (b"--self", ["--self", "smtp"]),
                                 (b"--http", ["--self", "mqtt", "--http", "x"])):
            with self.subTest(arguments=arguments):
                done = run_command(TOCSIN, "bench", *arguments)
                self.assertEqual(2, done.returncode)
                self.assertIn(words, done.stderr)

    # Goal: the configuration that is printed is the one that the server takes.
    def test_print_config(self):
        text = run_command(TOCSIN, "bench", "--print-config", "--rules", 3, "--directory",
                           self.data, check=True).stdout.decode()
        self.assertEqual(7, len(re.findall(r"^\[\[rule\]\]$", text, re.M)))
        tocsin = self.start(text, data=self.data)
        code, found = self.bench("--http", f"127.0.0.1:{tocsin.http}", "--count", 50)
        self.assertEqual((0, True), (code, found["lossless"]), found)


if __name__ == "__main__":
    main()
