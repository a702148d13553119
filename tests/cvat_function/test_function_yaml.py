"""The three function files as CVAT and nuclio will read them."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
import yaml

import fcfi_core
from cvat_function import tracking

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "cvat_function"
FILES = ("function.yaml", "function-gpu.yaml", "function-box.yaml", "function-tracker.yaml")


@pytest.fixture(params=FILES)
def name(request):
    return request.param


@pytest.fixture
def function(name):
    return yaml.safe_load((FOLDER / name).read_text())


def test_the_handler_is_there(function):
    module, handler = function["spec"]["handler"].split(":")
    assert (FOLDER / f"{module}.py").is_file()
    found = importlib.import_module(f"cvat_function.{module}")
    assert callable(getattr(found, handler))
    assert callable(found.init_context)


def test_names_and_texts(function):
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", function["metadata"]["name"])
    assert function["spec"]["description"]
    assert function["spec"]["runtime"] == "python:3.11"


def test_no_annotation_is_written_as_false(function):
    for key, value in function["metadata"]["annotations"].items():
        assert value is not False, f"CVAT reads any text as true: leave {key} out"


def test_the_trigger_serves_old_and_new_nuclio(function):
    (trigger,) = function["spec"]["triggers"].values()
    assert trigger["kind"] == "http"
    assert trigger["numWorkers"] == trigger["maxWorkers"] == 1
    assert trigger["workerAvailabilityTimeoutMilliseconds"] >= 10_000
    assert trigger["attributes"]["maxRequestBodySize"] >= 32 * 2**20


def test_the_base_image_is_built_by_the_dockerfile(function):
    image, tag = function["spec"]["build"]["baseImage"].split(":")
    version, target = tag.split("-")
    dockerfile = (ROOT / "docker" / "cvat.Dockerfile").read_text()
    assert version == fcfi_core.__version__
    assert f"--target {target} -t {image}:{tag} ." in dockerfile
    assert re.search(rf"^FROM \S+ AS {target}$", dockerfile, re.MULTILINE)


def test_it_runs_without_rights(function):
    """nuclio builds as root, so the image names no user; the function is run as one that is not root."""
    assert function["spec"]["securityContext"] == {"runAsUser": 10001, "runAsGroup": 10001}


def annotations(file):
    return yaml.safe_load((FOLDER / file).read_text())["metadata"]["annotations"]


@pytest.mark.parametrize("file", ["function.yaml", "function-gpu.yaml", "function-box.yaml"])
def test_an_interactor_takes_right_clicks(file):
    notes = annotations(file)
    assert notes["type"] == "interactor"
    assert notes["version"] >= 2
    assert notes["min_neg_points"] == 0
    assert "startswith_box" not in notes
    assert not notes["spec"]
    assert notes["help_message"]


@pytest.mark.parametrize("file", ["function.yaml", "function-gpu.yaml"])
def test_the_first_left_click_is_a_click(file):
    """Where a box is optional, CVAT's switch is on until a user turns it off: the click would start a box."""
    notes = annotations(file)
    assert "startswith_box_optional" not in notes
    assert notes["min_pos_points"] == 1, "a right click alone asks nothing: it waits for the left one"


def test_a_box_alone_is_enough_where_boxes_are_offered():
    """CVAT's interface sends nothing before it has ``min_pos_points`` left clicks, box or not."""
    notes = annotations("function-box.yaml")
    assert notes["startswith_box_optional"] is True
    assert notes["min_pos_points"] == 0


def test_functions_side_by_side_have_names_of_their_own():
    files = [yaml.safe_load((FOLDER / file).read_text()) for file in FILES if "gpu" not in file]
    assert len({file["metadata"]["name"] for file in files}) == len(files)
    assert len({file["metadata"]["annotations"]["name"] for file in files}) == len(files)
    assert len({file["spec"]["build"]["image"] for file in files}) == len(files)


def test_only_the_gpu_file_asks_for_one():
    for file in FILES:
        spec = yaml.safe_load((FOLDER / file).read_text())["spec"]
        environment = {entry["name"]: entry["value"] for entry in spec["env"]}
        wants = "nvidia.com/gpu" in spec.get("resources", {}).get("limits", {})
        assert wants == ("gpu" in file) == (environment["FCFI_DEVICE"] == "cuda")


def test_the_tracker_names_its_shapes():
    notes = yaml.safe_load((FOLDER / "function-tracker.yaml").read_text())["metadata"]["annotations"]
    assert notes["type"] == "tracker"
    assert tuple(notes["supported_shape_types"].split(",")) == tracking.SHAPE_TYPES
