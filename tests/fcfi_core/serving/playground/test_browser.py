"""The playground, driven in a headless browser as a visitor would."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from PIL import Image
from pycocotools import mask as coco_mask
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait
from starlette.applications import Starlette
from starlette.testclient import TestClient

from fcfi_core import Click, Predictor
from fcfi_core.serving.playground import routes
from fcfi_core.serving.playground import server as playground_server

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CHROMEDRIVER = shutil.which("chromedriver")
SAMPLES = Path(playground_server.__file__).parent / "assets" / "samples"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None or CHROMEDRIVER is None,
        reason="no browser here to drive: install Chromium and its driver "
        "(Debian: apt-get install chromium chromium-driver)",
    ),
]


@pytest.fixture(scope="module")
def predictor(tiny_model):
    return Predictor(tiny_model)


@pytest.fixture(scope="module")
def application(predictor, make_service):
    # room for one sample photo only, so that a second one drives the first out
    return Starlette(routes=routes(make_service(predictor, image_cache_bytes=900_000)))


@pytest.fixture(scope="module")
def address(application):
    server = uvicorn.Server(uvicorn.Config(application, port=0, log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/playground"
    server.should_exit = True
    thread.join()


@pytest.fixture
def served():
    """The address of the playground of ``fcfi serve``, a process of its own with the shipped model."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [Path(sys.executable).with_name("fcfi"), "serve", "--port", str(port), "--model", "default"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FCFI_")}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        address = f"http://127.0.0.1:{port}/playground"
        try:
            _wait_for(f"{address}/model", process)
            yield address
        finally:
            process.terminate()
            complaints = process.communicate(timeout=30)[1]
    assert "Traceback" not in complaints


def _wait_for(address, process):
    for _ in range(600):
        assert process.poll() is None, process.stderr.read()
        try:
            with urllib.request.urlopen(address, timeout=60):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"{address} does not answer")


@pytest.fixture(scope="module")
def driver():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument("--window-size=1280,900")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(CHROMEDRIVER))
    yield driver
    driver.quit()


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

    def dots(self):
        """Return the classes of the dots on the photo, in order."""
        dots = self.driver.find_elements(By.CSS_SELECTOR, "#dots .dot")
        return [dot.get_attribute("class").split()[1] for dot in dots]

    def download(self, kind):
        self.driver.find_element(By.CSS_SELECTOR, f"[data-download={kind}]").click()
        suffix = {"png": "mask.png", "polygon": "polygons.json", "coco": "coco.json"}[kind]
        path = self.downloads / f"cat-{suffix}"
        self.until(path.exists)
        return path.read_bytes()

    def screenshot(self, name):
        path = self.downloads / f"{name}.png"
        assert self.driver.save_screenshot(str(path))
        return np.asarray(Image.open(path).convert("RGB"), dtype=int)


@pytest.fixture
def visitor(driver, address, tmp_path):
    driver.get(address)
    yield Visitor(driver, tmp_path)
    complaints = [entry for entry in driver.get_log("browser") if "/images" not in entry["message"]]
    assert complaints == []


def test_from_a_sample_to_the_files(visitor, predictor, address):
    visitor.open_sample("cat.jpg")
    before = visitor.screenshot("opened")
    visitor.click(0.45, 0.45, clicks=1)
    after = visitor.screenshot("clicked")
    assert np.abs(after - before).sum(axis=2).max() > 100
    assert visitor["confidence"].text.endswith("%")
    assert visitor["milliseconds"].text.endswith("ms")
    assert visitor["mask"].is_displayed()

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
    assert not visitor["mask"].is_displayed()
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


def test_photo_forgotten_by_the_server_is_sent_again(visitor, application):
    visitor.open_sample("cat.jpg")
    visitor.click(0.5, 0.5, clicks=1)
    other = TestClient(application).post("/playground/images", content=(SAMPLES / "coffee.jpg").read_bytes())
    assert other.status_code == 201
    visitor.click(0.4, 0.4, clicks=2)
    assert not visitor["message"].is_displayed()


def test_refused_file_leaves_a_sentence_and_the_photo(visitor, tmp_path):
    visitor.open_sample("cat.jpg")
    visitor.click(0.5, 0.5, clicks=1)
    (tmp_path / "notes.jpg").write_text("no picture at all")
    visitor["file"].send_keys(str(tmp_path / "notes.jpg"))
    visitor.until(lambda: visitor["message"].is_displayed())
    assert "not a picture" in visitor["message"].text
    visitor["dismiss"].click()
    assert not visitor["message"].is_displayed()
    visitor.click(0.4, 0.4, clicks=2)


def test_another_answer_is_chosen_by_its_picture_or_its_number(visitor):
    visitor.open_sample("coffee.jpg")
    visitor.click(0.45, 0.55, clicks=1)
    visitor.until(lambda: visitor["choice-panel"].is_displayed())
    answers = visitor.driver.find_elements(By.CSS_SELECTOR, "#choices button")
    assert len(answers) > 1
    given = [answer.get_attribute("aria-pressed") for answer in answers].index("true")
    before = visitor["mask"].get_attribute("style")
    other = (given + 1) % len(answers)
    visitor["stage"].send_keys(str(other + 1))
    visitor.until(lambda: visitor["mask"].get_attribute("style") != before)
    visitor.settled(2)
    visitor.until(lambda: visitor["choice-panel"].is_displayed())
    answers = visitor.driver.find_elements(By.CSS_SELECTOR, "#choices button")
    assert answers[other].get_attribute("aria-pressed") == "true"
    visitor.screenshot("choice")
    answers[given].click()
    visitor.settled(1)
    visitor.click(0.1, 0.1, key=Keys.ALT, clicks=2)
    assert not visitor["choice-panel"].is_displayed()
