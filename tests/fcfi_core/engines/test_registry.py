"""Which engine runs a checkpoint, and what is said if none can."""

from __future__ import annotations

import sys

import pytest

from fcfi_core import load_model
from fcfi_core.checkpoints import resolve
from fcfi_core.checkpoints.files import describe
from fcfi_core.engines import devices, openvino_bf16_engine, openvino_engine, registry
from fcfi_core.errors import SettingsError


@pytest.fixture
def description():
    return describe(resolve("default"))


@pytest.mark.parametrize("name", registry.ENGINES)
def test_every_engine_tells_its_name_and_version(name, description):
    pytest.importorskip(name.partition("-")[0])
    if name == "openvino-bf16" and not openvino_bf16_engine.has_bf16():
        pytest.skip("this CPU does not calculate with bfloat16")
    engine = registry.open_engine(name, description, "cpu", 1)
    assert engine.name == name
    assert engine.version
    assert engine.device == "cpu"
    assert engine.threads == 1
    assert engine.size_multiple == 16


@pytest.mark.parametrize(
    ("machine", "name"), [("x86_64", "openvino"), ("AMD64", "openvino"), ("aarch64", "torch")]
)
def test_openvino_is_taken_on_x86(monkeypatch, description, machine, name):
    pytest.importorskip("openvino")
    monkeypatch.setattr(registry.platform, "machine", lambda: machine)
    monkeypatch.setattr(devices, "has_cuda", lambda: False)
    assert registry.open_engine("auto", description, "auto", 1).name == name


def test_without_openvino_torch_is_taken(monkeypatch, description):
    monkeypatch.setattr(openvino_engine, "obstacle", lambda *_: "it is not installed: pip install it")
    assert registry.open_engine("auto", description, "cpu", 1).name == "torch"
    with pytest.raises(SettingsError, match="engine openvino cannot run 'default': it is not installed"):
        registry.open_engine("openvino", description, "cpu", 1)


def test_a_cuda_device_is_for_torch(monkeypatch, description):
    monkeypatch.setattr(devices, "has_cuda", lambda: True)
    assert "runs on the CPU" in openvino_engine.obstacle(description, "auto")
    assert openvino_engine.obstacle(description, "cpu") is None


def test_without_any_engine_both_are_told(monkeypatch, description):
    monkeypatch.setattr(openvino_engine, "obstacle", lambda *_: "it is not installed: pip install it")
    monkeypatch.setitem(sys.modules, "fcfi_core.engines.torch_engine", None)
    with pytest.raises(SettingsError, match=r"openvino cannot .*; the engine torch cannot .*fcfi\[torch\]"):
        registry.open_engine("auto", description, "cpu", 1)


def test_an_unknown_engine_is_named():
    with pytest.raises(SettingsError, match="engine is 'onnx'; give auto, openvino, openvino-bf16 or torch"):
        load_model("default", engine="onnx")


def test_the_plain_way_is_for_torch():
    assert load_model("default", fast=False, threads=1, device="cpu").engine.name == "torch"
    with pytest.raises(SettingsError, match="knows no plain way"):
        load_model("default", engine="openvino", fast=False)


def test_masks_of_two_engines_are_never_taken_for_each_other():
    names = ("openvino", "torch")
    keys = [load_model("default", engine=name, device="cpu", threads=1).key for name in names]
    assert keys[0] != keys[1]
    assert keys[0][0] == keys[1][0]
