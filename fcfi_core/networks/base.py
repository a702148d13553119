"""What every FCFI network offers: one pass, split where it stops depending on the image alone.

``encode`` sees only the image, so its result can be kept while clicks arrive in the same frame;
``decode`` adds clicks and feedback. ``forward`` joins both behind the official call.

Inside this package coordinates are ``(y, x)`` = (row, column) in network pixels, and the previous
probability map is called *feedback*.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from fcfi_core.networks.click_maps import disk_maps

Encoding = Iterable[Tensor]
"""What ``encode`` returns: a NamedTuple of tensors, opaque to everyone but the network itself."""


@dataclass(frozen=True)
class NetworkOutput:
    """Maps of one pass, each (B, 1, H, W) float32 at the size of the network's input unless noted.

    Attributes:
        logits: the prediction before the sigmoid.
        corrected: FFCM's feedback (official key ``updated_feedback1``), probabilities in [0, 1].
        fused: CFFM's feedback (official key ``updated_feedback2``), probabilities in [0, 1].
        auxiliary: logits of the OCR head's attention map, (B, 1, h, w) at feature size (HRNet family).
        window: the soft window of FFCM (``valid_masks``), training path only.
    """

    logits: Tensor
    corrected: Tensor
    fused: Tensor
    auxiliary: Tensor | None = None
    window: Tensor | None = None


class InteractiveNetwork(nn.Module, ABC):
    """A network that turns an image, clicks and a feedback map into a new prediction.

    Attributes:
        size_multiple: both sides of the input must be multiples of this many pixels.
        disk_radius: of the disks that show the clicks, pixels.
        feature_names: parts of the encoding that describe places of the image well enough to tell an object
            from what surrounds it; none where the clicks enter before there are such.
        other_answers: how many answers it has to a first click beside the usual one.
    """

    size_multiple: int = 1
    disk_radius: float = 5
    feature_names: tuple[str, ...] = ()
    other_answers: int = 0

    @abstractmethod
    def encode(self, image: Tensor) -> Any:
        """Return what depends on the image alone.

        Args:
            image: (B, 3, H, W) float32, RGB in [0, 1], not normalised.
        """

    @abstractmethod
    def answer(
        self,
        encoding: Any,
        feedback: Tensor,
        disks: Tensor,
        new_points: Tensor,
        gate: float | Tensor,
        *,
        soft_window: bool = False,
    ) -> NetworkOutput:
        """Return the prediction for clicks that are drawn already; otherwise as :meth:`decode`.

        Args:
            encoding, feedback, new_points, gate, soft_window: see :meth:`decode`.
            disks: (B, 2, H, W) as :func:`~fcfi_core.networks.click_maps.disk_maps` draws them.
        """

    def decode(
        self,
        encoding: Any,
        feedback: Tensor,
        points: Tensor,
        new_points: Tensor,
        gate: float | Tensor,
        *,
        radius: float = -1,
        soft_window: bool = False,
    ) -> NetworkOutput:
        """Return the prediction for the clicks, given the previous probability map.

        Args:
            encoding: the result of :meth:`encode` for the same image.
            feedback: (B, 1, H, W) float32 in [0, 1]; zeros before the first click.
            points: (B, 2N, 3) float32 rows ``(y, x, order)``; N positive rows, then N negative
                rows; unused rows are (-1, -1, -1). Coordinates may be fractional.
            new_points: (B, K, 3) rows ``(y, x, label)``, label 1 positive, 0 negative, newest first.
            gate: 0 for the first click of an object, 1 later (or whenever there is feedback); a
                number, or (B, 1, 1, 1) for each sample.
            radius: disk radius in pixels; negative means the configured one.
            soft_window: use FFCM's differentiable window (the official training path).
        """
        height, width = feedback.shape[-2:]
        disks = disk_maps(points, height, width, self.disk_radius if radius < 0 else radius)
        return self.answer(encoding, feedback, disks, new_points, gate, soft_window=soft_window)

    def first_answers(self, encoding: Any, feedback: Tensor, disks: Tensor, new_points: Tensor) -> Tensor:
        """Return (B, 1 + ``other_answers``, H, W) logits of all answers to a first click, the usual first.

        Args:
            encoding, disks, new_points: see :meth:`answer`.
            feedback: (B, 1, H, W) zeros.
        """
        raise NotImplementedError(f"{type(self).__name__} has one answer to a click")

    def forward(
        self,
        image_and_feedback: Tensor,
        points: Tensor,
        new_points: Tensor,
        gate: float | Tensor,
        radius: float = -1,
        is_training: bool = False,
    ) -> dict[str, Any]:
        """Return the official dictionary for ``(B, 4, H, W)`` input: RGB and previous probability."""
        encoding = self.encode(image_and_feedback[:, :3])
        output = self.decode(
            encoding,
            image_and_feedback[:, 3:],
            points,
            new_points,
            gate,
            radius=radius,
            soft_window=is_training,
        )
        return self.official_output(output, is_training)

    def official_output(self, output: NetworkOutput, is_training: bool) -> dict[str, Any]:
        """Return ``output`` under the official key names (the DeepLab family's form)."""
        result: dict[str, Any] = {
            "instances": output.logits,
            "updated_feedback1": output.corrected,
            "updated_feedback2": output.fused,
        }
        if is_training:
            result["valid_masks"] = output.window
        return result


def normalised(image: Tensor) -> Tensor:
    """Return ``image`` (B, 3, H, W, RGB in [0, 1]) with ImageNet mean and deviation removed."""
    mean = torch.tensor((0.485, 0.456, 0.406), device=image.device, dtype=image.dtype).view(1, 3, 1, 1)
    deviation = torch.tensor((0.229, 0.224, 0.225), device=image.device, dtype=image.dtype).view(1, 3, 1, 1)
    return (image - mean) / deviation


def joined(*maps: Tensor, like: Tensor) -> Tensor:
    """Return ``maps`` (B, *, H, W) behind each other, in the type and the memory layout of ``like``.

    A single small map of another type or layout would else have all of them copied, in both directions.
    """
    # Asked first, so that traced graphs hold no conversion that does nothing.
    parts = [part if part.dtype == like.dtype else part.to(like.dtype) for part in maps]
    if like.is_contiguous() or not like.is_contiguous(memory_format=torch.channels_last):
        return torch.cat(parts, dim=1)
    return torch.cat([part.permute(0, 2, 3, 1) for part in parts], dim=3).permute(0, 3, 1, 2)


def resized(maps: Tensor, height: int, width: int) -> Tensor:
    """Return ``maps`` (B, C, *, *) at ``height`` x ``width``, bilinear with align_corners=True."""
    if maps.shape[-2:] == (height, width):
        return maps
    return functional.interpolate(maps, (height, width), mode="bilinear", align_corners=True)
