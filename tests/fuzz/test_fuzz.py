"""Damaged bodies and files for every parser and decoder: no traceback, nothing beyond the limits.

Run by ``make fuzz``; ``FUZZ_EXAMPLES`` says how many in all, and every parser gets a share of them, a large
one where an example costs little. Hypothesis draws the damage; where atheris is installed, it guides further
damage by what it reaches (``FUZZ_GUIDED`` runs for each parser that reads bytes, or for those alone whose
name holds ``FUZZ_ONLY``).
"""

from __future__ import annotations

import copy
import functools
import json
import math
import operator
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fuzz_parsers import PARSERS, SLOWEST, SOURCE_FILES, TRIED, read_source, tried
from fuzz_sources import COCO, DATUMARO, LABEL_STUDIO, LABELME, SOURCES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fcfi_core.masks import coco, cvat, label_studio
from fcfi_core.masks.polygons import Polygon, from_polygons
from fcfi_core.prompt import Prompt

pytestmark = [pytest.mark.slow, pytest.mark.timeout(24 * 3600)]

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES") or 10_000)
GUIDED = int(os.environ.get("FUZZ_GUIDED") or 3000)
ONLY = os.environ.get("FUZZ_ONLY", "")


def fuzz(share):
    """Return a decorator that draws ``share`` percent of all examples."""
    return settings(
        max_examples=max(1, EXAMPLES * share // 100),
        deadline=None,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
        database=None,
    )


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


@pytest.mark.parametrize("name", PARSERS)
def test_damaged_bytes(name):
    share, seeds, parse = PARSERS[name]

    @given(damaged(seeds))
    @fuzz(share)
    def damage(content):
        tried(name, parse, content)

    damage()


def test_damage_that_is_guided_by_what_it_reaches():
    pytest.importorskip("atheris", reason="atheris is not installed: pip install atheris")
    words = [sys.executable, str(Path(__file__).with_name("guided.py")), f"-runs={GUIDED}"]
    names = [name for name in (*PARSERS, *SOURCE_FILES) if ONLY in name]
    assert subprocess.run([*words, *names], check=False).returncode == 0


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


REWRITTEN = (
    "requests", "interactions of CVAT", "tracks of CVAT", "tracking states", "scenes of the playground",
    "questions to the plain API", "propagations of the plain API",
)  # fmt: skip


@pytest.mark.parametrize("kind", REWRITTEN)
def test_rewritten_bodies(kind):
    _, (seed,), parse = PARSERS[kind]

    @given(rewritten(json.loads(seed)))
    @fuzz(2)
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
