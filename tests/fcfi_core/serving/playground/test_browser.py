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


def _forget(driver):
    """Empty what the browser keeps of the page, as a new visitor has it."""
    driver.execute_async_script(
        "localStorage.clear(); const done = arguments[0]; const going = indexedDB.deleteDatabase('fcfi');"
        "going.onsuccess = going.onerror = going.onblocked = () => done();"
    )


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


@pytest.fixture
def visitor(driver, address, tmp_path):
    driver.get(f"{address}/model")  # of the same origin, but without the page, which would keep things anew
    _forget(driver)
    driver.get_log("browser")  # which has no icon
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
    visitor.click(0.45, 0.55, clicks=1)
    visitor.until(lambda: visitor["choice-panel"].is_displayed())
    count = len(driver.find_elements(By.CSS_SELECTOR, "#choices button"))
    assert count == 4  # the usual one, two of the network's own, and a look at a quarter
    visitor["stage"].send_keys(str(count))
    chosen = "#choices button:last-child[aria-pressed=true]"
    visitor.until(lambda: driver.find_elements(By.CSS_SELECTOR, chosen))


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
    assert "notes.jpg" in visitor["message"].text
    assert "not a picture" in visitor["message"].text
    visitor["dismiss"].click()
    assert not visitor["message"].is_displayed()
    visitor.click(0.4, 0.4, clicks=2)


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
    visitor.driver.execute_script(
        "const real = window.fetch;"
        "window.fetch = (...given) => new Promise((go) => setTimeout(go, 1500)).then(() => real(...given));"
    )
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


@pytest.mark.parametrize("kind", ["AVIF", "HEIC"])
def test_photos_of_phones_are_shown_whether_the_browser_knows_them_or_not(visitor, tmp_path, kind):
    with Image.open(SAMPLES / "cat.jpg") as cat:
        size = cat.size
        if kind == "HEIC":
            pillow_heif = pytest.importorskip("pillow_heif")
            pillow_heif.from_pillow(cat).save(tmp_path / "cat.heic", quality=80)
        else:
            cat.save(tmp_path / "cat.avif", quality=80)
    name = f"cat.{kind.lower()}"
    visitor["file"].send_keys(str(tmp_path / name))
    visitor.until(lambda: visitor["photo-facts"].is_displayed() and name in visitor["photo-facts"].text)
    assert all(str(side) in visitor["photo-facts"].text for side in size)
    shown = visitor.until(
        lambda: visitor.driver.execute_script(
            "const photo = document.getElementById('photo');"
            "return photo.naturalWidth ? [photo.naturalWidth, photo.naturalHeight, photo.src] : null"
        )
    )
    assert shown[0] / shown[1] == pytest.approx(size[0] / size[1], rel=0.01)
    assert shown[2].startswith(
        "blob:" if kind == "AVIF" else "http:"
    )  # by the browser itself, or by the server
    visitor.click(0.5, 0.5, clicks=1)
    assert visitor.masks() == [True]


@pytest.mark.parametrize("name", ["broken.avif", "broken.heic", "broken.jpg"])
def test_a_photo_that_cannot_be_read_is_called_by_its_name(visitor, tmp_path, name):
    (tmp_path / name).write_bytes(b"\0\0\0\x1cftyp" + name.split(".")[1].encode() + b"\0" * 60)
    visitor["file"].send_keys(str(tmp_path / name))
    visitor.until(lambda: visitor["message"].is_displayed())
    assert name in visitor["message"].text


def dropped(visitor, kinds):
    """Drop text of some kinds on the page, as dragging from another page does."""
    visitor.driver.execute_script(
        "const transfer = new DataTransfer();"
        "for (const [kind, text] of Object.entries(arguments[0])) transfer.setData(kind, text);"
        "document.dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true }));",
        kinds,
    )


def test_a_link_from_another_page(visitor, site):
    photo = (SAMPLES / "rocket.jpg").read_bytes()
    open_to_all = {"Access-Control-Allow-Origin": "*", "Content-Type": "image/jpeg"}
    site.answers["/pictures/rocket.jpg"] = 200, open_to_all, photo
    site.answers["/closed/rocket.jpg"] = 200, {"Content-Type": "image/jpeg"}, photo
    site.answers["/page.html"] = 200, {**open_to_all, "Content-Type": "text/html"}, b"<p>no picture</p>"
    visitor.until(lambda: visitor["model"].text)
    dropped(visitor, {"text/html": f'<a href="{site.url}"><img src="{site.url}/pictures/rocket.jpg"></a>'})
    visitor.until(lambda: "rocket.jpg" in visitor["photo-facts"].text)
    for address, sentence in (
        (f"{site.url}/closed/rocket.jpg", "does not hand its pictures"),
        (f"{site.url}/page.html", "leads to no picture"),
    ):
        dropped(visitor, {"text/uri-list": address})
        visitor.until(lambda sentence=sentence: sentence in visitor["message"].text)
    dropped(visitor, {"text/plain": "words"})
    visitor.until(lambda: "no picture" in visitor["message"].text)
    visitor.driver.get_log("browser")  # the browser complains of what the closed site refused


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
