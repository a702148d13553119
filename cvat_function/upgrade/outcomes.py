"""What became of each shape: in memory, and in a journal from which an interrupted run goes on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from types import TracebackType

from fcfi_core.pipelines.journal import Journal


@dataclass(frozen=True)
class Outcome:
    """What became of one shape.

    Attributes:
        shape: its id on the server.
        frame: its frame number.
        label: its label's name.
        kind: its type before.
        confidence: of the mask, in [0, 1]; 0 if there is none.
        fit: IoU of the mask's box with the drawn one.
        problem: why nothing was written, empty if all went well.
    """

    shape: int
    frame: int
    label: str
    kind: str
    confidence: float
    fit: float
    problem: str = ""


class Outcomes:
    """The latest outcome of every shape, of earlier runs and this one.

    Args:
        journal: where they are kept, shape ids as positions; None keeps them in memory only.
    """

    def __init__(self, journal: Journal | None = None) -> None:
        self._journal = journal
        entries = journal.entries() if journal is not None else ()
        self._latest = {
            shape: Outcome(**{name: value for name, value in entry.items() if name != "index"})
            for shape, entry in entries
        }

    def __enter__(self) -> Outcomes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._journal is not None:
            self._journal.__exit__(kind, error, trace)

    @property
    def upgraded(self) -> frozenset[int]:
        """Ids of the shapes that need no more work."""
        return frozenset(shape for shape, outcome in self._latest.items() if not outcome.problem)

    @property
    def problems(self) -> int:
        """How many shapes could not be upgraded."""
        return sum(bool(outcome.problem) for outcome in self._latest.values())

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Note ``outcomes``; where there is a journal they are on the disk when this returns."""
        for outcome in outcomes:
            self._latest[outcome.shape] = outcome
            if self._journal is not None:
                self._journal.append(outcome.shape, asdict(outcome))

    def to_review(self, least_confidence: float, least_fit: float) -> list[Outcome]:
        """Return what a person should look at, worst first."""
        doubtful = [
            outcome
            for outcome in self._latest.values()
            if outcome.problem or outcome.confidence < least_confidence or outcome.fit < least_fit
        ]
        return sorted(doubtful, key=lambda outcome: (outcome.confidence, outcome.fit))
