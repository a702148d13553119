"""What a few bytes claim to be is reserved before it is drawn, and looked at while it is."""

from __future__ import annotations

import time

import numpy as np
import pytest

from fcfi_core.allowance import Allowance, Memory, granted
from fcfi_core.errors import BusyError, FcfiError
from fcfi_core.masks import coco, cvat, label_studio
from fcfi_core.masks.polygons import Polygon, from_polygons, to_polygons
from fcfi_core.masks.resizing import resized

SIDE = 20_000
HUGE = SIDE * SIDE
ZIGZAG = np.array([(x, (x % 2) * 4000) for x in range(20_000)], float)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: coco.decode({"size": [SIDE, SIDE], "counts": [HUGE]}),
        lambda: coco.decode({"size": [1, 60_000_000], "counts": [60_000_000]}),
        lambda: coco.decode({"size": [4, 4], "counts": "0" * 3_000_000}),
        lambda: cvat.decode([1, 0, 0, 0, 0], SIDE, SIDE),
        lambda: resized(np.ones((4, 4), bool), SIDE, SIDE),
        lambda: from_polygons([Polygon(np.array([[0, 0], [9, 0], [9, 9.0]]))], SIDE, SIDE),
        lambda: from_polygons([Polygon(ZIGZAG)], 4000, 4000),
        lambda: label_studio.decode((4 * HUGE % 2**32).to_bytes(4, "big") + bytes(3_000_000), 8192, 8192),
    ],
    ids=["code", "strip", "text", "points", "resized", "polygon", "zigzag", "brush"],
)
def test_a_claim_beyond_the_budget_is_refused_before_it_is_drawn(draw):
    memory = Memory(20_000_000)
    with granted(Allowance(memory=memory)), pytest.raises(FcfiError):
        draw()
    assert memory.used == 0


def test_a_zigzag_is_drawn_in_the_memory_that_was_reserved_for_it():
    """Crossings are counted first; the drawing itself goes block by block."""
    import tracemalloc

    memory = Memory()
    with granted(Allowance(memory=memory)):
        tracemalloc.start()
        mask = from_polygons([Polygon(ZIGZAG[:2000])], 2000, 4000)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert mask.any()
    assert most <= memory.most + 20_000_000


@pytest.mark.parametrize(
    "work",
    [
        lambda: label_studio.decode(_single_samples(1500, 1500), 1500, 1500),
        lambda: to_polygons(np.random.default_rng(0).random((700, 700)) < 0.5, max_points=None),
        lambda: from_polygons([Polygon(ZIGZAG)], 4000, 4000),
    ],
    ids=["single samples", "noise to polygons", "zigzag"],
)
def test_a_deadline_interrupts(work):
    start = time.monotonic()
    with granted(Allowance(time.monotonic() + 0.05)), pytest.raises(BusyError):
        work()
    assert time.monotonic() - start < 10


def _single_samples(width, height):
    """Return a brush code in which every sample is a run of its own."""
    header = f"{width * height * 4:032b}" + f"{7:05b}" + "".join(f"{bits - 1:04b}" for bits in (3, 4, 8, 16))
    run = "1" + "00" + "000" + "11111111"
    bits = header + run * (width * height * 4)
    return int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")


def test_single_samples_are_still_read():
    assert label_studio.decode(_single_samples(8, 6), 8, 6).all()
