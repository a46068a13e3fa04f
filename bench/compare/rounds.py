"""Runs every load on every server, in turns, so that what disturbs the machine disturbs all."""

import json
import subprocess
import sys
import time

# From this part of its processor on, the server is the limit, whatever else is busy.
SATURATED = 0.85
# A run ends by itself; this only bounds a hang.
RUN_MAX_S = 180


def generate(binary, core, arguments):
    """One run of the generator: what it prints, and the command."""
    command = ["taskset", "-c", str(core), binary, "bench", "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_MAX_S, check=False)
    try:
        return json.loads(done.stdout), command
    except json.JSONDecodeError:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}") from None


def measure(binary, core, server, scenario, peer, seconds):
    began, before, wanted = time.monotonic(), server.cpu_s(), server.demand_s()
    result, command = generate(
        binary, core, [f"--{scenario.protocol}", getattr(server, scenario.protocol), "--warm-up",
                       str(seconds / 4), "--duration", str(seconds), *scenario.arguments_for(peer)])
    result["cpu_ns"] = (server.cpu_s() - before) * 1e9 / max(1, result["acknowledged"])
    # Of the whole run, connecting included: a little less than while it was measured.
    wanted = server.demand_s() - wanted
    result["server_busy"] = min(1.0, wanted / (time.monotonic() - began))
    if result["rate"] == 0 and result["server_busy"] >= SATURATED:
        result["bound_by"] = "server"
    result["command"] = " ".join(command).replace(getattr(server, scenario.protocol), "ADDRESS")
    return result


def run(binary, core, servers, scenarios, rounds, seconds):
    """{(scenario key, peer): [one result a round]}."""
    results = {}
    for number in range(rounds):
        for scenario in scenarios:
            peers = [peer for peer in scenario.peers if peer in servers]
            # Every other round backwards: nobody is always behind the same neighbour.
            for peer in peers if number % 2 == 0 else reversed(peers):
                print(f"round {number + 1}/{rounds}: {scenario.key}: {peer}", file=sys.stderr)
                results.setdefault((scenario.key, peer), []).append(
                    measure(binary, core, servers[peer], scenario, peer, seconds))
    return results
