"""The gate of fine-tuning: what new weights must reach to replace the old ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Measurement:
    """How good one mixture is.

    Args:
        share: of the new weights; 0 is the old model.
        team: mean IoU over the first ten clicks on the team's kept photos.
        reference: the same on the reference set.
        clicks: there, the mean of the clicks to an IoU of 0.85 and 0.90, at most 10 each.
        figures: all click metrics of both sets, for the report.
    """

    share: float
    team: float
    reference: float
    clicks: float
    figures: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Gate:
    """What new weights must reach.

    Args:
        team: least mean IoU on the team's kept photos.
        reference: least mean IoU on the reference set.
        clicks: most clicks there.
    """

    team: float
    reference: float
    clicks: float

    def refusal(self, one: Measurement) -> str:
        """Return why ``one`` does not pass; an empty string if it does."""
        if one.reference < self.reference:
            return f"refused: reference IoU below {self.reference:.3f}"
        if one.clicks > self.clicks:
            return f"refused: more than {self.clicks:.2f} reference clicks"
        return f"refused: team IoU below {self.team:.3f}" if one.team < self.team else ""


def choose(measurements: Sequence[Measurement], gate: Gate) -> Measurement | None:
    """Return the measurement to accept, or None; the first one is the old model."""
    passed = [one for one in measurements[1:] if not gate.refusal(one)]
    return max(passed, key=lambda one: (one.team, -one.share), default=None)
