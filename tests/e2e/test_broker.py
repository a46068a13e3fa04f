"""Subscriptions to, and notifications through, a real Mosquitto."""

import json
import os
import re
import signal

from harness import (TOCSIN, Broker, Case, LISTENERS, main, publish, run_command,
                     wait_until)
from mqtt_client import StandInBroker


def bridge(broker, topics='["plant/#"]', more_in="", more_out="", scheme="mqtt", host="127.0.0.1",
           threads=0):
    """plant/{line}/{machine} at the broker -> alerts/<to> at the same broker."""
    uri = f"{scheme}://{host}:{broker.port}"
    return f"""
[server]
threads = {threads}
{LISTENERS}
[[subscription]]
name = "plant"
broker = "{uri}"
topics = {topics}
reconnect_min_ms = "50ms"
reconnect_max_ms = "200ms"
{more_in}
[[source]]
name = "machine"
topic = "plant/{{line}}/{{machine}}"
[[channel]]
name = "console"
type = "log"
[[channel]]
name = "back"
type = "mqtt"
broker = "{uri}"
topic = "alerts/{{recipient}}"
retry_schedule = "200ms"
retry_jitter = false
attempts_max = 100
reconnect_min_ms = "50ms"
reconnect_max_ms = "200ms"
{more_out}
[[rule]]
name = "seen"
source = "machine"
channel = "console"
body = "{{{{line}}}}/{{{{machine}}}} {{{{n}}}}"
[[rule]]
name = "alert"
source = "machine"
channel = "back"
recipient_field = "to"
pattern = {{ n = [{{ numeric = [">=", 0] }}] }}
body = "{{{{line}}}} {{{{n}}}}"
"""


class BrokerCase(Case):
    def connected(self, tocsin, state=1):
        wait_until(lambda: tocsin.metric("tocsin_subscription_connected") == state,
                   f"subscription connected = {state}")


