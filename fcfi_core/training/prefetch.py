"""Draws crops in threads beside the network, in order."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from fcfi_core.training.crops import Crop, CropSampler

_WAITING = 48


class Prefetcher:
    """Yields crops ``first``, ``first + 1``, ... at one size, drawn ahead of time.

    Args:
        sampler: draws a crop by its index.
        size: side of the crops in pixels.
        first: index of the first crop.
        workers: threads that draw; the crops and their order do not depend on it.
    """

    def __init__(self, sampler: CropSampler, size: int, first: int, workers: int = 1) -> None:
        self.size = size
        self._sampler = sampler
        self._next = first
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="crops")
        self._waiting: deque[Future[tuple[Crop, np.random.Generator]]] = deque()
        for _ in range(_WAITING):
            self._draw_another()

    def next(self) -> tuple[Crop, np.random.Generator]:
        """Return the next crop and the generator for its episode; re-raises what went wrong."""
        drawn = self._waiting.popleft()
        self._draw_another()
        return drawn.result()

    def close(self) -> None:
        """Stop drawing."""
        self._pool.shutdown(cancel_futures=True)

    def _draw_another(self) -> None:
        self._waiting.append(self._pool.submit(self._sampler.draw, self._next, self.size))
        self._next += 1
