"""Does the tracker follow an object better than copying the previous mask?

    python benchmarks/tracking.py DATA_FOLDER... [--model FILE] [--objects 10] [--frames 30]
    python benchmarks/tracking.py SEQUENCES [--every 2] [--corrections]

Given a folder of real sequences (:mod:`sequences`), their first true mask is carried through all frames: by
copying it, by feedback alone, and with the object's appearance. Printed: J and F without the first and the
last frame, the worst frame, how much is lost over time, which share of bad frames was one to look at and how
often that was said in vain, and milliseconds of processor time a frame. With ``--corrections`` an annotator
looks at every second frame and clicks once where the IoU is below .8, at most ten times a sequence.

Otherwise videos with known truth are made from photos: an object is cut out and moves over another photo, or
the whole photo moves as a camera would make it. Printed per motion: mean IoU over the frames (a lost object
counts 0), mean over the objects of their worst frame, how often an object was reported as lost though it was
there, and the same for the first mask copied into all frames.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from sequences import COLUMNS, Summary, is_folder_of_sequences, sequences
from sequences import Sequence as Video
from sequences import judged as judged_sequence

from fcfi_core import Predictor, Prompt, images, load_model
from fcfi_core.appearance import Appearance
from fcfi_core.datasets.folder import Folder
from fcfi_core.datasets.samples import Sample, choose
from fcfi_core.evaluation import metrics
from fcfi_core.evaluation.clicker import next_click
from fcfi_core.propagation import State, begin, follow

SIDE = 400
Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Motion:
    """What changes from frame to frame.

    Args:
        name: for the table.
        shift: pixels to the right (and half of it down), turning back at half time.
        scale: factor of the size.
        turn: degrees.
        camera: the whole photo moves, not the object alone.
        occluder: a bar as wide as this share of the object passes over it.
    """

    name: str
    shift: float = 0.0
    scale: float = 1.0
    turn: float = 0.0
    camera: bool = False
    occluder: float = 0.0

    def matrix(self, step: int, frames: int, centre: tuple[float, float]) -> NDArray[np.float64]:
        """Return the (2, 3) affine map from the first frame to frame ``step``."""
        matrix = cv2.getRotationMatrix2D(centre, self.turn * step, self.scale**step)
        travelled = self.shift * (step if step < frames / 2 else frames - step)
        matrix[:, 2] += (travelled, travelled / 2)
        return matrix


MOTIONS = (
    Motion("object shifts by 4 pixels", shift=4),
    Motion("object grows by 2 %", scale=1.02),
    Motion("object turns by 3 degrees", turn=3),
    Motion("object shifts by 3 pixels behind a bar", shift=3, occluder=0.3),
    Motion("camera shifts by 4 pixels", shift=4, camera=True),
    Motion("camera shifts by 10 pixels", shift=10, camera=True),
    Motion("camera turns by 2 degrees, comes 1 % nearer", turn=2, scale=1.01, camera=True),
)


def video(sample: Sample, backdrop: Pixels, motion: Motion, frames: int) -> Iterator[tuple[Pixels, Mask]]:
    """Yield each frame of the video, (SIDE-limited H, W, 3) uint8, with the object's true mask."""
    photo, truth = (
        _small(sample.pixels, cv2.INTER_AREA),
        _small(sample.truth.astype(np.uint8), cv2.INTER_NEAREST),
    )
    height, width = truth.shape
    behind = photo if motion.camera else cv2.resize(backdrop, (width, height), interpolation=cv2.INTER_AREA)
    rows, columns = np.nonzero(truth)
    centre = float(columns.mean()), float(rows.mean())
    bar = max(4, round(motion.occluder * (np.ptp(columns) + 1)))
    for step in range(frames):
        matrix = motion.matrix(step, frames, centre)
        moved = cv2.warpAffine(photo, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
        mask = cv2.warpAffine(truth, matrix, (width, height), flags=cv2.INTER_NEAREST) > 0
        frame = moved if motion.camera else np.where(mask[..., None], moved, behind)
        if motion.occluder:
            left = round(step / frames * (width + bar)) - bar
            frame[:, max(left, 0) : max(left + bar, 0)] = (90, 110, 100)
            mask[:, max(left, 0) : max(left + bar, 0)] = False
        yield frame, mask


def _small(array: NDArray[np.uint8], method: int) -> NDArray[np.uint8]:
    scale = min(1.0, SIDE / max(array.shape[:2]))
    size = round(array.shape[1] * scale), round(array.shape[0] * scale)
    return np.asarray(cv2.resize(array, size, interpolation=method), np.uint8)


def judged(frames: list[tuple[Pixels, Mask]], masks: Sequence[Mask | None]) -> tuple[list[float], int]:
    """Return the IoU of each later frame (0 where lost), and how often it was lost though there."""
    ious, lost = [], 0
    for (_, truth), found in zip(frames[1:], masks, strict=True):
        if found is None:
            lost += int(truth.any())
            ious.append(0.0 if truth.any() else 1.0)
        else:
            ious.append(metrics.iou(found, truth))
    return ious, lost


WAYS: dict[str, Callable[[State], State] | None] = {
    "copy of the first mask": None,
    "feedback alone": lambda state: replace(state, appearance=None),
    "feedback and appearance": lambda state: state,
}


def real(predictor: Predictor, videos: Sequence[Video], each: bool) -> None:
    """Print the table of real sequences."""
    print(f"| {len(videos)} sequences | {' | '.join((*COLUMNS, 'ms of processor time'))} |")
    print(f"| --- | {' | '.join(['---'] * (len(COLUMNS) + 1))} |")
    for name, change in WAYS.items():
        found, spent, frames = [], 0.0, 0
        for video in videos:
            masks, seconds = carried(predictor, video, change)
            found.append(judged_sequence(video, masks))
            spent, frames = spent + seconds, frames + len(masks)
            if each:
                print(f"{video.name}: J {found[-1].j.mean():.3f}, F {found[-1].f.mean():.3f}", flush=True)
        print(f"| {name} | {' | '.join(Summary(found).cells())} | {1000 * spent / frames:.0f} |", flush=True)


WANTED = 0.8
MOST_CLICKS = 10


def corrections(predictor: Predictor, videos: Sequence[Video]) -> None:
    """Print how many clicks the sequences need."""
    print(f"| {len(videos)} sequences | clicks a sequence | of these with all frames >= {WANTED} | J |")
    print("| --- | --- | --- | --- |")
    for name, change in WAYS.items():
        if change is None:
            continue
        rows = [clicked(predictor, video, change) for video in videos]
        whole = sum(min(ious) >= WANTED for _, ious in rows)
        mean = np.mean([np.mean(ious) for _, ious in rows])
        print(f"| {name} | {np.mean([count for count, _ in rows]):.2f} | {whole} | {mean:.3f} |", flush=True)


def clicked(predictor: Predictor, video: Video, change: Callable[[State], State]) -> tuple[int, list[float]]:
    """Return the clicks made on a sequence, and the IoU of every second frame after them.

    The annotator goes forward: a corrected frame counts as seen, and the later ones follow from it.
    """
    state = change(begin(predictor, video.image(0), video.truth(0)))
    states, ious, count = [state], [], 0
    for number in range(1, len(video.frames)):
        image = video.image(number)
        step = follow(predictor, image, state)
        state = step.state
        if number % 2:
            continue
        truth = video.truth(number)
        mask = np.zeros(truth.shape, bool) if step.result is None else step.result.mask
        click = next_click(mask, truth)
        if metrics.iou(mask, truth) < WANTED and click is not None and count < MOST_CLICKS:
            count += 1
            prompt = Prompt((click,), mask=mask if mask.any() else None, appearance=state.appearance)
            corrected = predictor.answer(image, prompt).mask
            if corrected.any():
                mask = corrected
                states.append(change(begin(predictor, image, mask)))
                fitted = [one.appearance for one in states if one.appearance is not None]
                colours = np.mean([one.colours for one in states], axis=0, dtype=np.float32)
                state = State(mask, colours, Appearance.mean(fitted))
        ious.append(float(np.nan_to_num(metrics.iou(mask, truth), nan=1.0)))
    return count, ious


def carried(
    predictor: Predictor, video: Video, change: Callable[[State], State] | None
) -> tuple[list[tuple[Mask | None, bool]], float]:
    """Return mask and doubt of every frame after the first, and the seconds of processor time they took.

    Reading the pictures is not counted.

    Args:
        change: made to the first state; None: copy the first mask.
    """
    first = video.truth(0)
    if change is None:
        return [(first, False)] * (len(video.frames) - 1), 0.0
    found: list[tuple[Mask | None, bool]] = []
    spent, image = 0.0, video.image(0)
    start = time.process_time()
    state = change(begin(predictor, image, first))
    spent += time.process_time() - start
    for number in range(1, len(video.frames)):
        image = video.image(number)
        start = time.process_time()
        step = follow(predictor, image, state)
        state = step.state
        found.append((None if step.result is None else step.result.mask, step.needs_review))
        spent += time.process_time() - start
    return found, spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", help="each with images/ and masks/, or one of sequences")
    parser.add_argument("--every", type=int, default=1, help="2: every second sequence alone")
    parser.add_argument("--corrections", action="store_true", help="count the clicks that sequences need")
    parser.add_argument("--each", action="store_true", help="print each sequence, too")
    parser.add_argument("--model", default="default")
    parser.add_argument("--objects", type=int, default=10, help="per folder")
    parser.add_argument("--frames", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    model = load_model(arguments.model, threads=arguments.threads)
    predictor = Predictor(model)
    for folder in arguments.folders:
        if is_folder_of_sequences(Path(folder)):
            print(f"{folder}, model {model.name} {model.version}\n")
            videos = list(sequences(Path(folder)))[:: arguments.every]
            if arguments.corrections:
                corrections(predictor, videos)
            else:
                real(predictor, videos, arguments.each)
            return

    def track(frames: list[tuple[Pixels, Mask]]) -> list[Mask | None]:
        state = begin(predictor, images.load(frames[0][0]), frames[0][1])
        masks: list[Mask | None] = []
        for pixels, _ in frames[1:]:
            step = follow(predictor, images.load(pixels), state)
            state = step.state
            masks.append(None if step.result is None else step.result.mask)
        return masks

    samples = [
        sample
        for folder in arguments.folders
        for sample in choose(Folder(folder), count=arguments.objects, seed=2, min_area=2500)
    ]
    print(f"{len(samples)} objects, {arguments.frames} frames, model {model.name} {model.version}\n")
    print("| motion per frame | IoU | IoU of the worst frame | lost though there | IoU of a copy | worst |")
    print("| --- | --- | --- | --- | --- | --- |")
    for motion in MOTIONS:
        ours, copies, lost = [], [], 0
        for sample, other in zip(samples, samples[1:] + samples[:1], strict=True):
            frames = list(video(sample, other.pixels, motion, arguments.frames))
            if frames[0][1].any():
                ious, lost_here = judged(frames, track(frames))
                ours.append(ious)
                lost += lost_here
                copies.append(judged(frames, [frames[0][1]] * (len(frames) - 1))[0])
        cells = [np.mean(ours), np.mean(np.min(ours, axis=1)), lost / np.size(ours)]
        cells += [np.mean(copies), np.mean(np.min(copies, axis=1))]
        shown = [f"{100 * cell:.1f} %" if index == 2 else f"{cell:.3f}" for index, cell in enumerate(cells)]
        print(f"| {motion.name} | {' | '.join(shown)} |", flush=True)


if __name__ == "__main__":
    main()
