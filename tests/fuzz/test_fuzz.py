"""Damaged bodies and files for every parser and decoder: no traceback, nothing beyond the limits.

Run by ``make fuzz``; ``FUZZ_EXAMPLES`` says how many in all, and every parser gets a share of them, a large
one where an example costs little. Hypothesis draws the damage; where atheris is installed, it guides further
damage by what it reaches (``FUZZ_GUIDED`` runs for each parser that reads bytes).
"""

from __future__ import annotations

import base64
import copy
import functools
import io
import json
import math
import operator
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from fuzz_sources import COCO, DATUMARO, FOLDER, HEIGHT, LABEL_STUDIO, LABELME, PHOTO, SOURCES, WIDTH
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from cvat_function import request, tracker, tracking
from fcfi_core import images, propagation
from fcfi_core.allowance import MEGABYTE, Allowance, Memory, granted
from fcfi_core.checkpoints import files
from fcfi_core.datasets.left_out import nothing_noted
from fcfi_core.datasets.opening import open_dataset
from fcfi_core.errors import FcfiError
from fcfi_core.masks import coco, cvat, label_studio
from fcfi_core.masks.polygons import Polygon, from_polygons
from fcfi_core.pipelines.sources import open_source
from fcfi_core.prompt import Prompt
from fcfi_core.propagation.colours import SHADES
from fcfi_core.serving.playground.parsing import parse_object
from label_studio_backend.labelling_config import LabellingConfig
from label_studio_backend.predict_request import PredictRequest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(24 * 3600)]

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES") or 10_000)
GUIDED = int(os.environ.get("FUZZ_GUIDED") or 3000)
BUDGET = 300 * MEGABYTE
EYE = np.eye(9, 7, dtype=bool)
SLOWEST: dict[str, float] = {}
TRIED: dict[str, int] = {}


def fuzz(share):
    """Return a decorator that draws ``share`` percent of all examples."""
    return settings(
        max_examples=max(1, EXAMPLES * share // 100),
        deadline=None,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
        database=None,
    )


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
    memory, began = Memory(BUDGET), time.thread_time()
    with granted(Allowance(time.monotonic() + 60, memory)), suppress(FcfiError):
        parse(*arguments)
    assert memory.used == 0
    SLOWEST[name] = max(SLOWEST.get(name, 0), time.thread_time() - began)
    TRIED[name] = TRIED.get(name, 0) + 1


@pytest.fixture(scope="module", autouse=True)
def report():
    for _, seeds, parse in PARSERS.values():  # what is imported on first use is no parsing
        for seed in seeds:
            tried("sound", parse, seed)
    SLOWEST.clear()
    TRIED.clear()
    yield
    for name, most in SLOWEST.items():
        print(f"\n{name}: {TRIED[name]} examples, slowest {1000 * most:.0f} ms of processor time", end="")
    print(f"\n{sum(TRIED.values())} in all")
    assert all(most < 1 for most in SLOWEST.values())


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


def read_interaction(content):
    interaction = request.parse(content)
    images.load(interaction.image, max_pixels=20_000_000)
    interaction.objects(32, 24)


def read_track(content):
    fields = request.parse_object(content)
    for shape in tracker.entries(fields, "shapes"):
        with suppress(FcfiError):
            tracking.read_mask(shape, 32, 24)
    for state in tracker.entries(fields, "states"):
        with suppress(FcfiError):
            tracking.State.from_json(state, 32, 24)


def checkpoint_file(names):
    """Return a file as safetensors lays it out, with a header of ours and a few weights."""
    header = json.dumps(
        {
            "__metadata__": {"format": "fcfi", "version": "1", "variant": "mobile", "protocol": "{}"},
            **{name: {"dtype": "F32", "shape": [2, 2], "data_offsets": [16 * n, 16 * n + 16]}
               for n, name in enumerate(names)},
        }
    ).encode()  # fmt: skip
    return len(header).to_bytes(8, "little") + header + bytes(16 * len(names))


def read_file(suffix, read):
    """Return a parser of bytes for ``read``, which wants a path."""

    def parse(content):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "a" + suffix)
            path.write_bytes(content)
            read(path)

    return parse


