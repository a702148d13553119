"""From logits to probabilities and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcfi_core.logits import logits_of, probability_of


@given(st.floats(-10, 10))
def test_there_and_back(logit):
    logits = np.full((1, 1), logit, np.float32)
    probability = probability_of(logits)
    assert probability.dtype == np.float32
    assert probability[0, 0] == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-6)
    # Half an ulp below 1 is 6e-8; near the ends of the range that is a share of 1 - p of e^10 * 6e-8.
    assert logits_of(probability)[0, 0] == pytest.approx(logit, abs=2e-3)


def test_no_logit_overflows():
    ends = probability_of(np.array([[-3e38, -200, 0, 200, 3e38]], np.float32))
    assert ends.tolist() == [[0, 0, 0.5, 1, 1]]
