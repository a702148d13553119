from __future__ import annotations

import csv
import json
import shutil
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from fcfi_core import Predictor, load_model, outputs
from fcfi_core.checkpoints.files import write_checkpoint
from fcfi_core.errors import DataError, SettingsError, WeightsError
from fcfi_core.networks.registry import build
from fcfi_core.training import state
from fcfi_core.training.configuration import (
    LossConfiguration,
    PhaseConfiguration,
    SamplingConfiguration,
    SourceConfiguration,
    TrainingConfiguration,
)
from fcfi_core.training.run import prepare
from fcfi_core.training.state import saved_step, write_state


@pytest.fixture
def configuration(photo_folder, tmp_path):
    return TrainingConfiguration(
        out=str(tmp_path / "run"),
        steps=4,
        sources=(SourceConfiguration(str(photo_folder)),),
        arguments={"width": 16, "decoder_width": 16, "middle_channels": 8},
        phases=(PhaseConfiguration(1, 64, 2),),
        sampling=SamplingConfiguration(rounds=2, continuation=0.9),
        development_share=0.2,
        development_objects=1,
        evaluate_every=4,
        save_every=2,
        log_every=1,
        device="cpu",
        threads=1,
    )


def trained(configuration):
    torch.manual_seed(0)
    run = prepare(configuration, lambda line: None)
    run.train()
    return run


@pytest.mark.skipif(sys.platform == "win32", reason="no locks there")
def test_a_folder_in_which_another_run_trains_is_refused(configuration):
    run = prepare(configuration, lambda line: None)
    with outputs.claimed(run._folder), pytest.raises(SettingsError, match="in use by another run"):
        run.train()
    assert run.trainer.step == 0
    prepare(configuration, lambda line: None).train()


def at_edges(configuration, weight=5.0):
    """The run, with exact outlines and more weight on them."""
    sources = tuple(replace(source, exact=True) for source in configuration.sources)
    return replace(configuration, sources=sources, loss=LossConfiguration(edge_weight=weight))


@pytest.mark.parametrize("kind", [replace, at_edges])
def test_a_resumed_run_equals_an_uninterrupted_one(configuration, tmp_path, kind):
    configuration = kind(configuration)
    whole = trained(configuration)
    random_numbers = torch.get_rng_state()  # of dropout, which the official networks have

    class Stopped(Exception):
        pass

    def stop(line):
        if line.startswith("step 3"):
            raise Stopped

    interrupted = replace(configuration, out=str(tmp_path / "interrupted"))
    run = prepare(interrupted, stop)
    with pytest.raises(Stopped):
        run.train()
    resumed = prepare(interrupted, lambda line: None)
    torch.rand(1)
    resumed.train()
    assert torch.equal(torch.get_rng_state(), random_numbers)
    assert resumed.trainer.crops_seen == whole.trainer.crops_seen
    for name, tensor in whole.trainer.network.state_dict().items():
        assert torch.equal(tensor, resumed.trainer.network.state_dict()[name]), name
    with (tmp_path / "interrupted" / "log.csv").open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["1", "2", "3", "4"]


def test_the_weights_load_and_segment(configuration, tmp_path):
    trained(configuration)
    for name in ("latest", "best"):
        predictor = Predictor(load_model(tmp_path / "run" / f"{name}.safetensors", device="cpu"))
        result = predictor.segment(np.zeros((60, 80, 3), np.uint8), [(40, 30)])
        assert result.mask.shape == (60, 80)


def test_training_learns_bright_discs(configuration):
    longer = replace(
        configuration,
        steps=20,
        evaluate_every=1000,
        development_objects=0,
        optimizer=replace(configuration.optimizer, learning_rate=6e-3, warmup=1, average=0.9),
        phases=(PhaseConfiguration(1, 64, 2),),
    )
    rows = []
    run = prepare(longer, rows.append)
    run.train()
    losses = [float(line.split("loss_1 ")[1].split()[0]) for line in rows if "loss_1" in line]
    assert np.mean(losses[-4:]) < 0.9 * np.mean(losses[:4])


