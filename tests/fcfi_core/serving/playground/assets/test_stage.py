"""By keyboard, by touch, by the dots on the photo."""

from __future__ import annotations

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys


def test_by_keyboard_alone(visitor):
    visitor.until(lambda: visitor["model"].text)
    visitor.driver.find_element(By.CSS_SELECTOR, "#welcome [data-sample='coffee.jpg']").send_keys(Keys.ENTER)
    visitor.until(lambda: "coffee.jpg" in visitor["photo-facts"].text)
    stage = visitor.driver.switch_to.active_element
    assert stage.get_attribute("id") == "stage"
    stage.send_keys(Keys.LEFT, Keys.LEFT, Keys.UP)
    assert visitor["crosshair"].get_attribute("hidden") is None
    visitor.until(lambda: "Crosshair at" in visitor["status"].get_attribute("textContent"))
    stage.send_keys(Keys.ENTER)
    visitor.settled(1)
    visitor.until(lambda: "1 click" in visitor["status"].get_attribute("textContent"))
    stage.send_keys(Keys.DOWN * 8)
    ActionChains(visitor.driver).key_down(Keys.SHIFT).send_keys(Keys.ENTER).key_up(Keys.SHIFT).perform()
    visitor.settled(2)
    assert visitor.dots() == ["positive", "negative"]
    stage.send_keys("z", "z")
    visitor.settled(0)
    stage.send_keys("b", Keys.LEFT * 9, Keys.UP * 9, "b")
    visitor.until(lambda: visitor["confidence"].text.endswith("%"))
    assert visitor.driver.find_element(By.ID, "box").is_displayed()
    assert visitor.dots() == ["positive"]  # the click that the box implies
    visitor.screenshot("by keyboard")


def test_by_touch(visitor):
    visitor.open_sample("cat.jpg")
    area = visitor["sheet"].rect

    def touch(kind, *fractions):
        points = [
            {"x": area["x"] + x * area["width"], "y": area["y"] + y * area["height"]} for x, y in fractions
        ]
        event = {"type": kind, "touchPoints": [{**point, "id": index} for index, point in enumerate(points)]}
        visitor.driver.execute_cdp_cmd("Input.dispatchTouchEvent", event)

    touch("touchStart", (0.5, 0.5))
    touch("touchEnd")
    visitor.settled(1)
    touch("touchStart", (0.9, 0.5))
    visitor.settled(2)  # a long press counts before the finger is lifted
    touch("touchEnd")
    assert visitor.dots() == ["positive", "negative"]
    touch("touchStart", (0.4, 0.5), (0.6, 0.5))
    touch("touchMove", (0.3, 0.5), (0.7, 0.5))
    touch("touchEnd")
    visitor.until(lambda: visitor["sheet"].rect["width"] > 1.5 * area["width"])
    visitor.settled(2)


def test_a_click_is_moved_and_removed_by_its_dot(visitor):
    visitor.open_sample("cat.jpg")
    visitor.click(0.3, 0.5, clicks=1)
    visitor.click(0.7, 0.5, clicks=2, key=Keys.ALT)
    before = visitor["masks"].get_attribute("innerHTML")
    visitor.drag(visitor.place(0.7, 0.5), visitor.place(0.6, 0.8))
    visitor.until(lambda: visitor["masks"].get_attribute("innerHTML") != before)
    visitor.settled(2)
    moved = visitor.driver.find_elements(By.CSS_SELECTOR, "#dots .dot")[1]
    assert (
        float(moved.value_of_css_property("top").removesuffix("px")) > 0.7 * visitor["sheet"].size["height"]
    )
    assert visitor.dots() == ["positive", "negative"]
    visitor.click(0.3, 0.5, clicks=1, right=True)
    assert visitor.dots() == ["negative"]
    visitor["undo"].click()
    visitor.settled(2)
    visitor["stage"].send_keys(Keys.DELETE)
    visitor.settled(1)
    assert visitor.dots() == ["positive"]
