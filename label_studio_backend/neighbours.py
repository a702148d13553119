"""The finished regions beside an object, as far as the request holds them.

Label Studio sends each task with the drafts of all its annotators, and does not say who clicks. A draft is
taken if it is of the only annotator who has one, or holds a dot of the object. It is as old as the editor's
last save, so the region that was accepted a second ago may be missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fcfi_core.allowance import checkpoint
from fcfi_core.errors import FcfiError
from fcfi_core.masks.extent import Mask
from fcfi_core.masks.resizing import resized
from label_studio_backend.answers import Place
from label_studio_backend.prompts import DRAWINGS, DrawnObject, Region, read_regions
from label_studio_backend.settings import as_mapping


def masks_beside(
    prompt: DrawnObject, place: Place, drafts: Sequence[Any], notes: list[str]
) -> Iterator[Mask]:
    """Yield the brush, bitmask and polygon regions of the newest draft, (place.height, place.width) bool.

    Args:
        prompt: what is asked; its own regions are left out.
        place: where the answer goes: regions of other image tags and pictures are left out.
        drafts: as the task of the request has them.
        notes: is told what cannot be read.
    """
    for region in _drawn(_draft(prompt, drafts)):
        checkpoint()
        elsewhere = region.target not in ("", place.target) or (region.item_index or 0) != (
            place.item_index or 0
        )
        if elsewhere or region.ident in prompt.idents:
            continue
        width, height = region.size or (place.width, place.height)
        if width * height > 4 * place.width * place.height:
            notes.append(f"the finished region {region.ident!r} is said to lie on {width} x {height} pixels")
            continue
        try:
            mask = region.mask(width, height)
        except FcfiError as error:
            notes.append(f"the finished region {region.ident!r} cannot be read: {error}")
            continue
        yield resized(mask, place.width, place.height)


def _drawn(draft: Mapping[str, Any]) -> list[Region]:
    try:
        return [region for region in read_regions(draft.get("result")) if region.shape in DRAWINGS]
    except FcfiError:  # a draft that a script wrote
        return []


def _draft(prompt: DrawnObject, drafts: Sequence[Any]) -> Mapping[str, Any]:
    """Return the newest draft of who clicks; an empty one if nobody can tell."""
    usable = [draft for draft in map(as_mapping, drafts) if isinstance(draft.get("result"), list)]
    usable.sort(key=lambda draft: str(draft.get("updated_at")))
    own = set(prompt.idents) - {""}
    holding = [
        draft
        for draft in usable
        if own.intersection(str(as_mapping(one).get("id")) for one in draft["result"])
    ]
    alone = usable if len({str(draft.get("user")) for draft in usable}) == 1 else []
    return next(reversed(holding or alone), {})
