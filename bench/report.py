#!/usr/bin/env python3
"""Measures a build and writes Markdown.

    bench/report.py BUILD_DIR [--output FILE] [--seconds S] [--rounds N] [--skip-micro]

Server and generator get a processor each (taskset), the server runs with `threads = 1`, its data
lies in a temporary directory on the disk of the output file. Tocsin and mosquitto take turns in
each round; a figure is the median of the rounds, so that what disturbs the machine disturbs both.
"""

import argparse
import json
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

SERVER_CORE, GENERATOR_CORE = "0", "1"

SOURCES = """
[server]
threads = 1
log_level = "warning"

[http]
listen = "127.0.0.1:0"

[mqtt]
listen = "127.0.0.1:0"
receive_maximum = 1024

[[channel]]
name = "console"
type = "log"

[[channel]]
name = "subscribers"
type = "mqtt"
qos = 0

[[source]]
name = "telemetry"
topic = "devices/{device}/telemetry"
level = "LEVEL"

[[source]]
name = "order_created"
level = "LEVEL"

[[source]]
name = "through"
topic = "through/{device}"
level = "LEVEL"
"""

RARE_RULE = """
[[rule]]
name = "rare"
source = "telemetry"
pattern = { device = ["boiler-0017"], seq = [1000050000] }
channel = "console"
body = "{{device}}"
"""

THROUGH_RULE = """
[[rule]]
name = "through"
source = "through"
channel = "subscribers"
body = "sent_ns: {{sent_ns}}"
"""

IDLE_RULE = """
[[rule]]
name = "idle-{i}"
source = "{source}"
pattern = {{ temperature = [{{ numeric = [">", {i}00] }}], status = ["state-{i}"] }}
channel = "console"
body = "{{{{device}}}} {{{{temperature}}}}"
"""


def configuration(level):
    rules = [IDLE_RULE.format(i=i + 1, source=source) for source in ("telemetry", "order_created")
             for i in range(50)]
    for index, rule in enumerate(rules):
        rules[index] = rule.replace('"idle-', f'"idle-{index}-')
    return SOURCES.replace("LEVEL", level) + "".join(rules) + RARE_RULE + THROUGH_RULE


class Server:
    def __init__(self, name, command, directory):
        self.name = name
        self.log = open(os.path.join(directory, name + ".log"), "w+", encoding="utf-8")
        self.process = subprocess.Popen(["taskset", "-c", SERVER_CORE, *command],
                                        stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=subprocess.STDOUT)

    def output(self):
        with open(self.log.name, encoding="utf-8") as file:
            return file.read()

    def wait_for(self, condition):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            value = condition()
            if value:
                return value
            time.sleep(0.02)
        raise SystemExit(f"{self.name} did not start:\n{self.output()}")

    def cpu_s(self):
        """Processor time used so far: what a busy machine cannot falsify."""
        with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as file:
            fields = file.read().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def start_tocsin(binary, level, directory):
    config = os.path.join(directory, f"{level}.toml")
    with open(config, "w", encoding="utf-8") as file:
        file.write(configuration(level))
    data = os.path.join(directory, f"data-{level}")
    server = Server(f"tocsin-{level}", [binary, "run", "--config", config, "--data", data],
                    directory)

    def ports():
        found = dict(re.findall(r"^  (HTTP|MQTT) +127\.0\.0\.1:(\d+)", server.output(), re.M))
        return found if len(found) == 2 else None

    ports = server.wait_for(ports)
    server.http, server.mqtt = (f"127.0.0.1:{ports[name]}" for name in ("HTTP", "MQTT"))
    return server


def start_mosquitto(directory):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = os.path.join(directory, "mosquitto.conf")
    with open(config, "w", encoding="utf-8") as file:
        # No limit of its own: neither window nor queue may be what is measured.
        file.write(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
                   "max_inflight_messages 0\nmax_queued_messages 0\nset_tcp_nodelay true\n"
                   "log_type error\n")
    server = Server("mosquitto", [mosquitto_path(), "-c", config], directory)

    def listening():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    server.wait_for(listening)
    server.mqtt = f"127.0.0.1:{port}"
    return server


