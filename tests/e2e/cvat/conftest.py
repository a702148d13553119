"""A running CVAT, our functions behind a stand-in of nuclio's dashboard, and a person at a browser.

CVAT's server comes from no package index, so it is not started here::

    FCFI_CVAT_URL=http://localhost:8080 FCFI_CVAT_USER=admin FCFI_CVAT_PASSWORD=... make e2e

CVAT must look for nuclio's dashboard on this machine: ``CVAT_SERVERLESS=1``, ``CVAT_NUCLIO_HOST``, and
``CVAT_NUCLIO_PORT`` equal to ``FCFI_CVAT_DASHBOARD`` (8070), which must be free here.
"""

from __future__ import annotations

import http.server
import io
import json
import os
import shutil
import threading
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

ROOT = Path(__file__).parents[3]
FUNCTIONS = {
    "function.yaml": "main",
    "function-box.yaml": "main",
    "function-tracker.yaml": "tracker",
}
PHOTOS = ROOT / "fcfi_core" / "serving" / "playground" / "assets" / "samples"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="session")
def server():
    """Address and login of the running CVAT."""
    url = os.environ.get("FCFI_CVAT_URL")
    if not url:
        pytest.skip("no running CVAT: set FCFI_CVAT_URL, FCFI_CVAT_USER and FCFI_CVAT_PASSWORD")
    user, password = os.environ.get("FCFI_CVAT_USER", "admin"), os.environ["FCFI_CVAT_PASSWORD"]
    return SimpleNamespace(url=url.rstrip("/"), user=user, password=password)


def as_text(value):
    """Return an annotation as nuclio keeps it: everything becomes text."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def serve(port, answer):
    """Serve ``answer(method, path, headers, body) -> (status, bytes)``; return the server."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def _reply(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, data = answer(self.command, self.path.split("?")[0].rstrip("/"), self.headers, body)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _reply

    front = http.server.ThreadingHTTPServer(("0.0.0.0", port), Handler)
    threading.Thread(target=front.serve_forever, daemon=True).start()
    return front


@pytest.fixture(scope="session")
def functions(server):
    """Our functions, as nuclio's dashboard would list and forward to them; name -> the answers they gave."""
    import nuclio_sdk
    import nuclio_sdk.test

    from cvat_function import main, tracker

    modules = {"main": main, "tracker": tracker}
    listing, calls, fronts, answers = {}, {}, [], {}
    for file, module in FUNCTIONS.items():
        parsed = yaml.safe_load((ROOT / "cvat_function" / file).read_text())
        name = parsed["metadata"]["name"]
        notes = {key: as_text(value) for key, value in parsed["metadata"]["annotations"].items()}
        platform, lock = nuclio_sdk.test.Platform(), threading.Lock()
        answers[name] = []

        def call(body, name=name, module=module, platform=platform, lock=lock):
            with lock:  # one worker
                event = nuclio_sdk.Event(body=json.loads(body), content_type="application/json")
                found = platform.call_handler(modules[module].handler, event)
            text = found.body if isinstance(found.body, str) else json.dumps(found.body)
            answers[name].append((json.loads(body), json.loads(text)))
            return found.status_code, text.encode()

        front = serve(0, lambda method, path, headers, body, call=call: call(body))
        fronts.append(front)
        calls[name] = call
        listing[name] = {
            "metadata": {"name": name, "namespace": "nuclio", "annotations": notes},
            "spec": {"description": parsed["spec"]["description"]},
            "status": {"state": "ready", "httpPort": front.server_address[1]},
        }

    def dashboard(method, path, headers, body):
        if method == "GET" and path == "/api/functions":
            return 200, json.dumps(listing).encode()
        name = headers.get("x-nuclio-function-name") if method == "POST" else path.rsplit("/", 1)[-1]
        if name not in listing:
            return 404, b'{"error": "Function not found"}'
        return calls[name](body) if method == "POST" else (200, json.dumps(listing[name]).encode())

    fronts.append(serve(int(os.environ.get("FCFI_CVAT_DASHBOARD", "8070")), dashboard))
    yield answers
    for front in fronts:
        front.shutdown()
        front.server_close()


