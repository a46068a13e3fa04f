"""bench/compare: the arithmetic of its figures, and that it measures and writes its report."""

import os
import sys
import unittest
from pathlib import Path

from harness import TOCSIN, Case, main, run_command

COMPARE = Path(__file__).resolve().parents[2] / "bench" / "compare"
sys.path.insert(0, str(COMPARE))

import figures  # noqa: E402
import goals  # noqa: E402
import profile  # noqa: E402


def result(rate, p50=None):
    return {"events_per_s": rate, "end_to_end_us": None if p50 is None else {"p50": p50, "p99": p50}}


class Figures(unittest.TestCase):
    # Goal: the ratio is that of the medians; its spread is what single rounds showed.
    def test_ratio(self):
        found = figures.ratio([10, 20, 90], [5, 4, 10])
        self.assertEqual((20 / 5, 2, 9), (found.median, found.low, found.high))
        self.assertIsNone(figures.ratio([1], []))
        self.assertIsNone(figures.ratio([1], [0]))

    def test_figure(self):
        self.assertEqual(figures.Figure(2, 1, 9), figures.figure([9, None, 1, 2]))
        self.assertIsNone(figures.figure([None]))
        self.assertEqual("1,234 (1 to 5,000)", figures.with_spread(figures.Figure(1234, 1, 5000)))

    # Goal: a goal is met, not met or not measured by its median, in its own direction.
    def test_goals(self):
        measured = goals.Measured(
            rounds={("qos0", "tocsin-accepted"): [result(5e6)], ("qos0", "mosquitto"): [result(1e6)],
                    ("through-20k", "tocsin-accepted"): [result(2e4, 50)]},
            idle={"tocsin": 1000}, idle_count=10, idle_tls=None, start={})
        verdicts = {goal.text: goal.verdict(measured)[0] for goal in goals.GOALS}
        expected = {"10 times": "**not met**", "QoS 0, 16": "met", "p50 under": "met",
                    "idle plain": "met", "first acknowledged": "not measured",
                    "15 times": "not measured"}
        for words, verdict in expected.items():
            [found] = [value for text, value in verdicts.items() if words in text]
            self.assertEqual(verdict, found, words)


class Profile(Case):
    SCRIPT = """tocsin
\tffffffff81a0 _copy_to_iter
\tffffffff81b0 tcp_recvmsg
\t7f0011223344 [unknown]

tocsin
\t55d0aabbccdd tocsin::json::check_grammar

iou-wrk-77
\tffffffff81a0 iowrite16

tocsin
\t7f0011223344 __memmove_avx512_unaligned_erms
\t55d0aabbccdd tocsin::decode::DecodeStage::take
"""

    # Goal: each sample counts once, for what the program or the kernel did for it.
    def test_groups(self):
        script = self.SCRIPT.replace("ffffffff81", "ffffffffffff81")
        self.assertEqual({"kernel: receive": 0.25, "JSON: grammar": 0.25,
                          "kernel: disk worker": 0.25, "copies, comparisons": 0.25},
                         profile.shares(script))

    def test_table(self):
        text = profile.table({"qos0": {"JSON: grammar": 75.0, "other": 25.0}, "http": {"other": 2.0}})
        self.assertIn("| JSON: grammar | 75 (75 %) | 0 (0 %) |", text)
        self.assertIn("| **sum** | 100 | 2 |", text)
        self.assertIn("Not measured", profile.table({}))


class Report(Case):
    # Goal: one command measures peers in turns and writes one report with goals and ratios.
    @unittest.skipIf(len(os.sched_getaffinity(0)) < 2, "needs two processors")
    def test_small_run(self):
        output = self.path("report.md")
        done = run_command(sys.executable, "-B", COMPARE, os.path.dirname(os.path.abspath(TOCSIN)),
                           "--seconds", 0.2, "--rounds", 2, "--only", "qos1-single", "--skip",
                           "wrk,idle,start,micro", "--output", output, timeout_s=240)
        self.assertEqual(0, done.returncode, done.stderr)
        text = Path(output).read_text(encoding="utf-8")
        for words in ("## Goals", "| Tocsin, `stored` |", "| Mosquitto |", "| sink |", "Linux",
                      "load average before", "taskset -c"):
            self.assertIn(words, text)
        self.assertEqual([os.path.basename(output)],
                         [name for name in os.listdir(self.directory) if name != "data"])

    def test_arguments(self):
        done = run_command(sys.executable, "-B", COMPARE, "build", "--only", "nonsense")
        self.assertNotEqual(0, done.returncode)
        self.assertIn(b"none of", done.stderr)


if __name__ == "__main__":
    main()
