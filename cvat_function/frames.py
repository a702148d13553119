"""Frames a worker has decoded lately: CVAT sends the whole file again with every click."""

from __future__ import annotations

import hashlib

from cvat_function.settings import Settings
from fcfi_core.images import LoadedImage
from fcfi_core.memo import Memo


class Frames:
    """Decodes frames, and remembers the last ones under the byte cap of the settings.

    Attributes:
        memo: what is remembered; its counters tell how often that helped.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.memo = Memo(settings.frame_bytes, settings.memo_seconds)

    def load(self, encoded: bytes) -> LoadedImage:
        """Return the frame in ``encoded``, the bytes of a file, as CVAT shows it.

        Raises:
            ImageError: if it cannot be decoded or has too many pixels.
        """
        key = hashlib.blake2b(encoded, digest_size=16).digest()
        frame: LoadedImage | None = self.memo.get(key)
        if frame is None:
            frame = self._settings.load_frame(encoded)
            self.memo.put(key, frame, frame.pixels.nbytes)
        return frame
