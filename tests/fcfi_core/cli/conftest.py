"""A checkpoint with random weights, a photo, and a way to call ``fcfi``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from fcfi_core.checkpoints import write_checkpoint
from fcfi_core.model import Model
from fcfi_core.networks import registry
from fcfi_core.predictor import Predictor
from fcfi_core.protocol import Protocol


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory, photo):
    """A mobilenetv2 file with random weights, and a threshold that puts half of the photo in the mask."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = registry.build("mobilenetv2")
    protocol = Protocol(first_side=96)
    model = Model.from_network(network, protocol=protocol, device="cpu", threads=1)
    view = Predictor(model).segment(photo, [(70, 40)]).view
    protocol = replace(protocol, mask_threshold=float(np.median(view)))
    path = tmp_path_factory.mktemp("models") / "random.safetensors"
    write_checkpoint(path, network.state_dict(), {"variant": "mobilenetv2", "protocol": protocol.to_dict()})
    return path


@pytest.fixture
def picture(tmp_path, photo):
    """The photo of 120 x 90 pixels as a PNG file."""
    path = tmp_path / "photo.png"
    Image.fromarray(photo).save(path)
    return path


@pytest.fixture(autouse=True)
def _threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