INTERACTION = json.dumps(
    {"image": base64.b64encode(SEEDS[1]).decode(), "pos_points": [[3, 4], [5.5, 6]], "neg_points": [[1, 2]],
     "obj_bbox": [[1, 2], [9, 9]]}
).encode()  # fmt: skip
SEEN = np.zeros((24, 32), bool)
SEEN[2:9, 3:12] = True
KNOWN = propagation.State(SEEN, np.zeros((3, SHADES), np.float32), None)
TRACK = json.dumps(
    {"shapes": [[3, 1, 6, 3, 9, 9, 1, 9], [0, 4, 2, 2, 3, 3, 6, 4]],
     "states": [tracking.State("mask", KNOWN).to_json(), None]}
).encode()  # fmt: skip

PARSERS = {
    "pictures": (14, SEEDS, lambda content: images.load(content, max_pixels=20_000_000)),
    "requests": (10, [REQUEST], read_request),
    "labelling configs": (10, [CONFIG.encode()], read_config),
    "brush codes": (
        10, [bytes(label_studio.encode(EYE))], lambda content: label_studio.decode(content, 7, 9)
    ),
    "COCO codes": (
        10,
        [coco.encode(EYE)["counts"].encode()],
        lambda content: coco.decode({"size": [9, 7], "counts": content}),
    ),
    "interactions of CVAT": (6, [INTERACTION], read_interaction),
    "tracks of CVAT": (4, [TRACK], read_track),
    "bodies of the playground": (
        4,
        [json.dumps({"clicks": [{"x": 1, "y": 2, "positive": False}], "box": [1, 2, 3, 4]}).encode()],
        lambda content: Prompt.from_json(parse_object(content), 24, 32),
    ),
    "checkpoints": (2, [checkpoint_file(["a", "b"])], read_file(".safetensors", files.read_checkpoint)),
}  # fmt: skip
"""Whatever reads bytes from strangers: its share of the examples, what it is seeded with, and the call."""


@pytest.mark.parametrize("name", PARSERS)
def test_damaged_bytes(name):
    share, seeds, parse = PARSERS[name]

    @given(damaged(seeds))
    @fuzz(share)
    def damage(content):
        tried(name, parse, content)

    damage()


