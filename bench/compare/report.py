"""The report as Markdown."""

import goals
import idle
import peers
import profile
from figures import figure, latencies, lost, number, ratio, rates, with_spread


def label(peer):
    if peer.startswith("tocsin-"):
        return f"Tocsin, `{peer.removeprefix('tocsin-')}`"
    return {"mosquitto": "Mosquitto", "nats": "NATS", "tocsin": "Tocsin"}.get(peer, peer)


def quantiles(results, field):
    parts = [figure(latencies(results, quantile, field)) for quantile in ("p50", "p99", "p99.9")]
    return " / ".join(number(part and part.median) for part in parts) if parts[0] else ""


def busy(runs):
    return " / ".join(f"{figure([run[side] for run in runs]).median * 100:.0f} %"
                      for side in ("server_busy", "generator_busy"))


def compared(scenario, results, ours, peer):
    """How many times better Tocsin at that level is than the peer."""
    mine = results.get((scenario.key, ours), [])
    theirs = results[scenario.key, peer]
    if scenario.figure == "rate":
        return with_spread(ratio(rates(mine), rates(theirs)), 2)
    return with_spread(ratio(latencies(theirs, "p99"), latencies(mine, "p99")), 2)


def scenario_table(scenario, results):
    through = scenario.figure != "rate"
    head = "end to end in us, p50 / p99 / p99.9" if through else "answered in us, p50 / p99 / p99.9"
    what = "p99" if through else "events/s"
    lines = [f"### {scenario.title}", "",
             f"| server | events/s | server CPU, ns an event | server / generator busy | {head} | `accepted` is better by ({what}) | "
             f"`stored` is better by ({what}) | lost | bound by |", "|---|---|---|---|---|---|---|---|---|"]
    for peer in scenario.peers:
        runs = results.get((scenario.key, peer))
        if not runs:
            continue
        ours = peer.startswith("tocsin-")
        factors = ["", ""] if ours or peer == "sink" else [
            compared(scenario, results, level, peer) for level in ("tocsin-accepted", "tocsin-stored")]
        cpu = figure([run["cpu_ns"] for run in runs])
        field = "end_to_end_us" if through else "acknowledged_in_us"
        bounds = ", ".join(sorted({run["bound_by"] for run in runs}))
        lines.append(f"| {label(peer)} | {with_spread(figure(rates(runs)))} | {number(cpu.median)} | "
                     f"{busy(runs)} | {quantiles(runs, field)} | {factors[0]} | {factors[1]} | {lost(runs)} | {bounds} |")
    return "\n".join(lines) + "\n"


def crosscheck_table(wrk, results):
    if not wrk:
        return "Not measured.\n"
    lines = ["| server | wrk, requests/s | `tocsin bench`, requests/s | ours by wrk's |",
             "|---|---|---|---|"]
    for peer, found in wrk.items():
        ours = rates(results.get(("http", peer), []))
        lines.append(f"| {label(peer)} | {with_spread(figure(found))} | {with_spread(figure(ours))} | "
                     f"{with_spread(ratio(ours, found), 2)} |")
    return "\n".join(lines) + "\n"


def idle_table(measured):
    lines = ["| server | MB above the empty process | kB a connection |", "|---|---|---|"]
    for peer, size in measured.idle.items():
        if size is None:
            lines.append(f"| {label(peer)} | not every connection was made | |")
            continue
        lines.append(f"| {label(peer)} | {size * idle.CONNECTIONS / 1e6:,.1f} | {size / 1e3:,.2f} |")
    if measured.idle_tls is None:
        lines.append("| Tocsin, TLS | not measured | |")
    else:
        lines.append(f"| Tocsin, TLS | {measured.idle_tls * idle.CONNECTIONS / 1e6:,.0f}, from "
                     f"{idle.TLS_CONNECTIONS} connections | {measured.idle_tls / 1e3:,.1f} |")
    if measured.idle and measured.idle_count < idle.CONNECTIONS:
        lines += ["", f"Scaled up from {measured.idle_count:,}: this system gives one process no more files."]
    return "\n".join(lines) + "\n"


def start_table(start):
    lines = ["| server | ms |", "|---|---|"]
    lines += [f"| {label(peer)} | {with_spread(figure(found), 1)} |" for peer, found in start.items()]
    return "\n".join(lines) + "\n"


def commands(results):
    """Each command once: brokers differ in the topic filter only, Tocsin's levels in nothing."""
    seen = {}
    for (scenario, peer), runs in results.items():
        seen.setdefault((scenario, runs[-1]["command"]), []).append(label(peer))
    return "\n".join(f"- {', '.join(who)}: `{command}`" for (_, command), who in seen.items())


def write(path, *, machine, versions, load, command, scenarios, measured, wrk, costs, micro,
          rounds, seconds):
    """`machine` is a list of lines; the other parts are what their modules return."""
    results = measured.rounds
    sections = "\n".join(scenario_table(scenario, results) for scenario in scenarios)
    notes = "\n".join(f"- {label(key)}: {note}" for key, note in peers.NOTES.items())
    text = f"""# Measured: Tocsin beside its peers

{chr(10).join(f"- {line}" for line in machine)}
- load average before {load[0]}, after {load[1]}
- {"; ".join(f"{name}: {version}" for name, version in versions.items())}
- `{command}`

Server pinned to one processor, generator to another. {rounds} rounds of {seconds:g} s each after a warm-up of {seconds / 4:g} s,
servers in turns, every other round backwards. Figures are medians (lowest to highest of the rounds);
a ratio is that of the medians, its spread that of the ratios within the rounds. Payloads are 200
bytes in eight shapes. QoS 0 counts what the server has read when it answers a ping behind it.
"Busy" is the processor time that a process wanted, waiting for others included. "Bound by generator" means
that the generator had no processor time left, or sent late: the server could do more than that row says.

## Goals

{goals.table(measured)}

## Loads

{sections}
## What bounds it

Processor time of Tocsin at `accepted` (`threads = 1`, one processor) by what it was spent on, sampled by perf in a run of its
own. A goal that is not met above is bounded by the largest rows: at N million events a second there are 1,000 / N ns for one.

{profile.table(costs)}
## The generator, checked

The same servers under wrk ({crosscheck_title()}), in the same rounds. The rows "sink" above are the
generator's own ceiling.

{crosscheck_table(wrk, results)}
## {idle.CONNECTIONS:,} idle connections

{idle_table(measured)}
## Start to the first acknowledged event

A fresh data directory; Tocsin at level `stored`, MQTT QoS 1.

{start_table(measured.start)}
## Configurations

{notes}

## Commands

{commands(results)}
"""
    if micro:
        text += f"\n## Parts\n\n{micro}\n"
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def crosscheck_title():
    return "`order_created`, 64 connections, one fixed body"
