"""wrk against the same servers: does our HTTP generator say what another one says?"""

import os
import re
import subprocess
import sys

from peers import find

CONNECTIONS = 64
# The generator's first shape, fixed: wrk changes nothing from request to request.
BODY = ('{"event":"order_created","payload":{"device":"boiler-0017","seq":1000000000,'
        '"sent_ns":1000000000000000000,"temperature":21.5,"humidity":48.25,"pressure_hpa":1013.2,'
        '"battery_percent":87,"status":"running","note":"nnnnnnnnnnnnn"}}')
SCRIPT = """wrk.method = "POST"
wrk.path = "/api/events"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [[BODY]]
"""


def run_wrk(core, address, seconds, directory):
    """Requests answered 2xx or 3xx a second; 0 when wrk saw errors."""
    script = os.path.join(directory, "post.lua")
    with open(script, "w", encoding="utf-8") as file:
        file.write(SCRIPT.replace("BODY", BODY))
    command = ["taskset", "-c", str(core), find("wrk"), "-t1", f"-c{CONNECTIONS}",
               f"-d{max(1, round(seconds))}s", "-s", script, f"http://{address}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    found = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    failed = "Non-2xx" in done.stdout or "Socket errors" in done.stdout
    return 0.0 if failed or not found else float(found[1])


def run(core, servers, rounds, seconds, directory):
    """{peer: [requests/s a round]}; nothing without wrk."""
    results = {}
    if not find("wrk"):
        return results
    for number in range(rounds):
        for peer in ("tocsin-accepted", "tocsin-stored", "nginx"):
            if peer not in servers:
                continue
            print(f"round {number + 1}/{rounds}: wrk: {peer}", file=sys.stderr)
            rate = run_wrk(core, servers[peer].http, seconds, directory)
            results.setdefault(peer, []).append(rate)
    return results
