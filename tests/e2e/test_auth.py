"""Users, tokens, client certificates and rights: over MQTT and HTTP, with real clients."""

import base64
import http.client
import json
import re
import signal
import socket

from harness import DEADLINE_S, TOCSIN, Case, Process, main, run_command, wait_until
from peers import Certificates

# Nothing that the program prints may hold one of these.
PASSWORD = "canary-password-7f3a91"
OTHER_PASSWORD = "canary-other-11c0de"
GUESS = "canary-guess-55aa"

RULES = """
[[channel]]
name = "console"
type = "log"
[[source]]
name = "telemetry"
topic = "devices/{device}/telemetry"
[[source]]
name = "orders"
[[source]]
name = "secrets"
[[rule]]
name = "all"
channel = "console"
"""


def password_hash(password):
    done = run_command(TOCSIN, "password", "--memory-kib", 64, "--passes", 1,
                       stdin=password.encode() + b"\n", check=True)
    return done.stdout.decode().strip()


def new_token():
    text = run_command(TOCSIN, "token", check=True).stdout.decode()
    return (re.search(r"token += (\S+)", text)[1], re.search(r'token_hash = "(\S+)"', text)[1])


class AuthCase(Case):
    def setUp(self):
        super().setUp()
        self.token, self.token_hash = new_token()
        self.hash = password_hash(PASSWORD)
        self.secrets = [PASSWORD, OTHER_PASSWORD, GUESS, self.token, self.hash,
                        self.hash.split("$")[-1], self.token_hash[8:]]

    def user(self, name, more="", credential=None):
        credential = credential or f"password_hash = '{self.hash}'"
        return (f'[[user]]\nname = "{name}"\n{credential}\n'
                'publish = ["devices/%u/#", "clients/%c/#", "orders"]\n'
                f'subscribe = ["devices/%u/#"]\n{more}\n')

    def config(self, users, auth="", listeners=""):
        return (f'[http]\nlisten = "127.0.0.1:0"\n[mqtt]\nlisten = "127.0.0.1:0"\n{listeners}\n'
                f"[auth]\n{auth}\n{RULES}\n{users}")

    def publish(self, engine, *credentials, topic="devices/ann/telemetry", payload='{"a":1}',
                version="mqttv5", client="c1"):
        return run_command("mosquitto_pub", "-h", "127.0.0.1", "-p", engine.mqtt, "-V", version,
                           "-q", 1, "-i", client, "-t", topic, "-m", payload, *credentials)

    def accepted(self, done):
        self.assertEqual(done.returncode, 0, done)

    def refused(self, done):
        self.assertNotEqual(done.returncode, 0, done)

    def tearDown(self):
        for process in self._processes:
            for line in process.out + process.err:
                for secret in self.secrets:
                    self.assertNotIn(secret, line)


def login(user, password):
    return ("-u", user, "-P", password)


