"""What the browser keeps."""

from __future__ import annotations

import pytest
from PIL import Image
from selenium.webdriver.common.keys import Keys

from tests.fcfi_core.serving.playground.assets.visitor import SAMPLES


def test_nothing_is_lost_by_another_photo_or_a_reload(visitor, address):
    visitor.open_sample("cat.jpg")
    visitor.click(0.3, 0.5, clicks=1)
    visitor.click(0.9, 0.9, clicks=2, key=Keys.ALT)
    visitor.name(0, "cat")
    visitor.open_sample("coffee.jpg")
    visitor.settled(0)
    visitor.open_sample("cat.jpg")
    visitor.settled(2)
    assert visitor.dots() == ["positive", "negative"]
    assert visitor.rows()[0][0] == "cat"
    visitor.driver.get(address)
    visitor.settled(2)
    assert "cat.jpg" in visitor["photo-facts"].text
    assert visitor.rows()[0][0] == "cat"

    visitor.driver.execute_async_script(
        "const done = arguments[0]; const opening = indexedDB.open('fcfi', 1);"
        "opening.onsuccess = () => {"
        "  const change = opening.result.transaction('photos', 'readwrite');"
        "  change.objectStore('photos').clear();"
        "  change.oncomplete = () => (opening.result.close(), done());"
        "};"
    )
    visitor.driver.get(address)
    visitor.until(lambda: visitor["message"].is_displayed())
    assert "Open cat.jpg again" in visitor["message"].text
    visitor.open_sample("cat.jpg")
    visitor.settled(2)

    visitor["forget"].click()
    visitor.until(lambda: "forgotten" in visitor["message"].text)
    visitor.driver.get(address)
    visitor.until(lambda: visitor["model"].text)
    assert visitor["welcome"].is_displayed()


def test_a_photo_that_the_browser_cannot_show_has_its_picture_among_the_last_ones(visitor, tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    with Image.open(SAMPLES / "cat.jpg") as cat:
        pillow_heif.from_pillow(cat).save(tmp_path / "cat.heic", quality=80)
    visitor["file"].send_keys(str(tmp_path / "cat.heic"))
    visitor.until(lambda: "cat.heic" in visitor["photo-facts"].text)
    sizes = (
        "return [...document.querySelectorAll('#recent img')].map((one) => one.complete && one.naturalWidth)"
    )
    visitor.until(lambda: visitor.driver.execute_script(sizes) == [240])
