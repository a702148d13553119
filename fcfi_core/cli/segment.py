"""``fcfi segment``: one object in one image."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fcfi_core import outputs, plugins
from fcfi_core.cli._common import (
    add_mask_arguments,
    add_model_arguments,
    core_settings,
    load_predictor,
    print_json,
    rounded,
)
from fcfi_core.click_log import ClickLog
from fcfi_core.clicks import Box, Click
from fcfi_core.errors import ImageError, SettingsError
from fcfi_core.masks.finish import RAW
from fcfi_core.prompt import Prompt
from fcfi_core.results import SUFFIXES_OF
from fcfi_core.settings import finish_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fcfi_core.results import Result

HELP = "cut one object out of one image"

_EPILOG = """examples:
  fcfi segment dog.jpg --click 320,200 --out dog.png
  fcfi segment dog.jpg --click 320,200 --click 40,60,- --overlay seen.png
  fcfi segment dog.jpg --click 320,200 --format cutout
  fcfi segment dog.jpg --box 100,50,400,300 --format polygon
  fcfi segment dog.jpg --prior dog.png --click 40,60,- --format coco --json

Coordinates are pixels of the upright image; (0,0) is the centre of the first pixel."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``fcfi segment``."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "image", metavar="IMAGE", type=Path, help="JPEG, PNG, WebP, BMP, TIFF, GIF, AVIF or HEIC file"
    )
    parser.add_argument(
        "--click",
        metavar="X,Y[,-]",
        action="append",
        default=[],
        help="a click on the object, or (with ,-) on what does not belong to it; in order, repeatable",
    )
    parser.add_argument("--box", metavar="X1,Y1,X2,Y2", help="a box around the object")
    parser.add_argument(
        "--prior", metavar="MASK.png", type=Path, help="a mask to correct: object where it is not black"
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        help="where the mask goes, - for standard output\n"
        "(default: IMAGE's name with .mask.png or .cutout.png, standard output for the other formats)",
    )
    parser.add_argument(
        "--overlay", metavar="O.png", type=Path, help="also write the image with the mask painted over it"
    )
    further = [part.name for part in plugins.parts("formats")]
    codes = ", ".join(("coco", *further))
    parser.add_argument(
        "--format",
        choices=(*_PICTURES, *_FORMATS, *further),
        default="png",
        help="png: 0 and 255; cutout: the object on a transparent ground, with soft edges;\n"
        f"polygon: rings with holes; {codes}: run-length codes (default: %(default)s)",
    )
    add_mask_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the result as JSON, with the mask in it")
    add_model_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Segment, write the mask, and say what was found."""
    clicks = [Click.parse(text) for text in arguments.click]
    box = Box.parse(arguments.box) if arguments.box else None
    out = _checked_outputs(arguments)
    predictor = load_predictor(arguments)
    prior = _read_prior(arguments.prior) if arguments.prior else None
    image = predictor.load(arguments.image)
    values = core_settings(arguments)
    prompt, finish = Prompt(tuple(clicks), box, prior), RAW if arguments.raw else finish_of(values)
    log = ClickLog.from_settings(values)
    result = predictor.answer(image, prompt).finished(finish)
    if log is not None:
        log.finished("segment", image, prompt, result, predictor.model, finish)
    _write_mask(result, arguments, out)
    if arguments.overlay:
        painted = result.encoded(arguments.overlay, "overlay")
        outputs.write(arguments.overlay, painted, "choose another --overlay")
    report = _report(result, arguments, str(predictor.model.name), out)
    if arguments.json:
        if arguments.format not in _PICTURES:
            report["mask"] = _content(result, arguments)
        print_json(report)
    else:
        outputs.say(*_summary(report).split("\n"), error=str(out) == "-")
    return 0


def _checked_outputs(arguments: argparse.Namespace) -> Path | None:
    """Return where the mask belongs, having looked that nothing is lost by it; None: only the JSON has it.

    Raises:
        SettingsError: if an output would replace an input or the other output, or its name lies.
    """
    out: Path | None = arguments.out
    what = _PICTURES.get(arguments.format)
    if out is None and what is not None:
        out = arguments.image.with_name(f"{arguments.image.stem}.{what}.png")
    elif out is None:
        out = None if arguments.json else Path("-")
    printed = [out, arguments.overlay, Path("-") if arguments.json else None].count(Path("-"))
    if printed > 1:
        raise SettingsError(
            "--json, --out - and --overlay - go to standard output; leave all but one of them out."
        )
    inputs = [arguments.image, arguments.prior, None if arguments.model is None else Path(arguments.model)]
    kinds = outputs.JSON if what is None else SUFFIXES_OF[what]
    outputs.require_writable(out, "--out", kinds, inputs)
    outputs.require_writable(arguments.overlay, "--overlay", outputs.PICTURES, [*inputs, out])
    return out


def _write_mask(result: Result, arguments: argparse.Namespace, out: Path | None) -> None:
    if out is None:
        return
    if arguments.format in _PICTURES:
        data = result.encoded(out, _PICTURES[arguments.format])
    else:
        data = json.dumps(_content(result, arguments), separators=(",", ":")).encode() + b"\n"
    outputs.write(out, data, "choose another --out")


def _report(result: Result, arguments: argparse.Namespace, model: str, out: Path | None) -> dict[str, Any]:
    height, width = result.mask.shape
    box = result.box
    return {
        "image": str(arguments.image),
        "width": width,
        "height": height,
        "model": model,
        "clicks": [_plain(click) for click in result.clicks],
        "implied_click": _plain(result.implied_click) if result.implied_click else None,
        "area": result.area,
        "box": [box.x1, box.y1, box.x2, box.y2] if box else None,
        "confidence": round(result.confidence, 4),
        "notes": [*result.image_notes, *result.notes],
        "milliseconds": rounded(result.timings),
        "format": arguments.format,
        "out": None if out is None else str(out),
        "overlay": str(arguments.overlay) if arguments.overlay else None,
    }


def _summary(report: dict[str, Any]) -> str:
    place = "" if report["out"] in (None, "-") else f"{report['out']}: "
    share = 100 * report["area"] / (report["width"] * report["height"])
    lines = [
        f"{place}{report['area']} pixels ({share:.1f} % of the image), "
        f"confidence {report['confidence']:.2f}, {report['milliseconds']['total']:.0f} ms"
    ]
    if report["implied_click"]:
        x, y, _ = report["implied_click"].values()
        lines.append(f"No click was given; ({x}, {y}) was taken as one on the object.")
    return "\n".join(lines + [f"Note: {note}" for note in report["notes"]])


def _plain(click: Click) -> dict[str, Any]:
    return {"x": click.x, "y": click.y, "positive": click.positive}


def _read_prior(path: Path) -> NDArray[np.bool_]:
    """Return the mask in the file ``path``: object where it is visible and not black."""
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as file:
            if file.mode.startswith(("I", "F")):
                return np.asarray(np.asarray(file) != 0)
            pixels = np.asarray(file.convert("RGBA"))
    except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError) as error:
        raise ImageError(f"prior mask {str(path)!r} cannot be read: {error}.") from None
    return np.asarray(pixels[..., :3].any(axis=2) & (pixels[..., 3] > 0))


def _polygon(result: Result, arguments: argparse.Namespace) -> dict[str, Any]:
    polygons = result.polygons(arguments.tolerance, arguments.max_points)
    return {
        "polygons": [
            {"exterior": part.exterior.tolist(), "holes": [hole.tolist() for hole in part.holes]}
            for part in polygons.parts
        ],
        "lost_iou": round(polygons.lost_iou, 5),
    }


def _coco(result: Result, arguments: argparse.Namespace) -> dict[str, Any]:
    box = result.box
    return {
        "segmentation": result.rle("coco"),
        "area": result.area,
        "bbox": [box.x1, box.y1, box.width, box.height] if box else [0, 0, 0, 0],
        "iscrowd": 0,
    }


_PICTURES: dict[str, Literal["mask", "cutout"]] = {"png": "mask", "cutout": "cutout"}
"""Formats that are picture files, and what of the result they show."""

_FORMATS: dict[str, Callable[[Result, argparse.Namespace], Any]] = {"polygon": _polygon, "coco": _coco}
"""Formats that are JSON; plugins add theirs."""


def _content(result: Result, arguments: argparse.Namespace) -> Any:
    """Return the result in a format that is JSON."""
    if arguments.format in _FORMATS:
        return _FORMATS[arguments.format](result, arguments)
    (part,) = (part for part in plugins.parts("formats") if part.name == arguments.format)
    return part.load()(result)
