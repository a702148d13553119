"""Checkpoint files: round trip, storage in half precision, and clear refusals."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

from fcfi_core.checkpoints import read_checkpoint, write_checkpoint
from fcfi_core.checkpoints.files import describe
from fcfi_core.errors import WeightsError
from fcfi_core.model import protocol_of
from fcfi_core.networks.registry import build

ARGUMENTS = {"width": 4, "ocr_width": 4, "middle_channels": 4, "disk_radius": 3}
HEADER = {
    "variant": "hrnet18s_small",
    "arguments": ARGUMENTS,
    "protocol": {"target_size": 320},
    "model_card": {"version": "1"},
}


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build("hrnet18s_small", **ARGUMENTS)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def test_round_trip_keeps_every_bit(network, path):
    write_checkpoint(path, network.state_dict(), HEADER, "float32")
    checkpoint = read_checkpoint(path)
    assert (checkpoint.variant, checkpoint.arguments) == ("hrnet18s_small", ARGUMENTS)
    assert checkpoint.protocol == {"target_size": 320}
    assert checkpoint.header["model_card"] == {"version": "1"}
    rebuilt = checkpoint.network()
    assert not rebuilt.training
    assert rebuilt.disk_radius == 3
    expected = network.state_dict()
    assert list(rebuilt.state_dict()) == list(expected)
    assert all(torch.equal(tensor, expected[key]) for key, tensor in rebuilt.state_dict().items())


def test_half_precision_storage_becomes_float32(network, path):
    write_checkpoint(path, network.state_dict(), HEADER, "float16")
    checkpoint = read_checkpoint(path)
    for key, tensor in network.state_dict().items():
        stored = checkpoint.state[key]
        assert stored.dtype == tensor.dtype
        assert torch.equal(stored, tensor.half().float() if tensor.is_floating_point() else tensor)


def test_a_number_beyond_half_precision_is_refused(network, path):
    state = network.state_dict()
    state["feature_extractor.bn1.running_var"][0] = 1e6
    with pytest.raises(WeightsError, match=r"bn1\.running_var.*float16.*float32"):
        write_checkpoint(path, state, HEADER)
    assert list(path.parent.iterdir()) == []


def test_tied_weights_can_be_written(network, path):
    state = network.state_dict()
    state["maps_transform.2.bias"] = state["feature_extractor.bn1.bias"]
    write_checkpoint(path, state, HEADER)
    read_checkpoint(path).network()


def test_missing_surplus_and_misshapen_tensors_are_named(network, path):
    for change, message in (
        (lambda state: state.pop("maps_transform.3.scale"), r"lack 1 tensors.*maps_transform\.3\.scale"),
        (lambda state: state.update(more=torch.zeros(1)), "hold 1 tensors unknown.*'more'"),
        (
            lambda state: state.update({"maps_transform.3.scale": torch.zeros(2)}),
            r"scale' has the shape \(2,\).*\(1,\)",
        ),
        (lambda state: state.update({"maps_transform.3.scale": torch.zeros(1, dtype=torch.int64)}), "int64"),
    ):
        state = dict(network.state_dict())
        change(state)
        write_checkpoint(path, state, HEADER)
        with pytest.raises(WeightsError, match=message):
            read_checkpoint(path).network()


@pytest.mark.parametrize("content", [b"", b"not weights", b"\x10\0\0\0\0\0\0\0{}", b"\xff" * 64])
def test_a_damaged_file_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"not a readable \.safetensors file"):
        read_checkpoint(path)


def test_a_truncated_file_is_refused(network, path):
    write_checkpoint(path, network.state_dict(), HEADER)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WeightsError, match=r"not a readable \.safetensors file"):
        read_checkpoint(path)


def test_a_missing_file_is_named(path):
    with pytest.raises(WeightsError, match=r"no checkpoint file .*model\.safetensors"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"fcfi": "no json"},
        {"fcfi": "[]"},
        {"fcfi": json.dumps({"format": 1})},
        {"fcfi": json.dumps({"format": 1, "variant": "hrnet18", "arguments": []})},
        {"fcfi": json.dumps({"format": "1", "variant": "hrnet18"})},
    ],
)
def test_a_file_of_another_program_is_refused(path, metadata):
    save_file({"weight": torch.zeros(1)}, path, metadata=metadata)
    with pytest.raises(WeightsError, match="no usable 'fcfi' header"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"format": 2, "variant": "hrnet18"}, "format 2.*update"),
        ({"format": 1, "variant": "vit"}, "unknown variant 'vit'.*hrnet18"),
    ],
)
def test_a_newer_format_or_variant_is_refused(path, header, message):
    save_file({"weight": torch.zeros(1)}, path, metadata={"fcfi": json.dumps(header)})
    with pytest.raises(WeightsError, match=message):
        read_checkpoint(path)


def test_arguments_the_network_lacks_are_refused(network, path):
    write_checkpoint(path, network.state_dict(), {**HEADER, "arguments": {"wings": 2}})
    with pytest.raises(WeightsError, match="wings"):
        read_checkpoint(path).network()


def test_writing_into_no_folder_is_refused(network, tmp_path):
    with pytest.raises(WeightsError, match="cannot write"):
        write_checkpoint(tmp_path / "missing" / "model.safetensors", network.state_dict(), HEADER)


def stored(network, path, header):
    """Write a checkpoint whose header nobody checked."""
    save_file(dict(network.state_dict()), path, metadata={"fcfi": json.dumps(header)})


@pytest.mark.parametrize(
    "change",
    [
        {"variant": ["hrnet18"]},
        {"variant": {}},
        {"variant": 5},
        {"variant": "x" * 100_000},
        {"format": True},
        {"format": "1"},
        {"format": [1]},
        {"arguments": []},
        {"arguments": {"width": "wide"}},
        {"arguments": {"width": -4}},
        {"arguments": {"width": 0}},
        {"arguments": {"width": 1.5}},
        {"arguments": {"width": 10**9}},
        {"arguments": {"width": 1e400}},
        {"arguments": {"width": 1000, "ocr_width": 1000, "middle_channels": 1000}},
        {"arguments": {"width": [[4]]}},
        {"arguments": {"small": "x" * 10_000}},
        {"arguments": {"nonsense": 1}},
        {"protocol": 7},
        {"model_card": "card"},
    ],
    ids=lambda change: str(change)[:40],
)
def test_a_header_made_to_harm_is_refused_in_one_sentence(network, path, change):
    stored(network, path, {"format": 1, **HEADER, **change})
    with pytest.raises(WeightsError) as refused:
        read_checkpoint(path).network()
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize("text", ["[" * 100_000, "nonsense", '"text"', "[]", "null", '{"variant": NaN}'])
def test_a_header_that_is_no_object_is_refused(network, path, text):
    save_file(dict(network.state_dict()), path, metadata={"fcfi": text})
    with pytest.raises(WeightsError):
        read_checkpoint(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(network, path, value):
    state = network.state_dict()
    state["feature_extractor.bn1.weight"][0] = value
    stored(network, path, {"format": 1, **HEADER})
    with pytest.raises(WeightsError, match=r"bn1\.weight"):
        read_checkpoint(path).network()
    with pytest.raises(WeightsError, match=r"bn1\.weight"):
        describe(path).weights()


@pytest.mark.parametrize(
    "protocol",
    [
        {"first_side": 10**9},
        {"target_size": True},
        {"target_size": 4.5},
        {"flip": "no"},
        {"official": 1},
        {"expansion_ratio": True},
        {"mask_threshold": float("nan")},
        {"zoom_from": []},
        {"unheard": 1},
    ],
    ids=str,
)
def test_rules_made_to_harm_are_refused(network, path, protocol):
    stored(network, path, {"format": 1, **HEADER, "protocol": protocol})
    with pytest.raises(WeightsError):
        protocol_of(read_checkpoint(path), path)
