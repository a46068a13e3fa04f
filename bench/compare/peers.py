"""The servers that are compared, each with its configuration.

A peer is configured so that no limit of its own is what gets measured: no window, no queue and no
log that the load would run into. What else is set, is the peer's default.
"""

import os
import re
import shutil
import subprocess

from processes import Server, free_port

NGINX = """daemon off;
master_process off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/nginx-error.log error;
events {{ worker_connections 16384; }}
http {{
  access_log off;
  client_body_temp_path {directory}/nginx-body;
  proxy_temp_path {directory}/nginx-proxy;
  fastcgi_temp_path {directory}/nginx-fastcgi;
  uwsgi_temp_path {directory}/nginx-uwsgi;
  scgi_temp_path {directory}/nginx-scgi;
  keepalive_requests 1000000000;
  keepalive_timeout 3600s;
  server {{
    listen 127.0.0.1:{port};
    location / {{ return 202; }}
  }}
}}
"""

MOSQUITTO = """listener {port} 127.0.0.1
allow_anonymous true
persistence false
max_inflight_messages 0
max_queued_messages 0
set_tcp_nodelay true
log_type error
"""

NATS = """server_name: bench
listen: "127.0.0.1:{client_port}"
max_pending: 1GB
jetstream {{ store_dir: "{directory}/nats", max_file_store: 4GB }}
mqtt {{ listen: "127.0.0.1:{port}", max_ack_pending: 65535 }}
"""

# What a reader must know to judge the figures.
NOTES = {
    "tocsin-accepted": "`threads = 1`, 100 rules a source; acknowledges what is in memory and journalled soon after",
    "tocsin-stored": "the same, acknowledges after fdatasync",
    "mosquitto": "`persistence false`, no limit on messages in flight or queued, `set_tcp_nodelay true`: "
                 "it stores nothing and looks into nothing",
    "nats": "MQTT listener with JetStream on files (without fdatasync a message), `max_ack_pending` 65535",
    "nginx": "one worker, `return 202` without a body of its own, no access log, no limit on keep-alive requests",
    "sink": "`tocsin bench --sink`, which acknowledges and discards: the generator's own ceiling",
}


def find(program):
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")


def tocsin_config(binary, level, directory, rules=100, extra_mqtt="", extra_server="", ports=None):
    """The configuration that the generator prints, so that both ends agree on names."""
    text = subprocess.run([binary, "bench", "--print-config", "--level", level, "--rules", str(rules),
                           "--directory", directory], check=True, capture_output=True,
                          text=True).stdout
    if ports:
        for name, port in ports.items():
            text = re.sub(rf'(\[{name}\]\nlisten = "127\.0\.0\.1:)0"', rf'\g<1>{port}"', text)
    return (text.replace("[mqtt]\n", f"[mqtt]\n{extra_mqtt}\n")
            .replace("[server]\n", f"[server]\n{extra_server}\n"))


def write(directory, name, text):
    path = os.path.join(directory, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def start_tocsin(binary, level, core, directory, name=None, extra_mqtt="", extra_server="",
                 tables=""):
    name = name or f"tocsin-{level}"
    data = os.path.join(directory, f"data-{name}")
    text = tocsin_config(binary, level, data, extra_mqtt=extra_mqtt, extra_server=extra_server)
    config = write(directory, f"{name}.toml", text + tables)
    server = Server(name, [binary, "run", "--config", config], core, directory)

    def addresses():
        found = dict(re.findall(r"^  (HTTP|MQTT) +(127\.0\.0\.1:\d+)", server.output(), re.M))
        return found if len(found) == 2 else None

    found = server.wait_for(addresses)
    server.http, server.mqtt = found["HTTP"], found["MQTT"]
    return server


def start_mosquitto(core, directory):
    port = free_port()
    config = write(directory, "mosquitto.conf", MOSQUITTO.format(port=port))
    server = Server("mosquitto", [find("mosquitto"), "-c", config], core, directory)
    server.wait_port(port)
    server.mqtt, server.http = f"127.0.0.1:{port}", None
    return server


def start_nats(core, directory):
    port = free_port()
    config = write(directory, "nats.conf", NATS.format(port=port, client_port=free_port(),
                                                       directory=directory))
    server = Server("nats", [find("nats-server"), "-c", config], core, directory)
    server.wait_port(port)
    server.mqtt, server.http = f"127.0.0.1:{port}", None
    return server


def start_nginx(core, directory):
    port = free_port()
    config = write(directory, "nginx.conf", NGINX.format(port=port, directory=directory))
    server = Server("nginx", [find("nginx"), "-c", config, "-e", os.path.join(directory, "nginx-error.log")],
                    core, directory)
    server.wait_port(port)
    server.mqtt, server.http = None, f"127.0.0.1:{port}"
    return server


def start_sink(binary, core, directory):
    server = Server("sink", [binary, "bench", "--sink", "0"], core, directory)
    found = server.wait_for(lambda: re.search(r"sink on (\S+)", server.output()))
    server.mqtt = server.http = found[1]
    return server


def start(key, binary, core, directory):
    if key.startswith("tocsin-"):
        return start_tocsin(binary, key.removeprefix("tocsin-"), core, directory)
    if key == "sink":
        return start_sink(binary, core, directory)
    return {"mosquitto": start_mosquitto, "nats": start_nats, "nginx": start_nginx}[key](core, directory)


def missing():
    """Peers whose program is not installed."""
    programs = {"mosquitto": "mosquitto", "nats": "nats-server", "nginx": "nginx"}
    return [key for key, program in programs.items() if not find(program)]


def versions(binary):
    """{name: first line of what the program says about itself}."""
    commands = {"tocsin": [binary, "version"], "mosquitto": [find("mosquitto"), "-h"],
                "nats": [find("nats-server"), "--version"], "nginx": [find("nginx"), "-v"],
                "wrk": [find("wrk"), "-v"]}
    found = {}
    for name, command in commands.items():
        if command[0] is None:
            found[name] = "not installed"
            continue
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = (done.stdout or done.stderr).splitlines()
        found[name] = lines[0].split(" Copyright")[0] if lines else "unknown"
    return found
