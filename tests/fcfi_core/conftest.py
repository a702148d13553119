"""A network small enough for property tests and models made of it; small data sets on disk."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fcfi_core.datasets.samples import Sample
from fcfi_core.model import Model
from fcfi_core.networks.base import InteractiveNetwork, NetworkOutput, normalised, resized
from fcfi_core.networks.feedback_correction import FeedbackCorrection
from fcfi_core.networks.feedback_fusion import FeedbackFusion
from fcfi_core.predictor import Predictor
from fcfi_core.protocol import Protocol, parity


class _TinyEncoding(NamedTuple):
    image: Tensor
    features: Tensor


class _TinyNetwork(InteractiveNetwork):
    """FCFI with two convolutions: FFCM, CFFM, clicks and feedback all have their say."""

    disk_radius = 20

    def __init__(self, size_multiple: int) -> None:
        super().__init__()
        self.size_multiple = size_multiple
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 4, stride=4), nn.BatchNorm2d(8), nn.ReLU())
        self.correction_module = FeedbackCorrection(8, 6, 8, 0.3)
        self.fusion_module = FeedbackFusion(8, 8)
        self.head = nn.Conv2d(8 + 3, 1, 3, padding=1)

    def encode(self, image: Tensor) -> _TinyEncoding:
        return _TinyEncoding(normalised(image), self.stem(normalised(image)))

    def answer(
        self,
        encoding: Any,
        feedback: Tensor,
        disks: Tensor,
        new_points: Tensor,
        gate: float | Tensor,
        *,
        soft_window: bool = False,
    ) -> NetworkOutput:
        height, width = feedback.shape[-2:]
        corrected, _ = self.correction_module(encoding.image, disks, encoding.features, feedback, new_points)
        features, fused = self.fusion_module(encoding.features, corrected, gate)
        signs = resized(disks, *features.shape[-2:])
        logits = self.head(torch.cat((features, corrected, signs), dim=1))
        logits = logits + 4 * (signs[:, :1] - signs[:, 1:])
        return NetworkOutput(*(resized(maps, height, width) for maps in (logits, corrected, fused)))


@pytest.fixture(scope="session")
def tiny_network():
    """Return a function that builds the tiny network with the same random weights every time."""

    def build(size_multiple: int = 8) -> InteractiveNetwork:
        with torch.random.fork_rng():
            torch.manual_seed(7)
            network = _TinyNetwork(size_multiple)
        return network.eval()

    return build


@pytest.fixture(scope="session")
def tiny_model(tiny_network):
    """A model of the tiny network with small frames, one thread."""
    protocol = Protocol(first_side=64, target_size=64, smallest_crop=24)
    return Model.from_network(tiny_network(), name="tiny", protocol=protocol, device="cpu", threads=1)


@pytest.fixture(scope="session")
def photo():
    """(90, 120, 3) uint8: a bright disk on dark noise."""
    random = np.random.default_rng(3)
    pixels = random.integers(0, 90, (90, 120, 3), dtype=np.uint8)
    rows, columns = np.mgrid[:90, :120]
    pixels[(rows - 40) ** 2 + (columns - 70) ** 2 < 400] += 120
    return pixels


def _disks(count: int, height: int = 60, width: int = 80) -> np.ndarray:
    ids = np.zeros((height, width), np.uint16)
    for number in range(1, count + 1):
        cv2.circle(ids, (width * number // (count + 1), height // 2), 8 + number, number, -1)
    return ids


@pytest.fixture
def make_folder(tmp_path):
    """Return a function that writes a data set of photos with some disks each."""

    def make(
        name: str = "disks", counts: tuple[int, ...] = (1, 2), *, ignore: bool = False, depth=np.uint8
    ) -> Path:
        root = tmp_path / name
        (root / "images").mkdir(parents=True)
        (root / "masks").mkdir()
        random = np.random.default_rng(0)
        for index, count in enumerate(counts):
            ids = _disks(count).astype(depth)
            pixels = random.integers(0, 60, (*ids.shape, 3), dtype=np.uint8)
            pixels[ids > 0] += 150
            if ignore:
                ids[:5] = np.iinfo(depth).max
            cv2.imwrite(str(root / "images" / f"photo{index}.jpg"), pixels)
            cv2.imwrite(str(root / "masks" / f"photo{index}.png"), ids)
        return root

    return make


@pytest.fixture
def make_coco(make_folder):
    """Return a function that writes a COCO file beside a folder of photos with two boxes each."""

    def make(**extra: object) -> Path:
        root = make_folder("photos")
        square = [10, 10, 30, 10, 30, 30, 10, 30]
        images = [{"id": 10 + k, "file_name": f"photo{k}.jpg", "width": 80, "height": 60} for k in range(2)]
        annotations = [
            {
                "id": 1,
                "image_id": 10,
                "category_id": 1,
                "segmentation": [square],
                "bbox": [10, 10, 20, 20],
                "iscrowd": 0,
            },
            {
                "id": 2,
                "image_id": 10,
                "category_id": 2,
                "segmentation": {"size": [60, 80], "counts": [60 * 40, 60 * 20, 60 * 20]},
                "iscrowd": 0,
            },
            {
                "id": 3,
                "image_id": 11,
                "category_id": 1,
                "segmentation": {"size": [60, 80], "counts": [0, 60, 60 * 79]},
                "iscrowd": 1,
            },
            {"id": 4, "image_id": 11, "category_id": 1, "segmentation": [square, [50, 10, 60, 10, 60, 20]]},
        ]
        categories = [{"id": 1, "name": "box"}, {"id": 2, "name": "stripe"}]
        content = {"images": images, "annotations": annotations, "categories": categories, **extra}
        path = root / "instances.json"
        path.write_text(json.dumps(content))
        return path

    return make


@pytest.fixture
def sample():
    """One disk, truth known."""
    ids = _disks(1)
    return Sample("set", "photo", 1, np.zeros((*ids.shape, 3), np.uint8), ids == 1)


@pytest.fixture
def patient():
    """Return a segmenter function that is right from the n-th click on, and empty before."""

    def make(truth: np.ndarray, clicks_needed: int):
        def segment(pixels: np.ndarray, clicks: tuple) -> np.ndarray:
            return truth.copy() if len(clicks) >= clicks_needed else np.zeros_like(truth)

        return segment

    return make


@pytest.fixture(params=["product", "parity", "flip", "second look"])
def predictor(request, tiny_model):
    protocol = {
        "product": tiny_model.protocol,
        "parity": parity(64, 1.4),
        "flip": tiny_model.protocol.with_flip(),
        "second look": replace(tiny_model.protocol, second_look=1.2),
    }[request.param]
    return Predictor(tiny_model, protocol=protocol)


class ActorError(Exception):
    pass


class Reference:
    def __init__(self, future):
        self._future = future

    def future(self):
        return self._future


class Handle:
    """An actor: one thread, which is gone when its work says so."""

    def __init__(self, kind):
        self._object = kind()
        self._thread = ThreadPoolExecutor(1)
        self._gone = False

    def __getattr__(self, name):
        method = getattr(self._object, name)

        def call(*given):
            if self._gone:
                raise ActorError
            try:
                return method(*given)
            except SystemExit:
                self._gone = True
                raise ActorError from None

        return SimpleNamespace(remote=lambda *given: Reference(self._thread.submit(call, *given)))


@pytest.fixture
def ray(monkeypatch):
    """Stand in for the package Ray: the few things that we call."""
    told = SimpleNamespace(options=[], killed=0, addresses=[])

    def kill(actor):
        told.killed += 1

    def init(address, **settings):
        told.addresses.append(address)
        if address == "nowhere:1":
            raise ConnectionError("Could not find any running Ray instance.\nMore.")

    def options(kind, **given):
        told.options.append(given)
        return SimpleNamespace(remote=lambda: Handle(kind))

    errors = SimpleNamespace(
        RayActorError=ActorError,
        WorkerCrashedError=ActorError,
        NodeDiedError=ActorError,
        OutOfMemoryError=ActorError,
        ObjectLostError=ActorError,
    )
    module = SimpleNamespace(
        init=init,
        shutdown=lambda: None,
        kill=kill,
        cluster_resources=lambda: {"CPU": 6.0, "GPU": 1.0},
        remote=lambda kind: SimpleNamespace(options=partial(options, kind)),
        exceptions=errors,
        told=told,
    )
    monkeypatch.setitem(sys.modules, "ray", module)
    monkeypatch.setitem(sys.modules, "ray.exceptions", errors)
    return module