def mosquitto_path():
    return shutil.which("mosquitto") or "/usr/sbin/mosquitto"


def generate(binary, arguments):
    command = ["taskset", "-c", GENERATOR_CORE, binary, "bench", "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}") from None


# Name, level, protocol, arguments. With a `compare`, mosquitto takes the same load.
FULL = ["--connections", "16", "--window", "1000"]
SINGLE = ["--connections", "64", "--window", "1"]
CASES = [
    ("MQTT QoS 0, 16 connections", "accepted", "mqtt", ["--qos", "0", "--connections", "16"], "compare"),
    ("MQTT QoS 1, 16 x window 1000", "accepted", "mqtt", ["--qos", "1", *FULL], "compare"),
    ("MQTT QoS 1, 64 x window 1", "accepted", "mqtt", ["--qos", "1", *SINGLE], "compare"),
    ("MQTT QoS 0, 16 connections", "stored", "mqtt", ["--qos", "0", "--connections", "16"], ""),
    ("MQTT QoS 1, 16 x window 1000", "stored", "mqtt", ["--qos", "1", *FULL], ""),
    ("MQTT QoS 1, 64 x window 1", "stored", "mqtt", ["--qos", "1", *SINGLE], ""),
    ("HTTP, one event a request, 64 connections", "stored", "http", ["--connections", "64"], ""),
    ("HTTP, pipelined x 16, 64 connections", "stored", "http",
     ["--connections", "64", "--pipeline", "16"], ""),
    ("HTTP, 100 events a request, 16 connections", "stored", "http",
     ["--connections", "16", "--batch", "100"], ""),
    ("To an MQTT subscriber, 5,000/s", "accepted", "mqtt",
     ["--qos", "0", "--connections", "16", "--rate", "5000", "--topic", "through/{n}",
      "--subscribe", "notifications/#"], "compare"),
    ("To an MQTT subscriber, 5,000/s", "stored", "mqtt",
     ["--qos", "0", "--connections", "16", "--rate", "5000", "--topic", "through/{n}",
      "--subscribe", "notifications/#"], ""),
]


def run_rounds(binary, servers, rounds, seconds):
    """{(case index, server name): [results]}; a round runs every case on every server."""
    results = {}
    for number in range(rounds):
        for index, (name, level, protocol, arguments, compare) in enumerate(CASES):
            for who in ([level, "mosquitto"] if compare else [level]):
                server = servers[who]
                address = getattr(server, protocol)
                if who == "mosquitto":
                    # A broker forwards the message itself.
                    arguments = [a.replace("notifications/#", "through/+") for a in arguments]
                print(f"round {number + 1}/{rounds}: {who}: {name}", file=sys.stderr)
                before = server.cpu_s()
                result = generate(binary, [f"--{protocol}", address, "--duration", str(seconds),
                                           *arguments])
                result["cpu_ns"] = (server.cpu_s() - before) * 1e9 / max(1, result["acknowledged"])
                results.setdefault((index, who), []).append(result)
    return results


def median(results, *path):
    values = []
    for result in results:
        for key in path:
            result = None if result is None else result[key]
        if result is not None:
            values.append(result)
    return statistics.median(values) if values else None


def microseconds(value):
    return "" if value is None else f"{value:,.0f}"


def latencies(results, field):
    return " / ".join(microseconds(median(results, field, q)) for q in ("p50", "p99", "p99.9"))


def lost(results):
    return sum(r["refused"] + r["unanswered"] + r["not_sent"] + r["errors"]
               + (abs(r["acknowledged"] - r["received"]) if r["end_to_end_us"] else 0)
               for r in results)


