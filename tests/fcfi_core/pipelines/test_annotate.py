from __future__ import annotations

import json
import re
import threading
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from fcfi_core.clicks import Box, Click
from fcfi_core.datasets.coco import CocoDataset, decode_segmentation
from fcfi_core.datasets.folder import read_ids
from fcfi_core.errors import SettingsError
from fcfi_core.masks import coco
from fcfi_core.masks.finish import RAW
from fcfi_core.pipelines import outputs, review
from fcfi_core.pipelines.annotate import JOURNAL, Options, annotate
from fcfi_core.pipelines.prompts import ImagePrompts, ObjectPrompt, OpenedImage, PromptSource
from fcfi_core.workers import Threads


@pytest.fixture
def source(photos):
    """Three photos with clicks, a box, a mask to correct, and a click outside."""
    mask = np.zeros((90, 120), np.bool_)
    mask[25:55, 60:95] = True
    objects = (
        ObjectPrompt("a", "disk", (Click(70, 40), Click(10, 10, False))),
        ObjectPrompt("b", "disk", box=Box(50, 20, 95, 60)),
        ObjectPrompt("c", prior_mask=lambda: mask),
        ObjectPrompt("d", clicks=(Click(500, 5),)),
    )
    found = [
        ImagePrompts(f"{k}.png", lambda k=k: OpenedImage(photos / f"{k}.png", objects)) for k in range(3)
    ]
    found.append(ImagePrompts("gone.png", lambda: OpenedImage(photos / "gone.png", objects)))
    return PromptSource("photos", "digest", tuple(found), {1: "disk", 2: "object"})


def products(predictor, source, out, **options: object) -> dict[str, bytes]:
    """Run to the end and return the files made, the journal left out: its order may vary."""
    with annotate(predictor, source, out, **options) as journal:
        summary = review.summarise(journal, below=1.01)
        outputs.write_coco(journal, source, out / "annotations.json")
        outputs.write_id_masks(journal, out / "masks")
        review.write_review(journal, source, summary, out / "review.html")
    files = (path for path in out.rglob("*") if path.is_file() and path.name != JOURNAL)
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


def test_masks_are_those_of_the_predictor(predictor, source, photos, tmp_path) -> None:
    made = products(predictor, source, tmp_path / "out")
    content = json.loads(made["annotations.json"])
    assert [image["file_name"] for image in content["images"]] == ["0.png", "1.png", "2.png"]
    assert [one["image_id"] for one in content["annotations"]] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert [one["category_id"] for one in content["annotations"][:3]] == [1, 1, 2]
    first = content["annotations"][0]
    expected = predictor.segment(photos / "0.png", [(70, 40), (10, 10, False)]).cleaned()
    mask = decode_segmentation(first["segmentation"], 90, 120)
    assert (mask == expected.mask).all()
    assert first["area"] == expected.mask.sum()
    assert first["confidence"] == pytest.approx(expected.confidence, abs=1e-4)
    x, y, width, height = first["bbox"]
    assert mask[y : y + height, x : x + width].sum() == mask.sum()


def test_output_is_a_data_set(predictor, source, photos, tmp_path) -> None:
    products(predictor, source, tmp_path / "out")
    dataset = CocoDataset(tmp_path / "out" / "annotations.json", photos)
    assert list(dataset.areas("0")) == [1, 2, 3]
    ids, _ = read_ids(tmp_path / "out" / "masks" / "0.png")
    assert ids.shape == (90, 120)
    assert set(np.unique(ids)) <= {0, 1, 2, 3}
    assert not (tmp_path / "out" / "masks" / "gone.png").exists()


def test_errors_are_recorded_and_the_run_goes_on(predictor, source, tmp_path) -> None:
    with annotate(predictor, source, tmp_path) as journal:
        summary = review.summarise(journal, below=0.0)
    assert (summary.images, summary.objects) == (3, 9)
    assert [(image, name) for image, name, _ in summary.errors] == [
        ("0.png", "d"),
        ("1.png", "d"),
        ("2.png", "d"),
        ("gone.png", None),
    ]
    assert "500" in summary.errors[0][2]
    assert summary.doubts == ()


def test_threads_and_repetition_change_nothing(predictor, source, tmp_path) -> None:
    alone = products(predictor, source, tmp_path / "one", place=Threads(1))
    many = products(predictor, source, tmp_path / "many", place=Threads(4))
    assert alone == many
    assert products(predictor, source, tmp_path / "many", place=Threads(3)) == many


@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_killed_at_any_byte_and_restarted(predictor, source, tmp_path_factory, data) -> None:
    out = tmp_path_factory.mktemp("run")
    whole = products(predictor, source, out, place=Threads(1))
    journal = out / JOURNAL
    content = journal.read_bytes()
    journal.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    assert products(predictor, source, out, place=Threads(1)) == whole


