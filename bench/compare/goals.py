"""The goals that a build is held to, and whether this run met them."""

import dataclasses

import figures
import idle


@dataclasses.dataclass(frozen=True)
class Measured:
    """Everything that one run of the report has found. `rounds` is {(scenario, peer): results}."""
    rounds: dict
    idle: dict       # {peer: bytes a connection}.
    idle_count: int  # With how many connections.
    idle_tls: object
    start: dict


@dataclasses.dataclass(frozen=True)
class Goal:
    text: str
    value: object     # Callable: Measured -> a Figure, or None when it was not measured.
    limit: float
    at_least: bool    # Else at most.
    digits: int = 2
    gate: bool = False  # Ratios hold on any machine; absolute figures on the one they were set for.

    def verdict(self, measured):
        found = self.value(measured)
        if found is None:
            return "not measured", ""
        met = found.median >= self.limit if self.at_least else found.median <= self.limit
        return ("met" if met else "**not met**"), figures.with_spread(found, self.digits)


def _rounds(key, peer):
    return lambda measured: measured.rounds.get((key, peer), [])


def rate(key, peer):
    """Million events a second."""
    def value(measured):
        found = figures.figure(figures.rates(_rounds(key, peer)(measured)))
        return found and found.scaled(1e-6)
    return value


def rate_ratio(key, ours, theirs):
    def value(measured):
        return figures.ratio(figures.rates(_rounds(key, ours)(measured)),
                             figures.rates(_rounds(key, theirs)(measured)))
    return value


def latency(key, peer, quantile):
    return lambda measured: figures.figure(
        figures.latencies(_rounds(key, peer)(measured), quantile))


def idle_mb(peer):
    def value(measured):
        size = measured.idle.get(peer)
        return None if size is None else figures.figure([size * idle.CONNECTIONS / 1e6])
    return value


def start_ms(peer):
    return lambda measured: figures.figure(measured.start.get(peer, []))


GOALS = (
    Goal("MQTT QoS 0, at least 10 times Mosquitto (the gate)",
         rate_ratio("qos0", "tocsin-accepted", "mosquitto"), 10, True, 1, True),
    Goal("MQTT QoS 1 `accepted`, at least 15 times Mosquitto (the gate)",
         rate_ratio("qos1", "tocsin-accepted", "mosquitto"), 15, True, 1, True),
    Goal("HTTP, 64 connections, not pipelined: at least nginx's rate for an empty answer",
         rate_ratio("http", "tocsin-accepted", "nginx"), 1, True, 2, True),
    Goal("MQTT QoS 0, 16 connections: 4 M events/s", rate("qos0", "tocsin-accepted"), 4, True),
    Goal("MQTT QoS 1 `accepted`, 16 x 1000: 4 M events/s", rate("qos1", "tocsin-accepted"), 4, True),
    Goal("MQTT QoS 1 `stored`, 16 x 1000: 2.5 M events/s", rate("qos1", "tocsin-stored"), 2.5, True),
    Goal("HTTP pipelined: 1 M events/s", rate("http-pipelined", "tocsin-accepted"), 1, True),
    Goal("HTTP in batches of 100: 3 M events/s", rate("http-batch", "tocsin-accepted"), 3, True),
    Goal("through to an MQTT subscriber at 20 k/s, `accepted`: p50 under 100 us",
         latency("through-20k", "tocsin-accepted", "p50"), 100, False, 0),
    Goal("the same: p99 under 300 us", latency("through-20k", "tocsin-accepted", "p99"), 300, False, 0),
    Goal("10,000 idle plain connections: under 40 MB above the empty process", idle_mb("tocsin"), 40,
         False, 1),
    Goal("start to the first acknowledged event: under 50 ms", start_ms("tocsin"), 50, False, 1),
)


def table(measured):
    lines = ["| goal | measured: median (lowest to highest) | |", "|---|---|---|"]
    for goal in GOALS:
        verdict, found = goal.verdict(measured)
        lines.append(f"| {goal.text} | {found} | {verdict} |")
    return "\n".join(lines)
