"""Decoded images by content, under a byte cap."""

from __future__ import annotations

import io
import threading

import numpy as np
import pytest
from PIL import Image

from fcfi_core import images
from fcfi_core.images import digest_of, loading, store
from fcfi_core.images.store import ImageStore, Known, lasting


def load(value, side=10):
    return images.load(np.full((side, side, 3), value, np.uint8))  # 300 bytes


class Origin:
    """Fetches for one address; counts."""

    def __init__(self, cache, image, digest):
        self.cache, self.image, self.digest = cache, image, digest
        self.known = []

    def __call__(self, known):
        self.known.append(known)
        return self.image, Known(self.digest, ("etag", "1"), self.cache.now())


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def cache(clock):
    return ImageStore(700, 60.0, lambda: clock[0])


def test_a_fresh_address_is_not_asked_again_and_an_old_one_is(cache, clock):
    origin = Origin(cache, load(1), "a")
    assert cache.get("x", origin) is cache.get("x", origin)
    assert origin.known == [None]
    clock[0] = 61.0
    cache.get("x", origin)
    assert origin.known[1].validator == ("etag", "1")
    assert cache.statistics() == {"hits": 1, "misses": 2, "evictions": 0, "bytes": 300}


@pytest.mark.parametrize("side", [10, 400])
def test_a_lasting_image_is_the_same_image(side):
    image = images.load(np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8))
    kept = lasting(image)
    assert np.array_equal(kept.pixels, image.pixels)
    assert kept.pixels.flags.c_contiguous
    assert not kept.pixels.flags.writeable
    assert (kept.notes, kept.digest) == (image.notes, image.digest)


def test_one_picture_behind_two_addresses_is_kept_once(cache):
    for address in ("x", "y"):
        cache.get(address, Origin(cache, load(1), "a"))
    assert cache.statistics()["bytes"] == 300


def test_a_photo_is_hashed_once(monkeypatch):
    hashed = []

    def counted(encoded, **options):
        hashed.append(1)
        return digest_of(encoded, **options)

    monkeypatch.setattr(store, "digest_of", counted)
    monkeypatch.setattr(loading, "digest_of", counted)
    file = io.BytesIO()
    Image.new("RGB", (10, 10), (1, 2, 3)).save(file, "PNG")
    image, _ = ImageStore(700, 60.0).decoded(file.getvalue(), max_pixels=100)
    assert image.digest == digest_of(file.getvalue())
    assert len(hashed) == 1
    assert images.load(image) is image
    assert len(hashed) == 1


def test_the_least_recently_used_leaves_first(cache):
    for name in ("a", "b"):
        cache.get(name, Origin(cache, load(1), name))
    cache.get("a", Origin(cache, load(1), "a"))
    cache.get("c", Origin(cache, load(1), "c"))
    assert [cache.image(name) is not None for name in "abc"] == [True, False, True]
    assert cache.statistics()["bytes"] == 600


def test_what_is_larger_than_the_cap_is_used_but_not_kept(cache):
    image = load(1, side=20)
    assert cache.get("x", Origin(cache, image, "a")) is image
    assert cache.statistics()["bytes"] == 0
    origin = Origin(cache, image, "a")
    cache.get("x", origin)
    assert origin.known == [None]


def test_requests_at_the_same_time_share_one_fetch(cache):
    release, calls, image = threading.Event(), [], load(1)

    def fetch(known):
        calls.append(known)
        release.wait(5)
        return image, Known("a", None, cache.now())

    found = []
    threads = [threading.Thread(target=lambda: found.append(cache.get("x", fetch))) for _ in range(4)]
    for thread in threads:
        thread.start()
    release.set()
    for thread in threads:
        thread.join(5)
    assert found == [image] * 4
    assert len(calls) == 1


def test_a_failed_fetch_is_tried_again_by_the_next(cache):
    def fail(known):
        raise KeyError("x")

    for _ in range(2):
        with pytest.raises(KeyError):
            cache.get("x", fail)
    assert cache.get("x", Origin(cache, load(1), "a"))
