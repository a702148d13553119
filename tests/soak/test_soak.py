"""A team at work: many annotators, pictures of every size, undo, and a server that is killed at random.

Run by ``make soak``; ``SOAK_ANNOTATORS``, ``SOAK_OBJECTS``, ``SOAK_CLICKS`` and ``SOAK_KILLS`` choose how
much (10,240 clicks if nothing is chosen), ``SOAK_SEED`` which. Every mask is compared with that of a replay
in a process of its own, with the same number of threads. Figures are printed (``-s``) and stand in
docs/security.md. ``SOAK_FOLDER`` keeps each answer as it comes: the same verb with the same folder and choice
goes on after an interruption, with the objects that were not finished.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import os
import pathlib
import queue
import random
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from fcfi_core.masks import label_studio as code

pytestmark = [pytest.mark.slow, pytest.mark.timeout(14400)]

ANNOTATORS = int(os.environ.get("SOAK_ANNOTATORS") or 16)
OBJECTS = int(os.environ.get("SOAK_OBJECTS") or 80)
CLICKS = int(os.environ.get("SOAK_CLICKS") or 8)
KILLS = int(os.environ.get("SOAK_KILLS") or 10)
SEED = int(os.environ.get("SOAK_SEED") or 0)
SIDES = (64, 100, 160, 240, 320, 480, 640, 801, 1024, 1280, 1600, 1920)
LYING, STANDING = [(side, side * 3 // 4) for side in SIDES], [(side * 2 // 3, side) for side in SIDES[:-1]]
SIZES = [*LYING, *STANDING, (6000, 4000)]
PROGRAM = "import sys; from fcfi_core.cli import main; sys.exit(main())"
REPLAY = """
import hashlib, json, os, pathlib, sys
from fcfi_core import Predictor
from fcfi_core.settings import CORE_VARIABLES, read
folder = pathlib.Path(sys.argv[1])
predictor, images = Predictor.from_settings(read(CORE_VARIABLES, os.environ)), {}
for line in sys.stdin:
    picture, clicks, digest = json.loads(line)
    if picture not in images:
        images[picture] = predictor.load(folder / f"{picture}.jpg")
    mask = predictor.segment(images[picture], [tuple(click) for click in clicks]).finished().mask
    print(hashlib.sha256(mask.tobytes()).hexdigest() == digest)
