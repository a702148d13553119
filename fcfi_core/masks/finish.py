"""How a mask is finished before it leaves: the one policy, whoever asked for it.

The network's mask has specks and pinholes that nobody clicked for. Every door removes them by the same rule,
so that the same prompt gives the same mask in each; a setting may say otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fcfi_core.clicks import Box, Click
from fcfi_core.errors import SettingsError
from fcfi_core.masks.cleaning import clean
from fcfi_core.masks.extent import Mask


@dataclass(frozen=True, slots=True)
class Finish:
    """What is removed from a mask and filled in it.

    Args:
        min_area: parts of fewer pixels go; None: a thousandth of the mask, at least 4; 0 keeps all.
        max_hole: holes of at most so many pixels are filled; likewise.

    Raises:
        SettingsError: for a negative number.
    """

    min_area: float | None = None
    max_hole: float | None = None

    def __post_init__(self) -> None:
        for name in ("min_area", "max_hole"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise SettingsError(f"{name} is {value!r}; give a number of pixels, 0 or more.")

    @property
    def changes_nothing(self) -> bool:
        """Whether masks are left as they are."""
        return self.min_area == self.max_hole == 0

    def applied(self, mask: Mask, keep: Iterable[Click] = (), within: Box | None = None) -> Mask:
        """Return ``mask`` finished: a copy, or itself if there is nothing to do.

        Args:
            mask: (H, W) bool.
            keep: the clicks: the part under a positive one and the hole under a negative one stay.
            within: a box that is known to hold all of the mask; None: it may be anywhere.
        """
        if self.changes_nothing:
            return mask
        return clean(mask, keep=keep, min_area=self.min_area, max_hole=self.max_hole, within=within)


USUAL = Finish()
"""What every door does unless told otherwise."""

RAW = Finish(0, 0)
"""Leaves the network's mask as it is."""
