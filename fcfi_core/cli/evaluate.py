"""``fcfi evaluate``: how many clicks do objects take?"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcfi_core import outputs
from fcfi_core.cli import _click_log
from fcfi_core.cli._common import add_model_arguments, core_settings, exports
from fcfi_core.cli._places import add_place_arguments, for_workers, place_of, predictor_maker, whole_paths
from fcfi_core.errors import SettingsError
from fcfi_core.stores import named

if TYPE_CHECKING:
    from fcfi_core.evaluation.benchmark import Rules, Segmenter
    from fcfi_core.evaluation.clicker import ClickNoise
    from fcfi_core.predictor import Predictor
    from fcfi_core.protocol import Protocol

HELP = "measure how many clicks objects take, with a simulated annotator"

_EPILOG = """examples:
  fcfi evaluate photos --json figures.json --html report.html
  fcfi evaluate photos other --objects 200 --seed 1 --baseline grabcut
  fcfi evaluate photos --compare flip --compare no-zoom --compare no-ffcm+no-cffm
  fcfi evaluate photos --protocol parity --target-size 700 --expansion-ratio 3.0
  fcfi evaluate photos --workers 4
  fcfi evaluate /shared/photos --cluster ray://head:10001
  fcfi evaluate --log clicks.jsonl --images photos --model tuned.safetensors

A data set is DIR/images/NAME.jpg with DIR/masks/NAME.png (0 background, 1..n objects, 255 or 65535
ignored), COCO, LabelMe or Datumaro JSON with polygons or masks, a YOLO-seg folder or its YAML file, or
{exports}. What cannot be used is left out, counted and told."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``fcfi evaluate``."""
    parser.epilog = _EPILOG.format(exports=exports())
    parser.add_argument(
        "datasets", metavar="DIR", nargs="*", type=named, help="data set: a folder, COCO JSON, or export"
    )
    parser.add_argument(
        "--images", metavar="DIR", type=named, help="where the photos of a COCO file, export or log are"
    )
    parser.add_argument(
        "--log",
        metavar="FILE",
        type=Path,
        help="instead of a data set, tell what a click log holds: clicks and times of objects; with\n"
        "--images also what the model makes of the same clicks",
    )
    parser.add_argument(
        "--against", metavar="NAME|FILE", help="for --log: the model to compare with (default: the log's)"
    )
    parser.add_argument(
        "--json", metavar="F", type=Path, help="write all figures as JSON; - for standard output"
    )
    parser.add_argument("--html", metavar="F", type=Path, help="write a report with curves and pictures")
    parser.add_argument(
        "--worst",
        metavar="N",
        type=int,
        default=10,
        help="pictures of the worst cases per set (default: %(default)s)",
    )
    add_place_arguments(parser, "1, where times mean most")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    _add_object_arguments(parser.add_argument_group("objects"))
    _add_annotator_arguments(parser.add_argument_group("annotator"))
    _add_protocol_arguments(parser.add_argument_group("protocol"))
    add_model_arguments(parser)


def _add_object_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--objects", metavar="N", type=int, help="a random choice of N per set (default: all)")
    group.add_argument(
        "--seed", type=int, default=0, help="of that choice, and of click noise (default: %(default)s)"
    )
    group.add_argument(
        "--min-area", metavar="PIXELS", type=int, default=1, help="leave out smaller ones (default: 1)"
    )
    group.add_argument(
        "--held-out",
        metavar="SHARE",
        type=float,
        help="only photos that a training run with this development_share keeps out (the default: 0.06)",
    )


def _add_annotator_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--max-clicks", metavar="N", type=int, default=20, help="per object (default: %(default)s)"
    )
    group.add_argument(
        "--targets",
        metavar="T,T",
        default="80,85,90,95",
        help="IoU in percent that is enough (default: %(default)s)",
    )
    group.add_argument(
        "--all-clicks",
        action="store_true",
        help="go on when the highest target is reached (exact curves; slower)",
    )
    group.add_argument(
        "--noise",
        metavar="KIND:AMOUNT",
        help="jitter:10 (up to 10 pixels off), miss:10 (the same, also across the outline),\n"
        "border:0.5 (at most half as deep as the deepest point)",
    )
    group.add_argument("--no-boundaries", action="store_true", help="skip boundary IoU and surface distance")


