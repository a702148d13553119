"""The networks by name: a *variant* is a family with its default arguments.

The classes are imported when they are asked for: the names alone need no torch.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fcfi_core.errors import WeightsError

if TYPE_CHECKING:
    from fcfi_core.networks.base import InteractiveNetwork

_HRNET = "fcfi_core.networks.hrnet:HRNetFeedbackNetwork"
_DEEPLAB = "fcfi_core.networks.deeplab:DeepLabFeedbackNetwork"
_MOBILENET = "fcfi_core.networks.mobilenet:MobileNetFeedbackNetwork"
_EFFICIENTNET = "fcfi_core.networks.efficientnet:EfficientNetLite{}FeedbackNetwork"


@dataclass(frozen=True)
class VariantDescription:
    """One variant.

    Args:
        place: of the class to build, "module:name".
        summary: one sentence for ``fcfi models`` and the documentation.
        arguments: constructor arguments that differ from the class's defaults.
    """

    place: str
    summary: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def network(self) -> type[InteractiveNetwork]:
        """The class to build."""
        found: type[InteractiveNetwork] = pkgutil.resolve_name(self.place)
        return found

    def argument(self, name: str) -> Any:
        """Return the value of the constructor argument ``name`` for this variant."""
        return self.arguments.get(name, inspect.signature(self.network).parameters[name].default)


VARIANTS: Mapping[str, VariantDescription] = {
    "hrnet18": VariantDescription(
        _HRNET, "HRNet-18 with a narrow OCR head; the official repository's HRNet18s."
    ),
    "hrnet18s_small": VariantDescription(_HRNET, "HRNet-18 with half the blocks.", {"small": True}),
    "hrnet32": VariantDescription(
        _HRNET, "HRNet-32 with an OCR head of 256 channels.", {"width": 32, "ocr_width": 128}
    ),
    "resnet50": VariantDescription(_DEEPLAB, "ResNet-50 with a DeepLabV3+ decoder.", {"depth": 50}),
    "resnet101": VariantDescription(
        _DEEPLAB, "ResNet-101 with a DeepLabV3+ decoder; the official SBD model."
    ),
    "mobilenetv2": VariantDescription(
        _MOBILENET,
        "Light: a MobileNetV2 encoder that sees only the image; the embedded default.",
    ),
    "efficientnet_lite0": VariantDescription(
        _EFFICIENTNET.format(0), "The light network on an EfficientNet-Lite0 encoder."
    ),
    "efficientnet_lite2": VariantDescription(
        _EFFICIENTNET.format(2), "The light network on an EfficientNet-Lite2 encoder."
    ),
}


def build(variant: str, **arguments: Any) -> InteractiveNetwork:
    """Return a network of ``variant`` with fresh weights.

    Args:
        variant: a name in :data:`VARIANTS`.
        arguments: constructor arguments that override the variant's.

    Raises:
        WeightsError: if the variant or an argument is unknown.

    >>> build("hrnet18s_small", disk_radius=3).disk_radius
    3
    """
    description = VARIANTS.get(variant)
    if description is None:
        raise WeightsError(f"variant {variant!r} is unknown; choose one of {', '.join(VARIANTS)}.")
    try:
        return description.network(**{**description.arguments, **arguments})
    except WeightsError:
        raise
    except Exception as error:  # arguments may come from a file, and constructors trust theirs
        raise WeightsError(
            f"variant {variant!r} cannot be built with {repr(arguments)[:200]}: {error}."
        ) from None