@pytest.mark.parametrize("name", [*PARSERS, *(f"source: {kind}" for kind in SOURCES)])
def test_damage_that_is_guided_by_what_it_reaches(name):
    pytest.importorskip("atheris", reason="atheris is not installed: pip install atheris")
    words = [sys.executable, str(Path(__file__).with_name("guided.py")), name, f"-runs={GUIDED}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    print(f"\n{name}, guided: {done.stderr.strip().splitlines()[-1]}")


ODD = st.sampled_from(
    [None, True, -1, 0, 2**31, 2**64, 10**400, 1e308, math.nan, -math.inf, "", "\0", "\ud800", "../p0.png",
     [], {}, [[]], [[1, [2]]], {"counts": [1, [2]], "size": [10**6, 10**6]}, "x" * 5000]
) | st.integers() | st.floats() | st.text(max_size=5)  # fmt: skip


def places(node, path=()):
    """Yield the path of every value in a JSON document."""
    yield path
    for key, value in (
        node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    ):
        yield from places(value, (*path, key))


@st.composite
def rewritten(draw, document):
    """A JSON document in which some values are others, missing, or there twice; as bytes."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 4))):
        path = draw(st.sampled_from(list(places(document))))
        if not path:
            continue
        node = functools.reduce(operator.getitem, path[:-1], document)
        how = draw(st.integers(0, 3))
        if how == 0:
            del node[path[-1]]
        elif how == 1 and isinstance(node, list):
            node.append(copy.deepcopy(node[path[-1]]))
        else:
            node[path[-1]] = copy.deepcopy(draw(ODD))
    return json.dumps(document).encode()


def read_source(contents):
    """Read all photos of a source as ``annotate``, ``evaluate`` and ``train`` do."""
    with tempfile.TemporaryDirectory() as folder:
        for place, content in {"p0.png": PHOTO, "images/p0.png": PHOTO, **contents}.items():
            Path(folder, place).parent.mkdir(exist_ok=True)
            Path(folder, place).write_bytes(content)
        first = next(iter(contents))
        path = Path(folder) if contents.keys() == SOURCES[FOLDER].keys() else Path(folder, first)
        with suppress(FcfiError):
            source = open_source(path)
            _ = source.digest
            for photo in source.images:
                with suppress(FcfiError):
                    for one in photo.read().objects:
                        with suppress(FcfiError):
                            one.prompt(nothing_noted).within(HEIGHT, WIDTH)
        dataset = open_dataset(path)
        for name in dataset.image_names:
            areas = dataset.areas(name)
            with suppress(FcfiError):
                photo = dataset.read(name)
                for number in areas:
                    photo.mask(number)


def parser_of(name):
    """Return (what to begin with, the call) for a parser, or for the first file of a source."""
    if name in PARSERS:
        return PARSERS[name][1:]
    first, *others = SOURCES[name.removeprefix("source: ")].items()
    return [first[1]], lambda content: read_source({first[0]: content, **dict(others)})


@pytest.mark.parametrize("kind", SOURCES)
def test_damaged_sources(kind):
    contents = SOURCES[kind]

    @given(st.data())
    @fuzz(1)
    def damage(data):
        place = data.draw(st.sampled_from(list(contents)))
        content = data.draw(damaged([contents[place]]))
        tried(f"source: {kind}", read_source, {**contents, place: content})

    damage()


DOCUMENTS = {
    "COCO": COCO, "LabelMe": LABELME, "Datumaro": DATUMARO,
    "Label Studio export": LABEL_STUDIO,
}  # fmt: skip


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_rewritten_sources(kind):
    @given(rewritten(DOCUMENTS[kind]))
    @fuzz(1)
    def rewrite(content):
        tried(f"source, rewritten: {kind}", read_source, {"a.json": content})

    rewrite()


@pytest.mark.parametrize("kind", ["requests", "interactions of CVAT", "tracks of CVAT"])
def test_rewritten_bodies(kind):
    _, (seed,), parse = PARSERS[kind]

    @given(rewritten(json.loads(seed)))
    @fuzz(4)
    def rewrite(content):
        tried(f"{kind}, rewritten", parse, content)

    rewrite()


@given(st.binary(max_size=200), st.integers(1, 300), st.integers(1, 300))
@fuzz(5)
def test_brush_codes_of_the_claimed_size(content, width, height):
    claimed = (4 * width * height).to_bytes(4, "big") + content
    tried("brush codes of a size", lambda: label_studio.decode(claimed, width, height))


@given(st.text(max_size=40), st.integers(0, 2**40), st.integers(0, 2**40))
@fuzz(5)
def test_coco_codes_of_any_size(counts, height, width):
    tried("COCO codes of any size", lambda: coco.decode({"size": [height, width], "counts": counts}))


NUMBERS = st.integers(-5, 300) | st.floats() | st.integers() | st.booleans() | st.none() | st.text(max_size=3)


@given(st.lists(NUMBERS, max_size=30), st.integers(1, 10**6), st.integers(1, 10**6))
@fuzz(3)
def test_cvat_points(points, width, height):
    tried("CVAT points", lambda: cvat.decode(points, width, height))


@given(st.lists(st.tuples(st.floats(), st.floats()), max_size=12), st.integers(1, 3000), st.integers(1, 3000))
@fuzz(2)
def test_polygons(points, width, height):
    ring = np.array(points, float).reshape(-1, 2)
    tried("polygons", lambda: from_polygons([Polygon(ring)], width, height))


KEYS = st.sampled_from(["clicks", "box", "mask", "x", "y", "positive", "size", "counts"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5),
)


@given(JSON)
@fuzz(3)
def test_prompts(fields):
    tried("prompts", lambda: Prompt.from_json(fields, 24, 32))
