from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fcfi_core import Click, Predictor, Prompt, load_model
from fcfi_core.checkpoints.catalogue import resolve
from fcfi_core.checkpoints.files import read_checkpoint, write_checkpoint
from fcfi_core.click_log import ClickLog
from fcfi_core.datasets.left_out import LeftOut
from fcfi_core.datasets.opening import open_dataset
from fcfi_core.errors import DataError, SettingsError, WeightsError
from fcfi_core.masks import RAW, innermost
from fcfi_core.model import protocol_of, rating_of
from fcfi_core.networks.registry import build
from fcfi_core.training import fine_tuning, run
from fcfi_core.training.configuration import SourceConfiguration
from fcfi_core.training.development import clicks_with, development_samples
from fcfi_core.training.fine_tuning import FineTuningOptions, fine_tune, mixed, split_by_pixels
from fcfi_core.training.gate import Measurement
from fcfi_core.training.photos import make_photo, read_photos
from fcfi_core.training.state import saved_step

ARGUMENTS = {"width": 16, "decoder_width": 16, "middle_channels": 8}


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


def photo(index, name=""):
    pixels = np.full((9, 9, 3), index, np.uint8)[::-1]  # as a turned photo is stored
    return make_photo(name or f"set/{index}", pixels, np.ones((9, 9), np.uint16), 0, 512)


@given(indices=st.sets(st.integers(0, 255), min_size=8, max_size=60), share=st.floats(0, 1))
def test_the_kept_photos_are_told_by_their_pixels(indices, share):
    kept, trained = split_by_pixels([photo(index) for index in indices], share)
    assert 2 <= len(kept) <= len(indices) // 2
    assert {one.name for one in [*kept, *trained]} == {f"set/{index}" for index in indices}
    renamed = [photo(index, f"newer/{index}") for index in sorted(indices, reverse=True)]
    again, _ = split_by_pixels(renamed, share)
    assert [one.pixels[0, 0, 0] for one in again] == [one.pixels[0, 0, 0] for one in kept]


def test_more_photos_leave_the_kept_ones_kept():
    first, _ = split_by_pixels([photo(index) for index in range(60)], 0.25)
    second, _ = split_by_pixels([photo(index) for index in range(200)], 0.25)
    assert {one.name for one in first} <= {one.name for one in second}


@pytest.mark.parametrize(("missed", "share"), [((0, 0), 1.0), ((16, 33), 31 / 80), ((40, 40), 0.0)])
def test_only_what_the_old_model_reaches_can_get_worse(missed, share):
    figures = dict(zip(("missed@85", "missed@90"), missed, strict=True))
    before = Measurement(0.0, 0.4, 0.7, 8.0, {"reference": figures})
    assert fine_tuning._reached(before, 40) == pytest.approx(share)


def test_two_rounds_and_a_refusal_from_start_to_finish(photo_folder, tmp_path):
    torch.manual_seed(0)
    old = tmp_path / "old.safetensors"
    network = build("mobilenetv2", **ARGUMENTS)
    write_checkpoint(old, network.state_dict(), {"variant": "mobilenetv2", "arguments": ARGUMENTS}, "float32")

    lines = []

    def tune(out, start, **gate):
        options = FineTuningOptions(steps=2, objects=1, size=64, batch=2, device="cpu", threads=1, **gate)
        source = SourceConfiguration(str(photo_folder))

        def report(line):
            lines.append(line)
            if line.startswith("measuring"):  # what takes long again needs no training again
                assert saved_step(tmp_path / out) == 2

        return fine_tune(
            source, tmp_path / out, start=str(start), reference=[photo_folder], options=options, report=report
        )

    first = tune("first", old, margin=10.0, click_margin=10.0, gain=-10.0)
    assert [one.share for one in first.measurements] == [0.0, *fine_tuning.MIXTURES]
    assert lines.index("measuring 5 mixtures on 1 + 1 objects") + 1 == lines.index(
        next(line for line in lines if line.startswith("0% new"))
    )
    report = json.loads((tmp_path / "first" / "report.json").read_text())
    assert first.accepted is not None
    assert report["accepted"] == first.accepted.share
    assert report["kept"] == list(first.kept)
    assert (tmp_path / "first" / "report.txt").read_text() == first.table() + "\n"
    assert "ACCEPTED" in first.table()
    assert first.weights == tmp_path / "first" / "model.safetensors"
    Predictor(load_model(first.weights, device="cpu"))

    version = read_checkpoint(first.weights).header["model_card"]["version"]
    assert re.fullmatch(rf".*old\.safetensors\+{photo_folder.name}\.[0-9a-f]{{6}}", version)

    # The second round answers to the reference figures before the first one.
    before = first.measurements[0]
    origin = read_checkpoint(first.weights).header["model_card"]["fine_tuned"]["origin"]
    assert (origin["iou"], origin["clicks"]) == (before.reference, before.clicks)
    second = tune("second", first.weights)
    present = second.measurements[0]
    assert second.gate.reference == pytest.approx(max(before.reference, present.reference) - 0.01)
    figures = present.figures["reference"]
    missed = (figures["missed@85"] + figures["missed@90"]) / 2
    clicks = min(before.clicks, present.clicks) + 0.25 * (1 - missed / 1)
    assert second.gate.clicks == pytest.approx(clicks)

    # A refusal takes the weights of an earlier, accepted call away.
    refused = tune("first", old, gain=2.0)
    assert refused.weights is None
    assert not first.weights.exists()
    assert "refused: team IoU below" in refused.table()


