"""A video to look at: frames with a mask painted in, and a red edge on those that a person should look at."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from fcfi_core.errors import SettingsError
from fcfi_core.masks import cutting
from fcfi_core.pipelines.frames import name_for_opencv, quiet

_RED = (220, 30, 30)
_EDGE = 6
_CODEC = "VP80"


class OverlayVideo:
    """A WebM file (VP8), which browsers and players show; there when it is whole, or not at all.

    Frames of another size than the first one are left out.

    Args:
        path: of the file.
        rate: frames a second.
    """

    def __init__(self, path: Path, rate: float) -> None:
        self._path, self._rate = path, rate
        self._part = path.with_name(f".fcfi-part-{path.name}")
        self._name = name_for_opencv(self._part)
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def __enter__(self) -> OverlayVideo:
        return self

    def add(self, pixels: NDArray[np.uint8], mask: NDArray[np.bool_] | None, doubtful: bool) -> None:
        """Add a frame.

        Args:
            pixels: (H, W, 3) uint8, RGB.
            mask: (H, W) bool; None: of no object.
            doubtful: whether a person should look at it.

        Raises:
            SettingsError: if no video can be written.
        """
        height, width = pixels.shape[:2]
        if self._writer is None:
            self._size = width, height
            self._writer = self._opened()
        if self._size != (width, height):
            return
        shown = pixels if mask is None else cutting.painted(pixels, mask)
        if doubtful:
            shown = np.asarray(cv2.rectangle(shown.copy(), (0, 0), (width - 1, height - 1), _RED, _EDGE))
        self._writer.write(np.ascontiguousarray(shown[..., ::-1]))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.release()
        if kind is None and self._part.exists():
            self._part.replace(self._path)
        self._part.unlink(missing_ok=True)

    def _opened(self) -> cv2.VideoWriter:
        with quiet():
            writer = cv2.VideoWriter(self._name, cv2.VideoWriter.fourcc(*_CODEC), self._rate, self._size)
        if not writer.isOpened():
            raise SettingsError(
                f"no video can be written to {str(self._path)!r}; choose another --out, or leave it out with "
                "--no-overlay."
            )
        return writer
