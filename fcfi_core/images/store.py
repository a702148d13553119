"""Decoded images in memory, under a byte cap, keyed by their content.

An address leads to a digest only for a while; after that the server is asked whether the image
changed. So a picture replaced behind the same address is seen, and one picture behind two addresses is
kept once.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace

from fcfi_core.heap import outside_heap
from fcfi_core.images.loading import LoadedImage, digest_of, load

_MOST_ADDRESSES = 4096


@dataclass(frozen=True)
class Known:
    """What is known of an address.

    Args:
        digest: of the image's content.
        validator: ("etag" or "last-modified", value) to ask with whether it changed, or None.
        checked: when, monotonic seconds.
    """

    digest: str
    validator: tuple[str, str] | None
    checked: float


def lasting(image: LoadedImage) -> LoadedImage:
    """Return ``image`` in memory of its own: it stays for long, amid what clicks take and give back."""
    pixels = outside_heap(image.pixels)
    pixels.flags.writeable = False
    return replace(image, pixels=pixels)


class ImageStore:
    """Least-recently-used images; thread-safe. Requests for one address at one time share one fetch.

    Args:
        capacity: bytes of decoded pixels; an image larger than that is not kept.
        fresh_seconds: how long an address is trusted without asking.
        clock: seconds, monotonic.
    """

    def __init__(
        self, capacity: int, fresh_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._capacity = capacity
        self._fresh_seconds = fresh_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._images: OrderedDict[str, LoadedImage] = OrderedDict()
        self._addresses: OrderedDict[str, Known] = OrderedDict()
        self._under_way: dict[str, Future[LoadedImage]] = {}
        self._statistics = {"hits": 0, "misses": 0, "evictions": 0, "bytes": 0}

    def get(self, address: str, fetch: Callable[[Known | None], tuple[LoadedImage, Known]]) -> LoadedImage:
        """Return the image behind ``address``.

        Args:
            address: any text that names the image.
            fetch: called without a lock if the image is not here or must be checked; receives what is
                known if the image is still here (else None) and returns the image and what to remember.
        """
        with self._lock:
            known = self._addresses.get(address)
            image = self._images.get(known.digest) if known else None
            if known and image is not None:
                self._images.move_to_end(known.digest)
                self._addresses.move_to_end(address)
                if self._clock() - known.checked < self._fresh_seconds:
                    self._statistics["hits"] += 1
                    return image
            waiting = self._under_way.get(address)
            mine: Future[LoadedImage] = Future()
            if waiting is None:
                self._under_way[address] = mine
                self._statistics["misses"] += 1
        if waiting is not None:
            return waiting.result()
        try:
            image, fetched = fetch(known if image is not None else None)
        except BaseException as error:
            mine.set_exception(error)
            raise
        else:
            self._keep(address, image, fetched)
            mine.set_result(image)
            return image
        finally:
            with self._lock:
                del self._under_way[address]

    def decoded(self, encoded: bytes, max_pixels: int) -> tuple[LoadedImage, float]:
        """Return the picture in ``encoded`` and the milliseconds that decoding took; 0 if it was here.

        Args:
            encoded: the file.
            max_pixels: most pixels accepted.

        Raises:
            ImageError: if it cannot be read, has more pixels, or would not fit in here.
        """
        digest = digest_of(encoded)
        image = self.image(digest)
        if image is not None:
            return image, 0.0
        start = time.perf_counter()
        # Three bytes per pixel, and only what stays here: otherwise each click would decode it again.
        image = load(encoded, max_pixels=min(max_pixels, self._capacity // 3), digest=digest)
        return self.keep(lasting(image)), 1000 * (time.perf_counter() - start)

    def image(self, digest: str) -> LoadedImage | None:
        """Return the image with this content if it is here."""
        with self._lock:
            image = self._images.get(digest)
            if image is not None:
                self._images.move_to_end(digest)
            return image

    def keep(self, image: LoadedImage) -> LoadedImage:
        """Keep ``image`` under its digest, and return it, or the one of equal content that was here."""
        with self._lock:
            return self._kept(image)

    def now(self) -> float:
        """Return the time to note as ``checked``."""
        return self._clock()

    def statistics(self) -> dict[str, int]:
        """Return hits, misses and evictions since the start, and the present bytes."""
        with self._lock:
            return dict(self._statistics)

    def _keep(self, address: str, image: LoadedImage, known: Known) -> None:
        with self._lock:
            self._addresses[address] = known
            self._addresses.move_to_end(address)
            while len(self._addresses) > _MOST_ADDRESSES:
                self._addresses.popitem(last=False)
            self._kept(image, known.digest)

    def _kept(self, image: LoadedImage, digest: str = "") -> LoadedImage:
        digest = digest or image.digest
        if digest in self._images:
            self._images.move_to_end(digest)
            return self._images[digest]
        if image.pixels.nbytes <= self._capacity:
            self._images[digest] = image
            self._statistics["bytes"] += image.pixels.nbytes
        while self._statistics["bytes"] > self._capacity:
            _, gone = self._images.popitem(last=False)
            self._statistics["bytes"] -= gone.pixels.nbytes
            self._statistics["evictions"] += 1
        return image
