from __future__ import annotations

import json
import math
import re
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from fcfi_core import images
from fcfi_core.datasets.folder import Folder
from fcfi_core.datasets.left_out import LeftOut
from fcfi_core.datasets.samples import Selection, choose
from fcfi_core.errors import DataError
from fcfi_core.evaluation import metrics
from fcfi_core.evaluation.baselines import GrabCut
from fcfi_core.evaluation.benchmark import PlainAnswer, Rules
from fcfi_core.evaluation.html import summary, to_html
from fcfi_core.evaluation.panoptic import PanopticQuality
from fcfi_core.evaluation.pictures import picture
from fcfi_core.evaluation.runner import evaluate
from fcfi_core.images import loading
from fcfi_core.predictor import Predictor


def bright(pixels: np.ndarray, clicks: tuple) -> np.ndarray:
    """Segment everything bright: right for one disk, wrong for one of two."""
    return pixels[..., 0] > 120


class Doubtful:
    """Is as sure of itself as it has clicks."""

    name = "doubtful"

    def open(self, image: np.ndarray) -> Doubtful:
        self.image, self.count = image, 0
        return self

    def click(self, x: int, y: int, positive: bool = True) -> PlainAnswer:
        self.count += 1
        mask = self.image[..., 0] > (40, 60, 120)[min(self.count, 3) - 1]
        return PlainAnswer(mask, {}, confidence=self.count / 10)


@pytest.fixture
def report(make_folder):
    sets = [Folder(make_folder("easy", (1,))), Folder(make_folder("hard", (2, 2)))]
    return evaluate(
        bright, sets, name="bright", compare={"grabcut": GrabCut()}, rules=Rules(max_clicks=4), worst=3
    )


def test_panoptic_quality_is_that_of_whole_photos(make_folder) -> None:
    dataset = Folder(make_folder("several", (2, 2, 1)))
    perfect = evaluate(Truthful(dataset), [dataset], rules=Rules(max_clicks=1)).main.datasets[0]
    assert perfect.panoptic == PanopticQuality(5.0, 5, 0, 0)
    everything = evaluate(
        lambda pixels, clicks: np.ones(pixels.shape[:2], bool), [dataset], rules=Rules(max_clicks=1)
    )
    found = everything.main.datasets[0]
    # Masks of the whole photo cover each other: one segment is left of each photo, and meets nothing.
    assert (found.panoptic.pairs, found.panoptic.wrong, found.panoptic.missed) == (0, 3, 5)
    assert found.to_dict()["pq"] == 0


class Truthful:
    """Answers with the object that was clicked on."""

    name = "truthful"

    def __init__(self, dataset: Folder) -> None:
        self._samples = list(choose(dataset))

    def open(self, image: np.ndarray) -> Truthful:
        self._here = [sample for sample in self._samples if np.array_equal(sample.pixels, image)]
        return self

    def click(self, x: int, y: int, positive: bool = True) -> PlainAnswer:
        return PlainAnswer(next(sample.truth for sample in self._here if sample.truth[y, x]))


def test_json_has_the_documented_shape(report) -> None:
    content = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert content["model"] == "bright"
    assert isinstance(content["protocol"], dict)
    assert [one["name"] for one in content["datasets"]] == ["easy", "hard"]
    first = content["datasets"][0]
    assert first["objects"] == 1
    for key in ("noc@80", "noc@85", "noc@90", "noc@95", "nof@90", "iou@1", "iou@4", "biou@1", "assd@4"):
        assert isinstance(first[key], int | float)
    assert first["ms_per_click"] == pytest.approx(
        first["ms_per_click_network"] + first["ms_per_click_rest"], abs=1e-4
    )
    assert first["spc_ms"] >= first["ms_per_click"]
    assert first["confidence_rank_correlation"] is None
    assert first["traces"][0]["clicks"][0][2] is True
    assert content["compared"][0]["model"] == "grabcut"
    assert content["compared"][0]["protocol"]["side"] == 320
    assert [one["objects"] for one in content["compared"][0]["datasets"]] == [1, 4]


def test_figures_follow_from_the_traces(report) -> None:
    hard = report.main.datasets[1]
    assert hard.metrics()["noc@90"] == 4
    assert hard.metrics()["missed@90"] == 4
    assert hard.metrics()["iou@1"] == pytest.approx(metrics.mean_at(hard.ious, 1))
    assert report.main.datasets[0].metrics()["noc@85"] == 1


def test_pictures_of_the_worst_only(report) -> None:
    easy, hard = report.main.datasets
    assert [len(easy.worst), len(hard.worst)] == [1, 3]
    means = [sum(case.trace.ious) / len(case.trace.ious) for case in hard.worst]
    assert means == sorted(means)
    assert all(case.jpeg.startswith(b"\xff\xd8") for case in hard.worst)
    assert report.compared[0].datasets[1].worst == ()


def test_html_is_self_contained(report) -> None:
    page = to_html(report)
    assert page.startswith("<!doctype html>")
    assert not re.search(r"(src|href)=.(?!data:)", page)
    assert "<script" not in page
    assert "url(" not in page
    assert page.count("<svg") == 6
    assert page.count("data:image/jpeg;base64,") == 4
    assert "prefers-color-scheme: dark" in page
    assert "nan" not in re.sub(r"base64,[^\"]*", "", page)


