"""Whatever reads bytes from strangers: what it is seeded with, and the call; :func:`parser_of` finds one.

Each is called as its door calls it, with a budget of memory and a deadline. Only errors made on purpose may
come of it.
"""

from __future__ import annotations

import base64
import io
import json
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
from fuzz_sources import FOLDER, HEIGHT, PHOTO, SOURCES, WIDTH
from PIL import Image

from cvat_function import request, tracker, tracking
from fcfi_core import Predictor, click_log, images, propagation
from fcfi_core.allowance import MEGABYTE, Allowance, Memory, granted
from fcfi_core.checkpoints import files
from fcfi_core.datasets.left_out import nothing_noted
from fcfi_core.datasets.opening import open_dataset
from fcfi_core.engines.base import Encoded, Maps
from fcfi_core.errors import FcfiError
from fcfi_core.evaluation.click_logs import habits, joined
from fcfi_core.masks import coco, label_studio
from fcfi_core.model import Model
from fcfi_core.pipelines.journal import Journal
from fcfi_core.pipelines.sources import open_source
from fcfi_core.prompt import Prompt
from fcfi_core.propagation import State
from fcfi_core.propagation.colours import SHADES
from fcfi_core.protocol import Protocol
from fcfi_core.serving.addresses import embedded
from fcfi_core.serving.api import messages
from fcfi_core.serving.api.forms import boundary_of, parts_of
from fcfi_core.serving.playground.parsing import parse_object
from fcfi_core.serving.playground.scene import objects_of
from fcfi_core.training.configuration import SourceConfiguration
from fcfi_core.training.configuration_file import load_configuration
from fcfi_core.training.pack import read_pack
from label_studio_backend import priorities
from label_studio_backend.labelling_config import LabellingConfig
from label_studio_backend.predict_request import PredictRequest

BUDGET = 300 * MEGABYTE
EYE = np.eye(9, 7, dtype=bool)
SLOWEST: dict[str, float] = {}
TRIED: dict[str, int] = {}


def tried(name, parse, *arguments):
    """Call ``parse`` as the server does; only errors made on purpose may come of it."""
    memory, began = Memory(BUDGET), time.thread_time()
    with granted(Allowance(time.monotonic() + 60, memory)), suppress(FcfiError):
        parse(*arguments)
    assert memory.used == 0
    SLOWEST[name] = max(SLOWEST.get(name, 0), time.thread_time() - began)
    TRIED[name] = TRIED.get(name, 0) + 1


def pictures():
    rows, columns = np.mgrid[:24, :32]
    pixels = np.stack((rows * 9, columns * 7, rows + columns), 2).astype(np.uint8)
    for mode, kinds in {
        "RGB": ("JPEG", "PNG", "WebP", "BMP", "TIFF", "GIF"),
        "RGBA": ("PNG", "WebP", "TIFF"),
        "L": ("JPEG", "PNG", "TIFF"),
        "P": ("PNG", "GIF", "BMP"),
        "CMYK": ("JPEG", "TIFF"),
        "I;16": ("PNG", "TIFF"),
        "F": ("TIFF",),
    }.items():
        picture = Image.fromarray(pixels)
        if mode == "I;16":
            picture = Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 250)
        else:
            picture = picture.convert("L").convert("F") if mode == "F" else picture.convert(mode)
        for kind in kinds:
            buffer = io.BytesIO()
            picture.save(buffer, kind)
            yield buffer.getvalue()


SEEDS = list(pictures())
CONFIG = (
    '<View><Image name="i" value="$image"/><BrushLabels name="b" toName="i"><Label value="a"/></BrushLabels>'
    '<KeyPointLabels name="k" toName="i" smart="true"><Label value="a"/></KeyPointLabels></View>'
)
PLACE = {"to_name": "i", "original_width": 32, "original_height": 24}
DRAWN = [
    {**PLACE, "id": "a", "type": "keypointlabels", "is_positive": True,
     "value": {"x": 5, "y": 6, "keypointlabels": ["a"]}},
    {**PLACE, "id": "b", "type": "brushlabels", "value": {"rle": [0, 0, 12, 0, 9], "brushlabels": ["a"]}},
    {**PLACE, "id": "c", "type": "polygonlabels",
     "value": {"points": [[1, 1], [9, 1], [9, 9]], "polygonlabels": ["a"]}},
]  # fmt: skip
TASK = {"id": 1, "data": {"image": "/data/upload/1/a.png"}, "drafts": [], "annotations": []}
REQUEST = json.dumps(
    {"tasks": [TASK], "project": "1.2", "label_config": CONFIG, "params": {"context": {"result": DRAWN}}}
).encode()


