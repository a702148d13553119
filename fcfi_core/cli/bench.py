"""``fcfi bench``: milliseconds per click, our way beside the official way, in one run."""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from fcfi_core.cli._common import add_model_arguments, core_settings, print_json
from fcfi_core.cli._footprint import Footprint, footprint
from fcfi_core.cli._machine import OtherLoad, other_load
from fcfi_core.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

    from fcfi_core.networks.base import InteractiveNetwork
    from fcfi_core.predictor import Predictor
    from fcfi_core.protocol import Protocol

HELP = "measure milliseconds per click, fast path beside the official way; exit code 1 on a busy machine"

_EPILOG = """What is compared, with the same network, frame size and clicks:

  fast   batch norms folded, channels-last, FFCM's window as a mask, the encoder's output kept while
         the frame stays the same, maps kept in the frame between clicks
  plain  as the official code does it: batch norms as layers, standard layout, crops, every click from
         the pixels on, flip averaging, maps at the size of the image between clicks

"first click" looks at a new frame; "next click" looks at the same frame again. Speed does not depend
on the weights; variants without a file here are built with random ones. Both paths take turns, so
that a slower moment of the machine meets both. On a busy machine the figures mean nothing: bench then
refuses, or with --force prints them without a verdict."""

_MOST_LOAD = 0.10
_MOST_SPREAD = 0.25
_IMAGE_SIZE = (480, 640)
_CLICKS = ((320, 240), (200, 150), (420, 300), (260, 330), (380, 120))


@dataclass(frozen=True)
class Row:
    """Milliseconds of one path of one model; each triple is (10th percentile, median, 90th percentile).

    Args:
        model: name and variant.
        path: "fast" or "plain".
        frame: longer side of the network's input.
        first: a click that looks at a new frame.
        further: a click that looks at the frame of the click before.
        network: what of such a click is the network's.
        clicks: number of clicks measured.
    """

    model: str
    path: str
    frame: int
    first: tuple[float, float, float]
    further: tuple[float, float, float]
    network: tuple[float, float, float]
    clicks: int

    @property
    def spread(self) -> float:
        """Width between the percentiles of the further clicks, as a share of their median."""
        return (self.further[2] - self.further[0]) / self.further[1]