class Mqtt(AuthCase):
    def test_passwords_tokens_and_nobody(self):
        bob = self.user("bob", credential=f'token_hash = "{self.token_hash}"')
        gone = self.user("gone", "active = false")
        engine = self.start(self.config(self.user("ann") + bob + gone))
        for version in ("mqttv311", "mqttv5"):
            self.accepted(self.publish(engine, *login("ann", PASSWORD), version=version))
            self.accepted(self.publish(engine, *login("bob", self.token), version=version,
                                       topic="devices/bob/telemetry"))
            self.refused(self.publish(engine, *login("ann", GUESS), version=version))
            self.refused(self.publish(engine, *login("ann", self.token), version=version))
            self.refused(self.publish(engine, version=version))
        self.refused(self.publish(engine, *login("nobody", PASSWORD)))
        self.refused(self.publish(engine, "-u", "ann"))
        metrics = engine.metrics()
        for secret in self.secrets:
            self.assertNotIn(secret, metrics)
        self.assertEqual(engine.metric("tocsin_auth_attempts_total", method="token",
                                       result="accepted"), 2)

    def test_an_inactive_user_is_refused(self):
        engine = self.start(self.config(self.user("ann", "active = false")))
        self.refused(self.publish(engine, *login("ann", PASSWORD)))
        self.assertEqual(engine.metric("tocsin_auth_attempts_total", result="not_authorized"), 1)

    def test_reconnecting_costs_one_hash(self):
        engine = self.start(self.config(self.user("ann")))
        for _ in range(10):
            self.accepted(self.publish(engine, *login("ann", PASSWORD)))
        self.assertEqual(engine.metric("tocsin_auth_passwords_hashed_total"), 1)
        self.assertEqual(engine.metric("tocsin_auth_passwords_remembered_total"), 9)

    def test_rights(self):
        engine = self.start(self.config(self.user("ann")))
        ann = login("ann", PASSWORD)
        forbidden = (("devices/bob/telemetry", "c1"), ("clients/c2/telemetry", "c1"),
                     ("clients/x", "#"), ("other", "c1"))
        for number, (topic, client) in enumerate(forbidden):
            self.publish(engine, *ann, topic=topic, client=client,
                         payload=json.dumps({"forbidden": number}))
        self.accepted(self.publish(engine, *ann, payload='{"allowed":1}'))
        engine.wait_line(r'\{"allowed":1\}')
        self.assertEqual(engine.matching("forbidden"), [])

    def test_subscriptions_are_allowed_only_as_a_whole(self):
        engine = self.start(self.config(self.user("ann")))

        def subscribe(topic):
            done = run_command("mosquitto_sub", "-h", "127.0.0.1", "-p", engine.mqtt, "-V",
                               "mqttv5", "-E", "-d", "-t", topic, *login("ann", PASSWORD))
            return re.search(r"Subscribed \(mid: \d+\): (\d+)", done.stdout.decode())[1]

        self.assertEqual(subscribe("devices/ann/+"), "0")
        for topic in ("#", "devices/#", "devices/+/telemetry", "devices/bob/#", "notifications/#"):
            self.assertEqual(subscribe(topic), "135", topic)

    def test_guessing_is_slowed_down_but_not_for_who_is_known(self):
        engine = self.start(self.config(self.user("ann"), "failures_free = 2\n"
                                        'failure_delay_ms = "1m"'))
        ann = login("ann", PASSWORD)
        self.accepted(self.publish(engine, *ann))
        for number in range(6):
            self.refused(self.publish(engine, *login("ann", f"{GUESS}{number}")))
        self.assertEqual(engine.metric("tocsin_auth_attempts_total", result="busy"), 3)
        self.assertEqual(engine.metric("tocsin_auth_passwords_hashed_total"), 4)
        self.accepted(self.publish(engine, *ann))

    def test_connections_of_an_address(self):
        engine = self.start(self.config("", "connections_per_address_max = 3"))
        held = [socket.create_connection(("127.0.0.1", engine.mqtt)) for _ in range(3)]
        for one in held:
            self.addCleanup(one.close)

        def closed_at_once():
            with socket.create_connection(("127.0.0.1", engine.mqtt), timeout=DEADLINE_S) as one:
                try:
                    return one.recv(1) == b""
                except ConnectionResetError:
                    return True

        self.assertTrue(closed_at_once())
        held.pop().close()
        wait_until(lambda: self.publish(engine).returncode == 0, "a place that became free")
        held.pop().close()

        def refusals():
            try:
                return engine.metric("tocsin_connections_refused_total", limit="connections")
            except (OSError, http.client.HTTPException):
                return None  # HTTP counts, too, and the closed one may still be there.

        self.assertGreaterEqual(wait_until(refusals, "metrics"), 1)


class Http(AuthCase):
    def post(self, engine, source="orders", **headers):
        body = json.dumps({"event": source, "payload": {"a": 1}})
        return engine.post(body, headers={k.replace("_", "-"): v for k, v in headers.items()})

    @staticmethod
    def basic(user, password):
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def test_tokens_passwords_and_rights(self):
        both = f"password_hash = '{self.hash}'\ntoken_hash = \"{self.token_hash}\""
        engine = self.start(self.config(self.user("ann", credential=both)))
        status, headers, body = self.post(engine)
        self.assertEqual(status, 401)
        self.assertIn("Bearer", ", ".join(headers.get_all("WWW-Authenticate")))
        good = (f"Bearer {self.token}", self.basic("ann", PASSWORD),
                self.basic("ann", self.token))
        for shown in good:
            self.assertEqual(self.post(engine, Authorization=shown)[0], 202)
        answers = [body]
        for shown in (f"Bearer {self.token}x", self.basic("ann", GUESS), "Bearer", "Basic !",
                      self.basic("nobody", PASSWORD)):
            status, _, body = self.post(engine, Authorization=shown)
            self.assertEqual(status, 401, shown)
            answers.append(body)
        status, _, body = self.post(engine, "secrets", Authorization=good[0])
        self.assertEqual(status, 403)
        for answer in [*answers, body, engine.metrics().encode()]:
            for secret in self.secrets:
                self.assertNotIn(secret.encode(), answer)

    def test_anonymous_clients_have_their_own_rights(self):
        engine = self.start(self.config(self.user("ann"), "allow_anonymous = true\n"
                                        'anonymous_publish = "orders"'))
        self.assertEqual(self.post(engine)[0], 202)
        self.assertIn(self.post(engine, "secrets")[0], (401, 403))
        self.assertEqual(self.post(engine, Authorization=self.basic("ann", GUESS))[0], 401)


