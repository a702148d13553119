"""Functions for CVAT's agents (CVAT Online and Enterprise): the interactor and the tracker.

    cvat-cli function create-native FCFI --function-module cvat_function.native
    cvat-cli function run-agent ID --function-module cvat_function.native
    cvat-cli function create-native "FCFI tracker" --function-module cvat_function.native -p kind=str:tracker

A click model needs clicks, so there is no detection function: pre-annotation has no prompts to offer.
"""

from __future__ import annotations

from typing import Any

import cvat_sdk.auto_annotation as cvataa
from PIL import Image

from cvat_function import request, response, tracking
from cvat_function.main import DOOR
from cvat_function.settings import Settings
from fcfi_core.allowance import MEGABYTE
from fcfi_core.clicks import Box
from fcfi_core.errors import FcfiError, SettingsError
from fcfi_core.images import LoadedImage
from fcfi_core.masks.finish import Finish
from fcfi_core.ordering import ordered
from fcfi_core.prompt import Prompt


def create(
    kind: str = "interactor",
    boxes: bool = False,
    model: str = "chosen",
    device: str = "auto",
    engine: str = "auto",
    threads: int = 0,
    max_megapixels: float = 200.0,
    min_area: int = -1,
    max_hole: int = -1,
    click_log: str = "",
) -> Interactor | Tracker:
    """Return the function an agent runs; each argument can be given as ``-p name=type:value``.

    Args:
        kind: ``interactor`` or ``tracker``.
        boxes: whether the interactor takes boxes; CVAT then begins with one unless its user turns that off.
        model: name of a catalogued model, path of a checkpoint, or ``chosen`` (by ``fcfi models use``).
        device: auto, cpu, cuda or cuda:N.
        engine: auto, openvino, openvino-bf16 or torch.
        threads: CPU threads of the network; 0 follows the container's share.
        max_megapixels: largest frame accepted.
        min_area: drop mask parts below this many pixels without a positive click; 0 keeps all; -1: a
            thousandth of the mask, at least 4.
        max_hole: fill holes up to this many pixels without a negative click; likewise.
        click_log: file to which the clicks of finished objects are added, without pixels; "" for none.

    Raises:
        SettingsError: for an unknown kind.
    """
    if kind not in ("interactor", "tracker"):
        raise SettingsError(f"kind is {kind!r}; give interactor or tracker.")
    settings = Settings(
        model=model,
        device=device,
        threads=threads or None,
        max_pixels=round(max_megapixels * MEGABYTE),
        finish=Finish(*(None if value == -1 else value for value in (min_area, max_hole))),
        click_log=click_log,
    )
    return Tracker(settings) if kind == "tracker" else Interactor(settings, boxes=boxes)


class _Function:
    """What both functions share: the predictor and the frame that CVAT's agent keeps for ten minutes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._predictor = settings.open_predictor()

    def preprocess_image(self, context: Any, image: Image.Image) -> LoadedImage:
        """Return the frame, decoded; raises BadFunctionError if it cannot be used."""
        try:
            return self._settings.load_frame(image)
        except FcfiError as error:
            raise cvataa.BadFunctionError(str(error)) from error


class Interactor(_Function):
    """Clicks, and a box if offered and drawn, to one mask.

    Args:
        boxes: whether boxes are offered. CVAT's interface then makes the first click begin one; without, it
            waits for the first left click, and a box alone could not ask.
    """

    def __init__(self, settings: Settings, *, boxes: bool) -> None:
        super().__init__(settings)
        self._click_log = settings.open_click_log()
        self.spec = cvataa.InteractionFunctionSpec(
            min_pos_points=0 if boxes else 1, min_neg_points=0, min_bounding_boxes=0 if boxes else None
        )

    def detect(
        self, context: Any, pp_image: LoadedImage, prompts: cvataa.InteractionPrompts
    ) -> list[cvataa.InteractionResultShape]:
        """Return the object's mask; nothing if it is empty, or only right clicks say where the object is not.

        With a region of interest the agent crops: frame, prompts and answer are all in the crop.
        """
        width, height = pp_image.width, pp_image.height
        try:
            positive = request.clicks(prompts.pos_points, True, width, height)
            negative = request.clicks(prompts.neg_points, False, width, height)
            asked = Prompt((*positive, *negative), self._box(prompts, width, height))
            if not asked.asks:
                return []
            asked = ordered(self._predictor.recurrence, pp_image, asked)
            result = self._predictor.answer(pp_image, asked).finished(self._settings.finish)
            mask = result.mask
        except FcfiError as error:
            raise cvataa.BadFunctionError(str(error)) from error
        if self._click_log is not None:
            model = self._predictor.model
            self._click_log.answered(DOOR, pp_image, asked, result, model, self._settings.finish)
        return [cvataa.InteractionResultShape(**response.shape(mask))] if mask.any() else []

    @staticmethod
    def _box(prompts: cvataa.InteractionPrompts, width: int, height: int) -> Box | None:
        if prompts.bounding_box is None:
            return None
        (x1, y1), (x2, y2) = prompts.bounding_box
        return Box.nearest(x1, y1, x2, y2).clipped(width, height)


class Tracker(_Function):
    """Masks, polygons and rectangles from frame to frame."""

    spec = cvataa.TrackingFunctionSpec(supported_shape_types=set(tracking.SHAPE_TYPES))

    def init_tracking_state(
        self, context: Any, pp_image: LoadedImage, shape: cvataa.TrackableShape
    ) -> list[tracking.State]:
        """Return the first state of ``shape``, in a list so that :meth:`track` can replace it."""
        try:
            return [tracking.begin(shape.type, shape.points, self._predictor, pp_image)]
        except FcfiError as error:
            raise cvataa.BadFunctionError(str(error)) from error

    def track(
        self, context: Any, pp_image: LoadedImage, state: list[tracking.State]
    ) -> cvataa.TrackableShape | None:
        """Return the shape on the next frame, None if it is lost; ``state`` is brought up to date."""
        try:
            found = tracking.follow(state[0], self._predictor, pp_image)
        except FcfiError as error:
            raise cvataa.BadFunctionError(str(error)) from error
        state[0] = found.state
        if found.points is None:
            return None
        return cvataa.TrackableShape(type=found.state.kind, points=found.points)
