"""``fcfi bench``: milliseconds per click, engines and the official way side by side, in one run."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from fcfi_core.cli._common import add_model_arguments, core_settings, print_json
from fcfi_core.cli._footprint import footprint
from fcfi_core.cli._machine import OtherLoad, kept_busy, other_load
from fcfi_core.cli._timings import PLAIN, PhotoRow, Row, doubts_about, percentiles, print_tables
from fcfi_core.engines import registry
from fcfi_core.errors import FcfiError, SettingsError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from fcfi_core.model import Model
    from fcfi_core.networks.base import InteractiveNetwork
    from fcfi_core.predictor import Predictor
    from fcfi_core.protocol import Protocol
    from fcfi_core.rating import Rating

HELP = "measure milliseconds per click and what they take of the machine; exit code 1 without a verdict"

_EPILOG = """What is compared, with the same network, frame size and clicks:

  ENGINE  batch norms folded, the encoder's output kept while the frame stays the same, maps kept in the
          frame between clicks; one row for each engine that is here
  plain   as the official code does it, on torch: batch norms as layers, standard layout, crops, every
          click from the pixels on, flip averaging, maps at the size of the image between clicks

"first click" looks at a new frame; "next click" looks at the same frame again. Speed does not depend
on the weights; variants without a file here are built with random ones. All rows take turns, so that a
slower moment of the machine meets all of them. The second table goes the whole way of a click with
--model: frame, network, cleaned mask, run-length code, for a small and a large photo.

Wall times on a busy machine say little: then there is no verdict. Processor time (in all threads of
this process) hardly depends on what else runs. --busy N runs N processes beside the clicks, for what an
annotator sees whose browser and platform want the same cores."""

_IMAGE_SIZE = (480, 640)
_SIZES = ((480, 640), (4000, 6000))
_CLICKS = ((320, 240), (200, 150), (420, 300), (260, 330), (380, 120))
_NEAR = ((320, 240), (330, 240), (320, 250), (315, 235), (325, 245))


class _Milliseconds(NamedTuple):
    """One click."""

    whole: float
    network: float
    processor: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``fcfi bench``."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "--with",
        dest="variants",
        metavar="VARIANT",
        nargs="*",
        default=["hrnet18"],
        help="variants to measure beside --model (default: hrnet18)",
    )
    parser.add_argument("--side", type=int, help="longer side of the frame (default: each model's own)")
    parser.add_argument(
        "--repeats", type=int, default=5, help="rounds of five clicks for each path (default: %(default)s)"
    )
    parser.add_argument(
        "--busy",
        type=int,
        nargs="+",
        default=[0],
        metavar="N",
        help="processes to keep busy beside the clicks; several numbers one after the other (default: 0)",
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    add_model_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure, print the tables, and judge if the machine was quiet."""
    if arguments.repeats < 3:
        raise SettingsError(f"--repeats is {arguments.repeats}; a median with spread needs at least 3.")
    if min(arguments.busy) < 0:
        raise SettingsError(f"--busy is {min(arguments.busy)}; give 0 or more.")
    before = other_load()
    load = OtherLoad()
    subjects = list(_subjects(arguments))
    rows = []
    other = before
    for busy in arguments.busy:
        with kept_busy(busy):
            rows += [row for subject in subjects for row in _measure(subject, arguments, busy)]
        if not busy:
            other = max(before, load.share())  # before anything else: processes of ours would count as others
    photos = list(_photos(arguments))
    threads = core_settings(arguments)["FCFI_THREADS"] or None
    sizes = [
        footprint(subject.name, engine, subject.weights, subject.variant, threads)
        for subject in subjects
        for engine in (subject.engines if subject.weights else ("torch",))
    ]
    doubts = list(doubts_about([row for row in rows if not row.busy], other))
    if arguments.json:
        report = [{**asdict(row), "spread": round(row.spread, 3)} for row in rows]
        print_json(
            {
                "rows": report,
                "photos": [asdict(photo) for photo in photos],
                "sizes": [asdict(size) for size in sizes],
                "other_load": round(other, 3),
                "doubts": doubts,
            }
        )
    else:
        print_tables(rows, photos, sizes, doubts)
    return 1 if doubts else 0