def _add_protocol_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--protocol",
        choices=("product", "parity"),
        default="product",
        help="parity: as the official evaluation, defects included; no early stop\n(default: %(default)s)",
    )
    group.add_argument(
        "--flip", action=argparse.BooleanOptionalAction, help="average with the mirrored image"
    )
    group.add_argument(
        "--zoom", choices=("on", "off"), help="look closer at the object after the first click"
    )
    group.add_argument("--target-size", metavar="PIXELS", type=int, help="longer side of the zoomed frame")
    group.add_argument("--expansion-ratio", metavar="R", type=float, help="zoomed region / box of the object")
    group.add_argument(
        "--baseline", metavar="NAME", action="append", default=[], help="also run grabcut on the same objects"
    )
    group.add_argument(
        "--candidates",
        action="store_true",
        help="also let the annotator choose among the answers to the first click (a choice is a click)",
    )
    group.add_argument(
        "--suggestions",
        action="store_true",
        help="also let the annotator only answer yes or no where the model asks, after the first click",
    )
    group.add_argument(
        "--compare",
        metavar="NAME",
        action="append",
        default=[],
        help="also run the same weights with one part switched: no-ffcm, no-cffm, no-feedback,\n"
        "no-zoom, flip, or several joined by +; repeatable",
    )


def run(arguments: argparse.Namespace) -> int:
    """Evaluate, print the main figures, and write the reports asked for."""
    if arguments.log is not None:
        return _click_log.run(arguments)
    if not arguments.datasets:
        raise SettingsError("there is nothing to evaluate; give a data set, or --log FILE.")
    from fcfi_core.datasets.left_out import listed
    from fcfi_core.datasets.opening import open_dataset
    from fcfi_core.datasets.samples import choose
    from fcfi_core.evaluation.html import summary, to_html
    from fcfi_core.evaluation.runner import evaluate
    from fcfi_core.predictor import Predictor

    whole_paths(arguments, "datasets", "images")
    given = [*arguments.datasets, arguments.images, arguments.model and Path(arguments.model)]
    inputs = [path for path in given if isinstance(path, Path)]
    outputs.require_writable(arguments.json, "--json", outputs.JSON, inputs)
    # No reader takes a web page for part of a data set, so a report in its folder may be renewed.
    files = [path for path in inputs if path.is_file()]
    outputs.require_writable(arguments.html, "--html", outputs.HTML, [*files, arguments.json])
    rules = _rules(arguments)
    selections = [
        choose(
            open_dataset(path, arguments.images),
            count=arguments.objects,
            seed=arguments.seed,
            min_area=arguments.min_area,
            held_out=arguments.held_out,
        )
        for path in arguments.datasets
    ]
    values = core_settings(arguments)
    if arguments.workers is not None or arguments.cluster is not None:
        values = for_workers(values)
    place = place_of(arguments, values, default=1, read=[*arguments.datasets, arguments.images])
    change = partial(_protocol, arguments)
    predictor = Predictor.from_settings(values, change)
    (_, main), *others = _contestants(arguments, values, predictor).items()
    predictor.warm_up()
    report = evaluate(
        main,
        selections,
        compare=dict(others),
        rules=rules,
        worst=arguments.worst,
        place=place,
        make_contestants=partial(
            _made, arguments, values, predictor_maker(values, place, change), predictor.model.key
        ),
        progress=not arguments.quiet,
    )
    for result in report.main.datasets:
        if result.left_out:
            outputs.say(f"left out of {result.name}: {listed(result.left_out)}", error=True)
    if arguments.json:
        text = json.dumps(report.to_dict(), allow_nan=False)
        outputs.write(arguments.json, text.encode() + b"\n", "choose another --json")
    if arguments.html:
        outputs.write(arguments.html, to_html(report), "choose another --html")
    if str(arguments.json) != "-":
        outputs.say(*summary(report).split("\n"))
    return 0


