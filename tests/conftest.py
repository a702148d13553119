"""What all tests share: how Hypothesis works here, a web server to ask, a model that needs no weights.

The same examples are tried in every run, so that a failure means a change; ``pytest
--hypothesis-profile=explore`` looks for new ones. No limits on time: other work on the machine is
not a defect.
"""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

from fcfi_core.engines.base import Encoded, Maps
from fcfi_core.model import Model
from fcfi_core.predictor import Predictor
from fcfi_core.protocol import Protocol
from fcfi_core.serving.loading import Loading
from fcfi_core.serving.process import Server, listen
from fcfi_core.serving.service import Service
from fcfi_core.serving.settings import ServingSettings

settings.register_profile(
    "repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", settings.get_profile("repeatable"), derandomize=False)
settings.load_profile("repeatable")


class Site:
    """A web server on loopback that remembers what it was asked.

    ``answers`` maps a path (with its query) to (status, headers, body) or to a function of the handler
    that returns one.
    """

    def __init__(self):
        self.answers = {}
        self.asked = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                length = int(self.headers.get("Content-Length") or 0)
                self.sent = self.rfile.read(length)
                site.asked.append((self.command, self.path, dict(self.headers.items()), self.sent))
                answer = site.answers.get(self.path, (404, {}, b"not here"))
                status, headers, body = answer(self) if callable(answer) else answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_PATCH = do_DELETE = do_GET

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http://{self.host}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def authorisations(self):
        return [headers.get("Authorization") for _, _, headers, _ in self.asked]


class Clock:
    """Seconds that a test sets."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    """A clock that stands until a test moves its ``now``."""
    return Clock()


@pytest.fixture
def site():
    made = Site()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def other_site():
    made = Site()
    yield made
    made.server.shutdown()
    made.server.server_close()


class ColourEngine:
    """Stands in for a network: the object is what looks like the positive clicks, near the feedback.

    Deterministic, order-dependent through the feedback, and right on plain pictures. With ``dots`` the pixels
    around a click always follow it, whatever their colour.
    """

    name = "colour"
    version = "1"
    device = "cpu"
    threads = 1
    size_multiple = 1

    def __init__(self, dots=False):
        self.dots = dots

    def encode(self, images):
        return Encoded(images, images.nbytes)

    def decode(self, encoded, feedback, points, new_points, gate):
        logits = np.stack([self._logits(*one) for one in zip(encoded.value, feedback, points, strict=True)])
        probability = 1 / (1 + np.exp(-logits))
        return Maps(logits, probability, probability)

    def _logits(self, image, feedback, points):
        half = len(points) // 2
        rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
        near, dots = [], []
        for side in (points[:half], points[half:]):
            used = [(int(row), int(column)) for row, column, order in side if order >= 0]
            colours = [np.abs(image - image[place]).sum(2) for place in used]
            near.append(np.min(colours, axis=0) if used else np.full(image.shape[:2], 0.3))
            spots = [(rows - row) ** 2 + (columns - column) ** 2 <= 9 for row, column in used]
            dots.append(np.any(spots, axis=0) if used else np.zeros(image.shape[:2], bool))
        logits = 6 * (near[1] - near[0]) + (feedback - 0.2)
        if self.dots:
            logits = logits + 20.0 * dots[0] - 20.0 * dots[1]
        return logits.astype(np.float32)


@pytest.fixture(scope="session")
def make_colour_model():
    """Return a function that makes a model that needs no weights and is right on plain pictures."""

    def make(side, dots=False):
        protocol = Protocol(first_side=side, target_size=side, smallest_crop=40)
        return Model("colour", "1", "colour", ColourEngine(dots), protocol, "0" * 64)

    return make


@pytest.fixture(scope="session")
def colour_model(make_colour_model):
    """A model that needs no weights and is right on plain pictures."""
    return make_colour_model(128)


@pytest.fixture(scope="session")
def disc():
    """A picture of 160 x 120 pixels with a red disc, and the disc's mask."""
    rows, columns = np.mgrid[:120, :160]
    noise = np.random.default_rng(0).integers(0, 6, (120, 160, 3))
    mask = (columns - 64) ** 2 + (rows - 60) ** 2 <= 36**2
    pixels = np.where(mask[..., None], (210, 60, 40), (60, 55, 45)) + noise
    return Image.fromarray(pixels.astype(np.uint8)), mask


@pytest.fixture(scope="session")
def settings_table():
    """Return a function that makes the table of some variables as it must stand in a page."""

    def shown(default):
        if isinstance(default, float):
            default = f"{default:g}"
        text = ",".join(default) if isinstance(default, tuple) else str(default)
        return f"`{text}`" if text else ""

    def table(variables):
        lines = [f"| `{one.name}` | {shown(one.default)} | {one.help} |" for one in variables]
        return "\n".join(["| variable | default | meaning |", "| --- | --- | --- |", *lines])

    return table


@pytest.fixture(scope="session")
def make_service():
    """Return a function that makes a service of a predictor, or of what loads one, with some settings."""
    made = []

    def make(source, **settings):
        def load():
            return source() if callable(source) else source

        service = Service(ServingSettings(**settings), Loading(load, "fcfi-test").start())
        made.append(service)
        return service

    yield make
    for service in made:
        service.scheduler.close(0.1)


@pytest.fixture(scope="session")
def serve(make_service, colour_model):
    """Return a function that starts a server and returns its address and its service."""
    running = []

    def start(**settings):
        service = make_service(Predictor(colour_model), **settings)
        server, listening = Server(service), listen("127.0.0.1", 0)
        port = listening.getsockname()[1]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        running.append((server, thread))
        return f"http://127.0.0.1:{port}", service

    yield start
    for server, thread in running:
        server.stop()
        thread.join(20)