@dataclass(frozen=True)
class _Subject:
    """What is measured: a checkpoint, or a variant with random weights."""

    name: str
    variant: str
    weights: Path | None
    network: InteractiveNetwork
    protocol: Protocol
    engines: tuple[str, ...]
    rating: Rating | None = None


def _subjects(arguments: argparse.Namespace) -> Iterator[_Subject]:
    """Yield what is to be measured."""
    import torch

    from fcfi_core.checkpoints import read_checkpoint, resolve
    from fcfi_core.model import protocol_of, rating_of
    from fcfi_core.networks import registry as networks
    from fcfi_core.protocol import product

    values = core_settings(arguments)
    path = resolve(values["FCFI_MODEL"])
    checkpoint = read_checkpoint(path)
    name, protocol = f"{path.stem} ({checkpoint.variant})", protocol_of(checkpoint, path)
    here = tuple(_engines(path, values["FCFI_ENGINE"], values["FCFI_DEVICE"]))
    rating = rating_of(checkpoint, path)
    yield _Subject(name, checkpoint.variant, path, checkpoint.network(), protocol, here, rating)
    for variant in arguments.variants:
        torch.manual_seed(0)
        network = networks.build(variant)
        yield _Subject(f"{variant} (random weights)", variant, None, network, product(variant), here)


def _engines(path: Path, wanted: str, device: str) -> Iterator[str]:
    """Yield the names of the engines that can run the checkpoint here."""
    from fcfi_core.checkpoints.files import describe

    registry.require(wanted)
    for name in registry.ENGINES if wanted == registry.AUTO else (wanted,):
        try:
            registry.open_engine(name, describe(path), device, 1)
            yield name
        except FcfiError:
            if name == wanted:
                raise


def _model_of(subject: _Subject, engine: str, protocol: Protocol, device: str, threads: int | None) -> Model:
    """Return the model that runs the subject's network."""
    from fcfi_core.model import Model

    if not engine.startswith("openvino"):
        return Model.from_network(
            subject.network, protocol=protocol, device=device, threads=threads, rating=subject.rating
        )
    from fcfi_core.engines import graphs
    from fcfi_core.engines.openvino_engine import OpenVinoEngine

    graph = graphs.read(subject.variant)
    assert graph is not None, "every variant has graphs"
    weights = {name: tensor.numpy() for name, tensor in subject.network.state_dict().items()}
    arguments = {graphs.OTHER_ANSWERS: subject.network.other_answers}
    opened = OpenVinoEngine(graph, weights, arguments, threads, bfloat16=engine == "openvino-bf16")
    return Model(subject.name, "", subject.variant, opened, protocol, digest="", rating=subject.rating)


def _measure(subject: _Subject, arguments: argparse.Namespace, busy: int) -> list[Row]:
    """Return the rows of all paths for one network."""
    import numpy as np

    from fcfi_core.model import Model
    from fcfi_core.networks.plain_correction import with_plain_correction
    from fcfi_core.predictor import Predictor

    network, protocol = subject.network, subject.protocol
    side = arguments.side or protocol.first_side or max(_IMAGE_SIZE)
    # Without zoom all paths see the same frame with every click, whatever the weights make of it.
    fast = replace(
        protocol, name="fast", first_side=side, target_size=None, second_look=0, flip=False, official=False
    )
    plain = replace(fast, name="plain", flip=True, official=True)
    values = core_settings(arguments)
    device, threads = values["FCFI_DEVICE"], values["FCFI_THREADS"] or None
    predictors = {
        engine: Predictor(_model_of(subject, engine, fast, device, threads)) for engine in subject.engines
    }
    predictors[PLAIN] = Predictor(
        Model.from_network(
            with_plain_correction(network), protocol=plain, device=device, threads=threads, fast=False
        ),
        memo_bytes=0,
    )
    pixels = np.random.default_rng(0).integers(0, 256, (*_IMAGE_SIZE, 3), dtype=np.uint8)
    times: dict[str, list[list[_Milliseconds]]] = {path: [] for path in predictors}
    for repeat in range(arguments.repeats + 1):
        for path, predictor in predictors.items():
            measured = _one_round(predictor, pixels)
            if repeat:  # the first round warms up
                times[path].append(measured)
    return [_row(subject.name, path, busy, side, rounds) for path, rounds in times.items()]


