"""Masks to begin with: painted, or from a file."""

from __future__ import annotations

import numpy as np
from PIL import Image
from selenium.webdriver.common.keys import Keys

from tests.fcfi_core.serving.playground.assets.visitor import SAMPLES


def test_a_start_is_painted_or_read_from_a_mask(visitor, tmp_path):
    visitor.open_sample("cat.jpg")
    visitor["stage"].send_keys("p")
    visitor.drag(visitor.place(0.3, 0.4), visitor.place(0.6, 0.6))
    visitor.until(lambda: visitor.masks() == [True])
    visitor.settled(0)
    assert visitor.dots() == ["positive"]  # the click that the start implies
    visitor.screenshot("painted")
    visitor["stage"].send_keys("p")
    visitor.click(0.8, 0.2, clicks=1, key=Keys.ALT)
    visitor["reset"].click()
    visitor.settled(0)

    with Image.open(SAMPLES / "cat.jpg") as photo:
        width, height = photo.size
    mask = np.zeros((height, width), np.uint8)
    mask[height // 4 : height // 2, width // 3 : width // 2] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    visitor["mask-file"].send_keys(str(tmp_path / "mask.png"))
    visitor.until(lambda: visitor.masks() == [True])
    visitor.settled(0)
    Image.fromarray(mask[1:]).save(tmp_path / "small.png")
    visitor["mask-file"].send_keys(str(tmp_path / "small.png"))
    visitor.until(lambda: visitor["message"].is_displayed())
    assert "small.png has" in visitor["message"].text
    assert visitor.masks() == [True]
