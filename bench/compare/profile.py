"""Where the processor time of one event goes, by `perf`: what bounds a figure."""

import re
import shutil
import subprocess

import peers
import rounds

# What the kernel does, by the first of these that stands anywhere in the stack.
KERNEL = (
    ("kernel: receive", re.compile(r"^(io_recv|tcp_recvmsg|__sys_recv)")),
    ("kernel: send", re.compile(r"^(io_send|tcp_sendmsg|__sys_send)")),
    ("kernel: disk", re.compile(r"^(io_write|io_fsync|vfs_fsync|ext4_|xfs_|blk_|iomap_)")),
    ("kernel: page faults", re.compile(r"^(asm_)?exc_page_fault")),
    ("kernel: other", re.compile("")),
)
# What the program does, by the function that runs.
PROGRAM = (
    ("JSON: stage 1", re.compile(r"simdjson")),
    ("JSON: grammar", re.compile(r"tocsin::json::")),
    ("match, route, render", re.compile(r"tocsin::(match|route|render|app::Worker)")),
    ("checksums", re.compile(r"crc32c|fill_record_crcs")),
    ("decode, batches", re.compile(r"tocsin::(decode|flow|Uuid7)|tocsin::hash64")),
    ("protocol, connections", re.compile(r"tocsin::(mqtt|http|ingress|utf8)|llhttp")),
    ("I/O layer", re.compile(r"tocsin::io|io_uring")),
    ("copies, comparisons", re.compile(r"^_*mem(move|cpy|cmp|chr|set)")),
    ("other", re.compile("")),
)
LOADS = ("qos0", "qos1", "http", "http-pipelined", "http-batch", "through-20k")


def usable():
    """Whether there is a perf that may look."""
    if shutil.which("perf") is None:
        return False
    tried = subprocess.run(["perf", "record", "-e", "task-clock", "-g", "-o", "-", "true"],
                           capture_output=True, check=False)
    return tried.returncode == 0


def group_of(comm, stack):
    """`stack`: (symbol, in the kernel) from the inside out."""
    if comm.startswith("iou-wrk"):
        return "kernel: disk worker"
    if not stack:
        return "other"
    if stack[0][1]:
        for group, pattern in KERNEL:
            if any(kernel and pattern.search(symbol) for symbol, kernel in stack):
                return group
    return next(group for group, pattern in PROGRAM if pattern.search(stack[0][0]))


def shares(script):
    """{group: part of all samples} of what `perf script` prints."""
    counts = {}
    for sample in script.split("\n\n"):
        lines = sample.strip("\n").split("\n")
        if not lines[0]:
            continue
        comm = lines[0].strip()
        stack = []
        for line in lines[1:]:
            found = re.match(r"\s*([0-9a-f]+) (.*)$", line)
            if found:
                # Kernel addresses have the highest bit set.
                stack.append((found[2], len(found[1]) == 16 and found[1][0] in "89abcdef"))
        group = group_of(comm, stack)
        counts[group] = counts.get(group, 0) + 1
    total = sum(counts.values())
    return {group: count / total for group, count in counts.items()}


def profile(binary, cores, scenario, seconds, directory):
    """{group: ns of processor time an event} under one load."""
    server = peers.start_tocsin(binary, "accepted", cores[0], directory,
                                name=f"profile-{scenario.key}")
    data = f"{directory}/{scenario.key}.perf"
    try:
        recorder = subprocess.Popen(
            ["perf", "record", "-e", "task-clock", "-F", "2000", "-g", "-o", data, "-p",
             str(server.process.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            result = rounds.measure(binary, cores[1], server, scenario, "tocsin-accepted", seconds)
        finally:
            recorder.send_signal(2)
            recorder.wait()
    finally:
        server.stop()
    script = subprocess.run(["perf", "script", "-i", data, "-F", "comm,ip,sym"], check=True,
                            capture_output=True, text=True, errors="replace").stdout
    return {group: part * result["cpu_ns"] for group, part in shares(script).items()}


def run(binary, cores, scenarios, seconds, directory):
    """{load: profile()}; empty where perf is missing or forbidden."""
    if not usable():
        return {}
    return {scenario.key: profile(binary, cores, scenario, seconds, directory)
            for scenario in scenarios if scenario.key in LOADS}


def table(found):
    if not found:
        return "Not measured: perf is not installed, or not permitted.\n"
    groups = {}
    for costs in found.values():
        for group, cost in costs.items():
            groups[group] = max(cost, groups.get(group, 0))
    lines = ["| ns an event | " + " | ".join(found) + " |", "|---" * (len(found) + 1) + "|"]
    for group in sorted(groups, key=groups.get, reverse=True):
        cells = []
        for costs in found.values():
            cost, whole = costs.get(group, 0), sum(costs.values())
            cells.append(f"{cost:,.0f} ({100 * cost / whole:.0f} %)")
        lines.append(f"| {group} | " + " | ".join(cells) + " |")
    lines.append("| **sum** | " + " | ".join(f"{sum(costs.values()):,.0f}"
                                            for costs in found.values()) + " |")
    return "\n".join(lines) + "\n"
