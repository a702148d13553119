"""The playground, driven in a headless browser as a visitor would."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest
import uvicorn
from selenium import webdriver
from starlette.applications import Starlette

from fcfi_core import Predictor
from fcfi_core.serving.playground import routes
from tests.fcfi_core.serving.playground.assets.visitor import Visitor

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CHROMEDRIVER = shutil.which("chromedriver")


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="package")
def predictor(tiny_model):
    return Predictor(tiny_model)


@pytest.fixture(scope="package")
def application(predictor, make_service):
    # room for one sample photo only, so that a second one drives the first out
    return Starlette(routes=routes(make_service(predictor, image_cache_bytes=900_000)))


@pytest.fixture(scope="package")
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


@pytest.fixture(scope="package")
def driver():
    if CHROMIUM is None or CHROMEDRIVER is None:
        pytest.skip(
            "no browser here to drive: install Chromium and its driver "
            "(Debian: apt-get install chromium chromium-driver)"
        )
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


@pytest.fixture
def visitor(driver, address, tmp_path):
    driver.get(f"{address}/model")  # of the same origin, but without the page, which would keep things anew
    _forget(driver)
    driver.get_log("browser")  # which has no icon
    driver.get(address)
    yield Visitor(driver, tmp_path)
    complaints = [entry for entry in driver.get_log("browser") if "/images" not in entry["message"]]
    assert complaints == []
