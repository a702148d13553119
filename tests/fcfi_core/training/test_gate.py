from __future__ import annotations

import pytest

from fcfi_core.training.gate import Gate, Measurement, choose

GATE = Gate(team=0.505, reference=0.79, clicks=4.25)


def measurement(share, team, reference, clicks=4.0):
    return Measurement(share, team, reference, clicks, {})


@pytest.mark.parametrize(
    ("new", "accepted"),
    [
        ([(1.0, 0.70, 0.795), (0.5, 0.65, 0.80)], 1.0),
        ([(1.0, 0.70, 0.78), (0.5, 0.65, 0.795)], 0.5),
        ([(1.0, 0.70, 0.60), (0.5, 0.65, 0.78)], None),
        ([(1.0, 0.50, 0.90), (0.5, 0.49, 0.90)], None),
        ([(1.0, 0.504, 0.90)], None),
        ([(1.0, 0.70, 0.80), (0.5, 0.70, 0.80)], 0.5),
        ([(1.0, 0.70, 0.80, 4.3), (0.5, 0.65, 0.80, 4.2)], 0.5),
    ],
)
def test_the_best_mixture_that_passes_is_chosen(new, accepted):
    found = choose([measurement(0, 0.5, 0.8), *(measurement(*one) for one in new)], GATE)
    assert (found and found.share) == accepted


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (measurement(1, 0.7, 0.7, 9), "refused: reference IoU below 0.790"),
        (measurement(1, 0.7, 0.8, 9), "refused: more than 4.25 reference clicks"),
        (measurement(1, 0.5, 0.8), "refused: team IoU below 0.505"),
        (measurement(1, 0.505, 0.79, 4.25), ""),
    ],
)
def test_a_refusal_says_what_was_missed(one, reason):
    assert GATE.refusal(one) == reason
