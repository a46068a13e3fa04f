#!/usr/bin/env python3
"""Measures a build beside its peers and writes one Markdown report.

    bench/compare BUILD_DIR [--output FILE] [--seconds S] [--rounds N] [--only KEY,...] [--skip PART,...]
"""

import argparse
import os
import shlex
import signal
import sys
import tempfile

import crosscheck
import goals
import idle
import machine
import parts
import peers
import profile
import report
import rounds
import start_time
from scenarios import SCENARIOS

PARTS = ("wrk", "profile", "idle", "start", "micro")


def parse():
    parser = argparse.ArgumentParser(prog="bench/compare", description=__doc__.splitlines()[0])
    parser.add_argument("build", help="build directory, such as build/release")
    parser.add_argument("--output", default="build/bench/report.md")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="loads: " + ", ".join(s.key for s in SCENARIOS))
    parser.add_argument("--skip", default="", help="parts: " + ", ".join(PARTS))
    return parser.parse_args()


def chosen(text, known):
    names = [name for name in text.split(",") if name]
    for name in names:
        if name not in known:
            raise SystemExit(f"bench/compare: \"{name}\" is none of {', '.join(known)}")
    return names


def two_cores():
    """(server's, generator's)."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise SystemExit("two processors are needed: one for the server, one for the generator")
    return usable[0], usable[1]


def measure_loads(binary, cores, scenarios, options, skip, directory):
    """Starts every server that a load needs; ({(load, peer): results}, wrk's results)."""
    absent = peers.missing()
    wanted = {peer for scenario in scenarios for peer in scenario.peers} - set(absent)
    if absent:
        print("not installed, so left out:", ", ".join(absent), file=sys.stderr)
    servers = {}
    try:
        for key in sorted(wanted):
            servers[key] = peers.start(key, binary, cores[0], directory)
        results = rounds.run(binary, cores[1], servers, scenarios, options.rounds, options.seconds)
        wrk = {}
        if "wrk" not in skip and any(scenario.key == "http" for scenario in scenarios):
            wrk = crosscheck.run(cores[1], servers, options.rounds, options.seconds, directory)
    finally:
        for server in servers.values():
            server.stop()
    return results, wrk


def main():
    # Told to end, we end our servers, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = parse()
    only = chosen(options.only, [scenario.key for scenario in SCENARIOS])
    skip = chosen(options.skip, PARTS)
    scenarios = [scenario for scenario in SCENARIOS if not only or scenario.key in only]
    binary = os.path.abspath(os.path.join(options.build, "tocsin"))
    where = os.path.dirname(os.path.abspath(options.output))
    os.makedirs(where, exist_ok=True)
    cores = two_cores()
    load_before = machine.load_average()
    brokers = [key for key in ("mosquitto", "nats") if key not in peers.missing()]
    # Beside the report: a disk, where /tmp may be memory.
    with tempfile.TemporaryDirectory(dir=where, prefix="data-") as directory:
        results, wrk = measure_loads(binary, cores, scenarios, options, skip, directory)
        idle_count, crowds = (0, {}) if "idle" in skip else idle.run(
            binary, cores, ["tocsin", *brokers], directory)
        measured = goals.Measured(
            rounds=results, idle=crowds, idle_count=idle_count,
            idle_tls=None if "idle" in skip else idle.run_tls(binary, cores, directory),
            start={} if "start" in skip else start_time.run(binary, cores, ["tocsin", *brokers],
                                                            directory))
        costs = {} if "profile" in skip else profile.run(binary, cores, scenarios, options.seconds,
                                                         directory)
        about = machine.describe(directory)
    report.write(options.output, machine=about, versions=peers.versions(binary),
                 load=(load_before, machine.load_average()),
                 command=shlex.join(["bench/compare", *sys.argv[1:]]), scenarios=scenarios,
                 measured=measured, wrk=wrk, costs=costs,
                 micro="" if "micro" in skip else parts.table(options.build),
                 rounds=options.rounds, seconds=options.seconds)
    print(options.output)


if __name__ == "__main__":
    main()
