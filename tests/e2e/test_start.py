"""What goes wrong at the start: one clear sentence and a non-zero exit, each time."""

import os
import re
import socket

from harness import (Case, LISTENERS, TOCSIN, Tocsin, default_config, main, run_command,
                     wait_until)


class StartCase(Case):
    def refused(self, config=None, data=None, path=None, lines=1):
        """Starts what must fail; returns what it printed on standard error."""
        path = path or self.write("bad.toml", config)
        done = run_command(TOCSIN, "run", "--config", path, "--data", data or self.data)
        # Where io_uring is missing, the first line says so.
        message = re.sub(r"^\S+ info I/O by .*\n", "", done.stderr.decode())
        self.assertGreater(done.returncode, 0, message)
        self.assertEqual(b"", done.stdout)
        self.assertEqual(lines, message.count("\n"), message)
        self.assertTrue(message.endswith("\n"))
        return message

    def refused_configuration(self, config, line, key, *words):
        """The message must name file, line and key; `tocsin check` must say the same."""
        message = self.refused(config)
        found = re.match(re.escape(self.path("bad.toml")) + r"(?::(\d+))?: ", message)
        self.assertTrue(found, message)
        if isinstance(line, range):
            self.assertIn(int(found[1] or 0), line, message)
        else:
            self.assertEqual(line, int(found[1] or 0), message)
        for word in (key, *words):
            self.assertIn(word, message)
        check = run_command(TOCSIN, "check", self.path("bad.toml"))
        self.assertGreater(check.returncode, 0)
        self.assertEqual(message, check.stderr.decode())