def end_to_end_table(results):
    lines = ["| load | server | events/s | server CPU, ns an event | acknowledged in us, p50 / p99 / p99.9 | "
             "end to end in us, p50 / p99 / p99.9 | lost or doubled |", "|---|---|---|---|---|---|---|"]
    ratios = []
    for (index, who), runs in results.items():
        name = CASES[index][0]
        server = who if who == "mosquitto" else f"Tocsin, `{who}`"
        ack = latencies(runs, "acknowledged_in_us") if runs[0]["acknowledged_in_us"] else ""
        e2e = latencies(runs, "end_to_end_us") if runs[0]["end_to_end_us"] else ""
        rate = median(runs, "events_per_s")
        lines.append(f"| {name} | {server} | {rate:,.0f} | {median(runs, 'cpu_ns'):,.0f} | {ack} | {e2e} | {lost(runs)} |")
        if who == "mosquitto":
            ours = results[(index, CASES[index][1])]
            if e2e:
                ratio = (median(runs, "end_to_end_us", "p99")
                         / median(ours, "end_to_end_us", "p99"))
                ratios.append(f"| {name} | p99 | {ratio:.2f} |")
            else:
                ratio = median(ours, "events_per_s") / rate
                ratios.append(f"| {name} | events/s | {ratio:.2f} |")
    return "\n".join(lines), "\n".join(["| load | figure | times better than mosquitto |",
                                        "|---|---|---|", *ratios])


def micro_table(build):
    done = subprocess.run(
        ["taskset", "-c", GENERATOR_CORE + "," + SERVER_CORE,
         os.path.join(build, "bench", "tocsin_bench_micro"), "--benchmark_min_time=0.1",
         "--benchmark_format=json"], capture_output=True, text=True, timeout=180, check=False)
    lines = ["| benchmark | ns | M items/s | MB/s |", "|---|---|---|---|"]
    to_ns = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}
    for row in json.loads(done.stdout)["benchmarks"]:
        items = row.get("items_per_second")
        size = row.get("bytes_per_second")
        lines.append(f"| {row['name']} | {row['real_time'] * to_ns[row['time_unit']]:,.1f} | "
                     f"{'' if items is None else f'{items / 1e6:,.2f}'} | "
                     f"{'' if size is None else f'{size / 1e6:,.0f}'} |")
    return "\n".join(lines)


def first_line(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).splitlines()[0]


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        found = re.search(r"model name\s*: (.*)", file.read())
    return found[1] if found else platform.machine()


def load_average():
    return " ".join(f"{value:.1f}" for value in os.getloadavg())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", help="build directory, such as build/release")
    parser.add_argument("--output", default="build/bench/report.md")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--skip-micro", action="store_true")
    options = parser.parse_args()
    binary = os.path.abspath(os.path.join(options.build, "tocsin"))
    os.makedirs(os.path.dirname(os.path.abspath(options.output)), exist_ok=True)
    if (os.cpu_count() or 1) < 2:
        raise SystemExit("two processors are needed: one for the server, one for the generator")

    load_before = load_average()
    with tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(options.output))) as work:
        servers = {}
        try:
            for level in ("accepted", "stored"):
                servers[level] = start_tocsin(binary, level, work)
            servers["mosquitto"] = start_mosquitto(work)
            results = run_rounds(binary, servers, options.rounds, options.seconds)
        finally:
            for server in servers.values():
                server.stop()
    table, ratios = end_to_end_table(results)
    micro = "" if options.skip_micro else micro_table(options.build)

    with open(options.output, "w", encoding="utf-8") as report:
        report.write(f"""# What this build does on this machine

- {processor()}, {os.cpu_count()} processors, Linux {platform.release()}
- {first_line(binary, "version")}; {first_line(mosquitto_path(), "-h")}
- `bench/report.py {options.build} --seconds {options.seconds:g} --rounds {options.rounds}`; load average
  before {load_before}, after {load_average()}

## End to end

Server (`threads = 1`) on core {SERVER_CORE}, generator on core {GENERATOR_CORE}; 200-byte JSON with nine fields, 101 rules of
which one matches one event in the run; medians of {options.rounds} rounds of {options.seconds:g} s. QoS 0 counts what the server
has read when it answers a ping behind it.

{table}

## Beside mosquitto

{ratios}
""")
        if micro:
            report.write(f"\n## Parts\n\n{micro}\n")
    print(options.output)


if __name__ == "__main__":
    main()
