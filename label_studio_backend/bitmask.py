"""Label Studio's ``BitmaskLabels``: a mask as the data address of a PNG, opaque inside and clear outside."""

from __future__ import annotations

import base64
import binascii
import io

import numpy as np
from PIL import Image

from fcfi_core.errors import FcfiError, PromptError
from fcfi_core.masks.extent import Mask

_HEAD = "data:image/png;base64,"


def to_data_url(mask: Mask) -> str:
    """Return the address (``imageDataURL``) of ``mask``, (H, W) bool: black where True, clear elsewhere."""
    picture = Image.fromarray(mask.astype(np.uint8), "P")
    picture.putpalette([0, 0, 0, 0, 0, 0, 0, 255], "RGBA")
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", transparency=bytes((0, 255)))
    return _HEAD + base64.b64encode(buffer.getvalue()).decode("ascii")


def from_data_url(url: object, width: int, height: int) -> Mask:
    """Return the (height, width) bool mask behind ``url``: True where the picture is not clear.

    Raises:
        PromptError: if it is not the address of a PNG of that size.
    """
    if not isinstance(url, str) or not url.startswith(_HEAD):
        raise PromptError("the bitmask region holds no picture (imageDataURL); draw it again.")
    try:
        with Image.open(io.BytesIO(base64.b64decode(url[len(_HEAD) :])), formats=["PNG"]) as picture:
            if picture.size != (width, height):
                raise PromptError(
                    f"the bitmask region is {picture.width} x {picture.height} pixels, "
                    f"the picture {width} x {height}; draw it again."
                )
            return np.array(picture.convert("RGBA").getchannel("A")) > 0
    except FcfiError:
        raise
    except (binascii.Error, OSError, SyntaxError, ValueError) as error:
        raise PromptError(f"the bitmask region's picture cannot be read ({error}); draw it again.") from None