def test_html_escapes_names(make_folder) -> None:
    folder = Folder(make_folder())
    folder.name = "<b>&"
    page = to_html(evaluate(bright, [folder], name="<i>", rules=Rules(max_clicks=1)))
    assert "<b>&" not in page
    assert "<i>" not in page
    assert "&lt;b&gt;&amp;" in page


def test_summary_has_a_row_per_set_and_segmenter(report) -> None:
    lines = summary(report).splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("data set")
    assert "noc@90" in lines[0]


def test_honest_confidence_correlates_with_quality(make_folder) -> None:
    report = evaluate(
        Doubtful(), [Folder(make_folder(counts=(1, 1)))], rules=Rules(max_clicks=3, targets=(1.0,))
    )
    assert report.main.model == "doubtful"
    correlation = report.main.datasets[0].metrics()["confidence_rank_correlation"]
    assert 0 < correlation <= 1


def test_choices_of_objects_are_respected(make_folder) -> None:
    selection = choose(Folder(make_folder(counts=(3, 3))), count=2)
    report = evaluate(bright, [selection], rules=Rules(max_clicks=1))
    assert len(report.main.datasets[0].traces) == 2
    assert math.isnan(report.main.datasets[0].metrics()["confidence_rank_correlation"])


class TwoDisks:
    """One photo with an object to click on, and one whose every pixel is ignored."""

    name = "two"
    image_names = ("photo",)

    left_out = LeftOut()

    def areas(self, image_name: str) -> dict[int, int]:
        return {1: 100, 9: 100}

    def reading(self, image_name: str):
        ids = np.zeros((40, 60), np.uint16)
        ids[10:20, 10:20], ids[10:20, 40:50] = 1, 9
        image = images.load(np.repeat(ids[..., None] * 20, 3, axis=2).astype(np.uint8))
        return lambda: SimpleNamespace(image=image, mask=lambda number: ids == number, ignore=ids == 9)


def test_an_object_that_cannot_be_clicked_on_counts_nowhere() -> None:
    selection = Selection(TwoDisks(), (("photo", 1), ("photo", 9)))
    report = evaluate(lambda pixels, clicks: pixels[..., 0] == 20, [selection])
    figures = report.main.datasets[0].metrics()
    assert [len(one.clicks) for one in report.main.datasets[0].traces] == [1, 0]
    assert (figures["noc@90"], figures["nof@90"], figures["missed@90"]) == (1, 0, 0)
    assert (figures["iou@1"], figures["assd@1"]) == (1, 0)
    assert [case.trace.object_id for case in report.main.datasets[0].worst] == [1]
    page = to_html(report)
    assert "1 click: 100.0" in page
    assert "1 click: 50.0" not in page


def test_progress_goes_to_standard_error(make_folder, capsys) -> None:
    evaluate(bright, [Folder(make_folder())], rules=Rules(max_clicks=1), progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "object" in captured.err


def test_picture_of_an_object_without_any_mask(sample) -> None:
    assert picture(sample, np.zeros_like(sample.truth), ()).startswith(b"\xff\xd8")


def test_a_photo_is_loaded_and_hashed_once(make_folder, tiny_model, monkeypatch) -> None:
    counts: Counter[str] = Counter()
    for name in ("_from_encoded", "_digest"):
        whole = getattr(loading, name)

        def counted(*given, name=name, whole=whole):
            counts[name] += 1
            return whole(*given)

        monkeypatch.setattr(loading, name, counted)
    folder = Folder(make_folder(counts=(2, 3)))
    predictors = {"other": Predictor(tiny_model)}
    rules = Rules(max_clicks=2)
    report = evaluate(Predictor(tiny_model), [folder], compare=predictors, rules=rules, worst=0)
    assert len(report.main.datasets[0].traces) == 5
    assert counts == {"_from_encoded": 2}


def test_what_is_left_out_is_reported(make_folder) -> None:
    root = make_folder(counts=(1, 2))
    (root / "images" / "photo0.jpg").write_bytes(b"\xff\xd8\xff no photo")
    report = evaluate(bright, [Folder(root)], rules=Rules(max_clicks=1))
    (result,) = report.main.datasets
    assert len(result.traces) == 2
    assert report.to_dict()["datasets"][0]["left_out"] == {"photos that cannot be used": 1}


def test_a_photo_that_breaks_off_costs_its_objects_alone(make_folder) -> None:
    root = make_folder(counts=(1, 2))
    photo = root / "images" / "photo1.jpg"
    Image.open(root / "images" / "photo1.jpg").save(root / "images" / "photo1.png")
    photo.unlink()
    whole = (root / "images" / "photo1.png").read_bytes()
    (root / "images" / "photo1.png").write_bytes(whole[: len(whole) // 3])
    folder = Folder(root)
    report = evaluate(bright, [folder], rules=Rules(max_clicks=1))
    assert [one.image_name for one in report.main.datasets[0].traces] == ["photo0"]
    assert folder.left_out == {"photos that cannot be read": 1}
    (root / "images" / "photo0.jpg").unlink()
    with pytest.raises(DataError, match=r"no object of disks can be evaluated .*cannot be read"):
        evaluate(bright, [Folder(root)], rules=Rules(max_clicks=1))