def read_request(content):
    request = PredictRequest.parse(content)
    _ = request.turn
    for prompt in request.prompts or ():
        if prompt.drawing is not None:
            prompt.drawing.mask(32, 24)
        LabellingConfig.for_image(request.label_config, prompt.target)


def read_config(content):
    config = LabellingConfig.for_image(content.decode("utf-8", "replace"), "i")
    for target in config.images:
        config.output(target, ("a",))
        config.reference(target, {"image": "x"})


def read_interaction(content):
    interaction = request.parse(content)
    images.load(interaction.image, max_pixels=20_000_000)
    interaction.objects(32, 24)


def read_track(content):
    fields = request.parse_object(content)
    for shape in tracker.entries(fields, "shapes"):
        with suppress(FcfiError):
            tracking.read_mask(shape, 32, 24)
    for state in tracker.entries(fields, "states"):
        with suppress(FcfiError):
            tracking.State.from_json(state, 32, 24)


class Brightness:
    """Stands in for a network: an object is what is bright."""

    name, version, device, threads, size_multiple = "bright", "1", "cpu", 1, 1

    def encode(self, frames):
        return Encoded(frames, frames.nbytes)

    def decode(self, encoded, feedback, points, new_points, gate):
        logits = (encoded.value.mean(3) - 0.5 + 0.1 * feedback).astype(np.float32)
        return Maps(logits, logits, logits)


PREDICTOR = Predictor(
    Model(
        "bright",
        "1",
        "bright",
        Brightness(),
        Protocol(first_side=64, target_size=64, smallest_crop=40),
        "0" * 64,
    )
)
FRAME = images.load(SEEDS[1])


def read_state(content):
    """Go on from a state on the next frame, as the plain API and CVAT's tracker do."""
    state = State.from_json(parse_object(content), FRAME.width, FRAME.height)
    propagation.follow(PREDICTOR, FRAME, state)


def read_question(content):
    """Read a body of ``/api/v1/segment``."""
    asked = messages.read(messages.Segment, content)
    if asked.image.startswith("data:"):
        images.load(embedded(asked.image, BUDGET), max_pixels=20_000_000)
    Prompt.from_json(asked.prompt, 24, 32)


def read_propagation(content):
    """Read a body of ``/api/v1/propagate``."""
    asked = messages.read(messages.Propagate, content)
    if asked.state is not None:
        State.from_json(asked.state, 32, 24)
    if asked.mask is not None and asked.mask.get("size") == [24, 32]:
        coco.decode(asked.mask)


def read_form(content):
    """Read a form of ``/api/v1``: the first line stands for the header that names its kind."""
    kind, _, body = content.partition(b"\n")
    boundary = boundary_of(kind.decode("latin-1"))
    if boundary is not None:
        parts = parts_of(body, boundary)
        images.load(parts.get("image", b""), max_pixels=20_000_000)
        messages.read(messages.SegmentOptions, parts.get("request", b""))


def read_scene(content):
    objects_of(parse_object(content), 24, 32)


def read_log(path):
    entries = joined(click_log.read(path).entries)
    assert habits(entries)


def read_journal(path):
    with Journal(path, RUN) as journal:
        for _, entry in journal.entries():
            assert isinstance(entry, dict)
        journal.append(10**6, {"a": 1})


def read_ranking(path):
    assert priorities.read(path)


def read_training(path):
    load_configuration(path)


def read_packed(path):
    read_pack(path, [SourceConfiguration("some/photos")], 64)


def official(path):
    """Read an official checkpoint; what torch says of its age is no matter."""
    from fcfi_core.checkpoints.convert import read_official

    read_official(path)


