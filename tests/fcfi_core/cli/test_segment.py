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
        (["--click", "5,5", "--out", "m.jpg"], "'m.jpg'"),
        (["--click", "5,5", "--format", "coco", "--out", "m.png"], "'m.png'"),
        (["--click", "5,5", "--format", "cutout", "--out", "c.jpg"], "'c.jpg'"),
        (["--click", "5,5", "--overlay", "-", "--out", "-"], "leave all but one"),
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


def test_a_cutout_beside_the_image(segment, picture, photo):
    code, out, _ = segment("--click", "70,40", "--format", "cutout")
    with Image.open(picture.with_name("photo.cutout.png")) as file:
        cut = np.asarray(file)
    assert code == 0
    assert "photo.cutout.png" in out
    assert cut.shape == (*photo.shape[:2], 4)
    assert {0, 255} <= set(np.unique(cut[..., 3]).tolist())
    solid = cut[..., 3] == 255
    assert np.array_equal(cut[solid][:, :3], photo[solid])


@pytest.mark.parametrize("option", ["--out", "--overlay"])
@pytest.mark.parametrize("what", ["image", "prior", "model"])
def test_an_input_is_never_replaced(checkpoint, picture, tmp_path, capsys, option, what):
    (tmp_path / "prior.png").write_bytes(picture.read_bytes())
    (tmp_path / "model.png").write_bytes(checkpoint.read_bytes())
    inputs = {"image": picture, "prior": tmp_path / "prior.png", "model": tmp_path / "model.png"}
    before = inputs[what].read_bytes()
    words = ["segment", inputs["image"], "--prior", inputs["prior"], "--model", inputs["model"]]
    assert main([*map(str, words), "--click", "70,40", option, str(inputs[what])]) == 2
    assert option in capsys.readouterr().err
    assert inputs[what].read_bytes() == before


def test_the_mask_beside_the_image_is_not_written_over_the_prior(segment, picture):
    prior = picture.with_name("photo.mask.png")
    prior.write_bytes(picture.read_bytes())
    code, _, err = segment("--prior", prior, "--click", "70,40")
    assert code == 2
    assert "--out" in err
    assert prior.read_bytes() == picture.read_bytes()


def test_mask_and_overlay_are_two_files(segment, tmp_path):
    code, _, err = segment("--click", "70,40", "--out", tmp_path / "m.png", "--overlay", tmp_path / "m.png")
    assert code == 2
    assert "--overlay" in err


@pytest.mark.parametrize(("suffix", "kind"), [("tif", "TIFF"), ("bmp", "BMP"), ("webp", "WEBP")])
def test_the_suffix_of_the_mask_is_honoured(segment, tmp_path, suffix, kind):
    assert segment("--click", "70,40", "--out", tmp_path / f"m.{suffix}")[0] == 0
    segment("--click", "70,40", "--out", tmp_path / "m.png")
    with Image.open(tmp_path / f"m.{suffix}") as file, Image.open(tmp_path / "m.png") as png:
        assert file.format == kind
        assert np.array_equal(np.asarray(file.convert("L")), np.asarray(png))


def test_an_overlay_may_be_a_jpeg(segment, tmp_path):
    assert segment("--click", "70,40", "--overlay", tmp_path / "o.jpg", "--out", tmp_path / "m.png")[0] == 0
    with Image.open(tmp_path / "o.jpg") as file:
        assert file.format == "JPEG"


def test_coordinates_may_begin_with_a_minus_sign(segment, tmp_path):
    out = tmp_path / "m.png"
    code, text, _ = segment("--box", "-20,-5,90,60", "--click", "70,40", "--json", "--out", out)
    assert code == 0
    assert json.loads(text)["area"] > 0
    code, _, err = segment("--click", "-5,3", "--out", out)
    assert code == 2
    assert "(-5, 3)" in err


def test_an_image_that_is_none(checkpoint, tmp_path, capsys):
    (tmp_path / "note.txt").write_text("hello")
    assert main(["segment", str(tmp_path / "note.txt"), "--click", "1,1", "--model", str(checkpoint)]) == 2
    assert "note.txt" in capsys.readouterr().err