@pytest.fixture(scope="session")
def client(server):
    """cvat-sdk, logged in."""
    cvat_sdk = pytest.importorskip("cvat_sdk")
    with cvat_sdk.Client(server.url, check_server_version=False) as client:
        client.login((server.user, server.password))
        yield client


@pytest.fixture
def task(client):
    """A task of three photos with two labels, removed afterwards."""
    from cvat_sdk.core.proxies.tasks import ResourceType

    task = client.tasks.create_from_data(
        spec={"name": "fcfi e2e", "labels": [{"name": "animal"}, {"name": "thing"}]},
        resource_type=ResourceType.LOCAL,
        resources=sorted(map(str, PHOTOS.glob("*.jpg"))),
    )
    yield task
    task.remove()


@pytest.fixture
def post(client):
    """Return a function that posts JSON to the server as the logged-in user, and returns the answer's."""

    def post(path, body):
        request = urllib.request.Request(
            f"{client.api_client.configuration.host}{path}",
            json.dumps(body).encode(),
            {
                "Content-Type": "application/json",
                "Cookie": "; ".join(f"{key}={one.value}" for key, one in client.api_client.cookies.items()),
                "X-CSRFToken": client.api_client.cookies["csrftoken"].value,
                "Origin": client.api_client.configuration.host,
            },
        )
        with urllib.request.urlopen(request, timeout=120) as reply:
            return json.load(reply)

    return post


@pytest.fixture
def ask(post, functions):
    """Return a function that calls a function through the server, as the interface does."""
    return lambda name, **body: post(f"/api/lambda/functions/{name}", body)


