"""The server as a team uses it: many annotators at once, thousands of requests, a sudden end.

Run by ``make soak``; minutes. ``SOAK_REQUESTS`` shortens the memory test. Figures are printed (``-s``).
"""

from __future__ import annotations

import http.client
import io
import json
import os
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

from fcfi_core import Click, Predictor
from fcfi_core.masks import label_studio as code
from fcfi_core.settings import CORE_VARIABLES, read

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

ANNOTATORS, OBJECTS, CLICKS = 8, 20, 5
WIDTH, HEIGHT = 320, 240
PROGRAM = "import sys; from fcfi_core.cli import main; sys.exit(main())"


def scene(seed):
    """Return a PNG with some coloured disks on a ground of waves."""
    random_source = np.random.default_rng(seed)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    pixels = np.stack(
        [120 + 30 * np.sin(columns / (9 + seed)), 110 + 0 * rows, 100 + 30 * np.cos(rows / 13)], 2
    )
    for _ in range(6):
        x, y, radius = random_source.integers((30, 30, 15), (WIDTH - 30, HEIGHT - 30, 50))
        pixels[(columns - x) ** 2 + (rows - y) ** 2 < radius**2] = random_source.integers(0, 255, 3)
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


class Server:
    """``fcfi serve`` as a process, which may be killed and started again at its address."""

    def __init__(self, label_studio, folder, **variables):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = folder / "serve.log"
        self.environment = {
            **os.environ,
            "LABEL_STUDIO_URL": label_studio,
            "FCFI_IMAGE_FRESH_SECONDS": "5",
            **variables,
        }
        self.start()

    def start(self):
        words = [sys.executable, "-c", PROGRAM, "serve", "--port", str(self.port), "--log-level", "warning"]
        with self.log.open("ab") as file:
            self.child = subprocess.Popen(words, env=self.environment, stdout=file, stderr=file)
        until = time.monotonic() + 120
        while time.monotonic() < until:
            try:
                if self.get("/health")["model"] == "ready":
                    return
            except OSError:
                pass
            time.sleep(0.2)
        raise AssertionError(self.log.read_text())

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=100)
        try:
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def stop(self, how=signal.SIGTERM):
        self.child.send_signal(how)
        return self.child.wait(60)

    @property
    def megabytes(self):
        with open(f"/proc/{self.child.pid}/status") as status:
            return next(int(line.split()[1]) / 1000 for line in status if line.startswith("VmRSS"))


class Annotator:
    """Clicks as the editor does; each request has a connection of its own, as Label Studio's have."""

    def __init__(self, server, click):
        self.port = server.port
        self.make = click
        self.seconds = []

    def ask(self, picture, clicks, name=""):
        """Return the mask after ``clicks``, (HEIGHT, WIDTH) bool; all False if there is none."""
        items = [
            self.make(c.x, c.y, c.positive, ident=f"{name}{c.x}-{c.y}", size=(WIDTH, HEIGHT)) for c in clicks
        ]
        config = (
            '<View><Image name="image" value="$image"/>'
            '<BrushLabels name="m" toName="image"><Label value="cell"/></BrushLabels>'
            '<KeyPointLabels name="click" toName="image" smart="true"><Label value="cell"/>'
            "</KeyPointLabels></View>"
        )
        task = {"id": picture, "data": {"image": f"/data/upload/1/{picture}.png"}}
        body = {"tasks": [task], "label_config": config, "params": {"context": {"result": items}}}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=100)
        start = time.perf_counter()
        try:
            connection.request("POST", "/predict", json.dumps(body))
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        self.seconds.append(time.perf_counter() - start)
        assert answer.status == 200, content
        regions = json.loads(content)["results"][0]["result"]
        if not regions:
            return np.zeros((HEIGHT, WIDTH), bool)
        return code.decode(regions[0]["value"]["rle"], WIDTH, HEIGHT)


@pytest.fixture
def serve(site, tmp_path):
    started = []
    for picture in range(ANNOTATORS):
        site.answers[f"/data/upload/1/{picture}.png"] = (200, {}, scene(picture))

    def serve(**variables):
        started.append(Server(site.url, tmp_path, **variables))
        return started[-1]

    yield serve
    for server in started:
        if server.child.poll() is None:
            server.stop(signal.SIGKILL)


