"""The whole page: from a photo to the files, answers to choose from, questions, previews."""

from __future__ import annotations

import io
import json
import time

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from fcfi_core import Click
from tests.fcfi_core.serving.playground.assets.visitor import SAMPLES, Visitor


def test_from_a_sample_to_the_files(visitor, predictor, address):
    visitor.open_sample("cat.jpg")
    before = visitor.screenshot("opened")
    visitor.click(0.45, 0.45, clicks=1)
    after = visitor.screenshot("clicked")
    assert np.abs(after - before).sum(axis=2).max() > 100
    assert visitor["confidence"].text.endswith("%")
    assert visitor["milliseconds"].text.endswith("ms")
    assert visitor.masks() == [True]

    visitor.click(0.9, 0.6, clicks=2, key=Keys.ALT)
    visitor.click(0.9, 0.2, clicks=3, right=True)
    visitor.click(0.2, 0.8, clicks=4)
    assert visitor.dots() == ["positive", "negative", "negative", "positive"]
    visitor["undo"].click()
    visitor.settled(3)
    visitor.driver.find_element(By.TAG_NAME, "body").send_keys("z")
    visitor.settled(2)
    visitor["redo"].click()
    visitor.settled(3)
    visitor.screenshot("three clicks")

    polygon = json.loads(visitor.download("polygon"))
    clicks = [Click(**click) for click in polygon["clicks"]]
    assert [click.positive for click in clicks] == [True, False, False]
    mask = predictor.segment(SAMPLES / "cat.jpg", clicks).cleaned().mask
    assert mask.any()
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(visitor.download("png")))) > 0, mask)
    annotation = json.loads(visitor.download("coco"))["annotations"][0]
    np.testing.assert_array_equal(coco_mask.decode(annotation["segmentation"]), mask)

    visitor["reset"].click()
    visitor.settled(0)
    assert visitor.masks() == []
    assert not visitor.driver.find_element(By.CSS_SELECTOR, "[data-download=png]").is_enabled()

    loaded = visitor.driver.execute_script(
        "return performance.getEntriesByType('resource').map(({name}) => name)"
    )
    origin = address.removesuffix("/playground")
    assert loaded
    assert all(name.startswith((origin, f"blob:{origin}", "data:")) for name in loaded)


def test_served_with_the_shipped_model(driver, served, tmp_path):
    driver.get(served)
    visitor = Visitor(driver, tmp_path)
    visitor.open_sample("cat.jpg")
    assert visitor["model"].text.startswith("default")
    visitor.click(0.45, 0.4, clicks=1)
    visitor.screenshot("cat, one click")
    visitor.click(0.93, 0.45, clicks=2, key=Keys.ALT)
    visitor.screenshot("cat, two clicks")
    mask = np.asarray(Image.open(io.BytesIO(visitor.download("png")))) > 0
    height, width = mask.shape
    assert mask[int(0.4 * height), int(0.45 * width)]
    assert not mask[int(0.45 * height), int(0.93 * width)]
    assert 0.2 < mask.mean() < 0.9


def test_every_answer_to_choose_from_has_its_key(driver, served, tmp_path):
    driver.get(served)
    visitor = Visitor(driver, tmp_path)
    visitor.open_sample("coffee.jpg")
    visitor.click(0.6, 0.55, clicks=1)
    visitor.until(lambda: visitor["choice-panel"].is_displayed())
    count = len(driver.find_elements(By.CSS_SELECTOR, "#choices button"))
    assert count == 4  # the usual one, two of the network's own, and a look at a quarter
    keys = driver.find_elements(By.CSS_SELECTOR, "#choices kbd")
    assert [key.text for key in keys] == ["1", "2", "3", "4"]
    assert len({key.rect["y"] for key in keys}) == 1, "all in one row"
    visitor["stage"].send_keys(str(count))
    chosen = "#choices button:last-child[aria-pressed=true]"
    visitor.until(lambda: driver.find_elements(By.CSS_SELECTOR, chosen))


