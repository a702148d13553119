"""Two server processes behind nginx: what a click costs with and without sticky sessions, and whether
masks agree.

    python benchmarks/load_balancing.py                    # needs nginx (Debian: apt install nginx) and Linux

Annotators, one after the other, each click on objects through the plain API. *Sticky* sends each
annotator's requests to one process (nginx hashes the token), *round robin* sends each request to the next
one, so that a process has often not seen the clicks before, and computes them again. A fresh pair of
processes for each run; the runs alternate. Told is processor time of the servers, which other work on the
machine hardly changes, and how often a photo had to come along again. Every mask is compared with that of
the other way.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fcfi_core.client import Client
from fcfi_core.errors import FcfiError

SAMPLES = Path(__file__).parents[1] / "fcfi_core/serving/playground/assets/samples"

CONFIGURATION = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log warn;
events {{ worker_connections 256; }}
http {{
  access_log off; client_max_body_size 100m;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream servers {{ {balance} {servers} }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://servers; proxy_set_header Host $host; proxy_read_timeout 100s; }}
  }}
}}
"""

SERVE = "import sys; from fcfi_core.cli import main; sys.exit(main(['serve', '--log-level', 'error']))"

WAYS = {"sticky": "hash $http_authorization consistent;", "round robin": ""}


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def processor_seconds(process: subprocess.Popen[bytes]) -> float:
    """Return what a process has computed so far, seconds."""
    fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(
    way: str, processes: int, tokens: list[str]
) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Give the address of a proxy before so many servers, and the servers."""
    started: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            ports = [free_port() for _ in range(processes)]
            for port in ports:
                environment = {**os.environ, "FCFI_PORT": str(port), "FCFI_API_TOKENS": ",".join(tokens)}
                environment |= {"FCFI_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
                started.append(subprocess.Popen([sys.executable, "-c", SERVE], env=environment))
            for port in ports:
                until_ready(f"http://127.0.0.1:{port}", tokens[0])
            port = free_port()
            servers = " ".join(f"server 127.0.0.1:{one};" for one in ports)
            path = Path(folder, "nginx.conf")
            path.write_text(
                CONFIGURATION.format(folder=folder, balance=WAYS[way], servers=servers, port=port),
                encoding="ascii",
            )
            proxy = subprocess.Popen(["nginx", "-p", folder, "-c", str(path)])
            started.append(proxy)
            until_ready(f"http://127.0.0.1:{port}", tokens[0])
            yield f"http://127.0.0.1:{port}", started[:processes]
        finally:
            for process in started:
                process.terminate()
            for process in started:
                process.wait(30)


def until_ready(address: str, token: str) -> None:
    """Return when the server's weights are there."""
    client = Client(address, token=token)
    for _ in range(600):
        with suppress(FcfiError):
            if client.health()["model"] == "ready":
                return
        time.sleep(0.1)
    raise SystemExit(f"{address} did not get ready within a minute")


def work(address: str, tokens: list[str], objects: int, clicks: int) -> tuple[dict[str, str], int]:
    """Click; return the digest of each mask by what was asked, and how often a photo had to come again."""
    found, again = {}, 0
    draws = random.Random(0)
    photos = sorted(SAMPLES.glob("*.jpg"))
    for number, token in enumerate(tokens):
        client = Client(address, token=token)
        image = client.send(photos[number % len(photos)])
        before = client.sent_again
        for _ in range(objects):
            prompt: list[tuple[int, int, bool]] = []
            x, y = (
                draws.randrange(image.width // 4, 3 * image.width // 4),
                draws.randrange(60, image.height - 60),
            )
            for count in range(clicks):
                near = (x + draws.randint(-50, 50)) % image.width, (y + draws.randint(-50, 50)) % image.height
                prompt.append((x, y, True) if count == 0 else (*near, draws.random() < 0.5))
                mask = client.segment(image, prompt).mask
                asked = json.dumps([image.image, prompt])
                found[asked] = hashlib.sha256(mask.tobytes()).hexdigest()
        again += client.sent_again - before
    return found, again


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, default=2, help="servers behind the proxy (2)")
    parser.add_argument("--annotators", type=int, default=6)
    parser.add_argument("--objects", type=int, default=3, help="of each annotator (3)")
    parser.add_argument("--clicks", type=int, default=6, help="of each object (6)")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each way, in turn (2)")
    arguments = parser.parse_args()
    if not shutil.which("nginx"):
        raise SystemExit("nginx is missing: apt install nginx")
    tokens = [f"token-of-annotator-{number:04}" for number in range(arguments.annotators)]
    masks: dict[str, str] = {}
    for _ in range(arguments.rounds):
        for way in WAYS:
            with running(way, arguments.processes, tokens) as (address, servers):
                before = [processor_seconds(server) for server in servers]
                found, again = work(address, tokens, arguments.objects, arguments.clicks)
                spent = [processor_seconds(one) - then for one, then in zip(servers, before, strict=True)]
            different = sum(masks.setdefault(asked, mask) != mask for asked, mask in found.items())
            shares = ", ".join(f"{seconds:.1f}" for seconds in spent)
            each = 1000 * sum(spent) / len(found)
            print(
                f"{way:12} {len(found)} clicks, {each:.0f} ms of processor time a click "
                f"({shares} s), photos sent again {again}, masks that differ {different}",
                flush=True,
            )


if __name__ == "__main__":
    main()