class Person:
    """One person at one browser on CVAT's annotation page; ``hands`` counts clicks and keys."""

    def __init__(self, driver, server, shots):
        self.driver, self.server, self.shots, self.hands = driver, server, shots, 0

    def seen(self, selector, text=""):
        """Return what is on the page and visible."""
        from selenium.common.exceptions import StaleElementReferenceException

        found = []
        for one in self.driver.find_elements("css selector", selector):
            try:
                if one.is_displayed() and text in one.text:
                    found.append(one)
            except StaleElementReferenceException:
                continue
        return found

    def wait(self, selector, text="", seconds=120):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := self.seen(selector, text):
                return found[0]
            time.sleep(0.1)
        self.shot("missing")
        raise AssertionError(f"not on the page: {selector} {text}")

    def shot(self, name):
        if self.shots:
            self.driver.save_screenshot(str(Path(self.shots) / f"cvat-{name}.png"))

    def press(self, selector, text=""):
        self.wait(selector, text).click()
        self.hands += 1

    def log_in(self):
        self.driver.get(f"{self.server.url}/auth/login")
        self.wait("#credential").send_keys(self.server.user)
        field = self.wait("#password")
        field.send_keys(self.server.password + "\n")
        end = time.monotonic() + 60
        while "/auth" in self.driver.current_url:
            assert time.monotonic() < end, "the login was not accepted"
            time.sleep(0.1)

    def open(self, task, job, frame, size):
        self.size = size
        self.driver.get(f"{self.server.url}/tasks/{task}/jobs/{job}?frame={frame}")
        self.wait("#cvat_canvas_background")
        self.wait(".cvat-tools-control")
        time.sleep(3)  # the canvas fits itself once more after the picture is there
        for notice in self.seen(".ant-notification-notice-close"):
            notice.click()

    def interact(self, function, box=None, shot=""):
        """Choose an interactor and press Interact; ``box`` sets the switch where there is one."""
        self.press(".cvat-tools-control")
        self.wait(".cvat-tools-interact-button")
        time.sleep(0.7)
        (chooser,) = [one for one in self.seen(".ant-popover .ant-select") if "FCFI" in one.text]
        if chooser.text.strip() != function:
            chooser.find_element("css selector", ".ant-select-selector").click()
            time.sleep(0.5)
            next(one for one in self.seen(".ant-select-item-option") if one.text == function).click()
            self.hands += 2
        switch = self.seen(".cvat-tools-interactor-setups > div", "Start with a bounding box")
        state = None
        if switch:
            button = switch[0].find_element("css selector", "button[role=switch]")
            state = button.get_attribute("aria-checked") == "true"
            if box is not None and state != box:
                button.click()
                self.hands += 1
        if shot:
            self.shot(shot)
        self.press(".cvat-tools-interact-button")
        time.sleep(0.8)
        return state

    def pointer(self, x, y, button=None, shift=(0, 0)):
        """Go to the picture's pixel (x, y), and press a button (0 left, 2 right) there."""
        from selenium.webdriver.common.action_chains import ActionChains

        left, top, width, height = self.driver.execute_script(
            "const one = document.querySelector('#cvat_canvas_background').getBoundingClientRect();"
            "return [one.left, one.top, one.width, one.height]"
        )
        actions = ActionChains(self.driver, duration=40)
        mouse = actions.w3c_actions.pointer_action
        mouse.move_to_location(
            round(left + (x + 0.5) * width / self.size[0]) + shift[0],
            round(top + (y + 0.5) * height / self.size[1]) + shift[1],
        )
        if button is not None:
            mouse.pointer_down(button=button)
            mouse.pointer_up(button=button)
            self.hands += 1
        actions.perform()

    def click(self, x, y, *, negative=False):
        self.pointer(x, y, 2 if negative else 0)
        self.settled()

    def remove(self, x, y):
        """Press the cross up and right of a click, as soon as it is there."""
        self.pointer(x, y)
        time.sleep(0.5)
        self.pointer(x, y, 0, shift=(12, -13))
        self.settled()

    def box(self, x1, y1, x2, y2):
        """Draw a box by its corners."""
        self.pointer(x1, y1, 0)
        self.pointer((x1 + x2) / 2, (y1 + y2) / 2)
        self.pointer(x2, y2, 0)
        self.settled()

    def settled(self, seconds=60):
        """Wait until no request is on its way."""
        time.sleep(0.5)
        end = time.monotonic() + seconds
        while self.seen(".cvat-tracking-notice"):
            assert time.monotonic() < end, "no answer"
            time.sleep(0.1)
        assert not self.seen(".ant-notification-notice", "Interaction error"), "the interface shows an error"

    @property
    def shown(self):
        """How many masks are drawn on the picture."""
        return len(self.driver.find_elements("css selector", "image.cvat_canvas_interact_intermediate_shape"))

    def finish(self):
        """Press N, then Save."""
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys("n").perform()
        self.hands += 1
        time.sleep(1)
        self.press(".cvat-annotation-header-save-button")


@pytest.fixture
def person(server, functions, tmp_path):
    """A person at a fresh browser, logged in; screenshots go to FCFI_CVAT_SHOTS if that is set."""
    webdriver = pytest.importorskip("selenium.webdriver")
    if CHROMIUM is None or shutil.which("chromedriver") is None:
        pytest.skip("no browser here to drive: install Chromium and its driver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    flags = "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync"
    more = f"--disable-background-networking --window-size=1400,900 --user-data-dir={tmp_path}"
    for flag in f"{flags} {more}".split():
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        yield Person(driver, server, os.environ.get("FCFI_CVAT_SHOTS"))
    finally:
        driver.quit()


@pytest.fixture(scope="session")
def photo_of():
    """Return a function that gives a frame of a task as (H, W, 3) uint8."""
    from PIL import Image

    def read(task, frame):
        return np.asarray(Image.open(io.BytesIO(task.get_frame(frame, quality="original").read())))

    return read