def test_interrupted_run_keeps_what_is_done(predictor, source, tmp_path) -> None:
    def interrupt() -> OpenedImage:
        raise KeyboardInterrupt

    broken = replace(source, images=(*source.images[:2], ImagePrompts("2.png", interrupt), source.images[3]))
    with pytest.raises(KeyboardInterrupt):
        annotate(predictor, broken, tmp_path / "out", place=Threads(1))
    asked = []
    counted = [
        ImagePrompts(one.name, lambda one=one: asked.append(one.name) or one.read()) for one in source.images
    ]
    with annotate(predictor, replace(source, images=tuple(counted)), tmp_path / "out", place=Threads(1)):
        pass
    assert "0.png" not in asked
    assert "2.png" in asked
    assert products(predictor, source, tmp_path / "out") == products(predictor, source, tmp_path / "fresh")


def test_errors_are_tried_again_when_asked(predictor, source, photos, tmp_path) -> None:
    annotate(predictor, source, tmp_path).__exit__(None, None, None)
    cv2.imwrite(str(photos / "gone.png"), np.zeros((90, 120, 3), np.uint8))
    with annotate(predictor, source, tmp_path) as journal:
        assert "error" in journal.get(3)
    with annotate(predictor, source, tmp_path, retry_errors=True) as journal:
        assert "error" not in journal.get(3)


def test_another_model_or_other_options_are_refused(predictor, source, tmp_path) -> None:
    annotate(predictor, source, tmp_path).__exit__(None, None, None)
    with pytest.raises(SettingsError, match="options differ"):
        annotate(predictor, source, tmp_path, options=Options(finish=RAW))
    with pytest.raises(SettingsError, match="prompts differ"):
        annotate(predictor, replace(source, digest="other"), tmp_path)
    annotate(predictor, source, tmp_path).__exit__(None, None, None)


def test_few_images_are_open_at_a_time(predictor, photos, tmp_path) -> None:
    opened, most, lock = 0, 0, threading.Lock()
    gate = threading.Semaphore(1)

    def read() -> OpenedImage:
        nonlocal opened, most
        with lock:
            opened += 1
            most = max(most, opened)
        with gate:
            pass
        with lock:
            opened -= 1
        return OpenedImage(photos / "0.png", (ObjectPrompt("1", clicks=(Click(70, 40),)),))

    many = tuple(ImagePrompts(str(k), read) for k in range(30))
    with annotate(
        predictor, PromptSource("many", "", many, {1: "object"}), tmp_path, place=Threads(3)
    ) as journal:
        assert len(journal) == 30
    assert most <= 3


def test_polygons_within_a_budget(predictor, source, tmp_path) -> None:
    options = Options(segmentation="polygon", max_points=12)
    made = products(predictor, source, tmp_path, options=options)
    for one in json.loads(made["annotations.json"])["annotations"]:
        assert isinstance(one["segmentation"], list)
        assert sum(len(flat) for flat in one["segmentation"]) <= 24
        assert all(isinstance(value, float) for flat in one["segmentation"] for value in flat)


def test_one_kind_of_prompt(predictor, source, tmp_path) -> None:
    with annotate(predictor, source, tmp_path, options=Options(use="box")) as journal:
        names = [one["object"] for one in journal.get(0)["objects"] if "error" not in one]
        assert names == ["b", "c"]


def test_review_lists_the_least_confident_first(predictor, source, tmp_path) -> None:
    made = products(predictor, source, tmp_path)
    page = made["review.html"].decode()
    confidences = [float(text) for text in re.findall(r"confidence (\d\.\d+)</figcaption>", page)]
    assert confidences == sorted(confidences)
    assert len(confidences) == 9
    assert page.count("data:image/jpeg") == 9
    assert "gone.png" in page
    assert "<script" not in page


def test_source_numbers_are_kept(predictor, photos, tmp_path) -> None:
    prompts = (
        ObjectPrompt("x", "disk", (Click(70, 40),), id=900),
        ObjectPrompt("y", "disk", (Click(75, 45),), id=7),
    )
    image = ImagePrompts("0.png", lambda: OpenedImage(photos / "0.png", prompts), id=33)
    source = PromptSource("one", "", (image,), {5: "disk"})
    content = json.loads(products(predictor, source, tmp_path)["annotations.json"])
    assert content["images"][0]["id"] == 33
    assert [one["id"] for one in content["annotations"]] == [900, 7]
    assert {one["category_id"] for one in content["annotations"]} == {5}