class _Milliseconds(NamedTuple):
    """One click."""

    whole: float
    network: float


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
        "--force", action="store_true", help="measure even on a busy machine; the verdict stays out"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    add_model_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure, print the table, and judge if the machine was quiet."""
    if arguments.repeats < 3:
        raise SettingsError(f"--repeats is {arguments.repeats}; a median with spread needs at least 3.")
    before = other_load()
    if before > _MOST_LOAD and not arguments.force:
        print(
            f"fcfi bench: other programs use {100 * before:.0f} % of this machine's CPU time, so figures "
            "would mean nothing; try again when it is quiet, or --force for figures without a verdict.",
            file=sys.stderr,
        )
        return 1
    load = OtherLoad()
    subjects = list(_subjects(arguments))
    rows = [row for subject in subjects for row in _measure(subject, arguments)]
    other = load.share()  # before footprint: its processes would count as others
    threads = core_settings(arguments)["FCFI_THREADS"] or None
    sizes = [footprint(subject.name, subject.weights, subject.variant, threads) for subject in subjects]
    doubts = list(_doubts(rows, max(before, other)))
    if arguments.json:
        report = [{**asdict(row), "spread": round(row.spread, 3)} for row in rows]
        sizes_report = [asdict(size) for size in sizes]
        print_json({"rows": report, "sizes": sizes_report, "other_load": round(other, 3), "doubts": doubts})
    else:
        _print(rows, sizes, doubts)
    return 1 if doubts else 0


@dataclass(frozen=True)
class _Subject:
    """What is measured: a checkpoint, or a variant with random weights."""

    name: str
    variant: str
    weights: Path | None
    network: InteractiveNetwork
    protocol: Protocol


def _subjects(arguments: argparse.Namespace) -> Iterator[_Subject]:
    """Yield what is to be measured."""
    import torch

    from fcfi_core.checkpoints import read_checkpoint, resolve
    from fcfi_core.model import protocol_of
    from fcfi_core.networks import registry
    from fcfi_core.protocol import product

    path = resolve(core_settings(arguments)["FCFI_MODEL"])
    checkpoint = read_checkpoint(path)
    name, protocol = f"{path.stem} ({checkpoint.variant})", protocol_of(checkpoint, path)
    yield _Subject(name, checkpoint.variant, path, checkpoint.network(), protocol)
    for variant in arguments.variants:
        torch.manual_seed(0)
        network = registry.build(variant)
        yield _Subject(f"{variant} (random weights)", variant, None, network, product(variant))


def _measure(subject: _Subject, arguments: argparse.Namespace) -> list[Row]:
    """Return the rows of both paths for one network."""
    import numpy as np

    from fcfi_core.model import Model
    from fcfi_core.networks.plain_correction import with_plain_correction
    from fcfi_core.predictor import Predictor

    network, protocol = subject.network, subject.protocol
    side = arguments.side or protocol.first_side or max(_IMAGE_SIZE)
    # Without zoom both paths see the same frame with every click, whatever the weights make of it.
    fast = replace(
        protocol, name="fast", first_side=side, target_size=None, second_look=0, flip=False, official=False
    )
    plain = replace(fast, name="plain", flip=True, official=True)
    values = core_settings(arguments)
    device, threads = values["FCFI_DEVICE"], values["FCFI_THREADS"] or None
    predictors = [
        Predictor(Model.from_network(network, protocol=fast, device=device, threads=threads)),
        Predictor(
            Model.from_network(
                with_plain_correction(network), protocol=plain, device=device, threads=threads, fast=False
            ),
            memo_bytes=0,
        ),
    ]
    pixels = np.random.default_rng(0).integers(0, 256, (*_IMAGE_SIZE, 3), dtype=np.uint8)
    times: dict[str, list[list[_Milliseconds]]] = {predictor.protocol.name: [] for predictor in predictors}
    for repeat in range(arguments.repeats + 1):
        for predictor in predictors:
            measured = _one_round(predictor, pixels)
            if repeat:  # the first round warms up
                times[predictor.protocol.name].append(measured)
    return [
        Row(
            model=subject.name,
            path=path,
            frame=side,
            first=_percentiles([measured[0].whole for measured in rounds]),
            further=_percentiles([click.whole for measured in rounds for click in measured[1:]]),
            network=_percentiles([click.network for measured in rounds for click in measured[1:]]),
            clicks=sum(len(measured) for measured in rounds),
        )
        for path, rounds in times.items()
    ]


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
        watch = Stopwatch()
        state = predictor.recurrence.advance(image, state, prompt.prefix(count), watch)
        found = watch.finished()
        times.append(_Milliseconds(found["total"], found.get("encode", 0.0) + found["network"]))
    return times


def _percentiles(values: list[float]) -> tuple[float, float, float]:
    tenths = statistics.quantiles(values, n=10, method="inclusive")
    return tenths[0], statistics.median(values), tenths[-1]


def _shown(times: tuple[float, float, float]) -> str:
    low, middle, high = times
    return f"{middle:.1f} ({low:.1f}-{high:.1f})"


def _doubts(rows: list[Row], load: float) -> Iterator[str]:
    """Yield the reasons not to trust the figures."""
    if load > _MOST_LOAD:
        yield f"other programs used {100 * load:.0f} % of this machine's CPU time"
    for row in rows:
        if row.spread > _MOST_SPREAD:
            yield f"{row.model}, {row.path}: the times spread by {100 * row.spread:.0f} % of their median"


def _print(rows: list[Row], sizes: list[Footprint], doubts: list[str]) -> None:
    titles = f"{'first click, ms':>24}{'next click, ms':>24}{'of it network':>24}"
    print(f"{'model':<34}{'path':<7}{'frame':>6}{titles}")
    for row in rows:
        cells = f"{_shown(row.first):>24}{_shown(row.further):>24}{_shown(row.network):>24}"
        print(f"{row.model:<34}{row.path:<7}{row.frame:>6}{cells}")
    print("Median (10th-90th percentile); first click: new frame, next click: same frame.\n")
    print(f"{'model':<34}{'parameters':>12}{'file':>12}{'memory':>12}")
    for size in sizes:
        cells = f"{size.parameters:>10.2f} M{size.file:>8.1f} MiB{size.memory:>8.0f} MiB"
        print(f"{size.model:<34}{cells}")
    print(
        "Memory: largest resident size of a process that answers two clicks on the fast path; "
        f"{sizes[0].memory_without:.0f} MiB of it are Python and its libraries."
    )
    if doubts:
        print(f"No verdict: {'; '.join(doubts)}.")
        return
    for fast, plain in zip(rows[::2], rows[1::2], strict=True):
        first, further = plain.first[1] / fast.first[1], plain.further[1] / fast.further[1]
        print(f"{fast.model}: {first:.1f} x faster on a first click, {further:.1f} x on a next click.")
