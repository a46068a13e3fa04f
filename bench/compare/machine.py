"""What the figures were measured on."""

import os
import platform
import re


def _read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return None


def processor():
    text = _read("/proc/cpuinfo") or ""
    found = re.search(r"model name\s*: (.*)", text)
    virtual = ", virtual machine" if re.search(r"^flags.*\bhypervisor\b", text, re.M) else ""
    return (found[1] if found else platform.machine()) + virtual


def governor():
    return _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or "not exposed by this kernel"


def memory_gib():
    found = re.search(r"MemTotal:\s+(\d+) kB", _read("/proc/meminfo") or "")
    return int(found[1]) / 2**20 if found else 0


def file_system(path):
    """Type and options of the file system that holds `path`."""
    path = os.path.realpath(path)
    best = ("", "unknown", "")
    for line in (_read("/proc/mounts") or "").splitlines():
        device, mount, kind, options = line.split()[:4]
        inside = path == mount or path.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best[0]):
            best = (mount, f"{kind} on {device}", options.split(",", 1)[0])
    return f"{best[1]} ({best[2]})"


def load_average():
    return " ".join(f"{value:.2f}" for value in os.getloadavg())


def describe(directory):
    return [f"{processor()}; {os.cpu_count()} processors, {memory_gib():.1f} GiB",
            f"Linux {platform.release()} {platform.machine()}; governor: {governor()}",
            f"data on {file_system(directory)}"]