"""
THREADS = {"OMP_NUM_THREADS": "1", "FCFI_THREADS": "1"}


def scene(seed, width, height):
    """Return a JPEG with some coloured discs on a ground of waves."""
    source = np.random.default_rng(seed)
    rows, columns = np.ogrid[:height, :width]
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:] = (120 + 30 * np.sin(columns / (9 + seed)))[..., None].astype(np.uint8)
    for _ in range(6):
        x, y = source.integers(0, width), source.integers(0, height)
        radius = source.integers(min(width, height) // 10, min(width, height) // 4)
        pixels[(columns - x) ** 2 + (rows - y) ** 2 < radius**2] = source.integers(0, 255, 3)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


class Server:
    """``fcfi serve`` as a process that is killed and started again at its address."""

    def __init__(self, label_studio, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = folder / "serve.log"
        self.environment = {**os.environ, **THREADS, "LABEL_STUDIO_URL": label_studio}
        self.spent = 0.0
        self.start()

    def start(self):
        words = [sys.executable, "-c", PROGRAM, "serve", "--port", str(self.port), "--log-level", "warning"]
        with self.log.open("ab") as file:
            self.child = subprocess.Popen(words, env=self.environment, stdout=file, stderr=file)
        until = time.monotonic() + 600
        while time.monotonic() < until:
            try:
                if json.loads(self.ask("GET", "/health")[1])["model"] == "ready":
                    return
            except (OSError, http.client.HTTPException):
                time.sleep(0.2)
        raise AssertionError(self.log.read_text())

    def kill(self):
        """End it as a crash would, remembering its processor time."""
        self.spent += self.processor_seconds()
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()

    def processor_seconds(self):
        """Return the processor time of the process that runs now."""
        with open(f"/proc/{self.child.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def ask(self, method, path, content=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=100)
        try:
            connection.request(method, path, content, {"Content-Type": "application/json"} if content else {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def state(self):
        """Return (MB resident, threads, open files)."""
        with open(f"/proc/{self.child.pid}/status") as status:
            values = dict(line.split(":", 1) for line in status)
        files = len(os.listdir(f"/proc/{self.child.pid}/fd"))
        return int(values["VmRSS"].split()[0]) / 1000, int(values["Threads"]), files


@pytest.fixture
def folder(tmp_path):
    """Where pictures, logs and the journal lie: one that stays if ``SOAK_FOLDER`` names it."""
    chosen = pathlib.Path(os.environ.get("SOAK_FOLDER") or tmp_path)
    chosen.mkdir(parents=True, exist_ok=True)
    return chosen


class Journal:
    """The answers of finished objects, and each new one as it comes; one of another choice is refused."""

    def __init__(self, folder):
        choice = {"annotators": ANNOTATORS, "objects": OBJECTS, "clicks": CLICKS, "seed": SEED}
        path, objects = folder / "answers.jsonl", {}
        head, *lines = path.read_text().splitlines() if path.exists() else [json.dumps(choice)]
        assert json.loads(head) == choice, f"{path} is of another choice: {head}"
        for line in lines:
            if line.endswith("}"):  # the last one may be cut
                answer = json.loads(line)
                objects.setdefault((answer["annotator"], answer["turn"]), []).append(answer)
        self.finished = {key: answers for key, answers in objects.items() if len(answers) == CLICKS}
        kept = [json.dumps(answer) for answers in self.finished.values() for answer in answers]
        self.file, self.lock = path.open("w"), threading.Lock()
        self.file.write("\n".join([json.dumps(choice), *kept, ""]))
        self.file.flush()

    def add(self, answer):
        with self.lock:
            self.file.write(json.dumps(answer) + "\n")
            self.file.flush()


@pytest.fixture
def journal(folder):
    one = Journal(folder)
    yield one
    one.file.close()


@pytest.fixture
def server(site, folder):
    for picture, size in enumerate(SIZES):
        content = scene(picture, *size)
        (folder / f"{picture}.jpg").write_bytes(content)
        site.answers[f"/data/upload/1/{picture}.jpg"] = (200, {"ETag": f'"{picture}"'}, content)
    one = Server(site.url, folder)
    yield one
    one.kill()


class Replay:
    """Asks a process of its own for each mask again, while the annotators go on."""

    def __init__(self, folder):
        self.said, self.asked = folder / "replay.txt", queue.SimpleQueue()
        with self.said.open("wb") as file:
            self.child = subprocess.Popen(
                [sys.executable, "-c", REPLAY, str(folder)],
                env={**os.environ, **THREADS},
                stdin=subprocess.PIPE,
                stdout=file,
                text=True,
                start_new_session=True,  # so that the kernel gives it a share of its own
            )
        self.writer = threading.Thread(target=self._write)
        self.writer.start()

    def ask(self, answer):
        self.asked.put((answer["picture"], answer["prompt"], answer["digest"]))

    def _write(self):
        with self.child.stdin:
            while (one := self.asked.get()) is not None:
                self.child.stdin.write(json.dumps(one) + "\n")

    def verdicts(self):
        """Return for each mask whether the replay gave the same."""
        self.asked.put(None)
        self.writer.join()
        assert self.child.wait() == 0
        return [line == "True" for line in self.said.read_text().split()]


@pytest.fixture
def replay(folder, server, journal):
    one = Replay(folder)
    for answers in journal.finished.values():
        for answer in answers:
            one.ask(answer)
    yield one
    one.asked.put(None)
    one.child.kill()
    one.writer.join()
    one.child.wait()


class Annotator:
    """Clicks as the editor does, each request on a connection of its own; comes back after a kill."""

    def __init__(self, server, replay, journal, number):
        self.server, self.replay, self.journal, self.number = server, replay, journal, number
        self.source = random.Random(1000 * SEED + number)
        self.seconds, self.again, self.busy = [], 0, 0

    def work(self):
        for turn in range(OBJECTS):
            picture = (self.number + turn) % len(SIZES)
            width, height = SIZES[picture]
            finished = self.journal.finished.get((self.number, turn), [])
            self.seconds += [answer["seconds"] for answer in finished]
            clicks = []
            for number in range(CLICKS):
                positive = number == 0 or self.source.random() < 0.6
                clicks.append((self.source.randrange(width), self.source.randrange(height), positive))
                if not finished:
                    self.ask(picture, clicks, turn)
                if number % 3 == 2:  # undo, and another click instead
                    clicks.pop()
        return self

    def ask(self, picture, clicks, turn):
        width, height = SIZES[picture]
        items = [
            {
                "id": f"{self.number}.{turn}.{x}.{y}",
                "type": "keypointlabels",
                "from_name": "k",
                "to_name": "image",
                "original_width": width,
                "original_height": height,
                "is_positive": positive,
                "value": {
                    "x": 100 * (x + 0.5) / width,
                    "y": 100 * (y + 0.5) / height,
                    "keypointlabels": ["a"],
                },
            }
            for x, y, positive in clicks
        ]
        config = (
            '<View><Image name="image" value="$image"/><BrushLabels name="m" toName="image" smart="false">'
            '<Label value="a"/></BrushLabels><KeyPointLabels name="k" toName="image"><Label value="a"/>'
            "</KeyPointLabels></View>"
        )
        task = {"id": picture, "data": {"image": f"/data/upload/1/{picture}.jpg"}}
        body = json.dumps({"tasks": [task], "label_config": config, "params": {"context": {"result": items}}})
        while True:
            began = time.perf_counter()
            try:
                status, answer = self.server.ask("POST", "/predict", body)
                if status != 503:
                    break
                self.busy += 1  # as it says: the machine had no time for an answer in time
                time.sleep(1)
            except (OSError, http.client.HTTPException):
                self.again += 1
                time.sleep(0.3)
        seconds = time.perf_counter() - began
        assert status == 200, answer
        regions = json.loads(answer)["results"][0]["result"]
        mask = np.zeros((height, width), bool)
        if regions:
            mask = code.decode(regions[0]["value"]["rle"], width, height)
        answer = {"annotator": self.number, "turn": turn, "picture": picture, "prompt": list(clicks)}
        answer |= {"digest": hashlib.sha256(mask.tobytes()).hexdigest(), "seconds": seconds}
        self.seconds.append(seconds)
        self.journal.add(answer)
        self.replay.ask(answer)


def test_a_team_at_work(server, replay, journal, folder):
    over, states, moments = threading.Event(), [], random.Random(SEED)

    def disturb():
        for _ in range(KILLS):
            if over.wait(moments.uniform(8, 40)):
                return
            server.kill()
            server.start()
        while True:
            states.append(server.state())
            with (folder / "states.csv").open("a") as file:
                print(*states[-1], sep=",", file=file)
            if over.wait(2):
                return

    disturber = threading.Thread(target=disturb)
    disturber.start()
    began = time.monotonic()
    try:
        with ThreadPoolExecutor(ANNOTATORS) as pool:
            annotators = list(
                pool.map(lambda number: Annotator(server, replay, journal, number).work(), range(ANNOTATORS))
            )
    finally:
        over.set()
        disturber.join()
    spent, processor = time.monotonic() - began, server.spent + server.processor_seconds()
    seconds = sorted(second for annotator in annotators for second in annotator.seconds)
    same = replay.verdicts()
    assert len(same) == len(seconds)
    wrong = same.count(False)
    p50, p95, p99 = (1000 * seconds[int(share * (len(seconds) - 1))] for share in (0.5, 0.95, 0.99))
    print(
        f"\n{ANNOTATORS} annotators, {len(same)} clicks in {spent:.0f} s, {KILLS} kills, "
        f"{sum(one.again for one in annotators)} requests repeated, "
        f"{sum(one.busy for one in annotators)} refused as late, {wrong} masks wrong; "
        f"p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms; "
        f"{processor:.0f} s of processor time, {1000 * processor / len(same):.0f} ms a click"
    )
    assert states, "too short: all was asked before the last kill"
    growth = {}
    for name, values in zip(("MB", "threads", "files"), zip(*states, strict=True), strict=True):
        eighths = [part for part in np.array_split(values, 8) if len(part)]
        levels = [float(statistics.median(part)) for part in eighths]
        growth[name] = levels[-1] - levels[len(levels) // 2]
        print(f"{name} since the last kill: {', '.join(f'{level:.0f}' for level in levels)}")
    assert wrong == 0
    assert growth["MB"] < 100  # in the second half: caches of pictures and prefixes are full by then
    assert growth["threads"] < 4
    assert growth["files"] <= ANNOTATORS
