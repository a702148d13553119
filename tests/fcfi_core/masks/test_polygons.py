from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

import fcfi_core.training
from fcfi_core.errors import DataError
from fcfi_core.masks import Polygon, from_polygons, to_polygons
from fcfi_core.masks.outlines import trace
from fcfi_core.masks.simplification import signed_area

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=16))


def iou(a, b):
    return np.count_nonzero(a & b) / max(np.count_nonzero(a | b), 1)


def back(polygons):
    return from_polygons(polygons, polygons.width, polygons.height)


def blob(seed, height=300, width=400):
    """A smooth random mask with several parts and holes."""
    noise = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    return cv2.GaussianBlur(noise, (0, 0), 12) > 0.01


# --- exact outlines ------------------------------------------------------------------------------


def test_exact_special(special_mask):
    polygons = to_polygons(special_mask, tolerance=0, max_points=None)
    assert polygons.lost_iou == 0
    assert (back(polygons) == special_mask).all()


@settings(deadline=None, max_examples=100)
@given(masks)
def test_exact_any(mask):
    polygons = to_polygons(mask, tolerance=0, max_points=None)
    assert polygons.lost_iou == 0
    assert (back(polygons) == mask).all()
    bridged = to_polygons(mask, tolerance=0, max_points=None, holes="bridge")
    assert all(not part.holes for part in bridged)
    assert (back(bridged) == mask).all()


@settings(deadline=None, max_examples=100)
@given(masks)
def test_outlines_are_the_components(mask):
    outlines = trace(mask)
    pixels = mask.view(np.uint8)
    count, labels = cv2.connectedComponents(pixels, connectivity=8)
    assert len(outlines) == count - 1
    around = cv2.connectedComponents(np.pad(1 - pixels, 1, constant_values=1), connectivity=4)[0]
    assert sum(len(outline.holes) for outline in outlines) == around - 2
    for outline in outlines:
        x, y = outline.path[0]
        inside = outline.area - sum(hole.area for hole in outline.holes)
        assert inside == (labels == labels[y, x]).sum()
        assert all(not mask[y, x] for x, y in (hole.path[0] for hole in outline.holes))
        assert signed_area(outline.path) == outline.area
        assert all(signed_area(hole.path) == -hole.area for hole in outline.holes)
    sizes = [outline.area for outline in outlines]
    assert sizes == sorted(sizes, reverse=True)


def test_diagonal_neighbours_hang_together():
    polygons = to_polygons(np.eye(5, dtype=bool), tolerance=0)
    assert len(polygons) == 1
    assert polygons.point_count == 20 - 4 + 4


def test_half_pixel_rule():
    whole = to_polygons(np.ones((4, 6), bool))
    assert whole.parts[0].exterior.tolist() == [[0, 0], [6, 0], [6, 4], [0, 4]]
    mask = np.zeros((9, 9), bool)
    mask[5, 3] = True
    assert to_polygons(mask).parts[0].exterior.tolist() == [[3, 5], [4, 5], [4, 6], [3, 6]]


# --- what polygon libraries call valid -----------------------------------------------------------


def assert_valid(polygons):
    for part in polygons:
        for digits in (None, 2):  # as they are, and as they are written into files
            rings = [part.exterior, *part.holes]
            rings = rings if digits is None else [ring.round(digits) for ring in rings]
            shape = shapely.Polygon(rings[0], rings[1:])
            assert shape.is_valid, shapely.is_valid_reason(shape)


@settings(deadline=None, max_examples=300)
@given(
    masks,
    st.sampled_from([0, 0.3, 1.0, 2.5, 6.0]),
    st.sampled_from([4, 9, 40, 200, None]),
    st.sampled_from(["keep", "fill", "bridge"]),
)
def test_any_mask_gives_valid_polygons(mask, tolerance, budget, holes):
    assert_valid(to_polygons(mask, tolerance, budget, holes))


@pytest.mark.parametrize("holes", ["keep", "bridge"])
@pytest.mark.parametrize("density", [0.3, 0.5, 0.7, 0.9])
def test_noise_gives_valid_polygons(density, holes):
    mask = np.random.default_rng(int(density * 10)).random((60, 90)) < density
    for tolerance, budget in ((0, None), (1.0, None), (1.0, 200), (3.0, 50)):
        polygons = to_polygons(mask, tolerance, budget, holes)
        assert_valid(polygons)
        if tolerance == 0:
            assert (back(polygons) == mask).all()


