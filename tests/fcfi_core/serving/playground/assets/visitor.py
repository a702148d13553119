"""A person at the playground, in a headless browser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from fcfi_core.serving.playground import server as playground_server

SAMPLES = Path(playground_server.__file__).parent / "assets" / "samples"


class Visitor:
    """What a person does on the page, and sees."""

    def __init__(self, driver, downloads):
        self.driver = driver
        self.downloads = downloads
        behaviour = {"behavior": "allow", "downloadPath": str(downloads)}
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)

    def __getitem__(self, identifier):
        return self.driver.find_element(By.ID, identifier)

    def until(self, condition):
        return WebDriverWait(self.driver, 30, poll_frequency=0.05).until(lambda _: condition())

    def open_sample(self, name):
        self.until(lambda: self["model"].get_attribute("textContent"))
        visible = [
            button
            for button in self.driver.find_elements(By.CSS_SELECTOR, f"[data-sample='{name}']")
            if button.is_displayed()
        ]
        visible[0].click()
        self.until(lambda: self["photo-facts"].is_displayed() and name in self["photo-facts"].text)
        self.until(lambda: self.driver.execute_script("return document.getElementById('photo').complete"))

    def settled(self, clicks):
        self.until(
            lambda: (
                self["stage"].get_attribute("aria-busy") == "false"
                and self["click-count"].text == str(clicks)
            )
        )

    def click(self, x, y, *, clicks, key=None, right=False):
        """Click at the fraction (x, y) of the photo and wait until ``clicks`` are answered."""
        size = self["sheet"].size
        actions = ActionChains(self.driver).move_to_element_with_offset(
            self["sheet"], int((x - 0.5) * size["width"]), int((y - 0.5) * size["height"])
        )
        if key:
            actions.key_down(key)
        if right:
            actions.context_click()
        else:
            actions.click()
        if key:
            actions.key_up(key)
        actions.perform()
        self.settled(clicks)

    def delay_answers(self, milliseconds):
        """Let every answer of the server take so much longer, until the page is loaded again."""
        self.driver.execute_script(
            "const [time] = arguments; const real = window.fetch;"
            "const pause = () => new Promise((go) => setTimeout(go, time));"
            "window.fetch = (...given) => pause().then(() => real(...given));",
            milliseconds,
        )

    def dots(self):
        """Return the classes of the dots on the photo, in order."""
        dots = self.driver.find_elements(By.CSS_SELECTOR, "#dots .dot")
        return [dot.get_attribute("class").split()[1] for dot in dots]

    def masks(self):
        """Return of each mask on the photo whether it is that of the active object."""
        return self.driver.execute_script(
            "return [...document.querySelectorAll('#masks i')].map((mask) => mask.className === 'active')"
        )

    def rows(self):
        """Return the label, the share of the photo, and whether it is active, of each object listed."""
        rows = self.driver.execute_script(
            "return [...document.querySelectorAll('#objects li')].map((row) => ["
            "row.querySelector('input').value, row.querySelector('.share').textContent,"
            " row.getAttribute('aria-current') === 'true'])"
        )
        return [tuple(row) for row in rows]

    def name(self, index, label):
        """Type the label of the object in a row."""
        self.driver.find_elements(By.CSS_SELECTOR, "#objects input")[index].click()
        self.driver.switch_to.active_element.send_keys(label, Keys.ENTER)

    def place(self, x, y):
        """Return the pixel of the window at the fraction (x, y) of the photo."""
        area = self["sheet"].rect
        return area["x"] + x * area["width"], area["y"] + y * area["height"]

    def mouse(self, kind, place, button="left", modifiers=0):
        """Send one event of the mouse, as the browser gets it."""
        self.driver.execute_cdp_cmd(
            "Input.dispatchMouseEvent",
            {
                "type": kind,
                "x": place[0],
                "y": place[1],
                "button": button,
                "buttons": 1,
                "clickCount": 1,
                "modifiers": modifiers,
            },
        )

    def drag(self, start, end, modifiers=0):
        """Press at one place, move to another, let go."""
        self.mouse("mousePressed", start, modifiers=modifiers)
        for share in (0.3, 0.7, 1.0):
            between = [a + share * (b - a) for a, b in zip(start, end, strict=True)]
            self.mouse("mouseMoved", between, modifiers=modifiers)
        self.mouse("mouseReleased", end, modifiers=modifiers)

    def download(self, kind):
        self.driver.find_element(By.CSS_SELECTOR, f"[data-download={kind}]").click()
        suffix = {
            "png": "mask.png",
            "cutout": "cutout.png",
            "polygon": "polygons.json",
            "coco": "coco.json",
        }[kind]
        path = self.downloads / f"cat-{suffix}"
        self.until(path.exists)
        return path.read_bytes()

    def screenshot(self, name):
        path = self.downloads / f"{name}.png"
        assert self.driver.save_screenshot(str(path))
        return np.asarray(Image.open(path).convert("RGB"), dtype=int)
