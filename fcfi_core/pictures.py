"""Many objects on one page: small pictures with masks drawn in, for a person to look through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from fcfi_core import outputs
from fcfi_core.clicks import Box
from fcfi_core.images import LoadedImage

COLOUR = (255, 64, 32)
LINE = 18
MARGIN = 0.25


@dataclass(frozen=True, eq=False)
class Tile:
    """One object.

    Attributes:
        picture: (side, side, 3) uint8 RGB.
        caption: one line under it.
    """

    picture: NDArray[np.uint8]
    caption: str


def tile(image: LoadedImage, mask: NDArray[np.bool_], area: Box, caption: str, side: int = 192) -> Tile:
    """Return :func:`drawn` in a square of ``side`` pixels, with one line of ``caption``."""
    shown = drawn(image, mask, area, side)
    picture = np.full((side, side, 3), 32, np.uint8)
    picture[: shown.shape[0], : shown.shape[1]] = shown
    return Tile(picture, caption)


def drawn(image: LoadedImage, mask: NDArray[np.bool_], area: Box, side: int) -> NDArray[np.uint8]:
    """Return a picture of the surroundings of ``area`` with ``mask`` drawn in, (h, w, 3) uint8 RGB.

    Args:
        image: the photo.
        mask: (H, W) bool, the object.
        area: what to show; a margin is added, and it is cut at the image's border.
        side: longer side of the picture, pixels.
    """
    margin = round(MARGIN * max(area.width, area.height)) + 4
    around = Box(area.x1 - margin, area.y1 - margin, area.x2 + margin, area.y2 + margin)
    around = around.clipped(image.width, image.height)
    window = slice(around.y1, around.y2 + 1), slice(around.x1, around.x2 + 1)
    scale = side / max(around.width, around.height)
    size = max(1, round(around.width * scale)), max(1, round(around.height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    photo = np.asarray(cv2.resize(image.pixels[window], size, interpolation=method), np.uint8)
    shown = cv2.resize(mask[window].astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    outlines, _ = cv2.findContours(shown, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    photo[shown > 0] = (0.7 * photo[shown > 0] + 0.3 * np.array(COLOUR)).astype(np.uint8)
    cv2.drawContours(photo, outlines, -1, COLOUR, 1)
    return photo


def save(tiles: Sequence[Tile], path: Path, columns: int = 6) -> None:
    """Write ``tiles`` row by row into one picture at ``path``; its ending names the format.

    Raises:
        SettingsError: if it cannot be written.
    """
    side = tiles[0].picture.shape[0]
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * (side + 4), rows * (side + LINE + 4)), (0, 0, 0))
    draw = ImageDraw.Draw(sheet)
    for index, one in enumerate(tiles):
        row, column = divmod(index, columns)
        corner = column * (side + 4), row * (side + LINE + 4)
        sheet.paste(Image.fromarray(one.picture), corner)
        draw.text((corner[0] + 2, corner[1] + side + 3), one.caption, fill=(255, 255, 255))
    outputs.write(path, outputs.encoded(np.asarray(sheet), path), "give another place for the picture sheet")
