"""Clicks, as users of the Python interface write them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fcfi_core.clicks import Click
from fcfi_core.errors import PromptError
from fcfi_core.prompt import Prompt


@pytest.mark.parametrize(
    "clicks",
    [
        [(70, 40), (5, 5, False)],
        [[70, 40, 1], [5, 5, 0]],
        ([70.2, 39.8], (5, 5, np.False_)),
        np.array([[70, 40, 1], [5, 5, 0]]),
        np.array([[70, 40, 1], [5, 5, 0]], np.float32),
        torch.tensor([[70, 40, 1], [5, 5, 0]]),
        [np.array([70, 40]), Click(5, 5, positive=False)],
        [(np.int64(70), torch.tensor(40)), (5, 5, 0)],
    ],
    ids=str,
)
def test_clicks_come_in_any_form(clicks):
    assert Prompt.of(clicks).clicks == (Click(70, 40), Click(5, 5, positive=False))


@pytest.mark.parametrize(
    "clicks",
    [7, "70,40", (70, 40), [(70,)], [(1, 2, 3)], [(1, 2, 0.5)], np.zeros((2, 4)), np.zeros(2), {1: 2}],
)
def test_what_is_no_list_of_clicks_is_named(clicks):
    with pytest.raises(PromptError, match="click"):
        Prompt.of(clicks)