def test_categories_of_one_name_and_unlisted_ones_are_kept(predictor, photos, tmp_path) -> None:
    prompts = (
        ObjectPrompt("x", "disk", (Click(70, 40),), category=6),
        ObjectPrompt("y", "disk", (Click(75, 45),), category=5),
        ObjectPrompt("z", "other", (Click(75, 45),)),
        ObjectPrompt("w", "far", (Click(75, 45),), category=9),
    )
    image = ImagePrompts("0.png", lambda: OpenedImage(photos / "0.png", prompts))
    source = PromptSource("one", "", (image,), {5: "disk", 6: "disk"})
    content = json.loads(products(predictor, source, tmp_path)["annotations.json"])
    assert [one["category_id"] for one in content["annotations"]] == [6, 5, 7, 9]
    assert {one["id"]: one["name"] for one in content["categories"]} == {
        5: "disk",
        6: "disk",
        7: "other",
        9: "far",
    }


def test_what_a_prompt_leaves_out_is_counted(predictor, photos, tmp_path) -> None:
    class Partly(ObjectPrompt):
        def prompt(self, note):
            note("rings of fewer than three points")
            return super().prompt(note)

    image = ImagePrompts(
        "0.png", lambda: OpenedImage(photos / "0.png", (Partly("a", clicks=(Click(70, 40),)),))
    )
    source = PromptSource("one", "", (image,), {1: "object"}, {"shapes of type tag": 2})
    with annotate(predictor, source, tmp_path) as journal:
        summary = review.summarise(journal, 0.0, source.left_out)
        review.write_review(journal, source, summary, tmp_path / "review.html")
    assert summary.to_dict()["left_out"] == {"rings of fewer than three points": 1, "shapes of type tag": 2}
    assert "shapes of type tag (2)" in (tmp_path / "review.html").read_text()


def test_mask_names_stay_inside() -> None:
    names = ["a/b.jpg", "../../etc/x.png", "/abs/y.png", "c.jpg", "c.png", "..", "w\\z.png", "a/b.jpg"]
    assert outputs.mask_names(names) == [
        "a/b.jpg.png",
        "etc/x.png",
        "abs/y.png",
        "c.jpg.png",
        "c.png.png",
        "image.png",
        "w/z.png",
        "a/b.jpg-2.png",
    ]


def test_impossible_options(predictor, source, tmp_path) -> None:
    with pytest.raises(SettingsError, match="workers is 0"):
        Threads(0)
    with pytest.raises(SettingsError, match="tolerance is nan"):
        Options(tolerance=float("nan"))
    with pytest.raises(SettingsError, match="budget is 2"):
        Options(max_points=2)
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot make the folder"):
        annotate(predictor, source, tmp_path / "file" / "out")


def test_objects_may_be_kept_apart(predictor, source, tmp_path):
    def masks(**options):
        with annotate(predictor, source, tmp_path / str(options), options=Options(**options)) as journal:
            (entry,) = [entry for index, entry in journal.entries() if index == 0]
        return [coco.decode(one["segmentation"]) for one in entry["objects"] if "error" not in one]

    together, apart = np.array(masks()), np.array(masks(exclusive=True))
    assert (together.sum(axis=0) > 1).any()
    assert (apart.sum(axis=0) <= 1).all()
    assert np.array_equal(apart.any(axis=0), together.any(axis=0))


def test_the_panoptic_form_says_what_each_pixel_is(predictor, source, tmp_path):
    with annotate(predictor, source, tmp_path, options=Options(exclusive=True)) as journal:
        outputs.write_panoptic(journal, source, tmp_path)
    written = json.loads((tmp_path / "panoptic.json").read_text())
    assert [one["file_name"] for one in written["annotations"]] == ["0.png", "1.png", "2.png"]
    images = {one["id"]: one for one in written["images"]}
    for annotation in written["annotations"]:
        image = images[annotation["image_id"]]
        colours = np.asarray(Image.open(tmp_path / "panoptic" / annotation["file_name"])).astype(np.uint32)
        assert colours.shape == (image["height"], image["width"], 3)
        ids = colours[..., 0] + 256 * colours[..., 1] + 65536 * colours[..., 2]
        segments = {one["id"]: one for one in annotation["segments_info"]}
        assert set(np.unique(ids)) - {0} == set(segments)
        for number, segment in segments.items():
            rows, columns = np.nonzero(ids == number)
            assert segment["area"] == len(rows)
            x, y, width, height = segment["bbox"]
            assert (columns.min(), rows.min()) == (x, y)
            assert (columns.max(), rows.max()) == (x + width - 1, y + height - 1)
    assert {one["category_id"] for a in written["annotations"] for one in a["segments_info"]} <= {
        one["id"] for one in written["categories"]
    }
