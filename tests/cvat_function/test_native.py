"""The agents' functions, by cvat-sdk's own types and cvat-cli's own driver where they are installed."""

from __future__ import annotations

import types

import numpy as np
import pytest

from fcfi_core.errors import SettingsError
from fcfi_core.evaluation.metrics import iou

cvataa = pytest.importorskip("cvat_sdk.auto_annotation")

from cvat_sdk import models  # noqa: E402
from cvat_sdk.masks import decode_mask, encode_mask  # noqa: E402

from cvat_function import native  # noqa: E402


def prompts(positive=(), negative=(), box=None):
    return types.SimpleNamespace(pos_points=positive, neg_points=negative, bounding_box=box)


@pytest.fixture
def interactor():
    return native.create()


@pytest.fixture
def tracker():
    return native.create(kind="tracker")


def test_specs(interactor, tracker):
    """Where boxes are offered, CVAT starts with one: the first click is a click unless asked otherwise."""
    assert interactor.spec == cvataa.InteractionFunctionSpec(
        min_pos_points=1, min_neg_points=0, min_bounding_boxes=None
    )
    assert native.create(boxes=True).spec == cvataa.InteractionFunctionSpec(
        min_pos_points=0, min_neg_points=0, min_bounding_boxes=0
    )
    assert tracker.spec.supported_shape_types == {"mask", "polygon", "rectangle"}


def test_an_unknown_kind_is_named():
    with pytest.raises(SettingsError, match="detector"):
        native.create(kind="detector")


def test_detects(interactor, disc):
    image, mask = disc
    frame = interactor.preprocess_image(None, image)
    (shape,) = interactor.detect(None, frame, prompts([(64.2, 59.9)], [(150.5, 8.2)]))
    found = decode_mask(shape.points, image_width=160, image_height=120)
    assert iou(found, mask) > 0.95
    assert shape.points == encode_mask(found)
    assert shape.attributes == [], "CVAT hides masks below its filter as soon as there is a confidence"
    models.LabeledShapeRequest(type=shape.type, points=[float(v) for v in shape.points], label_id=1, frame=0)


def test_the_frame_is_not_changed(interactor, disc):
    frame = interactor.preprocess_image(None, disc[0])
    before = frame.pixels.copy()
    interactor.detect(None, frame, prompts([(64, 60)], box=((20.0, 20.0), (100.0, 100.0))))
    assert np.array_equal(frame.pixels, before)


def test_the_order_of_requests_changes_nothing(interactor, disc):
    frame = interactor.preprocess_image(None, disc[0])
    asked = prompts([(64, 60), (80, 61)], [(150, 8)])
    first = interactor.detect(None, frame, asked)
    interactor.detect(None, frame, prompts([(10, 10)]))
    assert interactor.detect(None, frame, asked) == first
    assert native.create().detect(None, frame, asked) == first


def test_a_region_is_its_own_picture(interactor, disc):
    image, mask = disc
    crop = interactor.preprocess_image(None, image.crop((20, 10, 120, 100)))
    (shape,) = interactor.detect(None, crop, prompts([(44, 50)]))
    found = decode_mask(shape.points, image_width=100, image_height=90)
    assert iou(found, mask[10:100, 20:120]) > 0.95


def test_an_empty_mask_is_no_shape(interactor, disc, monkeypatch):
    monkeypatch.setattr(native.Finish, "applied", lambda _, mask, *__: np.zeros_like(mask))
    assert interactor.detect(None, interactor.preprocess_image(None, disc[0]), prompts([(1, 1)])) == []


def test_a_box_alone_finds_the_object(disc):
    image, mask = disc
    interactor = native.create(boxes=True)
    frame = interactor.preprocess_image(None, image)
    (shape,) = interactor.detect(None, frame, prompts(box=((27.0, 23.0), (101.0, 97.0))))
    assert iou(decode_mask(shape.points, image_width=160, image_height=120), mask) > 0.9


def test_a_right_click_alone_finds_nothing(disc):
    interactor = native.create(boxes=True)
    frame = interactor.preprocess_image(None, disc[0])
    assert interactor.detect(None, frame, prompts(negative=[(5.0, 5.0)])) == []


def test_refusals_are_told_to_the_user(interactor, disc):
    frame = interactor.preprocess_image(None, disc[0])
    with pytest.raises(cvataa.BadFunctionError, match="outside the image"):
        interactor.detect(None, frame, prompts([(900.0, 1.0)]))
    with pytest.raises(cvataa.BadFunctionError):
        native.create(max_megapixels=0.001).preprocess_image(None, disc[0])


@pytest.mark.parametrize("kind", ["mask", "polygon", "rectangle"])
def test_tracks_what_it_was_given(tracker, kind, disc):
    image, mask = disc
    context = types.SimpleNamespace(original_shape_type=kind)
    frame = tracker.preprocess_image(None, image)
    shape = cvataa.TrackableShape(type=kind, points=native.tracking.to_points(kind, mask))
    state = tracker.init_tracking_state(context, frame, shape)
    moved = tracker.preprocess_image(None, image.transform(image.size, 0, (1, 0, -5, 0, 1, 0)))
    found = tracker.track(context, moved, state)
    assert found.type == kind
    assert native.tracking.begin(kind, found.points, tracker._predictor, moved).known.mask[60, 69]


def test_a_lost_object_is_none(tracker, disc):
    image, mask = disc
    context = types.SimpleNamespace(original_shape_type="mask")
    frame = tracker.preprocess_image(None, image)
    shape = cvataa.TrackableShape(type="mask", points=encode_mask(mask))
    state = tracker.init_tracking_state(context, frame, shape)
    blank = tracker.preprocess_image(None, image.point(lambda _: 50))
    assert tracker.track(context, blank, state) is None
    assert tracker.track(context, frame, state) is not None


def test_a_bad_shape_is_told_to_the_user(tracker, disc):
    frame = tracker.preprocess_image(None, disc[0])
    with pytest.raises(cvataa.BadFunctionError, match="do not fit"):
        tracker.init_tracking_state(
            None, frame, cvataa.TrackableShape(type="mask", points=[9, 0, 0, 900, 900])
        )
