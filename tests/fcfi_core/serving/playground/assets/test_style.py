"""The page at the sizes of laptops, narrow windows and phones."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.by import By


@pytest.mark.parametrize(("width", "height"), [(1280, 577), (657, 900), (390, 844), (844, 390), (1280, 900)])
def test_downloads_keys_and_tools_are_in_sight(visitor, width, height):
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    visitor.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        visitor.open_sample("cat.jpg")
        visitor.click(0.45, 0.45, clicks=1)
        visitor.screenshot(f"{width} x {height}")
        for element in (
            *visitor.driver.find_elements(By.CSS_SELECTOR, "[data-download]"),
            visitor["keys-open"],
            visitor["undo"],
            visitor["sheet"],
        ):
            area = element.rect
            assert element.is_displayed()
            assert area["x"] >= 0
            assert area["x"] + area["width"] <= width
            assert area["y"] >= 0
            assert area["y"] + area["height"] <= height
        assert visitor.driver.execute_script("return document.documentElement.scrollWidth") <= width
        assert visitor.driver.execute_script("return document.documentElement.scrollHeight") <= height
        visitor["stage"].send_keys("?")
        visitor.until(lambda: visitor["keys"].is_displayed())
        visitor.driver.find_element(By.CSS_SELECTOR, "#keys button").click()
        visitor.until(lambda: not visitor["keys"].is_displayed())
    finally:
        visitor.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
