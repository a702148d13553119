from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch

from fcfi_core.checkpoints import write_checkpoint
from fcfi_core.cli import main
from fcfi_core.networks import registry
from fcfi_core.protocol import Protocol


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A checkpoint of random weights with small frames."""
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = registry.build("mobilenetv2")
        # Sure of everything, so that every mask has pixels.
        network.state_dict()["head.2.bias"].fill_(5)
    protocol = Protocol(first_side=64, target_size=64).to_dict()
    write_checkpoint(
        path, network.state_dict(), {"variant": "mobilenetv2", "arguments": {}, "protocol": protocol}
    )
    return path


@pytest.fixture
def clicks(tmp_path):
    """A CSV file of clicks on two photos, one of which is missing."""
    cv2.imwrite(str(tmp_path / "a.png"), np.full((48, 64, 3), 90, np.uint8))
    path = tmp_path / "clicks.csv"
    path.write_text("image,x,y,label\na.png,20,20,cat\nmissing.png,3,3,cat\n")
    return path


@pytest.fixture
def annotate(weights, tmp_path):
    """Run ``fcfi annotate`` with the random weights into ``out``."""

    def run(*words: object) -> int:
        given = [
            *words,
            "--out",
            tmp_path / "out",
            "--model",
            weights,
            "--device",
            "cpu",
            "--threads",
            1,
            "--quiet",
        ]
        return main(["annotate", *map(str, given)])

    return run


def test_files_and_exit_code(annotate, clicks, tmp_path, capsys) -> None:
    assert annotate(clicks, "--png", "--json", "--review-below", 1) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["images"], told["objects"]) == (1, 1)
    assert told["errors"][0]["image"] == "missing.png"
    assert told["low_confidence"][0]["label"] == "cat"
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == [
        "annotations.json",
        "journal.jsonl",
        "masks",
        "report.json",
        "review.html",
    ]
    assert json.loads((out / "annotations.json").read_text())["categories"] == [{"id": 1, "name": "cat"}]
    assert json.loads((out / "report.json").read_text())["objects"] == 1
    assert cv2.imread(str(out / "masks" / "a.png"), cv2.IMREAD_UNCHANGED).shape == (48, 64)


@pytest.mark.parametrize(
    "words", [("--panoptic",), ("--format", "panoptic"), ("--exclusive", "--format", "panoptic")]
)
def test_the_panoptic_form_by_either_name(annotate, clicks, tmp_path, words) -> None:
    assert annotate(clicks, *words) == 1
    written = json.loads((tmp_path / "out" / "panoptic.json").read_text())
    (segment,) = written["annotations"][0]["segments_info"]
    (mask,) = json.loads((tmp_path / "out" / "annotations.json").read_text())["annotations"]
    assert segment["area"] == mask["area"]
    assert "counts" in mask["segmentation"]
    assert (tmp_path / "out" / "panoptic" / written["annotations"][0]["file_name"]).is_file()


def test_going_on_and_starting_over(annotate, clicks, capsys) -> None:
    annotate(clicks)
    assert "missing.png" in capsys.readouterr().out
    assert annotate(clicks, "--raw") == 2
    assert "belongs to another run" in capsys.readouterr().err
    assert annotate(clicks, "--raw", "--restart") == 1
    cv2.imwrite(str(clicks.parent / "missing.png"), np.zeros((48, 64, 3), np.uint8))
    assert annotate(clicks, "--raw", "--retry-errors") == 0
    assert "2 objects in 2 images" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--workers", "0"], "workers is 0"),
        (["--review-below", "2"], "2"),
        (["--tolerance", "-1"], "-1"),
        (["--max-points", "1"], "1"),
        (["--images", "/no/such/folder"], "/no/such/folder"),
    ],
)
def test_bad_options(annotate, clicks, capsys, words, told) -> None:
    assert annotate(clicks, *words) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert told in message


def test_bad_source(annotate, tmp_path, capsys) -> None:
    assert annotate(tmp_path / "nothing.json") == 2
    assert "nothing.json does not exist" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["annotations.json", "report.json", "masks"])
def test_what_another_left_in_the_folder_stays(annotate, clicks, tmp_path, capsys, name) -> None:
    place = tmp_path / "out" / name
    place.parent.mkdir()
    place.write_text("mine")
    assert annotate(clicks) == 2
    assert name in capsys.readouterr().err
    assert place.read_text() == "mine"


def test_the_source_is_never_replaced(annotate, clicks, tmp_path, capsys) -> None:
    annotate(clicks)
    written = tmp_path / "out" / "annotations.json"
    before = written.read_bytes()
    assert annotate(written, "--images", tmp_path) == 2
    assert "annotations.json" in capsys.readouterr().err
    assert written.read_bytes() == before


def test_results_do_not_go_among_the_prompts(annotate, make_folder, tmp_path, capsys) -> None:
    make_folder("out")
    (masks,) = {path.read_bytes() for path in (tmp_path / "out" / "masks").glob("photo0*")}
    assert annotate(tmp_path / "out", "--png") == 2
    assert "SOURCE" in capsys.readouterr().err
    assert (tmp_path / "out" / "masks" / "photo0.png").read_bytes() == masks


def test_processes_and_threads_give_the_same_bytes(annotate, tmp_path, monkeypatch) -> None:
    import fcfi_core.workers.local as local

    random = np.random.default_rng(0)
    lines = ["image,x,y,label"]
    for index in range(5):
        pixels = random.integers(0, 255, (48, 64, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / f"{index}.png"), pixels)
        lines.append(f"{index}.png,{10 + 8 * index},20,cat")
    path = tmp_path / "clicks.csv"
    path.write_text("\n".join(lines))
    assert annotate(path, "--workers", 2) == 0
    alone = (tmp_path / "out" / "annotations.json").read_bytes()
    monkeypatch.setattr(local, "_FEWEST", 1)
    begun = []
    hire = local.Processes.hire
    monkeypatch.setattr(local.Processes, "hire", lambda self, job: begun.append(job) or hire(self, job))
    assert annotate(path, "--workers", 2, "--restart") == 0
    assert len(begun) == 2
    assert (tmp_path / "out" / "annotations.json").read_bytes() == alone
