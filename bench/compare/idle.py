"""Memory of a fresh server with many idle device connections, above the empty process.

Counted is the resident memory of the process; what the kernel holds for its sockets is everybody's
alike and in nobody's figure.
"""

import resource
import subprocess
import sys
import time

import peers
from mqtt_tls import TlsCrowd, make_certificate
from processes import free_port

CONNECTIONS = 10_000
TLS_CONNECTIONS = 1_000  # A handshake costs the client as much as the server: scaled up in the report.
HOLD_S = 4
TOCSIN_LIMITS = "connections_max = 20000\n"
# What the ceiling is derived from: it must allow the connections. It is not what they use.
TOCSIN_MEMORY = 'memory_max = "1GiB"\n'
FILES = 3 * CONNECTIONS


def possible_connections():
    """As many as wanted, or as the system lets one process have: then figures are scaled up."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, FILES),) * 2)
        return CONNECTIONS
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        # Tocsin keeps half of its descriptors for HTTP, and some for itself.
        return min(CONNECTIONS, (hard - 1000) // 2)


def plain(binary, core, server, count):
    """Bytes a connection while all of them are up, or None when some failed."""
    before = server.resident_bytes()
    command = ["taskset", "-c", str(core), binary, "bench", "--json", "--mqtt", server.mqtt,
               "--mqtt-version", "3.1.1", "--connections", str(count), "--qos", "1", "--rate",
               "1", "--duration", str(HOLD_S), "--grace", "120"]
    generator = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    most = before
    while generator.poll() is None:
        most = max(most, server.resident_bytes())
        time.sleep(0.05)
    return (most - before) / count if generator.returncode == 0 else None


def start(key, binary, core, directory):
    if key != "tocsin":
        return peers.start(key, binary, core, directory)
    return peers.start_tocsin(binary, "accepted", core, directory, "tocsin-idle", TOCSIN_LIMITS,
                              TOCSIN_MEMORY)


def run(binary, cores, keys, directory):
    """(number of connections, {peer: bytes a connection or None})."""
    count = possible_connections()
    found = {}
    for key in keys:
        print(f"{count} idle connections: {key}", file=sys.stderr)
        server = start(key, binary, cores[0], directory)
        try:
            found[key] = plain(binary, cores[1], server, count)
        finally:
            server.stop()
    return count, found


def run_tls(binary, cores, directory):
    """Bytes a TLS connection of Tocsin takes."""
    certificate, key = make_certificate(directory)
    port = free_port()
    server = peers.start_tocsin(
        binary, "accepted", cores[0], directory, "tocsin-idle-tls",
        TOCSIN_LIMITS + f'listen_tls = "127.0.0.1:{port}"\n', TOCSIN_MEMORY,
        f'\n[tls]\ncertificate = "{certificate}"\nkey = "{key}"\n')
    print(f"{TLS_CONNECTIONS} idle TLS connections: tocsin", file=sys.stderr)
    try:
        before = server.resident_bytes()
        with TlsCrowd(f"127.0.0.1:{port}", certificate, TLS_CONNECTIONS):
            return (server.resident_bytes() - before) / TLS_CONNECTIONS
    finally:
        server.stop()
