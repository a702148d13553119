"""``fcfi track``: one object through a video."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcfi_core import outputs
from fcfi_core.cli._common import add_model_arguments, core_settings, load_predictor, print_json
from fcfi_core.clicks import Box, Click
from fcfi_core.errors import DataError, SettingsError
from fcfi_core.masks.finish import RAW
from fcfi_core.settings import finish_of

if TYPE_CHECKING:
    from fcfi_core.pipelines.tracks import TrackRecord
    from fcfi_core.propagation import Track

HELP = "follow one object through a video"

_EPILOG = """examples:
  fcfi track street.mp4 --click 320,200 --out car
  fcfi track frames --box 100,50,400,300 --out dog --label dog
  fcfi track street.mp4 --click 320,200 --click 45:300,190 --click 45:60,40,- --out car

VIDEO is a video file or a folder of pictures, sorted by name. --click, --box and --mask show the object;
FRAME: before them says on which frame, counted from 0 (the first one if it is left out). They count in the
order given: first show the object, then look at OUT/overlay.webm and at the frames the run names, and run the
same command again with clicks added that correct what you saw there. A corrected frame reaches forward and
backward, to the middle between it and the next one that you touched.

The folder OUT receives masks/ (a PNG a frame), overlay.webm, review.csv (the frames to look at), track.json
(all frames), the frames of a video file, and what platforms import: {platforms}.
Exit code 1: done, but some frames could not be used."""

_PLACED = re.compile(r"(\d+):(.*)", re.DOTALL)


@dataclass(frozen=True)
class Shown:
    """What one option says of one frame."""

    frame: int
    kind: str
    value: str


class _InOrder(argparse.Action):
    """Collects several options in one list, in the order in which they are given."""

    def __call__(
        self, parser: Any, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        placed = _PLACED.fullmatch(values)
        frame, value = (int(placed[1]), placed[2]) if placed else (0, values)
        kind = self.metavar if isinstance(self.metavar, str) else ""
        namespace.shown = [*(namespace.shown or ()), Shown(frame, (option or kind).lstrip("-"), value)]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``fcfi track``."""
    from fcfi_core import plugins

    named = [part.name for part in plugins.parts("tracks")]
    parser.epilog = _EPILOG.format(platforms=", ".join(f"{name} files" for name in named) or "nothing here")
    parser.set_defaults(shown=())
    parser.add_argument("video", metavar="VIDEO", type=Path, help="video file, or folder of pictures")
    parser.add_argument(
        "--click",
        metavar="[FRAME:]X,Y[,-]",
        dest="shown",
        action=_InOrder,
        help="a click on the object, or (with ,-) on what does not belong to it; repeatable",
    )
    parser.add_argument(
        "--box", metavar="[FRAME:]X1,Y1,X2,Y2", dest="shown", action=_InOrder, help="a box around the object"
    )
    parser.add_argument(
        "--mask",
        metavar="[FRAME:]FILE",
        dest="shown",
        action=_InOrder,
        help="a mask of the object: where it is not black; alone it is taken as it is",
    )
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder for the results")
    parser.add_argument(
        "--label", default="object", help="the object's class in files for platforms (default: %(default)s)"
    )
    parser.add_argument(
        "--frames-at",
        metavar="URL",
        default="",
        help="where a platform finds the frames: what stands before their names\n"
        "(default: its own usual place)",
    )
    parser.add_argument("--no-overlay", action="store_true", help="leave overlay.webm out")
    parser.add_argument("--raw", action="store_true", help="keep specks and pinholes")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    add_model_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Follow the object, write the results, and say what was found."""
    from fcfi_core.pipelines import tracks
    from fcfi_core.pipelines.frames import frames_of
    from fcfi_core.propagation import Track

    asked = _grouped(arguments.shown)
    _require_own_folder(arguments)
    finish = RAW if arguments.raw else finish_of(core_settings(arguments))
    predictor = load_predictor(arguments)
    arguments.out.mkdir(parents=True, exist_ok=True)
    frames = frames_of(arguments.video, arguments.out / tracks.FRAMES)
    track = Track(predictor, frames.files, finish=finish)
    for group in asked:
        _show(track, group)
    record = tracks.write_track(
        track,
        frames,
        arguments.out,
        tracks.Asked(
            [f"{one.kind} {one.frame}:{one.value}" for one in arguments.shown],
            arguments.label,
            arguments.frames_at,
            not arguments.no_overlay,
            f"{predictor.model.name} {predictor.model.version}",
        ),
        progress=not arguments.quiet,
    )
    if arguments.json:
        print_json(
            {
                "out": str(arguments.out),
                "frames": len(record.frames),
                "to_review": [frame.number for frame in record.to_review],
                "unusable": [frame.number for frame in record.unusable],
            }
        )
    else:
        outputs.say(*_summary(record, frames.notes))
    return 1 if record.unusable else 0


def _grouped(shown: Sequence[Shown]) -> list[list[Shown]]:
    """Return what belongs together: neighbours in the order given that speak of one frame.

    Raises:
        SettingsError: if nothing shows the object.
    """
    if not shown:
        raise SettingsError("nothing shows the object; give --click, --box or --mask.")
    groups: list[list[Shown]] = []
    for one in shown:
        if not groups or groups[-1][0].frame != one.frame:
            groups.append([])
        groups[-1].append(one)
    return groups


def _show(track: Track, group: Sequence[Shown]) -> None:
    """Show the object on a frame, or correct it there."""
    boxes = [Box.parse(one.value) for one in group if one.kind == "box"]
    masks = [one.value for one in group if one.kind == "mask"]
    frame = group[0].frame
    if len(boxes) > 1 or len(masks) > 1:
        raise SettingsError(f"frame {frame} is given several boxes or masks; give one of each at most.")
    track.correct(
        frame,
        [Click.parse(one.value) for one in group if one.kind == "click"],
        boxes[0] if boxes else None,
        _read_mask(Path(masks[0])) if masks else None,
    )


def _read_mask(path: Path) -> Any:
    from fcfi_core.images import load

    return load(path).pixels.any(axis=2)


def _real(path: Path) -> Path:
    """Return where ``path`` leads; of a loop of links, the path itself."""
    return Path(os.path.realpath(path))


def _require_own_folder(arguments: argparse.Namespace) -> None:
    """Raise an error if OUT holds something that no run of ours left there, or lies in VIDEO."""
    from fcfi_core.pipelines.tracks import RECORD, files_of

    out, video = arguments.out, arguments.video
    if not video.exists():
        raise DataError(f"there is no {str(video)!r}; give a folder of frames, or a video file.")
    if video.is_dir() and _real(out).is_relative_to(_real(video)):
        raise SettingsError(
            f"--out is {str(out)!r}, which lies in VIDEO ({str(video)!r}), where results would become frames "
            "of the next run; choose another --out."
        )
    if out.exists() and not out.is_dir():
        raise SettingsError(f"--out is {str(out)!r}, which is a file; give a folder.")
    masks = [Path(one.value) for one in arguments.shown if one.kind == "mask"]
    inside = [path for path in (video, *masks) if _real(path).is_relative_to(_real(out))]
    if inside:
        raise SettingsError(
            f"{str(inside[0])!r} lies in --out ({str(out)!r}), where this run writes; choose another --out, "
            "so that nothing of yours is overwritten."
        )
    outputs.require_apart(files_of(out), [video, *masks])
    if out.is_dir() and not (out / RECORD).is_file() and os.listdir(out):
        raise SettingsError(
            f"--out is {str(out)!r}, which holds files that no run of `fcfi track` left there; choose an "
            "empty folder, or one that is not there yet."
        )


def _summary(record: TrackRecord, notes: Sequence[str]) -> list[str]:
    from fcfi_core.pipelines.tracks import MASKS, OVERLAY, REVIEW, spans
    from fcfi_core.propagation.following import USUAL

    shown = sum(1 for _ in record.shown)
    lines = [f"{record.folder / MASKS}: the object in {shown} of {len(record.frames)} frames", *notes]
    unsure = [frame for frame in record.frames if frame.seen and frame.confidence < USUAL.sure]
    if unsure:
        lines.append(
            f"the model is unsure of what you showed: {spans(unsure)}; look there first, and click again "
            "if it is wrong"
        )
    if record.to_review:
        where = record.folder / OVERLAY
        lines.append(
            f"to look at: {spans(record.to_review)} ({record.folder / REVIEW} says why; {where} shows them)"
        )
    if record.unusable:
        first = record.unusable[0]
        lines.append(
            f"not usable: {spans(record.unusable)} (frame {first.number}, {first.name}: {first.error})"
        )
    return lines