def some_clicks(source, count):
    """Return clicks of one object: a positive one first, then either."""
    return tuple(
        Click(source.randrange(WIDTH), source.randrange(HEIGHT), number == 0 or source.random() < 0.6)
        for number in range(count)
    )


def test_eight_annotators_at_once(serve, click):
    """No error, and no mask that a replay alone does not give."""
    server = serve()

    def work(number):
        source, annotator, found = random.Random(number), Annotator(server, click), []
        for turn in range(OBJECTS):
            # all eight work on every picture in turn, so that they meet in the memo
            picture, clicks = (number + turn) % ANNOTATORS, some_clicks(source, CLICKS)
            prefixes = [clicks[:count] for count in range(1, CLICKS + 1)]
            name = f"{number}.{turn}."
            found.extend((picture, prefix, annotator.ask(picture, prefix, name)) for prefix in prefixes)
        return found, annotator.seconds

    start = time.perf_counter()
    with ThreadPoolExecutor(ANNOTATORS) as pool:
        outcomes = list(pool.map(work, range(ANNOTATORS)))
    spent = time.perf_counter() - start
    seconds = sorted(second for _, times in outcomes for second in times)
    print(
        f"\n{len(seconds)} requests in {spent:.0f} s: p50 {1000 * statistics.median(seconds):.0f} ms, "
        f"p95 {1000 * seconds[int(0.95 * len(seconds))]:.0f} ms"
    )
    assert len(seconds) == ANNOTATORS * OBJECTS * CLICKS
    predictor = Predictor.from_settings(read(CORE_VARIABLES, os.environ))
    for picture, clicks, mask in (one for found, _ in outcomes for one in found):
        assert (predictor.segment(scene(picture), clicks).finished().mask == mask).all(), (picture, clicks)


def test_memory_stays_flat(serve, click):
    """After the first 200 requests, thousands more change the process's memory by at most 2 %."""
    server = serve()
    requests, source, annotator = (
        int(os.environ.get("SOAK_REQUESTS") or 5000),
        random.Random(0),
        Annotator(server, click),
    )
    sizes = []
    for number in range(requests):
        if number % 10 == 0:
            picture, clicks = source.randrange(ANNOTATORS), some_clicks(source, 3)
        annotator.ask(picture, clicks[: 1 + number % 3], f"{number // 10}.")
        if number >= 200 and number % 100 == 0:
            sizes.append(server.megabytes)
    print("\nMB every 100 requests:", " ".join(f"{size:.0f}" for size in sizes))
    first, last = statistics.median(sizes[:3]), statistics.median(sizes[-3:])
    print(
        f"{requests} requests: {first:.0f} MB after 200, {last:.0f} MB at the end, most {max(sizes):.0f} MB"
    )
    assert abs(last - first) <= 0.02 * first


def test_killed_in_mid_request_and_started_again(serve, click):
    server = serve()
    clicks = some_clicks(random.Random(5), 4)
    before = Annotator(server, click).ask(0, clicks)

    def ask():
        for number in range(1000):
            Annotator(server, click).ask(1, some_clicks(random.Random(number), 5))

    def ask_until_it_breaks_off():
        with pytest.raises((OSError, http.client.HTTPException)):
            ask()

    asker = threading.Thread(target=ask_until_it_breaks_off)
    asker.start()
    time.sleep(0.3)
    server.stop(signal.SIGKILL)
    asker.join(60)
    server.start()
    assert (Annotator(server, click).ask(0, clicks) == before).all()


def test_a_signal_lets_running_requests_end(serve, click):
    server = serve()
    answers = []
    asker = threading.Thread(
        target=lambda: answers.append(Annotator(server, click).ask(0, some_clicks(random.Random(1), 4)))
    )
    asker.start()
    time.sleep(0.05)
    assert server.stop() in (0, -signal.SIGTERM)
    asker.join(30)
    assert len(answers) == 1