class Bridge(BrokerCase):
    # Goal: broker -> captures -> rule -> channel -> broker, seen by a real subscriber, with both
    # protocol versions and QoS levels.
    def test_round_trip(self):
        broker = Broker(self).start()
        for version in ("5", "3.1.1"):
            for qos in (0, 1):
                with self.subTest(version=version, qos=qos):
                    more = f'protocol = "{version}"\nqos = {qos}'
                    tocsin = self.start(bridge(broker, more_in=more, more_out=more),
                                        data=self.path(f"data-{version}-{qos}"))
                    self.connected(tocsin)
                    subscriber = self.subscribe(broker.port, "alerts/#")
                    publish(broker.port, "plant/north/press", '{"n":7,"to":"press"}')
                    publish(broker.port, "plant/north/press", '{"n":-7,"to":"press"}')
                    publish(broker.port, "plant/south/saw", '{"n":8,"to":"saw"}')
                    tocsin.wait_line(r"north/press 7 \(rule=seen")
                    tocsin.wait_line(r"north/press -7 \(rule=seen")
                    subscriber.wait_message(f"alerts/press {qos} north 7$")
                    subscriber.wait_message(f"alerts/saw {qos} south 8$")
                    self.assertEqual(2, len(subscriber.messages()))
                    self.assertEqual(0, tocsin.stop())
                    subscriber.kill()

    # Goal: the same with one thread for everything, and with several.
    def test_threads(self):
        broker = Broker(self).start()
        for threads in (1, 4):
            tocsin = self.start(bridge(broker, threads=threads), data=self.path(f"d{threads}"))
            self.connected(tocsin)
            subscriber = self.subscribe(broker.port, "alerts/#")
            publish(broker.port, "plant/north/press", '{"n":7,"to":"press"}')
            subscriber.wait_message("alerts/press 1 north 7$")
            self.assertEqual(0, tocsin.stop())
            subscriber.kill()

    # Goal: bad messages from the broker are counted and harm nothing.
    def test_bad_messages(self):
        broker = Broker(self).start()
        tocsin = self.start(bridge(broker))
        self.connected(tocsin)
        publish(broker.port, "plant/a/b", "not json")
        publish(broker.port, "plant/a/b/c", "{}")
        publish(broker.port, "plant/a/b", '{"n":1,"to":"b"}')
        tocsin.wait_line("a/b 1")
        self.assertEqual(1, tocsin.metric("tocsin_subscription_refused_total",
                                          reason="json_syntax"))
        self.assertEqual(1, tocsin.metric("tocsin_subscription_refused_total",
                                          reason="unknown_source"))

    # Goal: two processes with one $share group get each message once, between them.
    def test_shared(self):
        broker = Broker(self).start()
        pair = []
        for name in ("one", "two"):
            config = bridge(broker, '["$share/crew/plant/#"]', f'client_id = "{name}"',
                            f'client_id = "{name}-out"')
            pair.append(self.start(config, data=self.path(name)))
            self.connected(pair[-1])
        lines = "".join(f'{{"n":{n}}}\n' for n in range(40))
        run_command("mosquitto_pub", "-h", "127.0.0.1", "-p", broker.port, "-q", 1, "-t",
                    "plant/a/b", "-l", stdin=lines.encode(), check=True)

        def numbers(tocsin):
            return [int(line.split("a/b ")[1].split(" ")[0])
                    for line in tocsin.matching(r"a/b \d+ \(rule=seen")]

        wait_until(lambda: len(numbers(pair[0]) + numbers(pair[1])) >= 40, "40 messages")
        self.assertEqual(list(range(40)), sorted(numbers(pair[0]) + numbers(pair[1])))
        self.assertTrue(numbers(pair[0]) and numbers(pair[1]), "the load was not shared")

    # Goal: credentials are sent; without them nothing comes through and the log says why.
    def test_credentials(self):
        passwords = self.write("passwords", "")
        run_command("mosquitto_passwd", "-b", passwords, "plant", "s3cret", check=True)
        os.chmod(passwords, 0o644)
        os.chmod(self.directory, 0o755)
        broker = Broker(self, f"allow_anonymous false\npassword_file {passwords}").start()
        secret = self.write("secret", "s3cret\n")
        os.chmod(secret, 0o600)
        login = f'username = "plant"\npassword = {{ file = "{secret}" }}'
        options = ("-u", "plant", "-P", "s3cret")
        tocsin = self.start(bridge(broker, more_in=login, more_out=login))
        self.connected(tocsin)
        subscriber = self.subscribe(broker.port, "alerts/#", options=options)
        publish(broker.port, "plant/a/b", '{"n":1,"to":"b"}', options=options)
        subscriber.wait_message("alerts/b 1 a 1$")
        wrong = 'username = "plant"\npassword = "wrong"'
        refused = self.start(bridge(broker, more_in=wrong, more_out=wrong), self.path("other"))
        refused.wait_line("(?i)(not authori[sz]ed|credentials|bad user name|refused)", refused.err)
        self.assertEqual(0, refused.metric("tocsin_subscription_connected"))
        self.assertFalse([line for line in tocsin.err + refused.err + tocsin.out
                          if "s3cret" in line])


class Refused(BrokerCase):
    # Goal: a broker that refuses a topic filter is not a subscription: metrics and readiness say
    # so, the log says why once, it is tried again with back-off, and works once it is allowed.
    def test_filter(self):
        broker = StandInBroker(acknowledge=True)
        self.addCleanup(broker.close)
        broker.subscribe_reason = 0x87
        tocsin = self.start(bridge(broker).split('[[channel]]\nname = "back"')[0])
        tocsin.wait_metric("tocsin_subscription_failures_total", 3, subscription="plant")
        self.assertGreaterEqual(broker.subscribes, 3)
        self.assertEqual(0, tocsin.metric("tocsin_subscription_connected"))

        def part():
            status, _, body = tocsin.request("GET", "/readyz")
            self.assertEqual(200, status, "our own listeners serve")
            return json.loads(body)["components"]["subscription plant"]

        self.assertEqual({"ready": False, "detail": "not subscribed"}, part())
        refusals = [line for line in tocsin.err if re.search("(?i)not subscribed.*authori", line)]
        self.assertEqual(1, len(refusals), tocsin.err)
        broker.subscribe_reason = 1
        self.connected(tocsin)
        self.assertTrue(part()["ready"])


