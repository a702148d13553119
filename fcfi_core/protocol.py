"""The rules of a click: what the network sees, and how its answer becomes the next mask.

One frozen object holds them all. :func:`product` gives the rules this package works by,
:func:`parity` those of the official evaluation, defects included, to the last number. Checkpoints carry
their own settings in the header, so that training decides them, not this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from fcfi_core.errors import SettingsError

LONGEST = 2.0
"""Longer side / shorter side beyond which an image is too long to be looked at as a whole."""
_LONGEST_SIDE = 4096
_LARGEST_CROP = 1_000_000

REFINED_SIDE = 576
"""Longer side of the frame in which an answer is refined, network pixels."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """How clicks, frames and thresholds work together.

    Args:
        name: shown in reports.
        first_side: longer side of the whole image in the first pass, network pixels; None: original size.
        first_aspect: longer side / shorter side of what the first pass sees of an image longer than
            :data:`LONGEST`: the surroundings of the click. The official rules always show the whole image.
        target_size: longer side of a zoomed frame, network pixels; None: never zoom.
        expansion_ratio: zoomed region / box around the object and all clicks, per side.
        smallest_crop: least side of a zoomed region, image pixels.
        keep_overlap: a zoomed region is kept while it overlaps the fitting one by this.
        zoom_from: the map that tells where the object is: "prediction", or "fused" (the second
            feedback; officially so, by an accident of order).
        zoom_threshold: the object is where that map is above this.
        mask_threshold: the mask is where the probability is above this.
        second_look: after the first pass on an object of which nothing was known, look again with the same
            click in the zoomed frame, if that shows at least this many times as much; 0: never.
        flip: average with the mirrored image (logits before the sigmoid): a little quality for 1.5 to
            2 times the cost.
        local_colours: where the edge is in doubt, let the photo's colours decide (:mod:`fcfi_core.edges`); a
            finished mask is sharpened, the network sees nothing of it.
        refined: let one more pass over the same region, in a frame of :data:`REFINED_SIDE`, make each
            answer; the next click goes on from the coarser map.
        traced: where the clicks are on a thin structure of a photo much larger than a frame, follow it in
            windows of the photo's own pixels (:mod:`fcfi_core.tracing`); the next click goes on from the map
            that was there without it.
        official: keep the maps at the original size between clicks, with corner-aligned bilinear resizing,
            keep a stale zoom box when the object vanishes (the whole image is then seen, and the answer
            squeezed into the old box), and run the network on negative clicks without any object.
    """

    name: str = "product"
    first_side: int | None = 384
    first_aspect: float = 1.5
    target_size: int | None = 384
    expansion_ratio: float = 1.4
    smallest_crop: int = 200
    keep_overlap: float = 0.5
    zoom_from: Literal["prediction", "fused"] = "prediction"
    zoom_threshold: float = 0.50
    mask_threshold: float = 0.49
    second_look: float = 0.0
    flip: bool = False
    local_colours: bool = False
    refined: bool = False
    traced: bool = False
    official: bool = False

    def __post_init__(self) -> None:
        for name, lowest, highest in (
            ("first_side", 32, _LONGEST_SIDE),
            ("target_size", 32, _LONGEST_SIDE),
            ("smallest_crop", 1, _LARGEST_CROP),
        ):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or not lowest <= value <= highest):
                raise SettingsError(
                    f"protocol {name} is {value!r}; give a whole number from {lowest} to {highest}."
                )
        for name in ("flip", "refined", "traced", "official"):
            if not isinstance(getattr(self, name), bool):
                raise SettingsError(f"protocol {name} is {getattr(self, name)!r}; give true or false.")
        for name, lowest, highest in (
            ("keep_overlap", 0, 1),
            ("zoom_threshold", 0, 1),
            ("mask_threshold", 0, 1),
            ("expansion_ratio", 1, 100),
            ("first_aspect", 1, 1_000_000),
            ("second_look", 0, 1000),
        ):
            value = getattr(self, name)
            if (
                isinstance(value, bool)
                or not isinstance(value, int | float)
                or not lowest <= value <= highest
            ):
                raise SettingsError(
                    f"protocol {name} is {value!r}; give a number from {lowest} to {highest}."
                )
        if self.zoom_from not in ("prediction", "fused"):
            raise SettingsError(f"protocol zoom_from is {self.zoom_from!r}; give 'prediction' or 'fused'.")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values, as they stand in a checkpoint's header."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Protocol:
        """Return the protocol with these settings; missing ones keep the product's value.

        Raises:
            SettingsError: for an unknown setting or an impossible value.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise SettingsError(
                f"protocol setting {unknown[0]!r} is unknown; known are {', '.join(sorted(known))}."
            )
        return cls(**values)

    def switched(
        self, *, local_colours: bool | None = None, refined: bool | None = None, traced: bool | None = None
    ) -> Protocol:
        """Return the same rules with parts on or off that a person may choose; None: as they are."""
        chosen: dict[str, Any] = {"local_colours": local_colours, "refined": refined, "traced": traced}
        return replace(self, **{name: value for name, value in chosen.items() if value is not None})

    def with_flip(self, flip: bool = True) -> Protocol:
        """Return the same rules with flip averaging on or off."""
        return replace(self, flip=flip)


LIGHT = ("mobilenetv2", "efficientnet_lite0", "efficientnet_lite2")
"""Variants of the light network."""


def product(variant: str = "mobilenetv2") -> Protocol:
    """Return the product's rules for a network of ``variant`` whose checkpoint states none.

    Official networks were trained on crops of 320 x 480 and evaluated at targets from 400 to 720; 480
    with the ratio 2.3 (the official SBD setting) keeps a click affordable on a CPU, and the zoom box
    follows the fused feedback, as the published numbers do.
    """
    if variant in LIGHT:
        return Protocol(local_colours=True)
    return Protocol(first_side=480, target_size=480, expansion_ratio=2.3, zoom_from="fused")


def parity(target_size: int | None = None, expansion_ratio: float = 1.4, *, flip: bool = True) -> Protocol:
    """Return the rules of the official evaluation, numbers and defects exactly.

    Args:
        target_size: longer side of the zoomed frame (GrabCut 700, Berkeley 720, SBD 480, DAVIS 720 for
            hrnet18); None: no zoom.
        expansion_ratio: of the zoom box (3.0, 2.8, 2.3, 3.5 for the same).
        flip: flip averaging, on in the official scripts.
    """
    return Protocol(
        name="parity",
        first_side=None,
        target_size=target_size,
        expansion_ratio=expansion_ratio,
        zoom_from="fused",
        flip=flip,
        official=True,
    )