def checkpoint_file():
    """Return a file as safetensors lays it out, with a header of ours and a few weights."""
    about = {"format": files.FORMAT, "variant": "mobilenetv2", "arguments": {"a": 1}, "protocol": {"b": 9}}
    tensors = {
        name: {"dtype": kind, "shape": [2, 2], "data_offsets": [begin, end]}
        for name, kind, begin, end in (("a", "F16", 0, 8), ("b", "F32", 8, 24))
    }
    header = json.dumps({"__metadata__": {"fcfi": json.dumps(about)}, **tensors}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(24)


def official_file():
    """Return a file as torch writes it, of the official form."""
    import torch

    buffer = io.BytesIO()
    names = ("correction_module.info_encoder.0.conv.weight", "transition1.0.0.weight", "stage4.0.weight")
    parameters = {"width": {"value": 18}, "small": {"value": True}}
    torch.save(
        {
            "state_dict": {f"feature_extractor.{name}": torch.zeros(2, 2) for name in names},
            "config": {"class": "isegm.model.is_hrnet_model.HRNetModel", "params": parameters},
        },
        buffer,
    )
    return buffer.getvalue()


def packed_file():
    """Return a pack of one photo."""
    buffer, ids = io.BytesIO(), io.BytesIO()
    Image.fromarray(EYE.astype(np.uint8)).save(ids, "PNG")
    photo = io.BytesIO()
    Image.fromarray(np.zeros((9, 7, 3), np.uint8)).save(photo, "WebP", lossless=True)
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("photos/00000.webp", photo.getvalue())
        archive.writestr("photos/00000.png", ids.getvalue())
        archive.writestr("index.json", json.dumps({"format": 1, "sources": {"photos": ["a.jpg"]}}))
    return buffer.getvalue()


def read_file(suffix, read):
    """Return a parser of bytes for ``read``, which wants a path."""

    def parse(content):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "a" + suffix)
            path.write_bytes(content)
            read(path)

    return parse


INTERACTION = json.dumps(
    {"image": base64.b64encode(SEEDS[1]).decode(), "pos_points": [[3, 4], [5.5, 6]], "neg_points": [[1, 2]],
     "obj_bbox": [[1, 2], [9, 9]]}
).encode()  # fmt: skip
SEEN = np.zeros((24, 32), bool)
SEEN[2:9, 3:12] = True
KNOWN = propagation.State(SEEN, np.full((3, SHADES), 1 / SHADES, np.float32), None)
TRACK = json.dumps(
    {"shapes": [[3, 1, 6, 3, 9, 9, 1, 9], [0, 4, 2, 2, 3, 3, 6, 4]],
     "states": [tracking.State("mask", KNOWN).to_json(), None]}
).encode()  # fmt: skip
STATE = json.dumps(
    {**KNOWN.to_json(), "appearance": {"model": "0" * 12, "weights": base64.b64encode(bytes(2)).decode()}}
).encode()
PROMPT = {"clicks": [{"x": 1, "y": 2, "positive": False}], "box": [1, 2, 3, 4], "mask": coco.encode(SEEN)}
PICTURE = "data:image/png;base64," + base64.b64encode(SEEDS[1]).decode()
WRITTEN = {"forms": ["png", "coco", "polygons"], "finish": {"min_area": 3, "max_hole": None},
           "polygons": {"tolerance": 1.5, "max_points": 99, "holes": "bridge"}}  # fmt: skip
QUESTION = json.dumps(
    {"image": PICTURE, "prompt": PROMPT, "choice": 0, "candidates": True, **WRITTEN}
).encode()
PROPAGATION = json.dumps(
    {"image": PICTURE, "mask": coco.encode(SEEN), "state": KNOWN.to_json(), "frames": ["0" * 32], **WRITTEN}
).encode()
FORM = (
    b"multipart/form-data; boundary=x\n"
    b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n'
    b"Content-Type: image/png\r\n\r\n"
    + SEEDS[1]
    + b'\r\n--x\r\nContent-Disposition: form-data; name="request"\r\n\r\n'
    + json.dumps({"prompt": PROMPT}).encode()
    + b"\r\n--x--\r\n"
)
SCENE = json.dumps({"objects": [{**PROMPT, "label": "a"}, {"clicks": [{"x": 3, "y": 3}]}]}).encode()
LOGGED = click_log.Entry(
    "page", "2026-01-01T00:00:00Z", "00", 9, 9, {"clicks": [{"x": 1, "y": 1}], "box": [1, 2, 3, 4]},
    (0.0,), (1.0,), 0.0, 1, 0, {"name": "n", "version": "v", "digest": "d"},
    {"min_area": None, "max_hole": 3}, "00", 3, 0.5,
).line()  # fmt: skip
RUN = {"model": "m", "engine": "e"}
JOURNAL = b'{"fcfi_journal":1,"run":{"model":"m","engine":"e"}}\n{"index":0,"objects":[]}\n{"index":3}\n'
RANKING = b"image,id,need,error\np0.png,1,0.5,\np1.png,2,0.25,\np2.png,3,,gone\n"
TRAINING = b"""out = "o"
steps = 9
variant = "mobilenetv2"
start = "a.safetensors"
[[phases]]
share = 1.0
size = 64
batch = 2
[[sources]]
path = "a"
weight = 2.0
[sampling]
paste = 0.1
[optimizer]
learning_rate = 1.4e-3
"""