class Reloads(BrokerCase):
    # Goal: a channel that a reload replaces has left the broker before the new one comes under the
    # same client id: the broker never has to end one for the other, and no notification fails.
    def test_same_client_id(self):
        broker = Broker(self).start()
        config = bridge(broker) + LOCAL_SOURCE
        tocsin = self.start(config)
        subscriber = self.subscribe(broker.port, "alerts/#")
        # A reload before that would end an attempt that the broker never sees.
        broker.process.wait_line("as tocsin-back ", broker.process.err)
        for n in range(4):
            changed = config.replace('topic = "alerts', f'keep_alive_s = {20 + n}\ntopic = "alerts')
            self.write("tocsin.toml", changed)
            tocsin.signal(signal.SIGHUP)
            tocsin.wait_line("reloaded ", tocsin.err, count=n + 1)
            self.assertEqual(202, tocsin.post(f'{{"event":"local","payload":{{"n":{n}}}}}')[0])
            subscriber.wait_message(f"alerts/local 1 {n}$")
        self.assertEqual(0, tocsin.metric("tocsin_delivery_attempts_total", channel="back",
                                          verdict="transient"))
        broker.process.wait_line("as tocsin-back ", broker.process.err, count=5)
        self.assertFalse([line for line in broker.process.err if "already connected" in line])


class Outages(BrokerCase):
    # Goal: the broker dies and comes back: both directions go on by themselves, and an event
    # that matched while it was away is delivered then.
    def test_restart(self):
        broker = Broker(self).start()
        tocsin = self.start(bridge(broker) + LOCAL_SOURCE)
        self.connected(tocsin)
        broker.kill()
        self.connected(tocsin, 0)
        self.assertEqual(202, tocsin.post('{"event":"local","payload":{"n":1}}')[0])
        broker.start()
        # Retained by nobody: the subscriber must be there before the engine is.
        subscriber = self.subscribe(broker.port, "alerts/#")
        self.connected(tocsin)
        publish(broker.port, "plant/a/b", '{"n":2,"to":"b"}')
        subscriber.wait_message("alerts/b 1 a 2$")
        self.assertEqual(202, tocsin.post('{"event":"local","payload":{"n":3}}')[0])
        subscriber.wait_message("alerts/local 1 3$")
        wait_until(lambda: tocsin.metric("tocsin_notifications_pending", channel="back") == 0,
                   "nothing pending")
        self.assertEqual(0, tocsin.metric("tocsin_ledger_outcomes_total", outcome="dead"))

    # Goal: started before its broker exists, the engine works and connects later; what matched
    # meanwhile is delivered.
    def test_late_broker(self):
        broker = Broker(self)
        tocsin = self.start(bridge(broker) + LOCAL_SOURCE)
        for n in range(5):
            self.assertEqual(202, tocsin.post(f'{{"event":"local","payload":{{"n":{n}}}}}')[0])
        tocsin.wait_metric("tocsin_delivery_attempts_total", 3, channel="back",
                           verdict="transient")
        broker.start()
        self.connected(tocsin)
        wait_until(lambda: tocsin.metric("tocsin_notifications_sent_total", channel="back") == 5,
                   "five late notifications")
        self.assertEqual(0, tocsin.metric("tocsin_ledger_outcomes_total", outcome="dead"))


