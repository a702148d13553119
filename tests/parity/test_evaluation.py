"""Simulated clicker, metrics and zoom frames against the official evaluation."""

from __future__ import annotations

import numpy as np
import pytest

from fcfi_core.clicks import Click
from fcfi_core.evaluation import metrics
from fcfi_core.evaluation.clicker import Clicker
from fcfi_core.geometry import Frame
from fcfi_core.regions import Region

NOC_TARGETS, NOC_CLICKS = (0.80, 0.85, 0.90), 20  # unless the manifest says otherwise


@pytest.mark.cases("clicker")
def test_clicker(case):
    truth, packed, wanted = (case.take(name) for name in ("gt", "preds", "clicks"))
    clicker = Clicker(truth == 1, truth == -1, stop_when_perfect=False)
    predictions = np.unpackbits(packed, axis=-1, count=truth.shape[1]).astype(np.bool_)
    clicks = [clicker.next(prediction) for prediction in predictions]
    assert [[click.y, click.x, int(click.positive)] for click in clicks] == wanted.tolist()


@pytest.mark.cases("metric")
def test_metrics(case):
    truth, prediction = case.take("gt"), case.take("pred").astype(np.bool_)
    wanted = {
        name: pytest.approx(float(case.take(name)), rel=1e-6, nan_ok=True) for name in ("iou", "biou", "assd")
    }
    assert metrics.iou(prediction, truth == 1, truth == -1) == wanted["iou"]
    # In these two the kit takes ignored pixels of the truth as background.
    assert metrics.boundary_iou(prediction, truth == 1) == wanted["biou"]
    assert metrics.surface_distance(prediction, truth == 1) == wanted["assd"]


@pytest.mark.cases("noc")
def test_number_of_clicks(case, tools):
    ious = case.take("ious")
    text = case.parameters["what"]
    targets = tools.numbers_in(text, r"NoC at ([\d./]+)") or NOC_TARGETS
    limit = int((tools.numbers_in(text, r"max (\d+) clicks") or [NOC_CLICKS])[0])
    ious = ious[:, :limit]
    noc, nof = case.take("noc"), case.take("nof")
    assert [metrics.noc(ious, target) for target in targets] == pytest.approx(noc.tolist(), abs=1e-9)
    assert [metrics.nof(ious, target) for target in targets] == nof.tolist()


@pytest.mark.cases("zoom")
def test_zoom_frame(case):
    told = dict(case.take("case"))
    clicks, inside = ([Click(x, y) for y, x in told.pop(name)] for name in ("clicks", "inside"))
    size, ratio, smallest, target = (told.pop(name) for name in ("size", "ratio", "min_crop", "target"))
    region = Region(*told.pop("box")).including(clicks).expanded(ratio, smallest, *size)
    assert [region.top, region.bottom, region.left, region.right] == told.pop("roi")
    frame = Frame.of(region, tuple(size), target=target, align_corners=True)
    assert list(frame.size) == told.pop("crop_size")
    transformed = np.reshape(told.pop("transformed"), (-1, 2))
    np.testing.assert_allclose(
        np.reshape(frame.apply_clicks(inside), (-1, 2)), transformed, rtol=0, atol=1e-9
    )
    overlap = region.overlap(Region(*told.pop("other_roi")))
    assert overlap == pytest.approx(told.pop("iou_with_other"), abs=1e-9)
    assert all(region.contains(click) for click in clicks) == told.pop("all_clicks_inside_roi")
    assert told == {}, "parts of the case that this test does not know"