class Resources(StartCase):
    # Goal: a port that is in use is named, for each listener.
    def test_port_in_use(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            for name in ("http", "mqtt"):
                other = "mqtt" if name == "http" else "http"
                message = self.refused(f'[{name}]\nlisten = "127.0.0.1:{port}"\n'
                                       f'[{other}]\nlisten = "127.0.0.1:0"\n')
                self.assertIn(f"127.0.0.1:{port}", message)
                self.assertIn("in use", message)

    # Goal: a data directory that cannot be made or written.
    def test_unwritable_data(self):
        file = self.write("file", "")
        for data in ("/dev/null/x", file, os.path.join(file, "below"), "/proc/tocsin-data"):
            with self.subTest(data=data):
                self.assertIn(data, self.refused(default_config(), data))

    # Goal: two processes never share a data directory; the second one says so, the first goes on,
    # and the directory is free again when it ends, also after SIGKILL.
    def test_locked_data(self):
        first = self.start(default_config())
        message = self.refused(default_config())
        self.assertIn(self.data, message)
        self.assertRegex(message, "lock|in use|another")
        self.assertEqual(200, first.request("GET", "/healthz")[0])
        first.kill()
        second = self.start(default_config())
        self.assertEqual(0, second.stop())
        self.assertEqual(0, self.start(default_config()).stop())

    # Goal: pinned threads have a processor each, of those that the process may use; others may use
    # all of them.
    def test_pinned_threads(self):
        for pin in (True, False):
            options = f"[server]\nthreads = 4\npin_threads = {str(pin).lower()}\n"
            server = self.start(default_config() + options)
            usable = os.sched_getaffinity(server.pid)

            def processors():
                sets = {}
                for thread in os.listdir(f"/proc/{server.pid}/task"):
                    with open(f"/proc/{server.pid}/task/{thread}/comm", encoding="utf-8") as file:
                        sets[file.read().strip()] = os.sched_getaffinity(int(thread))
                return sets

            # Each thread names itself, which may take it a moment.
            wait_until(lambda: {"reactor-1", "worker-0", "journal"} <= processors().keys(), "threads")
            sets = processors()
            workers = [sets[name] for name in ("reactor-0", "journal", "worker-0")]
            self.assertEqual([1 if pin else len(usable)] * 3, [len(cpus) for cpus in workers])
            self.assertLessEqual(set().union(*workers), usable)
            self.assertEqual(pin and len(usable) > 1, workers[0] != sets["reactor-1"])
            self.assertEqual(0, server.stop())


class Configuration(StartCase):
    # Goal: text that is no TOML is reported with its line.
    def test_bad_toml(self):
        for text, line in (("[http]\nlisten = \n", 2), ("[http\n", 1), ("a = 'x\n", 1),
                           ("[http]\n[http]\n", 2), (b"\xff\xfe", 1)):
            with self.subTest(text=text):
                self.refused_configuration(text, line, "")

    # Goal: an unknown key is reported with the key that was meant.
    def test_unknown_key(self):
        self.refused_configuration('[http]\n\nlisten_on = "127.0.0.1:0"\n', 3, "http.listen_on",
                                   "listen")
        self.refused_configuration('[server]\nmemory_maks = "64MiB"\n', 2, "server.memory_maks",
                                   "memory_max")
        self.refused_configuration("[htpp]\n", 1, "htpp")

    # Goal: the same where one table holds several groups of options: reported once.
    def test_unknown_key_of_channel(self):
        self.refused_configuration(
            '[[channel]]\nname = "a"\ntype = "log"\nline_size_mx = "1KiB"\n', 4,
            "channel[0].line_size_mx", "line_size_max")
        self.refused_configuration(
            '[[subscription]]\nname = "a"\nbroker = "mqtt://h"\ntopics = ["a"]\nqoss = 1\n', 5,
            "subscription[0].qoss", "qos")

    # Goal: wrong types, units and ranges are reported at their key.
    def test_wrong_values(self):
        for text, line, key in (
                ('[server]\nthreads = "two"\n', 2, "server.threads"),
                ("[server]\nthreads = 1000\n", 2, "server.threads"),
                ("[server]\nthreads = -1\n", 2, "server.threads"),
                ('[server]\nmemory_max = "1 apple"\n', 2, "server.memory_max"),
                ('[server]\nmemory_max = "1KiB"\n', 2, "server.memory_max"),
                ('[server]\ndrain_timeout_ms = "soon"\n', 2, "server.drain_timeout_ms"),
                ('[server]\nlog_level = "loud"\n', 2, "server.log_level"),
                ("[http]\nallow_anonymous = 1\n", 2, "http.allow_anonymous"),
                ("[http]\nlisten = 8080\n", 2, "http.listen"),
                ("http = 1\n", 1, "http"),
                ("[[source]]\ntopic = \"a\"\n", 1, "source[0].name"),
                ("rule = 3\n", 1, "rule")):
            with self.subTest(text=text):
                self.refused_configuration(text, line, key)

    # Goal: what the tables cannot say: names that lead nowhere, twice the same, bad patterns,
    # templates, topics and addresses. The line is within the table that is wrong.
    def test_semantics(self):
        channel = '[[channel]]\nname = "c"\ntype = "log"\n'
        for text, line, words in (
                (channel + '[[rule]]\nname = "r"\nchannel = "nowhere"\n', range(4, 8),
                 ("rule", "nowhere")),
                (channel + '[[rule]]\nname = "r"\nchannel = "c"\nsource = "s"\n', range(4, 8),
                 ("rule", '"s"')),
                (channel + channel, range(4, 8), ('"c"', "twice")),
                (channel + '[[rule]]\nname = "r"\nchannel = "c"\npattern = { a = [{ numric = 1 }] }'
                 "\n", range(4, 8), ("rule", "numric")),
                (channel + '[[rule]]\nname = "r"\nchannel = "c"\nbody = "{{a"\n', range(4, 8),
                 ("rule",)),
                ('[[source]]\nname = "s"\ntopic = "a/#/b"\n', range(1, 4), ("topic",)),
                ('[[source]]\nname = "s"\ntopic = "notifications/x"\n', range(1, 4),
                 ("notifications",)),
                ('[[channel]]\nname = "c"\ntype = "pigeon"\n', range(1, 4),
                 ("log", "mqtt", "webhook")),
                ('[http]\nlisten = "nonsense"\n', range(0, 3), ("http", "nonsense"))):
            with self.subTest(text=text):
                self.refused_configuration(text, line, *words)

    # Goal: a file that is not there, or is a directory.
    def test_no_file(self):
        for path in (self.path("absent.toml"), self.directory):
            self.assertIn(path, self.refused(path=path))

    # Goal: several mistakes are all reported, one line each.
    def test_all_at_once(self):
        message = self.refused('[server]\nthreads = "x"\n[http]\nlsten = "a"\n', lines=2)
        self.assertIn("server.threads", message)
        self.assertIn("http.lsten", message)

    # Goal: beyond loopback nobody may send anonymously by accident.
    def test_anonymous(self):
        for name in ("http", "mqtt"):
            other = "mqtt" if name == "http" else "http"
            for address in ("0.0.0.0:0", "[::]:0"):
                config = (f'[{other}]\nlisten = "127.0.0.1:0"\n[{name}]\n'
                          f'listen = "{address}"\n')
                if address.startswith("[") and not socket.has_ipv6:
                    continue
                self.refused_configuration(config, range(0, 5), name, "allow_anonymous")
                tocsin = self.start(config + "allow_anonymous = true\n")
                self.assertEqual(0, tocsin.stop())

    # Goal: the defaults are a valid configuration, and a listener can be switched off.
    def test_accepted(self):
        done = run_command(TOCSIN, "check", self.write("good.toml", default_config()))
        self.assertEqual(0, done.returncode, done.stderr)
        tocsin = self.watch(Tocsin(self.write("off.toml", '[http]\nlisten = []\n[mqtt]\n'
                                              'listen = "127.0.0.1:0"\n'), self.data))
        tocsin.wait_started()
        self.assertIsNone(tocsin.http)
        self.assertEqual(0, tocsin.stop())


if __name__ == "__main__":
    main()
