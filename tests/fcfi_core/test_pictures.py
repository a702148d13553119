"""Masks drawn on photos, and many of them on one sheet."""

from __future__ import annotations

import numpy as np
from PIL import Image

from fcfi_core import images, pictures
from fcfi_core.clicks import Box

BLUE = (0, 0, 200)


def photo_and_mask():
    pixels = np.full((60, 90, 3), BLUE, np.uint8)
    mask = np.zeros((60, 90), bool)
    mask[20:40, 30:60] = True
    return images.load(pixels), mask


def test_the_object_is_tinted_and_outlined_and_the_rest_is_as_it_was():
    image, mask = photo_and_mask()
    shown = pictures.drawn(image, mask, Box(0, 0, 89, 59), side=90)
    assert shown.shape == (60, 90, 3)
    assert tuple(shown[5, 5]) == BLUE
    assert tuple(shown[20, 30]) == pictures.COLOUR
    assert shown[30, 45, 0] > 0
    assert tuple(shown[30, 45]) != pictures.COLOUR


def test_only_the_surroundings_are_shown():
    image, mask = photo_and_mask()
    shown = pictures.drawn(image, mask, Box(30, 20, 59, 39), side=120)
    margin = round(0.25 * 30) + 4
    assert shown.shape == (round(120 * (20 + 2 * margin) / (30 + 2 * margin)), 120, 3)


def test_a_sheet_holds_every_tile_in_rows(tmp_path):
    image, mask = photo_and_mask()
    tiles = [pictures.tile(image, mask, Box(30, 20, 59, 39), f"object {n}", side=48) for n in range(5)]
    assert {one.picture.shape for one in tiles} == {(48, 48, 3)}
    pictures.save(tiles, tmp_path / "sheet.png", columns=3)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (3 * (48 + 4), 2 * (48 + pictures.LINE + 4))
        seen = np.asarray(sheet)
    for row, column in ((0, 0), (0, 2), (1, 1)):
        y, x = row * (48 + pictures.LINE + 4), column * (48 + 4)
        assert np.array_equal(seen[y : y + 48, x : x + 48], tiles[0].picture)
        assert seen[y + 48 : y + 48 + pictures.LINE, x : x + 48].max() > 200, "the caption"
    assert seen[48 + pictures.LINE + 4 :, 2 * (48 + 4) :].max() == 0
