"""Several objects and their labels."""

from __future__ import annotations

import io
import json

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys


def test_several_objects_with_labels(visitor, predictor):
    visitor.open_sample("cat.jpg")
    visitor.click(0.45, 0.45, clicks=1)
    visitor.name(0, "cat")
    visitor["add"].click()
    visitor.settled(0)
    visitor.click(0.1, 0.9, clicks=1)
    visitor.name(1, "table")
    visitor["stage"].send_keys("o")
    visitor.settled(0)
    visitor.click(0.95, 0.05, clicks=1)
    visitor.until(lambda: all("%" in share for _, share, _ in visitor.rows()))
    assert [(label, active) for label, _, active in visitor.rows()] == [
        ("cat", False),
        ("table", False),
        ("table", True),
    ]
    assert visitor.masks() == [False, False, True]
    visitor.screenshot("three objects")

    coco = json.loads(visitor.download("coco"))
    assert [category["name"] for category in coco["categories"]] == ["cat", "table"]
    assert [one["category_id"] for one in coco["annotations"]] == [1, 2, 2]
    masks = [coco_mask.decode(one["segmentation"]) for one in coco["annotations"]]
    assert np.sum(masks, axis=0).max() == 1, "no pixel belongs to two objects"
    numbers = np.asarray(Image.open(io.BytesIO(visitor.download("png"))))
    for number, mask in enumerate(masks, start=1):
        np.testing.assert_array_equal(numbers == number, mask == 1)
    assert len(json.loads(visitor.download("polygon"))["objects"]) == 3
    cutout = np.asarray(Image.open(io.BytesIO(visitor.download("cutout"))))
    assert cutout.shape[2] == 4

    visitor["stage"].send_keys(",")
    visitor.until(lambda: visitor.rows()[1][2])
    visitor["stage"].send_keys("z", "z")  # the third object's click, then that it was begun
    visitor.until(lambda: len(visitor.rows()) == 2)
    # Found and pressed in one step: the list may be drawn anew meanwhile.
    visitor.driver.execute_script("document.querySelector('#objects .cross').click()")
    visitor.until(lambda: [label for label, _, _ in visitor.rows()] == ["table"])
    visitor["undo"].click()
    visitor.until(lambda: [label for label, _, _ in visitor.rows()] == ["cat", "table"])


def test_a_label_that_is_being_typed_survives_an_answer_that_arrives(visitor):
    visitor.open_sample("cat.jpg")
    visitor.delay_answers(1500)
    ActionChains(visitor.driver).move_to_element(visitor["sheet"]).click().perform()
    visitor.driver.find_element(By.CSS_SELECTOR, "#objects input").click()
    visitor.driver.switch_to.active_element.send_keys("tabby ca")
    visitor.until(lambda: visitor["stage"].get_attribute("aria-busy") == "true")
    visitor.settled(1)
    visitor.until(lambda: "%" in visitor.rows()[0][1])
    assert visitor.rows()[0][0] == "tabby ca"
    visitor.driver.switch_to.active_element.send_keys("t", Keys.ENTER)
    assert visitor.rows()[0][0] == "tabby cat"
    visitor["add"].click()
    visitor.until(lambda: len(visitor.rows()) == 2)
    assert visitor.rows()[0][0] == "tabby cat"