Parse = Callable[[bytes], object]

PARSERS: Mapping[str, tuple[int, list[bytes], Parse]] = {
    "pictures": (12, SEEDS, lambda content: images.load(content, max_pixels=20_000_000)),
    "requests": (9, [REQUEST], read_request),
    "labelling configs": (9, [CONFIG.encode()], read_config),
    "brush codes": (
        8, [bytes(label_studio.encode(EYE))], lambda content: label_studio.decode(content, 7, 9)
    ),
    "COCO codes": (
        8,
        [coco.encode(EYE)["counts"].encode()],
        lambda content: coco.decode({"size": [9, 7], "counts": content}),
    ),
    "interactions of CVAT": (5, [INTERACTION], read_interaction),
    "tracks of CVAT": (4, [TRACK], read_track),
    "tracking states": (3, [STATE], read_state),
    "bodies of the playground": (
        3,
        [json.dumps({"clicks": [{"x": 1, "y": 2, "positive": False}], "box": [1, 2, 3, 4]}).encode()],
        lambda content: Prompt.from_json(parse_object(content), 24, 32),
    ),
    "scenes of the playground": (2, [SCENE], read_scene),
    "questions to the plain API": (4, [QUESTION], read_question),
    "propagations of the plain API": (3, [PROPAGATION], read_propagation),
    "forms of the plain API": (3, [FORM], read_form),
    "click logs": (1, [LOGGED + LOGGED], read_file(".jsonl", read_log)),
    "journals": (1, [JOURNAL], read_file(".jsonl", read_journal)),
    "rankings": (1, [RANKING], read_file(".csv", read_ranking)),
    "training configurations": (1, [TRAINING], read_file(".toml", read_training)),
    "packs": (1, [packed_file()], read_file(".zip", read_packed)),
    "checkpoints": (1, [checkpoint_file()], read_file(".safetensors", files.read_checkpoint)),
    "official checkpoints": (1, [official_file()], read_file(".pth", official)),
}  # fmt: skip
"""Its share of the examples in percent, what it is seeded with, and the call."""


def read_source(contents):
    """Read all photos of a source as ``annotate``, ``evaluate`` and ``train`` do."""
    with tempfile.TemporaryDirectory() as folder:
        for place, content in {"p0.png": PHOTO, "images/p0.png": PHOTO, **contents}.items():
            Path(folder, place).parent.mkdir(exist_ok=True)
            Path(folder, place).write_bytes(content)
        first = next(iter(contents))
        path = Path(folder) if contents.keys() == SOURCES[FOLDER].keys() else Path(folder, first)
        with suppress(FcfiError):
            source = open_source(path)
            _ = source.digest
            for photo in source.images:
                with suppress(FcfiError):
                    for one in photo.read().objects:
                        with suppress(FcfiError):
                            one.prompt(nothing_noted).within(HEIGHT, WIDTH)
        dataset = open_dataset(path)
        for name in dataset.image_names:
            areas = dataset.areas(name)
            with suppress(FcfiError):
                photo = dataset.read(name)
                for number in areas:
                    photo.mask(number)


def parser_of(name):
    """Return (what to begin with, the call) for a parser, or for a file of a source."""
    if name in PARSERS:
        return PARSERS[name][1:]
    _, kind, place = name.split(": ")
    contents = SOURCES[kind]
    return [contents[place]], lambda content: read_source({**contents, place: content})


SOURCE_FILES = [f"source: {kind}: {place}" for kind, contents in SOURCES.items() for place in contents]
"""Every file of every source, as :func:`parser_of` knows it."""
