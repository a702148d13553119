"""Damaged bodies and files for every parser and decoder: no traceback, nothing beyond the limits.

Run by ``make fuzz``; ``FUZZ_EXAMPLES`` chooses how many per parser. Hypothesis draws the damage;
where atheris is installed, it guides further damage by what it reaches.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from fcfi_core import images
from fcfi_core.allowance import MEGABYTE, Allowance, Memory, granted
from fcfi_core.errors import FcfiError
from fcfi_core.masks import coco, cvat, label_studio
from fcfi_core.masks.polygons import Polygon, from_polygons
from fcfi_core.prompt import Prompt
from label_studio_backend.labelling_config import LabellingConfig
from label_studio_backend.predict_request import PredictRequest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(24 * 3600)]

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES") or 2000)
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=False,
    suppress_health_check=list(HealthCheck),
    database=None,
)
BUDGET = 300 * MEGABYTE
EYE = np.eye(9, 7, dtype=bool)
SLOWEST = {}


def pictures():
    rows, columns = np.mgrid[:24, :32]
    pixels = np.stack((rows * 9, columns * 7, rows + columns), 2).astype(np.uint8)
    for mode, kinds in {
        "RGB": ("JPEG", "PNG", "WebP", "BMP", "TIFF", "GIF"),
        "RGBA": ("PNG", "WebP", "TIFF"),
        "L": ("JPEG", "PNG", "TIFF"),
        "P": ("PNG", "GIF", "BMP"),
        "CMYK": ("JPEG", "TIFF"),
        "I;16": ("PNG", "TIFF"),
        "F": ("TIFF",),
    }.items():
        picture = Image.fromarray(pixels)
        if mode == "I;16":
            picture = Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 250)
        else:
            picture = picture.convert("L").convert("F") if mode == "F" else picture.convert(mode)
        for kind in kinds:
            buffer = io.BytesIO()
            picture.save(buffer, kind)
            yield buffer.getvalue()


SEEDS = list(pictures())
CONFIG = (
    '<View><Image name="i" value="$image"/><BrushLabels name="b" toName="i"><Label value="a"/></BrushLabels>'
    '<KeyPointLabels name="k" toName="i" smart="true"><Label value="a"/></KeyPointLabels></View>'
)
PLACE = {"to_name": "i", "original_width": 32, "original_height": 24}
DRAWN = [
    {**PLACE, "id": "a", "type": "keypointlabels", "is_positive": True,
     "value": {"x": 5, "y": 6, "keypointlabels": ["a"]}},
    {**PLACE, "id": "b", "type": "brushlabels", "value": {"rle": [0, 0, 12, 0, 9], "brushlabels": ["a"]}},
    {**PLACE, "id": "c", "type": "polygonlabels",
     "value": {"points": [[1, 1], [9, 1], [9, 9]], "polygonlabels": ["a"]}},
]  # fmt: skip
TASK = {"id": 1, "data": {"image": "/data/upload/1/a.png"}, "drafts": [], "annotations": []}
REQUEST = json.dumps(
    {"tasks": [TASK], "project": "1.2", "label_config": CONFIG, "params": {"context": {"result": DRAWN}}}
).encode()


@st.composite
def damaged(draw, seeds):
    """A seed in which some bytes are changed, taken out, doubled, or put in."""
    content = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, len(content)))
        length = draw(st.integers(0, 12))
        new = draw(st.binary(max_size=8) | st.sampled_from([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"]))
        how = draw(st.integers(0, 3))
        if how == 0:
            content[place : place + len(new)] = new
        elif how == 1:
            del content[place : place + length]
        elif how == 2:
            content[place:place] = content[max(0, place - length) : place]
        else:
            content[place:place] = new
    return bytes(content)


def tried(name, parse, *arguments):
    """Call ``parse`` as the server does; only errors made on purpose may come of it."""
    memory, began = Memory(BUDGET), time.process_time()
    with granted(Allowance(time.monotonic() + 10, memory)), suppress(FcfiError):
        parse(*arguments)
    assert memory.used == 0
    SLOWEST[name] = max(SLOWEST.get(name, 0), time.process_time() - began)


@pytest.fixture(scope="module", autouse=True)
def report():
    yield
    for name, most in SLOWEST.items():
        print(f"\n{name}: {EXAMPLES} examples, slowest {1000 * most:.0f} ms", end="")


def read_request(content):
    request = PredictRequest.parse(content)
    _ = request.turn
    for prompt in request.prompts or ():
        if prompt.drawing is not None:
            prompt.drawing.mask(32, 24)
        LabellingConfig.for_image(request.label_config, prompt.target)


def read_config(content):
    config = LabellingConfig.for_image(content.decode("utf-8", "replace"), "i")
    for target in config.images:
        config.output(target, ("a",))
        config.reference(target, {"image": "x"})


PARSERS = {
    "pictures": (SEEDS, lambda content: images.load(content, max_pixels=20_000_000)),
    "requests": ([REQUEST], read_request),
    "labelling configs": ([CONFIG.encode()], read_config),
    "brush codes": ([bytes(label_studio.encode(EYE))], lambda content: label_studio.decode(content, 7, 9)),
    "COCO codes": (
        [coco.encode(EYE)["counts"].encode()],
        lambda content: coco.decode({"size": [9, 7], "counts": content}),
    ),
}
"""Whatever reads bytes from strangers: what it is seeded with, and the call."""


@pytest.mark.parametrize("name", PARSERS)
def test_damaged_bytes(name):
    seeds, parse = PARSERS[name]

    @given(damaged(seeds))
    @FUZZ
    def damage(content):
        tried(name, parse, content)

    damage()


@pytest.mark.parametrize("name", PARSERS)
def test_damage_that_is_guided_by_what_it_reaches(name):
    pytest.importorskip("atheris", reason="atheris is not installed: pip install atheris")
    words = [sys.executable, str(Path(__file__).with_name("guided.py")), name, f"-runs={EXAMPLES}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    print(f"\n{name}, guided: {done.stderr.strip().splitlines()[-1]}")


@given(st.binary(max_size=200), st.integers(1, 300), st.integers(1, 300))
@FUZZ
def test_brush_codes_of_the_claimed_size(content, width, height):
    claimed = (4 * width * height).to_bytes(4, "big") + content
    tried("brush codes of a size", lambda: label_studio.decode(claimed, width, height))


@given(st.text(max_size=40), st.integers(0, 2**40), st.integers(0, 2**40))
@FUZZ
def test_coco_codes_of_any_size(counts, height, width):
    tried("COCO codes of any size", lambda: coco.decode({"size": [height, width], "counts": counts}))


NUMBERS = st.integers(-5, 300) | st.floats() | st.integers() | st.booleans() | st.none() | st.text(max_size=3)


@given(st.lists(NUMBERS, max_size=30), st.integers(1, 10**6), st.integers(1, 10**6))
@FUZZ
def test_cvat_points(points, width, height):
    tried("CVAT points", lambda: cvat.decode(points, width, height))


@given(st.lists(st.tuples(st.floats(), st.floats()), max_size=12), st.integers(1, 3000), st.integers(1, 3000))
@FUZZ
def test_polygons(points, width, height):
    ring = np.array(points, float).reshape(-1, 2)
    tried("polygons", lambda: from_polygons([Polygon(ring)], width, height))


KEYS = st.sampled_from(["clicks", "box", "mask", "x", "y", "positive", "size", "counts"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5),
)


@given(JSON)
@FUZZ
def test_prompts(fields):
    tried("prompts", lambda: Prompt.from_json(fields, 24, 32))