def test_the_gate_measures_what_the_weights_do_in_use():
    path = resolve("default")
    old = read_checkpoint(path)
    samples = development_samples(read_photos(open_dataset(fine_tuning.REFERENCE), 0, 256), 3)
    options = FineTuningOptions(device="cpu", threads=1)
    rating = rating_of(old, path)
    found = fine_tuning._measured(
        old, protocol_of(old, path), rating, old.state, 0.0, samples[:1], samples, options
    )
    model = load_model("default", engine="torch", device="cpu", threads=1)
    assert found.figures["reference"] == pytest.approx(clicks_with(model, samples))
    assert found.figures["reference"] != pytest.approx(clicks_with(replace(model, rating=None), samples))


def test_real_clicks_of_a_log_are_trained_on(photo_folder, tmp_path):
    torch.manual_seed(0)
    old = tmp_path / "old.safetensors"
    network = build("mobilenetv2", **ARGUMENTS)
    write_checkpoint(old, network.state_dict(), {"variant": "mobilenetv2", "arguments": ARGUMENTS}, "float32")
    predictor = Predictor(load_model(old, device="cpu", threads=1))
    dataset, log = open_dataset(photo_folder), ClickLog(tmp_path / "clicks.jsonl")
    for name in dataset.image_names:
        opened = dataset.read(name)
        number = next(iter(dataset.areas(name)))
        prompt = Prompt((Click(*innermost(opened.mask(number))),))
        result = predictor.answer(opened.image, prompt)
        log.finished("annotate", opened.image, prompt, result, predictor.model, RAW)
    lines = []

    def tune(out, clicks):
        options = FineTuningOptions(steps=1, objects=1, size=64, batch=2, device="cpu", threads=1)
        return fine_tune(
            SourceConfiguration(str(photo_folder)),
            tmp_path / out,
            start=str(old),
            reference=[photo_folder],
            options=options,
            clicks=clicks,
            report=lines.append,
        )

    tune("with", tmp_path / "clicks.jsonl")
    told = next(line for line in lines if "real clicks" in line)
    trained = len(dataset.image_names) - len(
        json.loads((tmp_path / "with" / "report.json").read_text())["kept"]
    )
    assert told.startswith(f"{trained} real clicks on {trained} objects; 0 more")
    with pytest.raises(WeightsError, match="photos or masks"):  # other clicks are another run
        tune("with", None)
    entry = json.loads((tmp_path / "clicks.jsonl").read_text().splitlines()[0])
    (tmp_path / "other.jsonl").write_text(json.dumps({**entry, "image": "0" * 32}) + "\n")
    with pytest.raises(DataError, match=r"other\.jsonl' holds no object of the"):
        tune("other", tmp_path / "other.jsonl")


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


def test_what_the_export_holds_and_training_cannot_use_is_told(photo_folder, monkeypatch):
    dataset = open_dataset(photo_folder)
    dataset.left_out = LeftOut({"shapes of type box": 3, "tasks without a submitted annotation": 2})
    monkeypatch.setattr(run, "open_dataset", lambda path, images: dataset)
    lines = []
    run.read_source(SourceConfiguration("exports/export.json"), 0, 512, lines.append)
    assert lines == [
        "left out of export.json: shapes of type box (3), tasks without a submitted annotation (2)"
    ]
    dataset.left_out = LeftOut()
    run.read_source(SourceConfiguration("exports/export.json"), 0, 512, lines.append)
    assert len(lines) == 1


@pytest.mark.parametrize("name", ["model.safetensors", "latest.safetensors", "best.safetensors"])
def test_the_model_to_start_from_is_never_replaced(tmp_path, photo_folder, name):
    start = tmp_path / name
    start.write_bytes(resolve("default").read_bytes())
    with pytest.raises(SettingsError, match="overwritten"):
        fine_tune(
            SourceConfiguration(str(photo_folder)), tmp_path, start=str(start), report=lambda line: None
        )
    assert start.read_bytes() == resolve("default").read_bytes()
