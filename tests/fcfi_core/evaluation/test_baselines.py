from __future__ import annotations

import numpy as np
import pytest

from fcfi_core.datasets.samples import Sample
from fcfi_core.errors import SettingsError
from fcfi_core.evaluation.baselines import GrabCut, baseline
from fcfi_core.evaluation.benchmark import Rules, trace


@pytest.fixture
def easy():
    """A bright disk on dark noise, larger than GrabCut's working size."""
    random = np.random.default_rng(1)
    pixels = random.integers(0, 70, (300, 400, 3), dtype=np.uint8)
    rows, columns = np.mgrid[:300, :400]
    truth = (rows - 140) ** 2 + (columns - 220) ** 2 < 70**2
    pixels[truth] += 150
    return Sample("set", "disk", 1, pixels, truth)


def test_grabcut_finds_an_easy_object(easy) -> None:
    found, mask = trace(GrabCut(), easy, Rules(targets=(0.9,)))
    assert found.ious[-1] >= 0.9
    assert mask.shape == easy.truth.shape
    assert found.network_ms[0] > 0


def test_grabcut_is_repeatable(easy) -> None:
    first, second = (trace(GrabCut(), easy, Rules(max_clicks=3)) for _ in range(2))
    assert first[0].clicks == second[0].clicks
    assert (first[1] == second[1]).all()


def test_clicks_are_certain(easy) -> None:
    session = GrabCut().open(easy.pixels)
    mask = session.click(220, 140).mask
    assert mask[140, 220]
    assert not session.click(220, 140, positive=False).mask[140, 220]


def test_negative_first_click_gives_an_empty_mask(easy) -> None:
    assert not GrabCut().open(easy.pixels).click(10, 10, positive=False).mask.any()


def test_tiny_photo() -> None:
    mask = GrabCut().open(np.zeros((1, 1, 3), np.uint8)).click(0, 0).mask
    assert mask.shape == (1, 1)


def test_unknown_baseline_is_named() -> None:
    assert isinstance(baseline("grabcut"), GrabCut)
    with pytest.raises(SettingsError, match="'magic'"):
        baseline("magic")