def test_another_answer_is_chosen_by_its_picture_or_its_number(visitor):
    visitor.open_sample("coffee.jpg")
    visitor.click(0.45, 0.55, clicks=1)
    visitor.until(lambda: visitor["choice-panel"].is_displayed())
    answers = visitor.driver.find_elements(By.CSS_SELECTOR, "#choices button")
    assert len(answers) > 1
    given = [answer.get_attribute("aria-pressed") for answer in answers].index("true")
    before = visitor["masks"].get_attribute("innerHTML")
    other = (given + 1) % len(answers)
    visitor["stage"].send_keys(str(other + 1))
    visitor.until(lambda: visitor["masks"].get_attribute("innerHTML") != before)
    visitor.settled(2)
    visitor.until(lambda: visitor["choice-panel"].is_displayed())
    answers = visitor.driver.find_elements(By.CSS_SELECTOR, "#choices button")
    assert answers[other].get_attribute("aria-pressed") == "true"
    visitor.screenshot("choice")
    answers[given].click()
    visitor.settled(1)
    visitor.click(0.1, 0.1, key=Keys.ALT, clicks=2)
    assert not visitor["choice-panel"].is_displayed()


def test_the_place_worth_asking_is_answered_with_yes_or_no(visitor):
    visitor.open_sample("coffee.jpg")
    visitor.click(0.5, 0.5, clicks=1)
    assert not visitor["suggestion"].is_displayed()
    visitor["suggestions-shown"].click()
    visitor.until(lambda: visitor["yes"].is_displayed())
    visitor["stage"].send_keys("n")
    visitor.settled(2)
    assert visitor.dots() == ["positive", "negative"]
    visitor.until(lambda: visitor["yes"].is_displayed())
    visitor["yes"].click()
    visitor.settled(3)
    assert visitor.dots()[-1] == "positive"


def test_a_preview_follows_the_pointer_where_that_is_wanted(visitor):
    visitor.open_sample("cat.jpg")
    glimpse = visitor["glimpse"]

    def rest(x, y):
        size = visitor["sheet"].size
        ActionChains(visitor.driver).move_to_element_with_offset(
            visitor["sheet"], int((x - 0.5) * size["width"]), int((y - 0.5) * size["height"])
        ).perform()

    rest(0.5, 0.5)
    time.sleep(0.4)
    assert not glimpse.is_displayed()  # nobody asked for it
    visitor["preview-shown"].click()
    rest(0.5, 0.6)
    visitor.until(glimpse.is_displayed)
    rest(0.8, 0.8)
    rest(0.5, 0.5)
    visitor.until(glimpse.is_displayed)
    visitor.click(0.5, 0.5, clicks=1)
    visitor.until(lambda: not glimpse.is_displayed())
    assert visitor.masks() == [True]
    rest(0.3, 0.3)
    visitor.until(glimpse.is_displayed)
    visitor["undo"].click()
    visitor.until(lambda: not glimpse.is_displayed())
    visitor.settled(0)
    visitor["preview-shown"].click()
    rest(0.4, 0.4)
    time.sleep(0.4)
    assert not glimpse.is_displayed()


def test_answers_to_choose_from_go_with_their_photo(visitor):
    visitor.open_sample("coffee.jpg")
    visitor.click(0.45, 0.55, clicks=1)
    visitor.until(lambda: visitor["choice-panel"].is_displayed())
    visitor.open_sample("rocket.jpg")
    assert not visitor["choice-panel"].is_displayed()


def test_a_complaint_is_not_taken_away_by_an_answer_that_arrives_later(visitor, tmp_path):
    visitor.open_sample("cat.jpg")
    visitor.delay_answers(1500)
    ActionChains(visitor.driver).move_to_element(visitor["sheet"]).click().perform()
    (tmp_path / "mask.png").write_text("no picture")
    visitor["mask-file"].send_keys(str(tmp_path / "mask.png"))
    visitor.until(lambda: "mask.png" in visitor["message"].text)
    visitor.until(lambda: visitor["stage"].get_attribute("aria-busy") == "true")
    visitor.settled(1)
    assert "mask.png" in visitor["message"].text
    visitor.click(0.3, 0.3, clicks=2)
    assert not visitor["message"].is_displayed()
