from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from fcfi_core.clicks import Click
from fcfi_core.errors import BusyError, DataError, SettingsError
from fcfi_core.evaluation.benchmark import Rules, noc, trace
from fcfi_core.evaluation.clicker import UniformJitter


def test_stops_when_the_target_is_reached(sample, patient) -> None:
    found, mask = trace(patient(sample.truth, 3), sample, Rules())
    assert found.ious == (0.0, 0.0, 1.0)
    assert len(found.clicks) == len(found.bious) == len(found.assds) == len(found.rest_ms) == 3
    assert found.assds[0] == 100.0
    assert (mask == sample.truth).all()
    assert found.area == sample.truth.sum()


def test_stops_when_nothing_is_left_even_with_all_clicks(sample, patient) -> None:
    found, _ = trace(patient(sample.truth, 2), sample, Rules(all_clicks=True))
    assert len(found.clicks) == 2


def test_official_annotator_never_stops(sample, patient) -> None:
    found, _ = trace(patient(sample.truth, 2), sample, Rules(official=True, max_clicks=6))
    assert len(found.clicks) == 6
    assert found.clicks[2:] == (Click(0, 0, False),) * 4


def test_what_is_wrong_inside_ignored_pixels_is_no_distance(sample) -> None:
    ignored = np.zeros_like(sample.truth)
    ignored[:, 60:] = True
    found, _ = trace(
        lambda pixels, clicks: sample.truth | ignored, replace(sample, ignore=ignored), Rules(max_clicks=1)
    )
    assert (found.ious, found.bious, found.assds) == ((1.0,), (1.0,), (0.0,))
    assert found.narrow_bious == (1.0,)


def test_limit_of_clicks(sample) -> None:
    found, _ = trace(
        lambda pixels, clicks: np.zeros_like(sample.truth), sample, Rules(max_clicks=4, boundaries=False)
    )
    assert len(set(found.clicks)) == 4
    assert found.bious == found.narrow_bious == ()


def test_clicks_arrive_in_order(sample) -> None:
    seen = []

    def segment(pixels: np.ndarray, clicks: tuple[Click, ...]) -> np.ndarray:
        seen.append(clicks)
        return np.zeros_like(sample.truth)

    found, _ = trace(segment, sample, Rules(max_clicks=3))
    assert [len(clicks) for clicks in seen] == [1, 2, 3]
    assert seen[-1] == found.clicks


def test_noise_depends_on_object_and_seed_only(sample, patient) -> None:
    def clicks(seed: int) -> tuple[Click, ...]:
        rules = Rules(noise=UniformJitter(6), seed=seed, max_clicks=5)
        return trace(patient(sample.truth, 9), sample, rules)[0].clicks

    assert clicks(0) == clicks(0)
    assert clicks(0) != clicks(1)
    assert all(sample.truth[click.y, click.x] for click in clicks(0))


def test_time_is_split_between_network_and_rest(sample) -> None:
    class Session:
        def click(self, x: int, y: int, positive: bool = True) -> SimpleNamespace:
            timings = {"encode": 2.0, "network": 3.0, "decode": 50.0}
            return SimpleNamespace(mask=sample.truth, timings=timings, confidence=0.5)

    found, _ = trace(SimpleNamespace(open=lambda image: Session()), sample, Rules())
    assert found.network_ms == (5.0,)
    assert found.rest_ms[0] >= 0
    assert found.confidences == (0.5,)


def test_predictor_is_a_segmenter(tiny_model, photo) -> None:
    from fcfi_core.datasets.samples import Sample
    from fcfi_core.predictor import Predictor

    truth = np.zeros(photo.shape[:2], np.bool_)
    truth[25:55, 55:85] = True
    found, mask = trace(Predictor(tiny_model), Sample("set", "photo", 1, photo, truth), Rules(max_clicks=3))
    assert mask.shape == truth.shape
    assert found.network_ms[0] > 0
    assert all(0 <= value <= 1 for value in found.confidences)


def test_errors_name_the_object(sample) -> None:
    def busy(pixels: np.ndarray, clicks: tuple[Click, ...]) -> np.ndarray:
        raise BusyError("too much")

    with pytest.raises(BusyError, match=r"set/photo#1, click 1: too much"):
        trace(busy, sample, Rules())
    with pytest.raises(DataError, match="must be bool"):
        trace(lambda pixels, clicks: sample.truth.astype(np.uint8), sample, Rules())


def test_short_form(sample, patient) -> None:
    figures = noc(patient(sample.truth, 2), [sample], targets=(0.9,), max_clicks=5)
    assert figures["noc@90"] == 2
    assert figures["iou@1"] == 0


def test_impossible_rules_are_refused() -> None:
    with pytest.raises(SettingsError, match="clicks is 0"):
        Rules(max_clicks=0)
    with pytest.raises(SettingsError, match="targets"):
        Rules(targets=(85.0,))