@pytest.mark.parametrize("variant", ["hrnet18s_small"])
def test_official_networks_train_with_the_official_losses(configuration, variant):
    official = replace(
        configuration,
        variant=variant,
        arguments={},
        steps=1,
        development_objects=0,
        loss=LossConfiguration(kind="normalized_focal", feedback=1.0, double_sigmoid=True, window="soft"),
    )
    run = trained(official)
    assert run.trainer.step == 1


def test_another_run_does_not_continue_this_one(configuration, photo_folder, tmp_path):
    trained(configuration)
    copied = tmp_path / "copied" / photo_folder.name
    shutil.copytree(photo_folder, copied)
    mask = sorted((copied / "masks").iterdir())[-1]
    Image.fromarray(np.asarray(Image.open(mask))[::-1]).save(mask)
    best = str(shutil.copy(tmp_path / "run" / "best.safetensors", tmp_path / "best.safetensors"))
    for other, told in (
        ({"arguments": {"width": 32}}, "settings"),
        ({"seed": 1}, "settings"),
        ({"sampling": SamplingConfiguration(rounds=2, continuation=0.8)}, "settings"),
        ({"development_share": 0.5}, "settings and photos or masks"),
        ({"sources": (SourceConfiguration(str(copied)),)}, "photos or masks"),
        ({"start": best}, "starting weights"),
        ({"loss": LossConfiguration(edge_weight=2.0)}, "settings"),
    ):
        with pytest.raises(WeightsError, match=f"was begun with other {told}; choose another --out"):
            prepare(replace(configuration, **other), lambda line: None)


def test_what_has_no_effect_may_change_between_two_calls(configuration, photo_folder, tmp_path):
    trained(configuration)
    assert prepare(at_edges(configuration, 1.0), lambda line: None).trainer.step == configuration.steps
    moved = shutil.copytree(photo_folder, tmp_path / "moved" / photo_folder.name)
    other = replace(configuration, log_every=2, sources=(SourceConfiguration(str(moved)),))
    assert prepare(other, lambda line: None).trainer.step == configuration.steps


def test_the_weight_of_edges_trains_other_weights(configuration, tmp_path):
    usual, edges = (
        trained(replace(change(configuration), out=str(tmp_path / str(number)))).trainer.network.state_dict()
        for number, change in enumerate((replace, at_edges))
    )
    assert any(not torch.equal(tensor, edges[name]) for name, tensor in usual.items())


def test_several_workers_draw_the_same(configuration, tmp_path):
    one = trained(configuration)
    several = trained(replace(configuration, out=str(tmp_path / "several"), workers=3))
    for name, tensor in one.trainer.network.state_dict().items():
        assert torch.equal(tensor, several.trainer.network.state_dict()[name]), name


def test_a_longer_run_goes_on_from_a_shorter_one(configuration):
    trained(configuration)
    longer = replace(configuration, steps=configuration.steps + 2)
    assert trained(longer).trainer.step == configuration.steps + 2


def test_a_damaged_checkpoint_is_named(configuration, tmp_path):
    trained(configuration)
    folder = tmp_path / "run"
    part = next(folder.glob("state-*.part"))
    for damaged in (folder / "state.json", part):
        whole = damaged.read_bytes()
        for content in (b"no checkpoint", b"", whole[:40], b"[1]", b'{"parts": 1}', b'{"parts": []}'):
            damaged.write_bytes(content)
            with pytest.raises(WeightsError, match=r"cannot be read \([^)].* delete .*state\.json"):
                prepare(configuration, lambda line: None)
            assert saved_step(folder) is None
        damaged.write_bytes(whole)
    assert saved_step(folder) == configuration.steps
    part.unlink()
    with pytest.raises(WeightsError, match="cannot be read"):
        prepare(configuration, lambda line: None)


def test_a_checkpoint_of_something_else_is_named(configuration, tmp_path):
    trained(configuration)
    write_state(tmp_path / "run", {"step": 4})
    with pytest.raises(WeightsError, match="begun with another version"):
        prepare(configuration, lambda line: None)


