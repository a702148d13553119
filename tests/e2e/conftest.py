"""Label Studio's editor in headless Chromium, driven by keys and clicks as a person drives it."""

from __future__ import annotations

import json
import shutil
import time
from contextlib import contextmanager

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CHROMEDRIVER = shutil.which("chromedriver")
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
_PICTURE = """
const stage = document.querySelector('.konvajs-content').getBoundingClientRect();
const pictures = [...document.querySelectorAll('img')].map(one => one.getBoundingClientRect()).filter(one =>
    one.width * one.height > 2500 && one.left >= stage.left - 3 && one.top >= stage.top - 3);
const one = pictures.sort((a, b) => b.width * b.height - a.width * a.height)[0] || stage;
return [one.left, one.top, one.width, one.height];
"""


@contextmanager
def browser(width=1400, height=900):
    """A fresh headless Chromium whose window's inside is ``width`` x ``height``."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*_FLAGS, f"--window-size={width},{height}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(CHROMEDRIVER))
    try:
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )
        yield driver
    finally:
        driver.quit()


class Editor:
    """One person at one browser.

    ``hands`` counts what the person does: clicks and keys.
    """

    def __init__(self, driver, url):
        self.driver = driver
        self.url = url
        self.hands = 0
        self._waiting = set()

    def log_in(self, email, password):
        self.driver.get(f"{self.url}/user/login/")
        self.driver.find_element(By.NAME, "email").send_keys(email)
        self.driver.find_element(By.NAME, "password").send_keys(password)
        self.driver.find_element(By.CSS_SELECTOR, "button[type=submit]").click()
        self.hands += 3
        self.until(lambda: "/user/login" not in self.driver.current_url)

    def until(self, condition, seconds=30.0):
        return WebDriverWait(self.driver, seconds, poll_frequency=0.05).until(lambda _: condition())

    def open(self, project, task):
        """Open one task, and wait for its picture."""
        self.driver.get(f"{self.url}/projects/{project}/data?task={task}")
        self.until(lambda: self.all("[data-testid=bottombar-auto-annotation-toggle]"))
        self.until(lambda: self.all(".konvajs-content") and self.picture()[2] > 50)
        time.sleep(1.0)  # the editor lays itself out once more after the picture is there
        self.posted()

    def label_all(self, project):
        """Open a project, press *Label All Tasks*, and wait for the first picture."""
        self.driver.get(f"{self.url}/projects/{project}/data")
        self._press_button("Label All Tasks")
        self.until(lambda: self.all(".konvajs-content") and self.picture()[2] > 50)
        time.sleep(1.0)
        self.posted()

    def _press_button(self, *texts):
        """Click the button with one of these texts as soon as it is there."""

        def pressed():
            return self.driver.execute_script(
                "const wanted = [...document.querySelectorAll('button, a')].find(one =>"
                " one.offsetParent && !one.disabled && arguments[0].includes(one.innerText.trim()));"
                "if (wanted) wanted.click(); return Boolean(wanted)",
                list(texts),
            )

        self.until(pressed)
        self.hands += 1

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def picture(self):
        """Return (left, top, width, height) of the shown picture in the window, pixels."""
        return self.driver.execute_script(_PICTURE)

    def switch(self, on=True, name="auto-annotation"):
        """Set the switch below the picture."""
        (toggle,) = self.until(lambda: self.all(f"[data-testid=bottombar-{name}-toggle]"))
        if toggle.is_selected() != on:
            self.driver.execute_script("arguments[0].click()", toggle)
            self.hands += 1
            time.sleep(0.4)

    def press(self, key, *held):
        """Press a key, with others held."""
        actions = ActionChains(self.driver)
        for one in held:
            actions.key_down(one)
        actions.send_keys(key)
        for one in held:
            actions.key_up(one)
        actions.perform()
        self.hands += 1
        time.sleep(0.2)

    def place(self, x, y):
        """Return the window's pixel for the fractions (x, y) of the picture."""
        left, top, width, height = self.picture()
        return round(left + x * width), round(top + y * height)

    def click(self, x, y, *, negative=False, wait=True):
        """Click at the fractions (x, y) of the picture; return what was sent to the backend for it."""
        actions = ActionChains(self.driver, duration=20)
        actions.w3c_actions.pointer_action.move_to_location(*self.place(x, y))
        if negative:
            actions.key_down(Keys.ALT)
        actions.click()
        if negative:
            actions.key_up(Keys.ALT)
        actions.perform()
        self.hands += 1
        return self.answered() if wait else []

    def drag(self, *corners):
        """Draw from the first to the last of the given fractions; return what was sent."""
        actions = ActionChains(self.driver, duration=30)
        actions.w3c_actions.pointer_action.move_to_location(*self.place(*corners[0]))
        actions.click_and_hold()
        for corner in corners[1:]:
            actions.w3c_actions.pointer_action.move_to_location(*self.place(*corner))
        actions.release()
        actions.perform()
        self.hands += 1
        return self.answered()

    def answered(self, seconds=3.0):
        """Return the contexts posted to the backend since the last time, when their answers are there."""
        until = time.monotonic() + 0.7
        found = []
        while time.monotonic() < until:
            new = [
                body["context"]["result"] for path, body in self.posted() if "interactive-annotating" in path
            ]
            if new:
                found += new
                until = time.monotonic() + 0.5
            if self._waiting:
                until = max(until, time.monotonic() + 0.2)
                seconds -= 0.05
                if seconds < -30:
                    break
            time.sleep(0.05)
        return found

    def posted(self):
        """Return (path, body) of each POST, PATCH or PUT since the last time."""
        found = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            name, content = message["method"], message["params"]
            if name == "Network.requestWillBeSent":
                request = content["request"]
                if request["method"] in ("POST", "PATCH", "PUT") and "/api/" in request["url"]:
                    text = request.get("postData")
                    if text is None and request.get("hasPostData"):
                        text = self.driver.execute_cdp_cmd(
                            "Network.getRequestPostData", {"requestId": content["requestId"]}
                        )["postData"]
                    try:
                        body = json.loads(text or "null")
                    except ValueError:
                        body = text
                    found.append((request["url"].removeprefix(self.url), body))
                    if "interactive-annotating" in request["url"]:
                        self._waiting = self._waiting | {content["requestId"]}
            elif name in ("Network.loadingFinished", "Network.loadingFailed"):
                self._waiting = self._waiting - {content["requestId"]}
        return found

    def tick(self):
        """Keep the suggestion."""
        self._bottom("accept-suggestions")

    def cross(self):
        """Drop the suggestion."""
        self._bottom("reject-suggestions")

    def _bottom(self, name):
        self.until(lambda: self.all(f"[data-testid=bottombar-{name}-button]"))[0].click()
        self.hands += 1
        time.sleep(0.6)

    def submit(self):
        """Press Submit or Update and return the results that were saved."""
        self.posted()
        self._press_button("Submit", "Update")
        until = time.monotonic() + 15
        while time.monotonic() < until:
            for path, body in self.posted():
                if "/annotations" in path and isinstance(body, dict) and "result" in body:
                    time.sleep(0.5)
                    return body["result"]
            time.sleep(0.1)
        raise AssertionError("nothing was saved")

    def regions(self):
        """Return the texts of the list of regions."""
        return [one.text.replace("\n", " ") for one in self.all(".lsf-outliner-item")]

    def selected_labels(self):
        """Return the labels that are chosen."""
        return [one.text.split("\n")[0] for one in self.all(".lsf-label_selected")]

    def tools(self):
        """Return (hint, chosen, smart) of the tools in the bar."""
        return [
            (
                one.get_attribute("aria-label"),
                "active" in one.get_attribute("class"),
                "smart" in one.get_attribute("class"),
            )
            for one in self.all("button.lsf-tool")
        ]

    def shot(self, path):
        self.driver.save_screenshot(str(path))


@pytest.fixture(scope="session")
def open_editor():
    """A function that opens a browser of a size and gives an :class:`Editor` at an address, as a context."""
    if CHROMIUM is None or CHROMEDRIVER is None:
        pytest.skip(
            "no browser here to drive: install Chromium and its driver "
            "(Debian: apt-get install chromium chromium-driver)"
        )

    @contextmanager
    def opened(url, width=1400, height=900):
        with browser(width, height) as driver:
            yield Editor(driver, url)

    return opened