class Certificate(AuthCase):
    def test_it_stands_for_the_user_that_names_it(self):
        certificates = Certificates(self.directory)
        server = certificates.issue("server")
        ca = certificates.ca[0]
        tls = (f'listen_tls = "127.0.0.1:0"\n[tls]\ncertificate = "{server[0]}"\n'
               f'key = "{server[1]}"\nclient_ca = "{ca}"\n')
        engine = self.start(self.config(
            self.user("ann", credential='certificate_name = "device-7"'), listeners=tls))

        def publish(*options):
            return run_command("mosquitto_pub", "-h", "localhost", "-p", engine.mqtts, "--cafile",
                               ca, "-V", "mqttv5", "-q", 1, "-t", "devices/ann/telemetry", "-m",
                               '{"a":1}', *options)

        for name, fits in (("device-7", True), ("device-8", False)):
            pair = certificates.issue(name, subject=name)
            done = publish("--cert", pair[0], "--key", pair[1])
            self.assertEqual(done.returncode == 0, fits, name)
        self.refused(publish())
        engine.wait_line(r'\{"a":1\}')


class Reload(AuthCase):
    def test_users_come_go_and_change(self):
        engine = self.start(self.config(self.user("ann") + self.user("bob")))
        watchers = {name: self.watch(Process(f"sub-{name}", [
            "stdbuf", "-oL", "mosquitto_sub", "-d", "-h", "127.0.0.1", "-p", engine.mqtt, "-V",
            "mqttv5", "-t", f"devices/{name}/#", *login(name, PASSWORD)]))
            for name in ("ann", "bob")}
        for watcher in watchers.values():
            watcher.wait_line(r"Subscribed \(mid")
        changed = f"password_hash = '{password_hash(OTHER_PASSWORD)}'"
        self.write("tocsin.toml", self.config(self.user("ann", credential=changed) +
                                              self.user("carl")))
        engine.signal(signal.SIGHUP)
        engine.wait_line("reloaded", lines=engine.err)
        self.refused(self.publish(engine, *login("ann", PASSWORD)))
        self.accepted(self.publish(engine, *login("ann", OTHER_PASSWORD)))
        self.accepted(self.publish(engine, *login("carl", PASSWORD),
                                   topic="devices/carl/telemetry"))
        self.refused(self.publish(engine, *login("bob", PASSWORD)))
        watchers["ann"].wait_line(r'^\{"a":1\}')
        watchers["bob"].wait_line(r"Received DISCONNECT \(135\)")  # Who is gone is cut off.


class Configuration(AuthCase):
    def check(self, config):
        done = run_command(TOCSIN, "check", self.write("check.toml", config))
        text = (done.stdout + done.stderr).decode()
        for secret in self.secrets:
            self.assertNotIn(secret, text)
        return done.returncode, text

    def test_problems_have_their_line_and_no_secret(self):
        self.assertEqual(self.check(self.config(self.user("ann")))[0], 0)
        for users, key in (
                (self.user("ann", credential=f'password_hash = "{PASSWORD}"'),
                 "user[0].password_hash"),
                (self.user("ann", credential=f'token_hash = "{self.token}"'),
                 "user[0].token_hash"),
                (self.user("ann") + self.user("ann"), "user[1].name"),
                (self.user("ann").replace('["devices/%u/#"]', '["a#"]'), "user[0].subscribe"),
                (self.user("ann").replace("password_hash", "password"), "user[0].password"),
                (f"[[user]]\nname = \"ann\"\npassword_hash = ['{self.hash}']\n",
                 "user[0].password_hash")):
            code, text = self.check(self.config(users))
            self.assertEqual(code, 2, users)
            self.assertRegex(text, rf"check\.toml:\d+: {re.escape(key)}: ")

    def test_beyond_loopback_takes_users(self):
        def beyond(config):
            return config.replace("127.0.0.1:0", "0.0.0.0:0")

        self.assertEqual(self.check(beyond(self.config("")))[0], 2)
        self.assertEqual(self.check(beyond(self.config(self.user("ann"))))[0], 0)
        self.assertEqual(self.check(beyond(self.config("", "allow_anonymous = true")))[0], 0)

    def test_commands(self):
        self.assertRegex(self.hash, r"^\$argon2id\$v=19\$m=64,t=1,p=1\$")
        default = run_command(TOCSIN, "password", stdin=b"x\n", check=True).stdout.decode()
        self.assertRegex(default, r"^\$argon2id\$v=19\$m=12288,t=3,p=1\$")
        self.assertNotEqual(run_command(TOCSIN, "password", stdin=b"").returncode, 0)
        self.assertNotEqual(run_command(TOCSIN, "password", PASSWORD, stdin=b"").returncode, 0)


if __name__ == "__main__":
    main()
