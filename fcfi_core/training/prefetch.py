"""Draws crops in a thread beside the network, in order."""

from __future__ import annotations

import queue
import threading

import numpy as np

from fcfi_core.training.crops import Crop, CropSampler

_WAITING = 48


class Prefetcher:
    """Yields crops ``first``, ``first + 1``, ... at one size, drawn ahead of time.

    Args:
        sampler: draws a crop by its index.
        size: side of the crops in pixels.
        first: index of the first crop.
    """

    def __init__(self, sampler: CropSampler, size: int, first: int) -> None:
        self.size = size
        self._queue: queue.Queue[tuple[Crop, np.random.Generator] | BaseException] = queue.Queue(_WAITING)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(sampler, first), daemon=True, name="crops")
        self._thread.start()

    def next(self) -> tuple[Crop, np.random.Generator]:
        """Return the next crop and the generator for its episode; re-raises what went wrong."""
        drawn = self._queue.get()
        if isinstance(drawn, BaseException):
            raise drawn
        return drawn

    def close(self) -> None:
        """Stop drawing."""
        self._stopped.set()
        self._thread.join(timeout=10)

    def _work(self, sampler: CropSampler, index: int) -> None:
        while not self._stopped.is_set():
            try:
                drawn: tuple[Crop, np.random.Generator] | BaseException = sampler.draw(index, self.size)
            except Exception as error:
                drawn = error
            while not self._stopped.is_set():
                try:
                    self._queue.put(drawn, timeout=0.2)
                    break
                except queue.Full:
                    continue
            index += 1
