"""Conversion of official files: what is accepted, and that nothing else is, nor ever executed."""

from __future__ import annotations

import argparse
import json
import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch

from fcfi_core.checkpoints import read_checkpoint
from fcfi_core.checkpoints.convert import DEEPLAB, HRNET, arguments_of, read_official, variant_of
from fcfi_core.cli import convert as command
from fcfi_core.errors import FcfiError, SettingsError, WeightsError
from fcfi_core.networks.registry import build

COMMON = {
    "mid_ch": 8,
    "update_num": 1,
    "expansion_ratio": 0.3,
    "use_leaky_relu": True,
    "use_rgb_conv": False,
    "use_disks": True,
    "norm_radius": 5,
    "with_prev_mask": True,
    "norm_layer": "torch.nn.modules.batchnorm.BatchNorm2d",
    "backbone_lr_mult": 0.1,
    "cpu_dist_maps": False,
    "clicks_groups": None,
    "binary_prev_mask": False,
    "conv_extend": False,
    "norm_mean_std": ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
}
SMALL = {**COMMON, "width": 18, "ocr_width": 4, "small": True, "with_aux_output": True, "num_classes": 1}
RESNET = {
    **COMMON,
    "backbone": "resnet50",
    "deeplab_ch": 16,
    "aspp_dropout": 0.2,
    "with_aux_output": False,
    "backbone_norm_layer": None,
}


def configuration(class_name, parameters):
    """The form in which the official code stores the constructor's arguments."""
    entries = {
        name: {"type": "class" if name == "norm_layer" else "builtin", "value": value, "specified": True}
        for name, value in parameters.items()
    }
    return {"class": class_name, "params": entries}


def layout(variant, **arguments):
    """A state_dict of the right names and shapes whose tensors occupy one number each."""
    with torch.device("meta"):
        state = build(variant, **arguments).state_dict()
    return OrderedDict(
        (key, torch.zeros((), dtype=tensor.dtype).expand(tensor.shape)) for key, tensor in state.items()
    )


@pytest.fixture(scope="module")
def small_state():
    return layout("hrnet18s_small", ocr_width=4, middle_channels=8)


@pytest.fixture(scope="module")
def resnet_state():
    return layout("resnet50", decoder_channels=16, middle_channels=8)


@pytest.fixture
def save(tmp_path):
    def save(content):
        path = tmp_path / "official.pth"
        torch.save(content, path)
        return path

    return save


def official(state, class_name=HRNET, parameters=SMALL, **changes):
    return {"state_dict": state, "config": configuration(class_name, {**parameters, **changes})}


def test_command_converts_every_number(tmp_path, save, capsys):
    torch.manual_seed(0)
    network = build("hrnet18s_small", ocr_width=4, middle_channels=8, disk_radius=7)
    path, out = save(official(network.state_dict(), norm_radius=7)), tmp_path / "out.safetensors"
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    assert command.run(parser.parse_args([str(path), str(out), "--json"])) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["variant"] == "hrnet18s_small"
    assert told["parameters"] == sum(parameter.numel() for parameter in network.parameters())

    checkpoint = read_checkpoint(out)
    assert checkpoint.arguments == {
        "width": 18,
        "ocr_width": 4,
        "small": True,
        "middle_channels": 8,
        "update_count": 1,
        "expansion_ratio": 0.3,
        "disk_radius": 7,
        "leaky_relu": True,
        "auxiliary_output": True,
    }
    rebuilt = checkpoint.network().state_dict()
    assert all(torch.equal(rebuilt[key], tensor) for key, tensor in network.state_dict().items())

    with pytest.raises(SettingsError, match="exists already"):
        command.run(parser.parse_args([str(path), str(out)]))
    assert command.run(parser.parse_args([str(path), str(out), "--force"])) == 0
    assert "hrnet18s_small" in capsys.readouterr().out
    with pytest.raises(SettingsError, match=r"\.safetensors"):
        command.run(parser.parse_args([str(path), str(tmp_path / "out.pth")]))


def test_deeplab_is_recognised(save, resnet_state):
    checkpoint = read_official(save(official(resnet_state, DEEPLAB, RESNET)))
    assert checkpoint.variant == "resnet50"
    assert checkpoint.arguments["decoder_channels"] == 16
    assert checkpoint.arguments["depth"] == 50


def test_parameters_that_are_not_in_the_file_get_the_official_values(save, small_state):
    content = {"state_dict": small_state, "config": configuration(HRNET, {})}
    checkpoint = read_official(save(content))
    assert checkpoint.arguments == {"middle_channels": 8, "width": 18, "small": True, "ocr_width": 4}
    assert checkpoint.network().feature_extractor.correction_module.expansion_ratio == 0.3


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("wings", 2, "'wings'"),
        ("use_rgb_conv", True, "use_rgb_conv.*True"),
        ("use_rgb_conv", 0, "use_rgb_conv.*0"),
        ("conv_extend", True, "conv_extend"),
        ("clicks_groups", [1, 2], "clicks_groups"),
        ("binary_prev_mask", True, "binary_prev_mask"),
        ("with_prev_mask", False, "with_prev_mask"),
        ("use_disks", False, "use_disks"),
        ("num_classes", 2, "num_classes"),
        ("norm_layer", "os.system", r"norm_layer.*os\.system"),
        ("norm_mean_std", ([0.5] * 3, [0.5] * 3), "norm_mean_std"),
        ("expansion_ratio", "0.3", "expansion_ratio.*'0.3'"),
        ("expansion_ratio", float("nan"), "expansion_ratio"),
        ("update_num", 0, "update_num"),
        ("update_num", True, "update_num"),
        ("norm_radius", {"a": 1}, "norm_radius"),
        ("width", 32, "width = 32.*18"),
        ("small", False, "small = False.*True"),
        ("ocr_width", 48, "ocr_width = 48.*4"),
        ("mid_ch", 64, "middle_channels = 64.*8"),
    ],
)
def test_other_parameters_are_refused(save, small_state, name, value, message):
    with pytest.raises(WeightsError, match=message):
        read_official(save(official(small_state, **{name: value})))


