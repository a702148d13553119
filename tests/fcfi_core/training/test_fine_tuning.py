from __future__ import annotations

import json

import pytest
import torch

from fcfi_core import Predictor, load_model
from fcfi_core.checkpoints.files import write_checkpoint
from fcfi_core.errors import DataError
from fcfi_core.evaluation.readers import open_dataset
from fcfi_core.networks.registry import build
from fcfi_core.training import fine_tuning
from fcfi_core.training.configuration import SourceConfiguration
from fcfi_core.training.fine_tuning import FineTuningOptions, Measurement, choose, fine_tune, mixed

ARGUMENTS = {"width": 16, "decoder_width": 16, "middle_channels": 8}


def measurement(share, team, reference, clicks=4.0):
    return Measurement(share, team, reference, clicks, {})


@pytest.mark.parametrize(
    ("new", "accepted"),
    [
        ([(1.0, 0.70, 0.795), (0.5, 0.65, 0.80)], 1.0),
        ([(1.0, 0.70, 0.78), (0.5, 0.65, 0.795)], 0.5),
        ([(1.0, 0.70, 0.60), (0.5, 0.65, 0.78)], None),
        ([(1.0, 0.50, 0.90), (0.5, 0.49, 0.90)], None),
        ([(1.0, 0.70, 0.80), (0.5, 0.70, 0.80)], 0.5),
        ([(1.0, 0.70, 0.80, 4.3), (0.5, 0.65, 0.80, 4.2)], 0.5),
    ],
)
def test_the_gate(new, accepted):
    found = choose(
        [measurement(0, 0.5, 0.8), *(measurement(*one) for one in new)], margin=0.01, click_margin=0.25
    )
    assert (found and found.share) == accepted


def test_mixing_is_linear_and_keeps_integers():
    old = {"a": torch.zeros(3), "n": torch.tensor(1)}
    new = {"a": torch.full((3,), 4.0), "n": torch.tensor(7)}
    half = mixed(old, new, 0.5)
    assert torch.equal(half["a"], torch.full((3,), 2.0))
    assert int(half["n"]) == 7
    assert torch.equal(mixed(old, new, 0.0)["a"], old["a"])


def test_the_reference_set_is_there():
    dataset = open_dataset(fine_tuning.REFERENCE)
    assert len(dataset.image_names) >= 10
    assert all(dataset.areas(name) for name in dataset.image_names)


def test_a_team_run_from_start_to_finish(photo_folder, tmp_path):
    torch.manual_seed(0)
    start = tmp_path / "old.safetensors"
    network = build("mobilenetv2", **ARGUMENTS)
    write_checkpoint(
        start, network.state_dict(), {"variant": "mobilenetv2", "arguments": ARGUMENTS}, "float32"
    )
    options = FineTuningOptions(
        steps=2, objects=1, size=64, batch=2, margin=10.0, click_margin=10.0, device="cpu", threads=1
    )
    result = fine_tune(
        SourceConfiguration(str(photo_folder)),
        tmp_path / "tuned",
        start=str(start),
        reference=[photo_folder],
        options=options,
        report=lambda line: None,
    )
    assert [one.share for one in result.measurements] == [0.0, *fine_tuning.MIXTURES]
    report = json.loads((tmp_path / "tuned" / "report.json").read_text())
    assert report["accepted"] == (None if result.accepted is None else result.accepted.share)
    assert (tmp_path / "tuned" / "report.txt").read_text().startswith("weights")
    assert (result.weights is None) == (result.accepted is None)
    if result.weights is not None:
        Predictor(load_model(result.weights, device="cpu"))


def test_too_few_photos_are_refused(tmp_path, photo_folder):
    few = tmp_path / "few"
    for kind in ("images", "masks"):
        (few / kind).mkdir(parents=True)
        for path in sorted((photo_folder / kind).iterdir())[:5]:
            (few / kind / path.name).write_bytes(path.read_bytes())
    start = tmp_path / "old.safetensors"
    write_checkpoint(
        start,
        build("mobilenetv2", **ARGUMENTS).state_dict(),
        {"variant": "mobilenetv2", "arguments": ARGUMENTS},
    )
    with pytest.raises(DataError, match="5 annotated photos"):
        fine_tune(SourceConfiguration(str(few)), tmp_path / "out", start=str(start), report=lambda line: None)
