"""Loading: what a file says is what runs, and what is wrong is named."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from fcfi_core import Predictor, SettingsError, WeightsError, load_model
from fcfi_core.checkpoints import read_checkpoint, resolve, write_checkpoint
from fcfi_core.model import Model
from fcfi_core.networks import registry


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return registry.build("mobilenetv2")


def written(tmp_path, network, **protocol):
    path = tmp_path / "mine.safetensors"
    header = {"variant": "mobilenetv2", "protocol": protocol, "model_card": {"version": "7"}}
    write_checkpoint(path, network.state_dict(), header, "float32")
    return path


def test_the_header_decides(tmp_path, network):
    model = load_model(written(tmp_path, network, first_side=64, target_size=96), device="cpu", threads=1)
    assert (model.name, model.version, model.variant) == ("mine", "7", "mobilenetv2")
    assert (model.protocol.first_side, model.protocol.target_size) == (64, 96)
    assert model.protocol.smallest_crop == 200
    assert model.engine.device == "cpu"


def test_a_file_runs_as_the_network_it_was_made_of(tmp_path, network, photo):
    clicks = [(70, 40), (10, 10, False)]
    loaded = load_model(written(tmp_path, network, first_side=64), device="cpu", engine="torch", threads=1)
    memory = Model.from_network(network, protocol=loaded.protocol, device="cpu", threads=1)
    first, second = (Predictor(model).segment(photo, clicks).probability for model in (loaded, memory))
    assert np.array_equal(first, second)


def test_an_impossible_header_is_named(tmp_path, network):
    with pytest.raises(WeightsError, match=r"mine.safetensors.*target_size is 3"):
        load_model(written(tmp_path, network, target_size=3))


def test_unknown_engines_and_models_are_named():
    with pytest.raises(SettingsError, match="'onnx'"):
        load_model("default", engine="onnx")
    with pytest.raises(WeightsError, match="'nothing'"):
        load_model("nothing")


def test_a_network_in_memory_travels_whole(tiny_model, photo):
    again = pickle.loads(pickle.dumps(tiny_model))
    right = Predictor(tiny_model).segment(photo, [(70, 40)])
    assert np.array_equal(Predictor(again).segment(photo, [(70, 40)]).probability, right.probability)


def test_a_model_whose_file_changed_is_refused(tmp_path):
    path = tmp_path / "mine.safetensors"
    path.write_bytes(resolve("default").read_bytes())
    sent = pickle.dumps(load_model(path, device="cpu", threads=1))
    checkpoint = read_checkpoint(path)
    state = {name: tensor * 1.5 for name, tensor in checkpoint.state.items()}
    write_checkpoint(path, state, {**checkpoint.header})
    with pytest.raises(WeightsError, match="has changed"):
        pickle.loads(sent)