@pytest.mark.parametrize("name", ["resnet34", "resnet101", "vgg"])
def test_another_backbone_is_refused(save, resnet_state, name):
    with pytest.raises(WeightsError, match=r"resnet34|depth = 101|vgg"):
        read_official(save(official(resnet_state, DEEPLAB, RESNET, backbone=name)))


@pytest.mark.parametrize("name", ["os.system", "isegm.model.is_plainvit_model.PlainVitModel", None, ["a"], 3])
def test_another_class_is_refused(save, small_state, name):
    with pytest.raises(WeightsError, match="only 'isegm"):
        read_official(save(official(small_state, name)))


def test_the_class_of_the_other_family_is_refused(save, small_state):
    with pytest.raises(WeightsError, match="another family"):
        read_official(save(official(small_state, DEEPLAB, RESNET)))


def test_plain_ritm_is_named(save, small_state):
    plain = OrderedDict(
        (key, tensor)
        for key, tensor in small_state.items()
        if "correction_module" not in key and "fusion_module" not in key
    )
    with pytest.raises(WeightsError, match="plain RITM model"):
        read_official(save(official(plain)))


def test_keys_and_shapes_are_strict(save, small_state):
    key = "feature_extractor.cls_head.bias"
    for change, message in (
        (lambda state: state.pop(key), f"lack 1 tensors.*{key}"),
        (lambda state: state.update(other=torch.zeros(1)), "hold 1 tensors unknown.*'other'"),
        (lambda state: state.update({key: torch.zeros(2)}), r"cls_head\.bias.*\(2,\)"),
        (lambda state: state.update({key: torch.tensor([float("nan")])}), "not finite"),
        (lambda state: state.update({key: "text"}), "no named dense tensor"),
        (lambda state: state.update({7: torch.zeros(1)}), "no named dense tensor"),
        (lambda state: state.pop("feature_extractor.transition1.0.0.weight"), "incomplete"),
    ):
        state = OrderedDict(small_state)
        change(state)
        with pytest.raises(WeightsError, match=message):
            read_official(save(official(state)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([{"state_dict": {}, "config": {}}] * 2, "list of 2 models"),
        ({"state_dict": {}}, "lacks 'state_dict' or 'config'"),
        ({"state_dict": {}, "config": {}}, "no mapping of names"),
        ({"state_dict": {"a": torch.zeros(1)}, "config": []}, "'config' is not of the official form"),
        (
            {"state_dict": {"a": torch.zeros(1)}, "config": {"class": HRNET, "params": {"width": 18}}},
            "'config' is",
        ),
        (torch.zeros(3), "lacks 'state_dict'"),
    ],
)
def test_another_outer_form_is_refused(save, content, message):
    with pytest.raises(WeightsError, match=message):
        read_official(save(content))


class Hostile:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("form", ["zip", "legacy", "bare pickle"])
def test_code_in_a_file_is_never_run(tmp_path, small_state, form):
    trap, path = tmp_path / "trap", tmp_path / "hostile.pth"
    content = {**official(small_state), "extra": Hostile(trap)}
    if form == "bare pickle":
        path.write_bytes(pickle.dumps({"state_dict": Hostile(trap), "config": {}}))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    told = r"cannot be read as weights" if form == "bare pickle" else r"wants to run '.*mkdir'.*only tensors"
    with pytest.raises(WeightsError, match=told):
        read_official(path)
    assert not trap.exists()


def test_arrays_of_other_libraries_are_refused(save, small_state):
    state = OrderedDict(small_state, other=np.zeros(3))
    with pytest.raises(WeightsError, match=r"only tensors|no named dense tensor"):
        read_official(save(official(state)))


def test_damaged_files_are_refused(tmp_path, save, small_state):
    path = save(official(small_state))
    whole = path.read_bytes()
    for content in (b"", b"hello", whole[: len(whole) // 2], whole[:1000] + b"x" * 1000 + whole[2000:]):
        path.write_bytes(content)
        with pytest.raises(WeightsError):
            read_official(path)
    with pytest.raises(WeightsError, match="no file"):
        read_official(tmp_path / "missing.pth")


def test_a_width_without_variant_is_refused():
    with pytest.raises(FcfiError, match=r"48.*hrnet18"):
        variant_of(HRNET, arguments_of(HRNET, {"width": 48, "small": False}))
