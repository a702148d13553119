"""The settings of the CVAT functions, read once when a worker starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fcfi_core import images
from fcfi_core.allowance import MEGABYTE
from fcfi_core.click_log import ClickLog
from fcfi_core.images import LoadedImage
from fcfi_core.masks.finish import USUAL, Finish
from fcfi_core.model import load_model
from fcfi_core.predictor import Predictor
from fcfi_core.settings import CORE_VARIABLES, Variable, area, finish_of, read

FORMS = ("shapes", "crop", "mask")


def _form(text: str) -> str:
    """Return the answer form named ``text``; raises ValueError for an unknown one."""
    if text.strip().lower() not in FORMS:
        raise ValueError("give shapes (CVAT 2.60.0 and later), crop (before that) or mask (any)")
    return text.strip().lower()


VARIABLES: tuple[Variable, ...] = (
    Variable(
        "FCFI_CVAT_RESPONSE",
        "shapes",
        "Answer form: shapes (CVAT 2.60.0 and later), crop (2.4.4 to before 2.60.0) or mask (slow; any).",
        _form,
    ),
    Variable(
        "FCFI_CVAT_FRAME_MEGABYTES",
        128.0,
        "Memory for frames decoded lately, per worker; CVAT sends the whole file with every click.",
        float,
    ),
    Variable(
        "FCFI_CVAT_MIN_AREA",
        "",
        "FCFI_MIN_AREA for CVAT alone; empty: as that.",
        area,
    ),
    Variable(
        "FCFI_CVAT_MAX_HOLE",
        "",
        "FCFI_MAX_HOLE for CVAT alone; empty: as that.",
        area,
    ),
)


@dataclass(frozen=True)
class Settings:
    """What a worker needs to know.

    Attributes:
        model: name of a catalogued model, path of a checkpoint, or ``chosen``.
        device: auto, cpu, cuda or cuda:N.
        engine: auto, openvino, openvino-bf16 or torch.
        threads: CPU threads of the network; None follows the container's share.
        max_pixels: largest image accepted.
        memo_bytes: memory for remembered click prefixes.
        memo_seconds: how long an unused prefix is remembered.
        frame_bytes: memory for decoded frames.
        form: answer form, one of FORMS.
        finish: how masks are finished.
        local_colours: whether the photo's colours sharpen edges; None: as it suits the model.
        refined: whether one more pass in a finer frame makes each answer; None: as it suits the model.
        traced: whether thin structures are traced through large photos; None: as it suits the model.
        click_log: file to which finished objects are added; "" for none.
        click_log_megabytes: room for it.
    """

    model: str = "chosen"
    device: str = "auto"
    engine: str = "auto"
    threads: int | None = None
    max_pixels: int = 200 * MEGABYTE
    memo_bytes: int = 48 * MEGABYTE
    memo_seconds: float = 900.0
    frame_bytes: int = 128 * MEGABYTE
    form: str = "shapes"
    finish: Finish = USUAL
    local_colours: bool | None = None
    refined: bool | None = None
    traced: bool | None = None
    click_log: str = ""
    click_log_megabytes: float = 64.0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Return the settings in ``environment`` (usually ``os.environ``); raises SettingsError."""
        value = read(CORE_VARIABLES + VARIABLES, environment)
        return cls(
            model=value["FCFI_MODEL"],
            device=value["FCFI_DEVICE"],
            engine=value["FCFI_ENGINE"],
            threads=value["FCFI_THREADS"] or None,
            max_pixels=round(value["FCFI_MAX_MEGAPIXELS"] * MEGABYTE),
            memo_bytes=round(value["FCFI_MEMO_MEGABYTES"] * MEGABYTE),
            memo_seconds=value["FCFI_MEMO_SECONDS"],
            frame_bytes=round(value["FCFI_CVAT_FRAME_MEGABYTES"] * MEGABYTE),
            form=value["FCFI_CVAT_RESPONSE"],
            finish=finish_of(value, "FCFI_CVAT_"),
            local_colours=value["FCFI_LOCAL_COLOURS"],
            refined=value["FCFI_REFINE"],
            traced=value["FCFI_TRACE"],
            click_log=value["FCFI_CLICK_LOG"],
            click_log_megabytes=value["FCFI_CLICK_LOG_MEGABYTES"],
        )

    def load_frame(self, source: images.Source) -> LoadedImage:
        """Return the frame in ``source`` (encoded bytes or a Pillow image) as CVAT shows it.

        Raises:
            ImageError: if it cannot be decoded or has too many pixels.
        """
        return images.load(source, max_pixels=self.max_pixels, ignore_alpha=True)

    def open_click_log(self) -> ClickLog | None:
        """Return the click log, None where there is none; raises SettingsError for an impossible path."""
        return ClickLog.from_settings(
            {"FCFI_CLICK_LOG": self.click_log, "FCFI_CLICK_LOG_MEGABYTES": self.click_log_megabytes}
        )

    def open_predictor(self) -> Predictor:
        """Return the predictor these settings describe, with one dummy click already run."""
        model = load_model(self.model, device=self.device, engine=self.engine, threads=self.threads)
        # Frames are read, and their size checked, before they reach the predictor.
        predictor = Predictor(
            model,
            protocol=model.protocol.switched(
                local_colours=self.local_colours, refined=self.refined, traced=self.traced
            ),
            memo_bytes=self.memo_bytes,
            memo_seconds=self.memo_seconds,
            max_pixels=None,
        )
        predictor.warm_up()
        return predictor