def _row(model: str, path: str, busy: int, side: int, rounds: list[list[_Milliseconds]]) -> Row:
    first = [measured[0] for measured in rounds]
    further = [click for measured in rounds for click in measured[1:]]
    return Row(
        model=model,
        path=path,
        busy=busy,
        frame=side,
        first=percentiles([click.whole for click in first]),
        further=percentiles([click.whole for click in further]),
        network=percentiles([click.network for click in further]),
        first_processor=percentiles([click.processor for click in first]),
        further_processor=percentiles([click.processor for click in further]),
        clicks=len(first) + len(further),
    )


def _photos(arguments: argparse.Namespace) -> Iterator[PhotoRow]:
    """Yield the whole way of a click, for each engine and size of photo."""
    from fcfi_core.checkpoints import resolve
    from fcfi_core.model import load_model
    from fcfi_core.predictor import Predictor

    values = core_settings(arguments)
    device, threads = values["FCFI_DEVICE"], values["FCFI_THREADS"] or None
    path = resolve(values["FCFI_MODEL"])
    for engine in _engines(path, values["FCFI_ENGINE"], device):
        predictor = Predictor(load_model(path, engine=engine, device=device, threads=threads))
        for size in _SIZES:
            image = predictor.load(_photo(size))
            first: list[float] = []
            further: list[float] = []
            output: list[float] = []
            for repeat in range(arguments.repeats + 1):
                predictor.memo.clear()
                session = predictor.open(image)
                for count, (x, y) in enumerate(_NEAR):
                    start = time.process_time()
                    result = session.click(x * size[1] // 640, y * size[0] // 480)
                    answered = time.process_time()
                    result.finished().rle("coco")
                    end = time.process_time()
                    if not repeat or count == 1:  # the first round warms up, the second click zooms
                        continue
                    (further if count else first).append(1000 * (end - start))
                    if count:
                        output.append(1000 * (end - answered))
            yield PhotoRow(
                engine, size[0] * size[1] / 1e6, *(percentiles(times) for times in (first, further, output))
            )


def _photo(size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return (H, W, 3) uint8: a bright disk on a dark ground."""
    import cv2
    import numpy as np

    height, width = size
    pixels = np.full((height, width, 3), (40, 60, 80), np.uint8)
    cv2.circle(pixels, (width // 2, height // 2), height // 3, (225, 190, 60), -1)
    return pixels


def _one_round(predictor: Predictor, pixels: Any) -> list[_Milliseconds]:
    """Return the times of each click of a chain that starts with an empty memory.

    The chain is walked by hand, state by state, because the plain path has no memo to do it.
    """
    from fcfi_core.prompt import Prompt
    from fcfi_core.stopwatch import Stopwatch

    predictor.memo.clear()
    image, prompt = predictor.load(pixels), Prompt.of(_CLICKS)
    state, times = None, list[_Milliseconds]()
    for count in range(1, len(prompt.clicks) + 1):
        watch, start = Stopwatch(), time.process_time()
        state = predictor.recurrence.advance(image, state, prompt.prefix(count), watch)
        found = watch.finished()
        processor = 1000 * (time.process_time() - start)
        times.append(_Milliseconds(found["total"], found.get("encode", 0.0) + found["network"], processor))
    return times
