"""The official evaluation of an object: clicker, zoom, flip averaging, six or so clicks in a row."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from fcfi_core.clicks import Click
from fcfi_core.evaluation import metrics
from fcfi_core.evaluation.clicker import next_click
from fcfi_core.model import Model
from fcfi_core.predictor import Predictor
from fcfi_core.prompt import Prompt
from fcfi_core.protocol import parity

PROBABILITY, IOU = 3e-3, 1e-3  # absolute
BOUNDARY_IOU, DISTANCE = 5e-3, 1e-2  # absolute, relative: single pixels weigh more in these
NOISE = 3e-4  # rounding noise of probabilities: closer pixels may fall on either side of the threshold
ZOOM_NAMES = {
    "min_crop_size": "smallest_crop",
    "recompute_thresh_iou": "keep_overlap",
    "prob_thresh": "zoom_threshold",
}


def protocol_of(told):
    """Return our protocol for the kit's description; the official defaults where it says nothing."""
    zoom = dict(told["zoom"] or {})
    protocol = parity(zoom.pop("target_size", 400) if told["zoom"] else None, flip=told["flip"])
    assert zoom.pop("skip_clicks", 1) == 1
    return replace(protocol, **{ZOOM_NAMES.get(name, name): value for name, value in zoom.items()})


def margin(prediction, truth, not_clicked, positive):
    """Return how much deeper the best pixel is than the next distance, and how many pixels are as deep.

    None if there is no error to click on.
    """
    error = (truth == 1) & ~prediction if positive else (truth == 0) & prediction
    padded = np.pad(error.astype(np.uint8), 1)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1] * not_clicked
    distinct = np.unique(distance)[::-1]
    if len(distinct) == 1:
        return None
    return distinct[0] - distinct[1], int((distance == distinct[0]).sum())


def replaced(state, before, clicks, threshold):
    """Return whether the zoom box was renewed, possibly by an equal one, as the official code notes it."""
    if state.zoomed is None or not (before.fused > threshold).any():
        return False
    return state.zoomed != before.zoomed or not all(before.zoomed.contains(click) for click in clicks)


@pytest.mark.cases("protocol")
@pytest.mark.timeout(1800)  # the larger variants of a whole kit, on one slow core
def test_protocol(case, networks, tools):
    overrides = {key: case.take(f"override/{key}") for key in case.parameters["override"]}
    protocol = protocol_of(case.parameters)
    network = networks(case.parameters["variant"], overrides)
    model = Model.from_network(network, protocol=protocol, device="cpu", threads=1, fast=False)
    predictor = Predictor(model)
    truth = case.take("gt")
    image = predictor.load(np.array(case.take("image")))
    golden = {
        name: case.take(name) for name in case.arrays if "/" not in name and name not in ("image", "gt")
    }
    assert len(golden["clicks"]) == case.parameters["clicks"]

    clicks: list[Click] = []
    not_clicked = np.ones(truth.shape, np.bool_)
    probability, before = np.zeros(truth.shape, np.float32), None
    for index, (y, x, positive) in enumerate(golden["clicks"].tolist()):
        wanted = Click(x, y, bool(positive))
        # Rounding may move pixels over the threshold; else the very same click must come out.
        masks = [probability > protocol.mask_threshold + noise for noise in (0, -NOISE, NOISE)]
        found = [
            next_click(mask, truth == 1, not_clicked, truth == -1, stop_when_perfect=False) for mask in masks
        ]
        assert wanted in found, f"click {index + 1}"
        margins = [margin(mask, truth, not_clicked, wanted.positive) for mask in masks]
        known = [found for found in margins if found is not None]
        told = pytest.approx(golden["click_margin"][index], abs=1e-4)
        assert not known or any(found == told for found in known), f"margin of click {index + 1}"
        clicks.append(wanted)
        not_clicked[y, x] = False

        state = predictor.recurrence.state(image, Prompt(tuple(clicks)))
        probability = state.probability
        assert_maps(state, golden, index, tools, protocol.mask_threshold)
        zoomed = state.zoomed
        box = [-1] * 4 if zoomed is None else [zoomed.top, zoomed.bottom, zoomed.left, zoomed.right]
        assert box == golden["roi"][index].tolist()
        assert replaced(state, before, clicks, protocol.zoom_threshold) == golden["roi_changed"][index]
        assert_metrics(probability > protocol.mask_threshold, truth, golden, index)
        before = state


def assert_maps(state, golden, index, tools, threshold):
    """Compare the maps after one click."""
    maps = {"prob": state.probability, "f1": state.corrected, "f2": state.fused}
    for name, wanted in golden.items():
        view = maps.get(name.split("_")[0])
        if view is None or "_sub" not in name:
            continue
        found = tools.thinned(view, wanted[index].shape)
        np.testing.assert_allclose(
            found, wanted[index].astype(np.float32), rtol=0, atol=PROBABILITY, err_msg=name
        )
    mean, deviation, above, near = golden["prob_stats"][index]
    away = np.abs(state.probability - threshold)
    assert float(state.probability.mean(dtype=np.float64)) == pytest.approx(mean, abs=PROBABILITY)
    assert float(state.probability.std(dtype=np.float64)) == pytest.approx(deviation, abs=PROBABILITY)
    assert abs(int((state.probability > threshold).sum()) - above) <= (away < PROBABILITY).sum()
    assert near <= (away < PROBABILITY + 1e-4).sum()


def assert_metrics(mask, truth, golden, index):
    """Compare the metrics after one click, ignored pixels treated as the official evaluation does."""
    ignore = truth == -1
    assert metrics.iou(mask, truth == 1, ignore) == pytest.approx(golden["ious"][index], abs=IOU, nan_ok=True)
    biou = metrics.boundary_iou(mask, truth == 1, ignore, official=True)
    assert biou == pytest.approx(golden["bious"][index], abs=BOUNDARY_IOU, nan_ok=True)
    if mask.any():  # without a prediction the official distance is meaningless
        distance = metrics.surface_distance(mask, truth == 1)
        assert distance == pytest.approx(golden["assds"][index], rel=DISTANCE)
