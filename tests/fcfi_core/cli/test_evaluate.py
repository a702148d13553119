from __future__ import annotations

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from fcfi_core.checkpoints import write_checkpoint
from fcfi_core.cli import main
from fcfi_core.evaluation import clicking
from fcfi_core.networks import registry
from fcfi_core.protocol import Protocol
from fcfi_core.workers import cluster, local


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A checkpoint of random weights with small frames."""
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = registry.build("mobilenetv2")
    protocol = Protocol(first_side=64, target_size=64).to_dict()
    write_checkpoint(
        path, network.state_dict(), {"variant": "mobilenetv2", "arguments": {}, "protocol": protocol}
    )
    return path


@pytest.fixture
def photos(tmp_path):
    """A data set of two photos with two objects each."""
    root = tmp_path / "photos"
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    for index in range(2):
        ids = np.zeros((48, 64), np.uint8)
        cv2.circle(ids, (20, 24), 9, 1, -1)
        cv2.circle(ids, (45, 24), 11, 2, -1)
        cv2.imwrite(str(root / "images" / f"{index}.jpg"), np.repeat(ids[..., None] * 90, 3, axis=2))
        cv2.imwrite(str(root / "masks" / f"{index}.png"), ids)
    return root


@pytest.fixture
def evaluate(weights, photos):
    """Run ``fcfi evaluate`` on the photos with the random weights."""

    def run(*words: object) -> int:
        given = [photos, *words, "--model", weights, "--device", "cpu", "--threads", 1, "--quiet"]
        return main(["evaluate", *map(str, given)])

    return run


def test_figures_report_and_table(evaluate, tmp_path, capsys) -> None:
    figures, page = tmp_path / "f.json", tmp_path / "f.html"
    words = ("--max-clicks", 2, "--json", figures, "--html", page, "--baseline", "grabcut", "--worst", 1)
    assert evaluate(*words) == 0
    content = json.loads(figures.read_text())
    assert content["model"] == "random"
    assert content["protocol"]["target_size"] == 64
    assert content["datasets"][0]["objects"] == 4
    assert content["compared"][0]["model"] == "opencv-grabcut"
    assert page.read_text().count("data:image/jpeg") == 1
    table = capsys.readouterr().out
    assert "photos" in table
    assert "noc@90" in table


def test_a_photo_may_have_any_name(evaluate, photos, tmp_path, capsys) -> None:
    for kind, suffix in (("images", ".jpg"), ("masks", ".png")):
        (photos / kind / f"0{suffix}").rename(photos / kind / f"\udcff\x1b{suffix}")
    html, figures = tmp_path / "report.html", tmp_path / "figures.json"
    few = ["--max-clicks", 2, "--noise", "jitter:3", "--html", html, "--json", figures]
    assert evaluate(*few) == 0
    assert "\x1b" not in "".join(capsys.readouterr())
    assert r"\udcff" in html.read_text(encoding="utf-8")
    assert json.loads(figures.read_text())


def test_json_on_standard_output(evaluate, capsys) -> None:
    assert evaluate("--objects", 1, "--max-clicks", 1, "--json", "-", "--targets", "90") == 0
    content = json.loads(capsys.readouterr().out)
    assert content["datasets"][0]["objects"] == 1
    assert "noc@90" in content["datasets"][0]
    assert "noc@85" not in content["datasets"][0]


def test_annotators_who_choose_and_who_answer_are_told_in_json(evaluate, capsys) -> None:
    words = ("--objects", 1, "--max-clicks", 2, "--json", "-", "--candidates", "--suggestions")
    assert evaluate(*words) == 0
    content = json.loads(capsys.readouterr().out)
    assert [one["model"] for one in content["compared"]] == ["random, answering", "random, choosing"]
    assert all(one["protocol"]["target_size"] == 64 for one in content["compared"])


def test_protocol_switches(evaluate, capsys) -> None:
    def protocol(*words: object) -> dict:
        assert evaluate("--objects", 1, "--max-clicks", 2, "--json", "-", *words) == 0
        return json.loads(capsys.readouterr().out)

    assert protocol("--flip")["protocol"]["flip"] is True
    assert protocol("--zoom", "off")["protocol"]["target_size"] is None
    official = protocol("--protocol", "parity", "--target-size", 80, "--expansion-ratio", 2.5, "--no-flip")
    assert official["protocol"]["official"] is True
    assert official["protocol"]["target_size"] == 80
    assert official["protocol"]["flip"] is False
    assert official["rules"]["official"] is True
    assert len(official["datasets"][0]["traces"][0]["clicks"]) == 2
    noisy = protocol("--noise", "jitter:3", "--compare", "no-feedback", "--no-boundaries")
    assert noisy["rules"]["noise"] == "UniformJitter(pixels=3, may_miss=False)"
    assert noisy["compared"][0]["model"] == "random, no-feedback"
    assert "biou@1" not in noisy["datasets"][0]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--max-clicks", "0"], "0"),
        (["--targets", "high"], "'high'"),
        (["--targets", "0.9,120"], "1.2"),
        (["--objects", "0"], "0"),
        (["--min-area", "99999"], "99999"),
        (["--noise", "wild:3"], "wild:3"),
        (["--noise", "jitter:much"], "jitter:much"),
        (["--noise", "border:2"], "2"),
        (["--baseline", "magic"], "magic"),
        (["--compare", "no-brain"], "no-brain"),
        (["--worst", "-1"], "-1"),
        (["--target-size", "3"], "3"),
        (["--json", "/no/such/folder/f.json"], "/no/such/folder"),
        (["--json", "/dev"], "it is a folder"),
    ],
)
def test_bad_input_is_one_sentence(evaluate, capsys, words, told) -> None:
    assert evaluate(*words) == 2
    message = capsys.readouterr().err
    assert message.startswith("fcfi: ")
    assert message.count("\n") == 1
    assert told in message


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a file that is always full")
@pytest.mark.parametrize("option", ["--json", "--html"])
def test_what_cannot_be_written_names_its_option(evaluate, capsys, option) -> None:
    assert evaluate("--objects", 1, "--max-clicks", 1, option, "/dev/full") == 2
    assert f"'/dev/full': No space left on device; choose another {option}." in capsys.readouterr().err


def test_help_names_every_kind_of_data_set(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for kind in ("DIR/images/NAME.jpg", "COCO", "Label Studio", "CVAT"):
        assert kind in text


def test_bad_data_sets_are_one_sentence(weights, tmp_path, capsys) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        assert main(["evaluate", str(path), "--model", str(weights)]) == 2
        assert str(path) in capsys.readouterr().err


TIMES = re.compile(r"^(ms_per_click|spc_ms)")


def figures(path):
    """Return what was measured, but for times."""
    content = json.loads(path.read_text())
    for entry in [content, *content["compared"]]:
        for one in entry["datasets"]:
            assert any(map(TIMES.match, one))
            for name in [name for name in one if TIMES.match(name)]:
                del one[name]
    return content


def pictures(path):
    return re.findall(r"data:image/jpeg;base64,[^\"]+", path.read_text())


@pytest.mark.parametrize("place", [("--workers", 2), ("--cluster", "auto")], ids=["processes", "cluster"])
def test_wherever_the_work_is_done_the_figures_are_the_same(
    place, evaluate, tmp_path, monkeypatch, ray
) -> None:
    monkeypatch.setattr(local, "_FEWEST", 1)
    hired = []
    for kind in (local.Processes, cluster.Cluster):
        hire = kind.hire
        monkeypatch.setattr(kind, "hire", lambda self, job, hire=hire: hired.append(job) or hire(self, job))
    words = ("--max-clicks", 3, "--worst", 3, "--baseline", "grabcut", "--compare", "no-feedback")
    words += ("--candidates", "--suggestions", "--noise", "jitter:4")
    for name, where in (("alone", ()), ("spread", place)):
        places = ("--json", tmp_path / f"{name}.json", "--html", tmp_path / f"{name}.html")
        assert evaluate(*words, *places, *where) == 0
    assert len(hired) == 2  # one for each photo
    alone, spread = tmp_path / "alone.json", tmp_path / "spread.json"
    assert figures(spread) == figures(alone)
    assert len(figures(alone)["compared"]) == 4
    assert len(pictures(tmp_path / "alone.html")) == 3
    assert pictures(tmp_path / "spread.html") == pictures(tmp_path / "alone.html")


def test_a_photo_that_ends_its_workers_is_left_out_and_told(
    evaluate, ray, monkeypatch, tmp_path, capsys
) -> None:
    whole = clicking.clicked

    def deadly(contestants, rules, photo):
        if photo.image_name == "0":
            raise SystemExit
        return whole(contestants, rules, photo)

    monkeypatch.setattr(clicking, "clicked", deadly)
    assert evaluate("--max-clicks", 1, "--json", tmp_path / "f.json", "--cluster", "auto") == 0
    (found,) = json.loads((tmp_path / "f.json").read_text())["datasets"]
    assert found["objects"] == 2
    assert found["left_out"] == {"photos whose workers ended": 1}
    assert "photos whose workers ended (1; the first: 0: 3 worker processes ended" in capsys.readouterr().err


def test_paths_on_a_cluster_begin_at_the_root(weights, photos, ray, monkeypatch) -> None:
    monkeypatch.chdir(photos.parent)
    given = []
    begin = cluster._Hand.begin

    def begun(self, make, version, folders):
        given.extend(folders)
        monkeypatch.chdir("/")  # where a worker of another machine may be
        return begin(self, make, version, folders)

    monkeypatch.setattr(cluster._Hand, "begin", begun)
    words = ["photos", "--cluster", "auto", "--max-clicks", "1", "--quiet", "--device", "cpu"]
    (photos.parent / "own.safetensors").write_bytes(weights.read_bytes())
    assert main(["evaluate", *words, "--model", "own.safetensors"]) == 0
    assert set(given) == {str(photos)}


def test_a_log_is_no_work_for_a_cluster(tmp_path, capsys) -> None:
    log = tmp_path / "clicks.jsonl"
    log.write_text("")
    assert main(["evaluate", "--log", str(log), "--cluster", "auto"]) == 2
    assert "leave out --workers and --cluster" in capsys.readouterr().err
