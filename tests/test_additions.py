"""Another package adds a verb, a doctor, a setting, a data format, a form of masks, a platform and an engine.

What ``docs/architecture.md`` and ``docs/plugins.md`` promise, tried with a package that is installed as any
other: files and an entry point on the path, nothing replaced.
"""

from __future__ import annotations

import importlib
import json
import sys

import numpy as np
import pytest
from starlette.testclient import TestClient

from fcfi_core import Predictor, load_model, plugins
from fcfi_core.cli import main
from fcfi_core.datasets.opening import open_annotations
from fcfi_core.serving.app import create_app

PACKAGE = {
    "plugin.py": """
from fcfi_core.plugins import Plugin

PLUGIN = Plugin(
    title="Sketch",
    commands={"sketch": "fcfi_sketch.verb"},
    doctors={"sketch": "fcfi_sketch.doctor"},
    settings={"sketch": "fcfi_sketch.doctor:VARIABLES"},
    readers={"sketch": "fcfi_sketch.files:read"},
    formats={"sketch": "fcfi_sketch.files:written"},
    tracks={"sketch": "fcfi_sketch.files:tracked"},
    routes={"sketch": "fcfi_sketch.routes:routes"},
    engines={"sketch": "fcfi_sketch.engine"},
)
""",
    "verb.py": """
HELP = "say a word"


def add_arguments(parser):
    parser.add_argument("word")


def run(arguments):
    print(arguments.word)
    return 0
""",
    "doctor.py": """
from fcfi_core.cli.doctor import Finding
from fcfi_core.settings import Variable

HELP = "look at Sketch"
VARIABLES = (Variable("FCFI_SKETCH", "soft", "Which pencil.", str),)


def add_arguments(parser):
    pass


def examine(arguments):
    yield Finding("pencil", "sharp")
""",
    "files.py": """
from fcfi_core.datasets.dataset import Dataset
from fcfi_core.datasets.objects import AnnotatedObject, AnnotatedPhoto, Given, located
from fcfi_core.prompt import Prompt


def read(annotations):
    if annotations.suffix != ".sketch":
        return None
    photos = []
    for line in annotations.text.splitlines():
        name, *corners = line.split()
        box = AnnotatedObject(1, Given(Prompt(box=tuple(map(int, corners)))), drawn=False)
        where, missing = located(annotations.photos().find(name))
        photos.append(AnnotatedPhoto(name, name, where, missing, annotated=(box,)))
    return Dataset(annotations.name, photos, place=annotations.path)


def tracked(record):
    (record.folder / "sketch.txt").write_text(str(len(record.frames)))


def written(result):
    return {"strokes": int(result.mask.sum())}
""",
    "routes.py": """
from starlette.responses import JSONResponse
from starlette.routing import Route

from fcfi_core.prompt import Prompt


def routes(service):
    async def draw(request):
        image = service.load(await request.body())
        prompt = Prompt.of([(int(request.query_params["x"]), int(request.query_params["y"]))])
        return JSONResponse({"strokes": int(service.answer(image, prompt).mask.sum())})

    return [Route("/sketch", draw, methods=["POST"])]
""",
    "engine.py": """
from fcfi_core.engines import torch_engine


def obstacle(description, device):
    return "it draws on paper" if device == "cuda" else None


def open_engine(description, device, threads):
    engine = torch_engine.open_engine(description, device, threads)
    engine.name = "sketch"
    return engine
""",
    "__init__.py": "",
}


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The package, installed in a folder of its own."""
    folder = tmp_path / "site"
    (folder / "fcfi_sketch").mkdir(parents=True)
    for name, text in PACKAGE.items():
        (folder / "fcfi_sketch" / name).write_text(text)
    facts = folder / "fcfi_sketch-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: fcfi-sketch\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[fcfi.plugins]\nsketch = fcfi_sketch.plugin:PLUGIN\n")
    monkeypatch.syspath_prepend(folder)
    importlib.invalidate_caches()
    yield tmp_path
    for name in [name for name in sys.modules if name.split(".")[0] == "fcfi_sketch"]:
        del sys.modules[name]


@pytest.fixture
def photo(installed, disc):
    picture, mask = disc
    picture.save(installed / "disc.png")
    return installed / "disc.png", mask


def test_every_part_can_be_imported(installed):
    assert plugins.complaints() == []
    for kind in plugins.KINDS:
        (part,) = [part for part in plugins.parts(kind) if part.name == "sketch"]
        assert (part.title, part.package) == ("Sketch", "fcfi-sketch")
        part.load()


def test_a_verb(installed, capsys):
    assert main(["sketch", "line"]) == 0
    assert capsys.readouterr().out == "line\n"


def test_help_names_the_platform_and_its_verb(installed, capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "Sketch" in told
    assert "say a word" in told


def test_a_doctor_and_a_setting(installed, capsys):
    assert main(["doctor", "sketch"]) == 0
    told = capsys.readouterr().out
    assert "pencil" in told
    variables = [one for found in plugins.loaded("settings") for one in found]
    assert "FCFI_SKETCH" in {one.name for one in variables}


def test_a_data_format(photo):
    path, _ = photo
    (path.parent / "boxes.sketch").write_text("disc.png 28 24 100 96\n")
    dataset = open_annotations(path.parent / "boxes.sketch")
    (one,) = dataset.photos
    assert one.path.samefile(path)
    prompt = one.objects[0].marks.prompt(160, 120, lambda kind: None)
    assert (prompt.box.x1, prompt.box.y2) == (28, 96)


def test_a_form_of_masks_and_an_engine(photo, capsys):
    path, _ = photo
    words = ["segment", str(path), "--click", "64,60", "--format", "sketch", "--engine", "sketch"]
    assert main([*words, "--device", "cpu", "--threads", "1"]) == 0
    strokes = json.loads(capsys.readouterr().out)["strokes"]
    usual = Predictor(load_model("default", engine="torch", device="cpu", threads=1))
    assert strokes == usual.segment(path, [(64, 60)]).finished().mask.sum()
    assert main([*words, "--device", "cuda"]) == 2
    assert "it draws on paper" in capsys.readouterr().err


def test_a_platform(photo, colour_model, make_service):
    path, mask = photo
    client = TestClient(create_app(make_service(Predictor(colour_model))))
    answer = client.post("/sketch?x=64&y=60", content=path.read_bytes())
    assert answer.status_code == 200
    assert abs(answer.json()["strokes"] - np.count_nonzero(mask)) < 0.02 * np.count_nonzero(mask)
