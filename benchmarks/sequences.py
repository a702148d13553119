"""Real videos with a true mask for every frame: reading them, and how well masks follow them.

A folder of sequences is laid out as the DAVIS challenge's: ``JPEGImages/480p/NAME/00000.jpg`` and
``Annotations/480p/NAME/00000.png`` (the folder of the resolution may be missing), object where not black.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fcfi_core import images
from fcfi_core.errors import DataError
from fcfi_core.evaluation import metrics

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Sequence:
    """One video: its name, its frames' files, and the files of their true masks, in order."""

    name: str
    frames: tuple[Path, ...]
    truths: tuple[Path, ...]

    def truth(self, number: int) -> Mask:
        """Return the true mask of a frame, (H, W) bool."""
        mask = cv2.imread(str(self.truths[number]), cv2.IMREAD_GRAYSCALE)
        if mask is None:
            raise DataError(f"{str(self.truths[number])!r} cannot be read.")
        return np.asarray(mask > 0)

    def image(self, number: int) -> images.LoadedImage:
        """Return a frame, decoded."""
        return images.load(self.frames[number])


def is_folder_of_sequences(folder: Path) -> bool:
    """Return whether the folder is laid out so."""
    return (folder / "JPEGImages").is_dir() and (folder / "Annotations").is_dir()


def sequences(folder: Path) -> Iterator[Sequence]:
    """Yield the sequences of a folder in the order of their names; frames without a truth are left out."""
    for truths in sorted(folder.glob("Annotations/**/")):
        masks = sorted(truths.glob("*.png"))
        place = folder / "JPEGImages" / truths.relative_to(folder / "Annotations")
        pairs = [(place / f"{mask.stem}.jpg", mask) for mask in masks]
        pairs = [(frame, mask) for frame, mask in pairs if frame.is_file()]
        if pairs:
            yield Sequence(truths.name, tuple(frame for frame, _ in pairs), tuple(mask for _, mask in pairs))


@dataclass(frozen=True)
class Judged:
    """What came of the frames of one sequence, the first and the last left out.

    Args:
        j: (N,) IoU, 0 where lost.
        f: (N,) contour accuracy, 0 where lost.
        doubted: (N,) bool, whether the frame was one to look at.
        lost: (N,) bool, whether the object was reported as lost.
    """

    j: NDArray[np.float64]
    f: NDArray[np.float64]
    doubted: NDArray[np.bool_]
    lost: NDArray[np.bool_]

    @property
    def decay(self) -> float:
        """Mean IoU of the first quarter less that of the last."""
        quarter = max(1, len(self.j) // 4)
        return float(self.j[:quarter].mean() - self.j[-quarter:].mean())


def judged(sequence: Sequence, found: list[tuple[Mask | None, bool]]) -> Judged:
    """Return how well ``found``, mask and doubt of every frame after the first, follows the truth."""
    rows = []
    for number, (mask, doubted) in enumerate(found[:-1], start=1):
        truth = sequence.truth(number)
        if mask is None:
            empty = not truth.any()
            rows.append((float(empty), float(empty), doubted, True))
        else:
            j = metrics.iou(mask, truth)
            rows.append((1.0 if np.isnan(j) else j, metrics.contour_accuracy(mask, truth), doubted, False))
    j, f, doubted_, lost = map(np.array, zip(*rows, strict=True))
    return Judged(j, f, doubted_.astype(bool), lost.astype(bool))


@dataclass(frozen=True)
class Summary:
    """The figures of several sequences; frames count equally within one, and sequences among each other."""

    judged: list[Judged]

    def cells(self) -> list[str]:
        """Return J, F, frames J > .5 / >= .85, worst frame, decay, found of bad frames, false alarms."""
        j = np.concatenate([one.j for one in self.judged])
        alarm = np.concatenate([one.doubted | one.lost for one in self.judged])

        def share(of: NDArray[np.bool_]) -> str:
            return f"{100 * alarm[of].mean():.1f} %" if of.any() else "-"

        def mean(values: list[float]) -> str:
            return f"{np.mean(values):.3f}".removeprefix("0")

        return [
            mean([one.j.mean() for one in self.judged]),
            mean([one.f.mean() for one in self.judged]),
            f"{100 * (j > 0.5).mean():.1f} % / {100 * (j >= 0.85).mean():.1f} %",
            mean([one.j.min() for one in self.judged]),
            mean([one.decay for one in self.judged]),
            share(j < 0.3),
            share(j < 0.5),
            share(j >= 0.5),
            f"{100 * (j[alarm] < 0.5).mean():.1f} %" if alarm.any() else "-",
        ]


COLUMNS = (
    "J", "F", "frames J > .5 / >= .85", "worst frame", "decay", "alarm at J < .3", "at J < .5",
    "false alarms (J >= .5)", "alarms at J < .5",
)  # fmt: skip