def _rules(arguments: argparse.Namespace) -> Rules:
    from fcfi_core.evaluation.benchmark import Rules

    try:
        targets = tuple(sorted(float(text) / 100 for text in arguments.targets.split(",")))
    except ValueError:
        raise SettingsError(
            f"--targets is {arguments.targets!r}; give percentages, for example 85,90."
        ) from None
    if arguments.worst < 0:
        raise SettingsError(f"--worst is {arguments.worst}; give 0 or more.")
    return Rules(
        max_clicks=arguments.max_clicks,
        targets=targets,
        all_clicks=arguments.all_clicks,
        official=arguments.protocol == "parity",
        boundaries=not arguments.no_boundaries,
        noise=_noise(arguments.noise),
        seed=arguments.seed,
    )


def _noise(text: str | None) -> ClickNoise | None:
    """Return the click noise written as ``KIND:AMOUNT``."""
    from fcfi_core.evaluation.clicker import NearBorder, UniformJitter

    if text is None:
        return None
    kind, _, amount = text.partition(":")
    try:
        if kind in ("jitter", "miss"):
            return UniformJitter(int(amount), may_miss=kind == "miss")
        if kind == "border":
            return NearBorder(float(amount))
    except ValueError:
        pass
    raise SettingsError(
        f"--noise is {text!r}; give jitter:PIXELS, miss:PIXELS or border:SHARE, for example jitter:10."
    )


def _protocol(arguments: argparse.Namespace, protocol: Protocol) -> Protocol:
    """Return the model's protocol with what the command line changes of it."""
    from dataclasses import replace

    from fcfi_core.protocol import parity

    if arguments.protocol == "parity":
        protocol = parity()
    if arguments.flip is not None:
        protocol = protocol.with_flip(arguments.flip)
    if arguments.target_size is not None:
        protocol = replace(protocol, target_size=arguments.target_size)
    if arguments.expansion_ratio is not None:
        protocol = replace(protocol, expansion_ratio=arguments.expansion_ratio)
    if arguments.zoom == "off":
        protocol = replace(protocol, target_size=None)
    if arguments.zoom == "on" and protocol.target_size is None:
        protocol = replace(protocol, target_size=400)
    return protocol


def _contestants(
    arguments: argparse.Namespace, values: Mapping[str, Any], predictor: Predictor
) -> dict[str, Segmenter]:
    """Return the predictor and what is compared with it, by name."""
    from fcfi_core.evaluation.answering import Answerer
    from fcfi_core.evaluation.baselines import baseline
    from fcfi_core.evaluation.choosing import Chooser

    model = predictor.model.name
    found: dict[str, Segmenter] = {model: predictor}
    found |= {f"opencv-{name}": baseline(name) for name in arguments.baseline}
    for names in arguments.compare:
        from fcfi_core.evaluation.ablations import ablated  # which needs torch

        found[f"{model}, {names}"] = ablated(predictor, values["FCFI_MODEL"], names)
    if arguments.suggestions:
        found[f"{model}, answering"] = Answerer(predictor)
    if arguments.candidates:
        found[f"{model}, choosing"] = Chooser(predictor)
    return found


def _made(
    arguments: argparse.Namespace,
    values: Mapping[str, Any],
    make_predictor: Callable[[], Predictor],
    key: tuple[str, ...],
) -> dict[str, Segmenter]:
    """Return the same, made in another process.

    Raises:
        SettingsError: if its masks would have other bits than those of the main process.
    """
    predictor = make_predictor()
    predictor.model.require_key(key)
    return _contestants(arguments, values, predictor)
