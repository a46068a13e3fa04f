"""What a new user does in the first minute, on the embedded defaults."""

import json
import re
from pathlib import Path

from harness import Case, default_config, main, run_command, wait_until

ORDER = {"event": "order_created",
         "payload": {"order_id": 444, "customer_email": "john@example.com", "total": 99.99}}
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


class FirstMinute(Case):
    # Run once per thread arrangement: one thread for everything, and a reactor with workers.
    threads = 0

    def setUp(self):
        super().setUp()
        self.tocsin = self.start(f"[server]\nthreads = {self.threads}\n" + default_config())

    # Goal: a device's publish becomes a printed notification, for both protocol versions and QoS
    # levels, and QoS 1 is acknowledged (mosquitto_pub ends with 0 only then).
    def test_device_publish(self):
        count = 0
        for version in ("3.1.1", "5"):
            for qos in (0, 1):
                count += 1
                with self.subTest(version=version, qos=qos):
                    device = f"boiler-{count}"
                    self.assertEqual(0, self.tocsin.publish(
                        f"devices/{device}/telemetry", '{"temperature":93.5}', qos, version))
                    self.tocsin.wait_line(
                        rf"^\[warning\] {device} is too hot \| {device} reports 93.5 degrees "
                        rf"\(rule=too-hot, to=, event={UUID}\)$")

    # Goal: an event below the rule's threshold is stored but notifies nobody.
    def test_rule_decides(self):
        self.tocsin.publish("devices/cold/telemetry", '{"temperature":12}')
        self.tocsin.publish("devices/hot/telemetry", '{"temperature":81}')
        self.tocsin.wait_line("hot is too hot")
        self.assertEqual([], self.tocsin.matching("cold is"))
        self.assertEqual(2, self.tocsin.metric("tocsin_events_acknowledged_total"))
        self.assertEqual(2, self.tocsin.metric("tocsin_events_evaluated_total"))
        self.assertEqual(1, self.tocsin.metric("tocsin_events_matched_total"))

    # Goal: the curl command that the first lines print works as it stands there.
    def test_printed_commands(self):
        for command in [line for line in self.tocsin.out if line.startswith("  curl ")
                        or line.startswith("  mosquitto_pub ")]:
            self.assertEqual(0, run_command("sh", "-c", command).returncode, command)
        self.tocsin.wait_line("boiler-7 is too hot")
        self.tocsin.wait_line(r"Order #444 Confirmed \| Order #444 for \$99.99 is confirmed, "
                              r"john@example.com")

    # Goal: the answer has exactly the documented members, in their order, plus the event's id;
    # the payload comes back as it was sent; and the printed notification carries the same id.
    def test_order_answer(self):
        done = run_command(
            "curl", "-sS", "-m", "10", "-w", "\n%{http_code} %{content_type}",
            f"http://127.0.0.1:{self.tocsin.http}/api/events", "-H",
            "Content-Type: application/json", "-d", json.dumps(ORDER), check=True)
        body, _, info = done.stdout.decode().rpartition("\n")
        self.assertEqual("202 application/json", info)
        pairs = json.loads(body, object_pairs_hook=list)
        self.assertEqual(["message", "event", "payload", "id"], [key for key, _ in pairs])
        answer = json.loads(body)
        self.assertEqual("Event triggered successfully.", answer["message"])
        self.assertEqual(ORDER["event"], answer["event"])
        self.assertEqual(ORDER["payload"], answer["payload"])
        self.assertRegex(answer["id"], f"^{UUID}$")
        self.tocsin.wait_line(
            r"^\[info\] Order #444 Confirmed .*event=" + re.escape(answer["id"]) + r"\)$")


class FirstMinuteOneThread(FirstMinute):
    threads = 1


class FirstMinuteTwoThreads(FirstMinute):
    threads = 2


class FirstMinuteFourThreads(FirstMinute):
    threads = 4


class Threads(Case):
    # Goal: the number that the configuration gives is what runs, and what the first lines say.
    def test_as_given(self):
        for threads in (1, 2, 3, 5):
            tocsin = self.start(f"[server]\nthreads = {threads}\n" + default_config(),
                                data=self.path(f"data-{threads}"))
            tocsin.wait_line(rf"^  memory .*, {threads} thread{'s' if threads > 1 else ''}$")

            def loops():
                names = [path.read_text().strip()
                         for path in Path(f"/proc/{tocsin.pid}/task").glob("*/comm")]
                # A set: a kernel worker has the name of the thread that it helps until it has its own.
                return {n for n in names if re.match("(reactor|worker)-|journal$", n)}

            # Each thread names itself, which may take it a moment.
            wait_until(lambda: len(loops()) >= (threads if threads > 1 else 0), "the threads")
            self.assertEqual(threads if threads > 1 else 0, len(loops()))
            self.assertEqual(0, tocsin.stop())


if __name__ == "__main__":
    main()