@pytest.mark.parametrize("holes", ["keep", "bridge"])
def test_masks_of_photos_give_valid_polygons(holes):
    folder = Path(fcfi_core.training.__file__).parent / "reference" / "masks"
    paths = [*sorted(folder.glob("*.png")), Path(__file__).parent / "files" / "crossing.png"]
    for path in paths:
        ids = np.asarray(Image.open(path))
        for number in np.unique(ids[ids > 0])[:20]:
            for tolerance in (1.0, 4.0):
                assert_valid(to_polygons(ids == number, tolerance, holes=holes))


@pytest.mark.parametrize("seed", range(4))
def test_bridged_holes_cost_no_pixel(seed):
    mask = ~blob(seed)
    kept = to_polygons(mask, max_points=None)
    bridged = to_polygons(mask, max_points=None, holes="bridge")
    assert any(part.holes for part in kept)
    assert bridged.lost_iou == kept.lost_iou
    assert_valid(bridged)


# --- simplified outlines -------------------------------------------------------------------------


@settings(deadline=None, max_examples=100)
@given(masks, st.sampled_from([0.3, 1.0, 2.5]), st.sampled_from([4, 9, 40, None]), st.data())
def test_any_simplification_is_well_formed(mask, tolerance, budget, data):
    holes = data.draw(st.sampled_from(["keep", "fill", "bridge"]))
    polygons = to_polygons(mask, tolerance, budget, holes)
    assert (len(polygons) > 0) == mask.any()
    assert budget is None or polygons.point_count <= budget
    assert polygons.lost_iou == pytest.approx(1 - iou(mask, back(polygons)) if mask.any() else 0)
    for part in polygons:
        for ring, sign in ((part.exterior, 1), *((hole, -1) for hole in part.holes)):
            assert len(ring) >= 3
            assert signed_area(ring) * sign > 0
            assert ring.min() >= 0
            assert (ring.max(axis=0) <= (mask.shape[1], mask.shape[0])).all()
    if holes != "keep":
        assert all(not part.holes for part in polygons)
    if budget is None and mask.any():
        assert len(polygons) == len(trace(mask))


@pytest.mark.parametrize("seed", range(4))
def test_photo_sized_masks_lose_little(seed):
    mask = blob(seed)
    polygons = to_polygons(mask, tolerance=1.0, max_points=None)
    assert polygons.lost_iou < 0.02
    exact = to_polygons(mask, tolerance=0, max_points=None)
    assert polygons.point_count < exact.point_count / 4
    within = to_polygons(mask)
    assert within.point_count <= 200
    assert polygons.lost_iou <= within.lost_iou < 0.08


def test_thin_lines_survive():
    mask = np.zeros((60, 200), bool)
    mask[5, 10:190] = True
    mask[10:50, 100] = True
    mask[np.arange(12, 52), np.arange(12, 52)] = True
    mask[54, 150] = True
    curve = np.arange(110, 190)
    mask[(35 + 8 * np.sin(curve / 9)).astype(int), curve] = True
    polygons = to_polygons(mask)
    assert len(polygons) == len(trace(mask))
    assert polygons.lost_iou < 0.05
    thick = cv2.dilate(mask.view(np.uint8), np.ones((2, 2), np.uint8)).view(bool)
    assert to_polygons(thick, tolerance=3).lost_iou < 0.08


def test_straight_shapes_stay_exact():
    mask = np.zeros((50, 60), bool)
    mask[10:40, 5:50] = True
    mask[20:30, 20:31] = False
    polygons = to_polygons(mask, tolerance=2)
    assert polygons.lost_iou == 0
    assert polygons.point_count == 8
    assert len(polygons.parts[0].holes) == 1


def test_budget_prefers_the_main_part():
    mask = np.zeros((400, 400), bool)
    y, x = np.indices(mask.shape)
    mask |= (x - 200) ** 2 + (y - 200) ** 2 < 150**2
    mask[2:398:9, 2] = True
    polygons = to_polygons(mask, max_points=60)
    assert polygons.point_count <= 60
    assert polygons.lost_iou < 0.01
    assert signed_area(polygons.parts[0].exterior) > 60_000


