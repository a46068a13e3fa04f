"""The loads, and who takes them."""

import dataclasses

OURS = ("tocsin-accepted", "tocsin-stored")
BROKERS = ("mosquitto", "nats")


@dataclasses.dataclass(frozen=True)
class Scenario:
    key: str
    title: str
    protocol: str   # Which listener: mqtt or http.
    arguments: tuple
    peers: tuple    # Tocsin's first, then those that it is compared with.
    figure: str = "rate"  # What is compared: "rate", or the latency "p99" end to end.

    def arguments_for(self, peer):
        """A broker forwards the message itself; Tocsin tells of it by a rule."""
        if peer in BROKERS:
            return [part.replace("notifications/through", "through/+") for part in self.arguments]
        return list(self.arguments)


# NATS speaks MQTT 3.1.1 only, so everybody does; the QoS 2 that it lacks is compared without it.
MQTT = ("--mqtt-version", "3.1.1", "--payload-size", "200", "--shapes", "8")
HTTP = ("--payload-size", "200", "--shapes", "8")


def through(rate):
    return Scenario(f"through-{rate // 1000}k", f"through to an MQTT subscriber at {rate:,}/s, QoS 0", "mqtt",
                    MQTT + ("--qos", "0", "--connections", "16", "--rate", str(rate), "--topic",
                            "through/{n}", "--subscribe", "notifications/through"),
                    OURS + BROKERS, "p99")


SCENARIOS = (
    Scenario("qos0", "MQTT QoS 0, 16 connections", "mqtt",
             MQTT + ("--qos", "0", "--connections", "16"), OURS + BROKERS + ("sink",)),
    Scenario("qos1", "MQTT QoS 1, 16 connections x window 1000", "mqtt",
             MQTT + ("--qos", "1", "--connections", "16", "--window", "1000"),
             OURS + BROKERS + ("sink",)),
    Scenario("qos1-single", "MQTT QoS 1, 64 connections x window 1", "mqtt",
             MQTT + ("--qos", "1", "--connections", "64", "--window", "1"),
             OURS + BROKERS + ("sink",)),
    Scenario("http", "HTTP, one event a request, 64 keep-alive connections, no pipelining", "http",
             HTTP + ("--connections", "64"), OURS + ("nginx", "sink")),
    Scenario("http-pipelined", "HTTP, one event a request, 64 connections, pipelined x 16", "http",
             HTTP + ("--connections", "64", "--pipeline", "16"), OURS + ("nginx", "sink")),
    Scenario("http-batch", "HTTP, 100 events a request, 16 connections", "http",
             HTTP + ("--connections", "16", "--batch", "100"), OURS + ("sink",)),
    through(20_000),
    through(5_000),
)
