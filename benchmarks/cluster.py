"""`fcfi annotate` on a Ray cluster of two hosts, one of which is lost half-way: the same bytes?

    python benchmarks/cluster.py FOLDER --work /var/tmp/cluster [--photos 2000]

FOLDER holds photos, small ones best. The hosts are network namespaces of this machine (Linux, root): a head
and a node, each with addresses, processes and a `/tmp/ray` of its own, joined by a bridge. Each photo gets a
click of its own. First an undisturbed run in processes of this machine, and `fcfi rank` and `fcfi evaluate`
on a tenth of its photos; then both on the cluster, and a run there in which

* at a quarter one worker process is killed (-9),
* at a half the node is lost: all that runs there is killed, and its link goes down,
* at three quarters the driver is killed (-9), and the same command is given again.

Told are the outputs that differ, how many photos are in the journal twice, and how many failed. What --work
holds already is gone on with, as it is after any interruption.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from fcfi_core.images import READABLE_SUFFIXES

BRIDGE = "fcfibr"
HEAD, NODE = "fcfi-head", "fcfi-node"
ADDRESSES = {HEAD: "10.99.0.1", NODE: "10.99.0.2"}
PORT = 6379
FCFI = [sys.executable, "-c", "import sys; from fcfi_core.cli import main; sys.exit(main())"]
RAY = [sys.executable, "-m", "ray.scripts.scripts"]
ENVIRONMENT = {
    **os.environ,
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_failure_threshold": "5",
}


def make_source(photos: Path, work: Path, count: int) -> Path:
    """Link ``count`` photos, some of them several times, and write a click for each."""
    found = sorted(path for path in photos.rglob("*") if path.suffix.lower() in READABLE_SUFFIXES)
    if not found:
        sys.exit(f"no photo is in {photos}")
    sizes = {path: Image.open(path).size for path in found}
    (work / "photos").mkdir(parents=True, exist_ok=True)
    table = []
    for index in range(count):
        photo = found[index % len(found)]
        name = f"{index:06}{photo.suffix}"
        if not (work / "photos" / name).exists():
            (work / "photos" / name).symlink_to(photo.absolute())
        width, height = sizes[photo]
        nth = width // 2 + index // len(found)
        table.append((name, nth % width, (height // 2 + nth // width) % height))
    for path, rows in ((work / "clicks.csv", table), (work / "some.csv", table[: some(count)])):
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([("image", "x", "y"), *rows])
    return work / "clicks.csv"


def some(count: int) -> int:
    """Return on how many of ``count`` photos the other verbs are tried."""
    return max(count // 10, 1)


def command(source: Path, out: Path, *words: str) -> list[str]:
    """Return the command of a run."""
    given = [str(source), "--images", str(source.parent / "photos"), "--out", str(out), "--device", "cpu"]
    return [*FCFI, "annotate", *given, "--quiet", *words]


def entered(host: str, words: list[str]) -> list[str]:
    """Return ``words`` as a command of that host, in its network and with its files."""
    (first, *_) = pids(host)
    return ["nsenter", "--target", str(first), "--net", "--mount", *words]


def pids(host: str) -> list[int]:
    """Return the processes of a host."""
    told = subprocess.run(["ip", "netns", "pids", host], capture_output=True, text=True, check=True)
    return [int(word) for word in told.stdout.split()]


def ip(*words: str) -> None:
    """Run ``ip``."""
    subprocess.run(["ip", *words], check=True)


@contextmanager
def hosts() -> Iterator[None]:
    """Make the two hosts and their network; remove them in the end, with all that runs there."""
    try:
        ip("link", "add", BRIDGE, "type", "bridge")
        ip("link", "set", BRIDGE, "up")
        for host, address in ADDRESSES.items():
            ip("netns", "add", host)
            ip("link", "add", f"{host}-o", "type", "veth", "peer", "name", "eth0", "netns", host)
            ip("link", "set", f"{host}-o", "master", BRIDGE, "up")
            ip("-n", host, "link", "set", "lo", "up")
            ip("-n", host, "address", "add", f"{address}/24", "dev", "eth0")
            ip("-n", host, "link", "set", "eth0", "up")
            ip("-n", host, "route", "add", "default", "dev", "eth0")
        yield
    finally:
        for host in ADDRESSES:
            lose(host)
            subprocess.run(["ip", "netns", "delete", host], check=False)
            # A namespace stays until its last connections time out, and would keep this name in use.
            subprocess.run(["ip", "link", "delete", f"{host}-o"], check=False)
        subprocess.run(["ip", "link", "delete", BRIDGE], check=False)


def start(host: str, work: Path) -> None:
    """Start Ray on a host, where one worker has room; what it says is in ``work``."""
    role = ["--head", f"--port={PORT}", "--include-dashboard=false"]
    if host != HEAD:
        role = [f"--address={ADDRESSES[HEAD]}:{PORT}"]
    ray = [*RAY, "start", "--block", "--num-cpus=1", "--object-store-memory=100000000", *role]
    ray += [f"--node-ip-address={ADDRESSES[host]}", "--disable-usage-stats"]
    own = 'mkdir -p /tmp/ray && mount -t tmpfs none /tmp/ray; until "$@"; do sleep 1; done'
    with (work / f"{host}.log").open("wb") as log:
        subprocess.Popen(
            ["ip", "netns", "exec", host, "sh", "-c", own, "sh", *ray],
            env=ENVIRONMENT,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def lose(host: str) -> None:
    """Kill all that runs on a host, and cut it off."""
    subprocess.run(["ip", "link", "set", f"{host}-o", "down"], check=False)
    for pid in pids(host):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def wait_for_hosts(count: int) -> None:
    """Return when so many hosts are in the cluster."""
    address = f"{ADDRESSES[HEAD]}:{PORT}"
    ask = f"import ray; ray.init('{address}', log_to_driver=False); print(ray.cluster_resources())"
    for _ in range(60):
        time.sleep(3)
        try:
            words = entered(HEAD, [sys.executable, "-c", ask])
            told = subprocess.run(words, env=ENVIRONMENT, capture_output=True, text=True, timeout=90)
        except (subprocess.TimeoutExpired, ValueError):
            continue
        if f"'CPU': {count}.0" in told.stdout:
            return
    sys.exit("the cluster did not come up")


def lines(out: Path) -> int:
    """Return how many photos the journal holds."""
    try:
        return max((out / "journal.jsonl").read_bytes().count(b"\n") - 1, 0)
    except FileNotFoundError:
        return 0


def kill_a_worker() -> None:
    """Kill one actor on the head."""
    for pid in pids(HEAD):
        title = Path(f"/proc/{pid}/cmdline").read_bytes()
        if title.startswith(b"ray::_Hand"):
            os.kill(pid, signal.SIGKILL)
            print(f"  worker process {pid} killed", flush=True)
            return
    print("  no worker process was found to kill", flush=True)


def disturbed(source: Path, out: Path, count: int) -> None:
    """Run on the cluster, and disturb it three times."""
    words = command(source, out, "--cluster", f"{ADDRESSES[HEAD]}:{PORT}", "--workers", "2")
    driver = subprocess.Popen(entered(HEAD, words), env=ENVIRONMENT)
    events = [
        (count // 4, "a quarter", lambda: kill_a_worker()),
        (count // 2, "a half", lambda: lose(NODE)),
        (3 * count // 4, "three quarters", lambda: driver.send_signal(signal.SIGKILL)),
    ]
    begun = lines(out)
    for at, name, event in events:
        while driver.poll() is None and lines(out) < at:
            time.sleep(0.5)
        if begun < at:
            print(f"  {name}: {lines(out)} photos done", flush=True)
            event()
    if driver.wait() == -signal.SIGKILL:
        held = lines(out)
        print(f"  driver killed with {held} photos in the journal; the same command again", flush=True)
        subprocess.run(entered(HEAD, words), env=ENVIRONMENT)


def compared(one: Path, other: Path) -> list[str]:
    """Return the outputs that are not the same bytes."""
    names = sorted(
        {path.relative_to(root) for root in (one, other) for path in root.rglob("*") if path.is_file()}
    )
    outputs = [name for name in names if name.name != "journal.jsonl"]
    print(f"{len(outputs)} outputs, {sum((one / name).stat().st_size for name in outputs):,} bytes")
    return [
        str(name)
        for name in outputs
        if not (other / name).is_file() or (one / name).read_bytes() != (other / name).read_bytes()
    ]


def judged(work: Path, place: str, count: int, cluster: str = "") -> dict[str, Any]:
    """Rank some photos, and evaluate the masks of the undisturbed run on some.

    Returns:
        The bytes of the table, and the figures without those of time.
    """
    table, figures = work / f"{place}.csv", work / f"{place}.json"
    rank = [*FCFI, "rank", str(work / "some.csv"), "--out", str(table)]
    evaluate = [*FCFI, "evaluate", str(work / "alone" / "annotations.json"), "--json", str(figures)]
    evaluate += ["--objects", str(count), "--max-clicks", "3", "--no-boundaries"]
    for verb in (rank, evaluate):
        words = [*verb, "--images", str(work / "photos"), "--device", "cpu", "--threads", "1", "--quiet"]
        words = entered(HEAD, [*words, "--cluster", cluster]) if cluster else [*words, "--workers", "2"]
        subprocess.run(words, env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)
    (found,) = json.loads(figures.read_bytes())["datasets"]
    timeless = {name: value for name, value in found.items() if "ms" not in name.split("_")}
    return {"ranking": table.read_bytes(), "evaluation": timeless}


def main() -> None:
    """Run both, and tell what differs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photos", metavar="FOLDER", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--photos", dest="count", type=int, default=2000)
    arguments = parser.parse_args()
    work = arguments.work.absolute()
    source = make_source(arguments.photos, work, arguments.count)
    start_time = time.perf_counter()
    subprocess.run(command(source, work / "alone", "--workers", "2"), env=ENVIRONMENT)
    print(f"undisturbed: {time.perf_counter() - start_time:.0f} s", flush=True)
    here = judged(work, "here", some(arguments.count))
    with hosts():
        for number, host in enumerate(ADDRESSES, 1):
            start(host, work)
            wait_for_hosts(number)
        print("two hosts are up", flush=True)
        there = judged(work, "there", some(arguments.count), f"{ADDRESSES[HEAD]}:{PORT}")
        differing = [name for name in here if here[name] != there[name]]
        print(f"rank and evaluate on both: {', '.join(differing) or 'nothing'} differs", flush=True)
        start_time = time.perf_counter()
        disturbed(source, work / "disturbed", arguments.count)
        print(f"disturbed: {time.perf_counter() - start_time:.0f} s", flush=True)
    entries = (work / "disturbed" / "journal.jsonl").read_bytes().splitlines()[1:]
    indices = Counter(json.loads(line)["index"] for line in entries)
    twice = sum(number > 1 for number in indices.values())
    failed = json.loads((work / "disturbed" / "report.json").read_bytes())["errors"]
    print(f"{len(indices)} photos, {twice} of them twice, {len(failed)} failed")
    differing += compared(work / "alone", work / "disturbed")
    print(f"differing: {', '.join(differing) or 'none'}")
    sys.exit(bool(differing or twice or failed or len(indices) != arguments.count))


if __name__ == "__main__":
    main()
