"""What strangers send to ``fcfi serve``, with the time and the memory that each attack takes.

Run by ``make hostile``; a minute. The server is a process with a limit on its address space, as ``ulimit -v``
sets it. While an attack runs, somebody asks for ``/health`` all the time; afterwards an honest click must
get its mask. Figures are printed (``-s``) and stand in docs/security.md.
"""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from fcfi_core.allowance import MEGABYTE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

PROGRAM = "import sys; from fcfi_core.cli import main; sys.exit(main())"
ADDRESS_SPACE = 10_000 * MEGABYTE
BUDGET = 3000
SECONDS = 5
LATEST = SECONDS + 10
"""When even the last of many requests must have its answer: the limit, and what a loaded machine adds."""

CONFIG = (
    '<View><Image name="image" value="{value}"/>{more}'
    '<BrushLabels name="m" toName="image" smart="false"><Label value="a"/></BrushLabels>'
    '<KeyPointLabels name="k" toName="image"><Label value="a"/></KeyPointLabels></View>'
)


def png(width, height, rows=None):
    """Return a PNG that claims a size, black if it is true."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    packer = zlib.compressobj(9)
    line = bytes(1 + (width + 7) // 8)
    packed = b"".join(packer.compress(line) for _ in range(height if rows is None else rows)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def webp(width, height):
    """Return 34 bytes that claim to be a lossless picture."""
    bits = (width - 1) | (height - 1) << 14
    body = b"VP8L" + struct.pack("<IBI", 14, 0x2F, bits) + bytes(9)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def picture():
    rows, columns = np.mgrid[:120, :160]
    disc = (columns - 80) ** 2 + (rows - 60) ** 2 < 40**2
    buffer = io.BytesIO()
    Image.fromarray(np.where(disc[..., None], (220, 60, 40), (40, 60, 80)).astype(np.uint8)).save(
        buffer, "PNG"
    )
    return buffer.getvalue()


def uri(content, kind="png"):
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def dot(x=50, y=50, ident="a", size=(160, 120), **more):
    return {
        "id": ident, "type": "keypointlabels", "from_name": "k", "to_name": "image", "is_positive": True,
        "original_width": size[0], "original_height": size[1],
        "value": {"x": x, "y": y, "width": 0.3, "keypointlabels": ["a"]}, **more,
    }  # fmt: skip


def body(items, *, image=None, value="$image", more="", data=None):
    task = {"id": 1, "data": data or {"image": image or uri(picture())}}
    config = CONFIG.format(value=value, more=more)
    return {"tasks": [task], "label_config": config, "params": {"context": {"result": items}}}


class Server:
    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = folder / "serve.log"
        variables = {
            "FCFI_MEMORY_MEGABYTES": str(BUDGET), "FCFI_PREDICT_SECONDS": str(SECONDS),
            "FCFI_BODY_SECONDS": "5", "FCFI_HEADER_SECONDS": "3", "FCFI_CONNECTIONS": "100",
            "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        ours = ("FCFI_", "LABEL_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        with self.log.open("wb") as file:
            self.child = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, "serve", "--model", "default", "--port", str(self.port)],
                env={**kept, **variables},
                stdout=file,
                stderr=file,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE)),
            )
        until = time.monotonic() + 120
        while time.monotonic() < until:
            try:
                if json.loads(self.ask("GET", "/health")[1])["model"] == "ready":
                    return
            except OSError:
                pass
            time.sleep(0.2)
        raise AssertionError(self.log.read_text())

    def ask(self, method, path, content=None, headers=None, timeout=100):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, content, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def predict(self, content):
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        return self.ask("POST", "/predict", content, {"Content-Type": "application/json"})

    def status(self, name):
        with open(f"/proc/{self.child.pid}/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith(name))

    def processor_seconds(self):
        """Return the processor time that the server has taken."""
        with open(f"/proc/{self.child.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def files(self):
        return len(os.listdir(f"/proc/{self.child.pid}/fd"))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    one = Server(tmp_path_factory.mktemp("hostile"))
    honest(one)
    yield one
    one.child.send_signal(signal.SIGTERM)
    began = time.monotonic()
    one.child.wait(30)
    print(f"\nSIGTERM: ended after {time.monotonic() - began:.1f} s")
    assert "Traceback" not in one.log.read_text(errors="replace")


def honest(server):
    """Ask for the mask of a disc, and see that it comes; later if the machine has no time now."""
    until = time.monotonic() + 60
    while True:
        status, answer = server.predict(body([dot(ident="honest")]))
        if status != 503 or time.monotonic() > until:
            break
        time.sleep(1)
    assert status == 200, answer
    assert json.loads(answer)["results"][0]["result"]


@pytest.fixture
def attack(server, request):
    """Return a function that runs an attack, several times at once if asked, and reports what it took."""

    def run(send, times=1):
        latencies, over = [], threading.Event()

        def look():
            while not over.is_set():
                began = time.monotonic()
                assert server.ask("GET", "/health")[0] == 200
                latencies.append(time.monotonic() - began)
                time.sleep(0.05)

        with open(f"/proc/{server.child.pid}/clear_refs", "w") as file:
            file.write("5")  # VmHWM counts anew
        before, looker = server.status("VmRSS"), threading.Thread(target=look)
        looker.start()
        began, worked = time.monotonic(), server.processor_seconds()
        try:
            with ThreadPoolExecutor(times) as pool:
                outcomes = list(pool.map(send, range(times)))
        finally:
            spent, worked = time.monotonic() - began, server.processor_seconds() - worked
            over.set()
            looker.join()
        more = (server.status("VmHWM") - before) / MEGABYTE
        said = sorted({status for status, _ in outcomes})
        print(
            f"\n{request.node.name}: {times} x, {spent:.1f} s, "
            f"{worked:.1f} s of processor time, statuses {said}, +{more:.0f} MB at most, "
            f"/health at most {1000 * max(latencies, default=0):.0f} ms"
        )
        assert all(status < 500 or status == 503 for status, _ in outcomes), outcomes
        assert all(b"Traceback" not in answer for _, answer in outcomes)
        assert spent < LATEST * max(1, times // 4)
        assert more < BUDGET + 400
        honest(server)
        return outcomes

    return run


@pytest.mark.parametrize(
    ("value", "more"),
    [
        ("x$a" + ".a" * 26_000, ""),
        ("$a.a.a" * 9_000, ""),
        ("$image", "".join(f'<Labels name="l{n}" toName="image">' for n in range(1000)) + "</Labels>" * 1000),
        (
            "$image",
            '<Brush name="b" toName="image"/><Labels name="l" toName="image"><Label value="b"/></Labels>'
            * 8000,
        ),
    ],
    ids=["a long path", "many paths", "nested controls", "many controls"],
)
def test_labelling_configs(attack, server, value, more):
    attack(lambda _: server.predict(body([dot()], value=value, more=more)), 4)


def test_a_brush_code_of_single_samples(attack, server):
    """A true mask, every one of its nine million samples a run of its own."""
    side = 1500
    head = f"{side * side * 4:032b}00111" + "0010001101111111"
    run = np.tile(np.frombuffer(b"10000011111111", np.uint8) - 48, side * side * 4)
    code = np.packbits(np.concatenate((np.frombuffer(head.encode(), np.uint8) - 48, run))).tolist()
    stroke = {
        **dot(ident="s", size=(side, side)), "type": "brushlabels",
        "value": {"format": "rle", "rle": code, "brushlabels": ["a"]},
    }  # fmt: skip
    content = json.dumps(body([stroke], image=uri(png(side, side))), separators=(",", ":")).encode()
    print(f"\n{len(content) / MEGABYTE:.0f} MB of JSON")
    attack(lambda _: server.predict(content))


def test_fifty_boxes_and_a_thousand_clicks(attack, server):
    names = [f"c{n}" for n in range(50)]
    labels = "".join(f'<Label value="{one}"/>' for one in names)
    kinds = ("PolygonLabels", "RectangleLabels", "KeyPointLabels")
    tags = "".join(f'<{tag} name="{tag}" toName="image">{labels}</{tag}>' for tag in kinds)
    items = []
    for n, name in enumerate(names):
        place = {"x": n, "y": n, "width": 40, "height": 40, "rectanglelabels": [name]}
        items.append({**dot(ident=f"b{n}"), "type": "rectanglelabels", "value": place})
        for k in range(999):
            one = dot(3 + k % 90, 3 + k * 7 % 90, f"d{n}.{k}")
            items.append({**one, "value": {**one["value"], "keypointlabels": [name]}})
    content = json.dumps(body(items, more=tags)).encode()
    attack(lambda n: server.predict(content + b" " * n), 4)


@pytest.mark.parametrize("size", [(1, 60_000_000), (60_000_000, 1), (14_000, 14_000), (2**31 - 1, 2**31 - 1)])
def test_sizes_that_the_sender_claims(attack, server, size):
    attack(lambda _: server.predict(body([dot(size=size)])), 4)


def test_a_zigzag_polygon(attack, server):
    side = 6000
    points = [[n % 101, 100 * (n % 2)] for n in range(60_000)]
    polygon = {
        **dot(ident="p", size=(side, side)), "type": "polygonlabels",
        "value": {"points": points, "polygonlabels": ["a"]},
    }  # fmt: skip
    attack(lambda _: server.predict(body([polygon], image=uri(png(side, side)))), 4)


@pytest.mark.parametrize(
    ("content", "kind"),
    [(webp(9_000, 9_000), "webp"), (png(14_000, 14_000), "png"), (png(14_000, 14_000, rows=1), "png")],
    ids=["34 bytes of WebP", "a black PNG", "a PNG cut short"],
)
def test_small_files_that_claim_to_be_large(attack, server, content, kind):
    print(f"\n{len(content)} bytes")
    attack(
        lambda n: server.predict(
            body([dot(ident=f"i{n}", size=(14_000, 14_000))], image=uri(content + bytes(n), kind))
        ),
        8,
    )


@pytest.mark.parametrize(
    "content",
    [
        b"[" + b"[]," * 20_000_000 + b"1]",
        b"[" * 30_000_000,
        b"[" + b"{}," * 15_000_000 + b"1]",
        b'"' + b"\\u0041" * 9_000_000 + b'"',
    ],
    ids=["lists", "depth", "objects", "escapes"],
)
def test_bodies_of_sixty_megabytes(attack, server, content):
    attack(lambda _: server.predict(content), 4)


def test_names_of_a_megabyte(attack, server):
    attack(lambda n: server.predict(body([dot(ident=f"{n}" + "x" * 1_000_000)])), 100)


def test_clients_that_leave(attack, server):
    content = json.dumps(body([dot(3 + n % 90, 3 + n * 7 % 90, f"g{n}") for n in range(900)])).encode()

    def leave(number):
        try:
            return server.ask(
                "POST", "/predict", content + b" " * number, {"Content-Type": "application/json"}, 0.3
            )
        except TimeoutError:
            return 499, b""

    attack(leave, 40)
    until = time.monotonic() + 20
    while json.loads(server.ask("GET", "/health")[1])["waiting"] and time.monotonic() < until:
        time.sleep(0.1)
    assert json.loads(server.ask("GET", "/health")[1])["waiting"] == 0


def test_heads_and_bodies_that_never_end(attack, server):
    before, held = server.files, []
    for number in range(60):
        one = socket.create_connection(("127.0.0.1", server.port), 10)
        one.sendall(
            b"POST /predict HTTP/1.1\r\nHost: localhost\r\n"
            + (b"Content-Length: 60000000\r\n\r\n" + bytes(1_000_000) if number % 2 else b"X-Slow: ")
        )
        held.append(one)

    def wait(_):
        time.sleep(7)
        return server.ask("GET", "/health")

    attack(wait)
    for one in held:
        one.close()
    time.sleep(0.5)
    assert server.files <= before + 5


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Content-Type": "text/plain"}],
    ids=["host", "origin", "kind"],
)
def test_pages_of_others(attack, server, headers):
    content = json.dumps(body([dot()]))
    outcomes = attack(
        lambda _: server.ask("POST", "/predict", content, {"Content-Type": "application/json", **headers})
    )
    assert outcomes[0][0] in (403, 415)