@pytest.mark.parametrize(
    ("precision", "units", "told"),
    [("bfloat16", False, True), ("bfloat16", True, False), ("float32", False, False)],
)
def test_a_processor_without_bfloat16_is_told(configuration, monkeypatch, precision, units, told):
    abilities = {"architecture": "x86_64", "avx512_bf16": units, "amx_bf16": False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities, raising=False)
    lines = []
    prepare(replace(configuration, precision=precision), lines.append)
    assert any("no bfloat16 units" in line for line in lines) == told


def test_a_rating_that_cannot_be_used_is_named_before_training(configuration, tmp_path):
    network = build("mobilenetv2", **configuration.arguments)
    header = {"variant": "mobilenetv2", "arguments": configuration.arguments, "rating": {"features": []}}
    write_checkpoint(tmp_path / "old.safetensors", network.state_dict(), header)
    with pytest.raises(WeightsError, match="the rating cannot be used"):
        prepare(replace(configuration, start=str(tmp_path / "old.safetensors")), lambda line: None)


def test_files_of_a_checkpoint_are_small_and_old_ones_go(monkeypatch, tmp_path):
    monkeypatch.setattr(state, "PART_BYTES", 1000)
    values = torch.arange(2000, dtype=torch.float32)
    for step in (1, 2):
        write_state(tmp_path, {"step": step, "values": values + step})
    parts = list(tmp_path.glob("state-*.part"))
    assert len(parts) >= 8
    assert max(part.stat().st_size for part in parts) == 1000
    index = json.loads((tmp_path / "state.json").read_text())
    assert (index["step"], len(index["parts"])) == (2, len(parts))
    assert torch.equal(state._load(tmp_path, torch.device("cpu"))["values"], values + 2)


def test_a_run_in_stretches_equals_one_in_one_go(configuration, tmp_path):
    whole = trained(configuration)
    pieces = replace(configuration, out=str(tmp_path / "pieces"), save_every=100)
    for step in range(1, configuration.steps):
        run = prepare(pieces, lambda line: None)
        assert not run.train(until=time.monotonic())  # over at once: one step each
        assert saved_step(tmp_path / "pieces") == step
    run = prepare(pieces, lambda line: None)
    assert run.train(until=time.monotonic())
    for name, tensor in whole.trainer.network.state_dict().items():
        assert torch.equal(tensor, run.trainer.network.state_dict()[name]), name


def test_a_checkpoint_of_another_version_is_named(configuration, tmp_path):
    trained(configuration)
    folder = tmp_path / "run"
    write_state(folder, {**state._load(folder, torch.device("cpu")), "fingerprint": "digest"})
    with pytest.raises(WeightsError, match="begun with another version"):
        prepare(configuration, lambda line: None)
    assert saved_step(folder) == 4


def test_a_folder_that_cannot_be_made_is_named(configuration, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot be made"):
        prepare(replace(configuration, out=str(tmp_path / "file")), lambda line: None)


def test_a_run_from_a_checkpoint_is_measured_as_the_checkpoint_is_built(configuration, tmp_path):
    """Neither the architecture's arguments nor the protocol have to be repeated."""
    trained(configuration)
    best = str(tmp_path / "run" / "best.safetensors")
    later = replace(configuration, out=str(tmp_path / "later"), start=best, arguments={})
    assert trained(later).averaged_network().state_dict().keys()
    assert (tmp_path / "later" / "best.safetensors").is_file()
    with pytest.raises(WeightsError, match="leave them out"):
        prepare(replace(later, arguments={"width": 32}), lambda line: None)


def test_photos_without_objects_are_refused(configuration, tmp_path):
    (tmp_path / "empty" / "images").mkdir(parents=True)
    with pytest.raises(DataError, match="no data set"):
        prepare(
            replace(configuration, sources=(SourceConfiguration(str(tmp_path / "empty")),)), lambda line: None
        )
    assert not (tmp_path / "run").exists()
