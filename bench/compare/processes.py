"""Starting servers on their processor, watching what they use, ending them."""

import os
import signal
import socket
import subprocess
import time

START_S = 20


def free_port():
    """A port nobody listens on now: for servers that cannot choose one themselves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def spawn_pinned(command, core, output):
    """The child inherits our processor, so nothing but its own start is in its start time."""
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        return subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL,
                                stdout=output, stderr=subprocess.STDOUT)
    finally:
        os.sched_setaffinity(0, mine)


class Server:
    """A child process that is a server; what it prints goes to a file."""

    def __init__(self, name, command, core, directory):
        self.name = name
        self.command = command
        self._log_path = os.path.join(directory, f"{name}.log")
        with open(self._log_path, "wb") as log:
            self.process = spawn_pinned(command, core, log)

    def output(self):
        with open(self._log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_for(self, condition):
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            value = condition()
            if value:
                return value
            time.sleep(0.02)
        raise RuntimeError(f"{self.name} did not start:\n{self.output()[-2000:]}")

    def wait_port(self, port):
        def listening():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        self.wait_for(listening)

    def _pids(self):
        """The process and its children: nginx works in one."""
        pids = [self.process.pid]
        for pid in pids:
            try:
                with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
                    pids += [int(child) for child in file.read().split()]
            except OSError:
                continue
        return pids

    def cpu_s(self):
        """Processor time used so far."""
        ticks = 0
        for pid in self._pids():
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                fields = file.read().rsplit(") ", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def demand_s(self):
        """Processor time wanted so far: what it got and what it waited for while others ran."""
        total_ns = 0
        for pid in self._pids():
            for thread in os.listdir(f"/proc/{pid}/task"):
                try:
                    with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
                        ran, waited, _ = file.read().split()
                except OSError:
                    continue  # It ended, or the kernel does not tell.
                total_ns += int(ran) + int(waited)
        return total_ns / 1e9

    def resident_bytes(self):
        pages = 0
        for pid in self._pids():
            with open(f"/proc/{pid}/statm", encoding="ascii") as file:
                pages += int(file.read().split()[1])
        return pages * os.sysconf("SC_PAGESIZE")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