LOCAL_SOURCE = """
[[source]]
name = "local"
[[rule]]
name = "local"
source = "local"
channel = "back"
recipients = ["local"]
body = "{{n}}"
"""


class Tls(BrokerCase):
    def certificate(self, name, host):
        """A key and a certificate for `host`, signed by this test's CA."""
        if not os.path.exists(self.path("ca.pem")):
            self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                         "-nodes", "-keyout", self.path("ca.key"), "-out", self.path("ca.pem"),
                         "-days", 2, "-subj", "/CN=test CA")
        extensions = self.write(f"{name}.ext", f"subjectAltName={host}\n")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                     "-keyout", self.path(f"{name}.key"), "-out", self.path(f"{name}.csr"),
                     "-subj", f"/CN={name}")
        self.openssl("x509", "-req", "-in", self.path(f"{name}.csr"), "-CA", self.path("ca.pem"),
                     "-CAkey", self.path("ca.key"), "-CAcreateserial", "-days", 2, "-extfile",
                     extensions, "-out", self.path(f"{name}.pem"))
        for file in os.listdir(self.directory):
            os.chmod(self.path(file), 0o644)  # A broker started by root gives up its rights.
        os.chmod(self.directory, 0o755)

    @staticmethod
    def openssl(*arguments):
        run_command("openssl", *arguments, check=True)

    def broker(self, name):
        return Broker(self, listener=f"certfile {self.path(name + '.pem')}\n"
                                     f"keyfile {self.path(name + '.key')}").start()

    # Goal: mqtts with the given CA: both directions work.
    def test_verified(self):
        self.certificate("good", "DNS:localhost,IP:127.0.0.1")
        broker = self.broker("good")
        authority = f'ca_file = "{self.path("ca.pem")}"'
        options = ("--cafile", self.path("ca.pem"))
        tocsin = self.start(bridge(broker, more_in=authority, more_out=authority,
                                   scheme="mqtts", host="localhost"))
        self.connected(tocsin)
        subscriber = self.subscribe(broker.port, "alerts/#", options=options)
        publish(broker.port, "plant/a/b", '{"n":1,"to":"b"}', options=options)
        subscriber.wait_message("alerts/b 1 a 1$")

    # Goal: a certificate for another host, or of an unknown CA, is refused: nothing is sent.
    def test_refused(self):
        self.certificate("wrong", "DNS:elsewhere.example")
        self.certificate("good", "DNS:localhost")
        for name, authority in (("wrong", f'ca_file = "{self.path("ca.pem")}"'), ("good", "")):
            with self.subTest(name=name):
                broker = self.broker(name)
                tocsin = self.start(bridge(broker, more_in=authority, more_out=authority,
                                           scheme="mqtts", host="localhost") + LOCAL_SOURCE,
                                    data=self.path("data-" + name))
                tocsin.post('{"event":"local","payload":{"n":1}}')
                tocsin.wait_metric("tocsin_delivery_attempts_total", 2, channel="back",
                                   verdict="transient")
                broker.process.wait_line("New connection from", broker.process.err, count=3)
                self.assertEqual(0, tocsin.metric("tocsin_subscription_connected"))
                self.assertEqual(0, tocsin.metric("tocsin_notifications_sent_total",
                                                  channel="back"))
                self.assertFalse([line for line in broker.process.err
                                  if "New client connected" in line])


class Loops(BrokerCase):
    # Goal: a configuration whose notifications come back as events is refused, naming both ends.
    def test_refused(self):
        broker = Broker(self)
        config = bridge(broker).replace('"alerts/{recipient}"', '"plant/alerts/{recipient}"')
        self.assertIn("plant/alerts", config)
        done = run_command(TOCSIN, "check",
                           self.write("loop.toml", config))
        self.assertNotEqual(0, done.returncode)
        message = done.stderr.decode()
        self.assertIn("loop.toml", message)
        self.assertRegex(message, 'channel "back" .*subscription "plant"')


if __name__ == "__main__":
    main()
