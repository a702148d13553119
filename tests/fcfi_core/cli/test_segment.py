"""``fcfi segment``: every format, and one sentence for every mistake."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from fcfi_core.cli import main
from fcfi_core.masks import coco, cvat, label_studio


@pytest.fixture
def segment(checkpoint, picture, capsys):
    def call(*words):
        code = main(["segment", str(picture), "--model", str(checkpoint), "--threads", "1", *map(str, words)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_a_mask_beside_the_image(segment, picture):
    code, out, _ = segment("--click", "70,40", "--click", "5,5,-")
    mask = np.asarray(Image.open(picture.with_name("photo.mask.png")))
    assert code == 0
    assert mask.shape == (90, 120)
    assert set(np.unique(mask)) <= {0, 255}
    assert "photo.mask.png" in out


def test_json_tells_everything(segment, tmp_path):
    code, out, _ = segment("--box", "50,20,90,60", "--json", "--out", tmp_path / "m.png", "--raw")
    report = json.loads(out)
    assert code == 0
    assert report["implied_click"] == {"x": 70, "y": 40, "positive": True}
    assert report["area"] == (np.asarray(Image.open(tmp_path / "m.png")) > 0).sum()
    assert 0 <= report["confidence"] <= 1
    assert set(report["milliseconds"]) == {"decode", "encode", "network", "rest", "total"}


def test_the_formats_hold_the_same_mask(segment, tmp_path):
    segment("--click", "70,40", "--out", tmp_path / "m.png")
    mask = np.asarray(Image.open(tmp_path / "m.png")) > 0
    coded = {}
    for name in ("coco", "label-studio", "cvat", "polygon"):
        code, out, err = segment("--click", "70,40", "--format", name)
        assert code == 0
        assert "pixels" in err
        coded[name] = json.loads(out)
    assert np.array_equal(coco.decode(coded["coco"]["segmentation"]), mask)
    assert coded["coco"]["area"] == mask.sum()
    assert np.array_equal(label_studio.decode(coded["label-studio"]["rle"], 120, 90), mask)
    assert np.array_equal(cvat.decode(coded["cvat"]["points"], 120, 90), mask)
    assert coded["polygon"]["lost_iou"] < 0.2
    assert coded["polygon"]["polygons"]


def test_json_carries_the_code(segment):
    _, out, _ = segment("--click", "70,40", "--format", "coco", "--json")
    report = json.loads(out)
    assert report["mask"]["area"] == report["area"]
    assert report["out"] is None


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "I;16"])
def test_a_prior_mask_of_any_kind(segment, tmp_path, mode):
    mask = np.zeros((90, 120), np.uint8)
    mask[20:60, 50:90] = 255
    image = Image.fromarray(mask.astype(np.uint16)) if mode == "I;16" else Image.fromarray(mask).convert(mode)
    if mode == "RGBA":  # a brush: white everywhere, visible on the object
        image = Image.merge("RGBA", [Image.new("L", (120, 90), 255)] * 3 + [Image.fromarray(mask)])
    image.save(tmp_path / "prior.png")
    code, out, _ = segment("--prior", tmp_path / "prior.png", "--json", "--out", tmp_path / "m.png")
    click = json.loads(out)["implied_click"]
    assert code == 0
    assert mask[click["y"], click["x"]]


def test_the_overlay_paints_the_mask(segment, tmp_path, photo):
    segment("--click", "70,40", "--overlay", tmp_path / "o.png", "--out", tmp_path / "m.png")
    mask = np.asarray(Image.open(tmp_path / "m.png")) > 0
    overlay = np.asarray(Image.open(tmp_path / "o.png"))
    assert np.array_equal(overlay[~mask], photo[~mask])
    assert (overlay[mask] != photo[mask]).any()


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--click", "500,5"], "(500, 5)"),
        (["--click", "nan,5"], "nan"),
        (["--click", "5"], "'5'"),
        (["--box", "1,2,3"], "'1,2,3'"),
        (["--box", "500,500,600,600"], "500"),
        ([], "no click"),
        (["--click", "5,5", "--prior", "nowhere.png"], "nowhere.png"),
        (["--click", "5,5", "--out", "/nowhere/mask.png"], "/nowhere/mask.png"),
        (["--click", "5,5", "--out", "/nowhere/mask.png"], "choose another --out"),
        (["--click", "5,5", "--overlay", "/nowhere/o.png"], "choose another --overlay"),
        (["--click", "5,5", "--device", "tpu"], "tpu"),
        (["--click", "5,5", "--threads", "-2"], "-2"),
        (["--click", "5,5", "--format", "polygon", "--max-points", "1"], "1"),
        (["--click", "5,5", "--json", "--out", "-"], "--out -"),
        (["--click", "70,40", "--model", "nothing"], "'nothing'"),
    ],
)
def test_mistakes_are_one_sentence(segment, words, names):
    code, _, err = segment(*words)
    assert code == 2
    assert names in err
    assert err.startswith("fcfi: ")
    assert err.count("\n") == 1


def test_an_image_that_is_none(checkpoint, tmp_path, capsys):
    (tmp_path / "note.txt").write_text("hello")
    assert main(["segment", str(tmp_path / "note.txt"), "--click", "1,1", "--model", str(checkpoint)]) == 2
    assert "note.txt" in capsys.readouterr().err