def test_filled_holes_are_counted_as_lost():
    mask = np.ones((20, 20), bool)
    mask[5:15, 5:15] = False
    filled = to_polygons(mask, holes="fill")
    assert filled.parts[0].holes == ()
    assert filled.lost_iou == pytest.approx(0.25)


def test_bridged_holes_count_in_the_budget():
    mask = blob(1)
    polygons = to_polygons(mask, max_points=120, holes="bridge")
    assert polygons.point_count <= 120
    assert polygons.lost_iou < 0.2


def test_empty_mask():
    polygons = to_polygons(np.zeros((3, 4), bool))
    assert (polygons.parts, polygons.width, polygons.height, polygons.lost_iou) == ((), 4, 3, 0.0)


def test_noise_keeps_to_the_budget():
    mask = np.random.default_rng(0).random((120, 160)) < 0.5
    polygons = to_polygons(mask)
    assert 0 < polygons.point_count <= 200
    assert polygons.lost_iou < 0.6


def test_big(big_mask):
    polygons = to_polygons(big_mask)
    assert polygons.point_count <= 200
    assert polygons.lost_iou < 0.005


@pytest.mark.parametrize(
    "options",
    [{"tolerance": -1}, {"tolerance": float("nan")}, {"max_points": 3}, {"holes": "drop"}],
)
def test_bad_options(options):
    with pytest.raises(DataError, match="polygon"):
        to_polygons(np.ones((3, 3), bool), **options)


# --- drawing -------------------------------------------------------------------------------------


def test_neighbours_share_no_pixel_and_leave_no_gap():
    random = np.random.default_rng(3)
    centre = random.uniform(20, 60, 2)
    rim = np.array([[0, 0], [80, 0], [80, 80], [0, 80]], float)
    triangles = [Polygon(np.array([centre, rim[k], rim[(k + 1) % 4]])) for k in range(4)]
    drawn = sum(from_polygons([triangle], 80, 80).astype(int) for triangle in triangles)
    assert (drawn == 1).all()


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.floats(-20, 40), st.floats(-20, 40)), min_size=3, max_size=8))
def test_pixel_centres_decide(points):
    ring = np.array(points)
    drawn = from_polygons([Polygon(ring)], 20, 15)
    contour = ring.astype(np.float32).reshape(-1, 1, 2)
    for y in range(0, 15, 3):
        for x in range(0, 20, 3):
            crossings = _winding_parity(ring, x + 0.5, y + 0.5)
            near = abs(cv2.pointPolygonTest(contour, (x + 0.5, y + 0.5), True)) < 1e-3
            assert near or drawn[y, x] == crossings


def _winding_parity(ring, x, y):
    inside = False
    for (x1, y1), (x2, y2) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        if (y1 <= y) != (y2 <= y) and x1 + (y - y1) / (y2 - y1) * (x2 - x1) <= x:
            inside = not inside
    return inside


@pytest.mark.parametrize("seed", range(3))
def test_coco_draws_the_same_area(seed):
    oracle = pytest.importorskip("pycocotools.mask")
    mask = blob(seed)
    polygons = to_polygons(mask, holes="bridge", max_points=400)
    rings = [part.exterior.ravel().tolist() for part in polygons]
    theirs = oracle.decode(oracle.merge(oracle.frPyObjects(rings, *mask.shape))).astype(bool)
    assert iou(theirs, back(polygons)) > 0.985
    y, x = (np.argwhere(theirs).mean(axis=0) - np.argwhere(back(polygons)).mean(axis=0)).tolist()
    assert abs(x) < 0.1
    assert abs(y) < 0.1


@pytest.mark.parametrize(
    "ring",
    [np.zeros((2, 2)), np.zeros((3, 3)), np.zeros(6), np.array([[0, 0], [np.inf, 0], [1, 1]])],
)
def test_bad_rings(ring):
    with pytest.raises(DataError, match="ring"):
        from_polygons([Polygon(ring)], 5, 5)


def test_polygons_outside_the_image_are_cut():
    ring = np.array([[-1e9, -1e9], [1e9, -1e9], [1e9, 1e9], [-1e9, 1e9]])
    assert from_polygons([Polygon(ring)], 5, 4).all()
    assert not from_polygons([Polygon(np.array([[9.0, 9], [12, 9], [12, 12]]))], 5, 4).any()
