"""The Label Studio backend: parse, hand to the core, format.

``FCFIModel`` is for teams who host their models under the ``label-studio-ml`` framework; only asking for
it imports that package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from label_studio_backend.framework import FCFIModel

__all__ = ["FCFIModel"]


def __getattr__(name: str) -> Any:
    if name == "FCFIModel":
        from label_studio_backend.framework import FCFIModel

        return FCFIModel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
