"""Writes label_studio.json: what the Label Studio SDK makes of some masks and byte streams.

The SDK pins older versions of numpy and OpenCV than ours, so it lives in an environment of its own::

    python -m venv oracle && oracle/bin/pip install label-studio-sdk==2.1.2
    oracle/bin/python tests/golden/masks/generate_label_studio.py

Masks are stored as toggles: flat indices, row by row, at which the value changes, beginning outside.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
from label_studio_sdk.converter.brush import decode_rle, mask2rle


def toggles(mask):
    padded = np.concatenate(([False], mask.ravel(), [False]))
    return np.flatnonzero(padded[1:] != padded[:-1]).tolist()


def masks():
    rng = np.random.default_rng(7)
    yield np.array([[False, True], [True, True]])
    for height, width in ((1, 1), (1, 9), (11, 1), (5, 8), (37, 23)):
        yield np.zeros((height, width), bool)
        yield np.ones((height, width), bool)
        yield rng.random((height, width)) < 0.4
        yield rng.random((height, width)) < 0.03
    y, x = np.mgrid[:480, :640]
    yield (x - 300) ** 2 + (y - 200) ** 2 < 150**2
    yield (x > 600) | (y == 479)
    yield np.ones((300, 301), bool)  # one run of several times 65,536 samples


def streams():
    """Yield (width, height, bits) of streams as the editor may write them, with blocks of kind 0."""
    header = f"{2 * 3 * 4:032b}" + "00111" + "0010001101111111"
    literal = "000" + "111" + "".join(f"{value:08b}" for value in (0, 0, 0, 9, 0, 0, 0, 0))
    run = "101" + "1111" + f"{200:08b}"
    yield 2, 3, header + literal + run
    yield 3, 2, header + run + literal
    mixed = "010" + f"{19:08b}" + "".join(f"{value:08b}" for value in range(20)) + "100" + "011" + "0" * 8
    yield 3, 2, header + mixed
    narrow = f"{4 * 4:032b}" + "00011" + "0000000100101110" + "111" + f"{7:015b}" + "1111"
    yield 4, 1, narrow + "110" + f"{7:03b}" + "0000"


def main():
    encoded = []
    for mask in masks():
        rle = [int(byte) for byte in mask2rle(mask.astype(np.uint8) * 255)]
        encoded.append({"size": mask.shape, "toggles": toggles(mask), "rle": rle})
    decoded = []
    for width, height, bits in streams():
        padded = bits + "0" * (-len(bits) % 8)
        rle = [int(padded[place : place + 8], 2) for place in range(0, len(padded), 8)]
        mask = decode_rle(rle).reshape(height, width, 4)[:, :, 3] > 0
        decoded.append({"size": mask.shape, "toggles": toggles(mask), "rle": rle})
    content = {"label-studio-sdk": version("label-studio-sdk"), "encoded": encoded, "decoded": decoded}
    Path(__file__).with_name("label_studio.json").write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
