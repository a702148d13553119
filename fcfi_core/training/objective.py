"""The loss of one round: prediction, corrected feedback and fused feedback against the target."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from fcfi_core.networks.base import NetworkOutput
from fcfi_core.networks.click_maps import disk_maps
from fcfi_core.training.configuration import LossConfiguration
from fcfi_core.training.crops import UNKNOWN
from fcfi_core.training.losses import normalized_focal_loss

_SMALLEST = 1e-4


def round_loss(
    output: NetworkOutput,
    target: Tensor,
    exact: Tensor,
    points: Tensor,
    new_points: Tensor,
    configuration: LossConfiguration,
    expansion_ratio: float,
) -> Tensor:
    """Return the loss that ``configuration`` names; arguments as for :func:`bce_dice`."""
    if configuration.kind == "normalized_focal":
        return normalized_focal(output, target, configuration)
    return bce_dice(output, target, exact, points, new_points, configuration, expansion_ratio)


def normalized_focal(output: NetworkOutput, target: Tensor, configuration: LossConfiguration) -> Tensor:
    """Return the official loss: normalised focal on the prediction and on both feedback maps, a scalar."""
    label = torch.where(target == UNKNOWN, -1.0, (target == 1).float())
    from_probability = not configuration.double_sigmoid
    prediction = normalized_focal_loss(output.logits.float(), label)
    corrected = normalized_focal_loss(
        output.corrected.float(), label, window=output.window, from_probability=from_probability
    )
    fused = normalized_focal_loss(output.fused.float(), label, from_probability=from_probability)
    return (prediction + configuration.feedback * (corrected + fused)).mean()


def bce_dice(
    output: NetworkOutput,
    target: Tensor,
    exact: Tensor,
    points: Tensor,
    new_points: Tensor,
    configuration: LossConfiguration,
    expansion_ratio: float,
) -> Tensor:
    """Return the mean loss over the batch, a scalar.

    Cross entropy (stronger near clicks, so that a click is obeyed, and at edges where they are exactly
    known) plus soft Dice on the prediction;
    plain cross entropy on both feedback maps, the corrected one only inside FFCM's window, where
    FFCM can change it.

    Args:
        output: maps of this round, (B, 1, H, W).
        target: (B, 1, H, W) uint8, 1 object, 0 background, 255 unknown.
        exact: (B,) bool, whether the target's outline is right to the pixel.
        points: (B, 2N, 3) all clicks of this round.
        new_points: (B, 1, 3) rows ``(y, x, label)``.
        configuration: weights of the terms.
        expansion_ratio: FFCM's window as a fraction of the side.
    """
    known = (target != UNKNOWN).float()
    truth = (target == 1).float()
    height, width = target.shape[-2:]
    near = disk_maps(points, height, width, configuration.click_radius).amax(dim=1, keepdim=True)
    weights = known * (1 + (configuration.click_weight - 1) * near)
    if configuration.edge_weight != 1:
        edge = exact.view(-1, 1, 1, 1) * at_edge(target, configuration.edge_radius)
        weights = weights * (1 + (configuration.edge_weight - 1) * edge)
    entropy = functional.binary_cross_entropy_with_logits(output.logits.float(), truth, reduction="none")
    cross_entropy = _mean(entropy * weights, known)
    probability = torch.sigmoid(output.logits.float()) * known
    overlap = (probability * truth).sum(dim=(1, 2, 3))
    dice = 1 - (2 * overlap + 1) / ((probability + truth * known).sum(dim=(1, 2, 3)) + 1)
    inside = known * _window(new_points, height, width, expansion_ratio)
    corrected = _mean(_probability_entropy(output.corrected, truth) * inside, inside)
    fused = _mean(_probability_entropy(output.fused, truth) * known, known)
    return (cross_entropy + dice + configuration.feedback * (corrected + fused)).mean()


def at_edge(target: Tensor, radius: int) -> Tensor:
    """Return where object and background both lie within ``radius`` pixels, along each axis.

    The crop's border, and where the unknown begins, are no edges.

    Args:
        target: (B, 1, H, W) uint8, 1 object, 0 background, 255 unknown.
        radius: pixels.

    Returns:
        (B, 1, H, W) float32 of 0 and 1.
    """

    def near(place: Tensor) -> Tensor:
        return functional.max_pool2d(place.float(), 2 * radius + 1, stride=1, padding=radius)

    return near(target == 1) * near(target == 0)


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    return values.sum(dim=(1, 2, 3)) / weights.sum(dim=(1, 2, 3)).clamp(min=1)


def _probability_entropy(probability: Tensor, truth: Tensor) -> Tensor:
    probability = probability.float().clamp(_SMALLEST, 1 - _SMALLEST)
    return functional.binary_cross_entropy(probability, truth, reduction="none")


def _window(new_points: Tensor, height: int, width: int, ratio: float) -> Tensor:
    """Return FFCM's hard window at image size, (B, 1, H, W) float32 of 0 and 1."""
    y, x = new_points[:, 0, 0], new_points[:, 0, 1]
    rows = torch.arange(height, device=y.device, dtype=torch.float32)
    columns = torch.arange(width, device=x.device, dtype=torch.float32)
    row_inside = (rows - y.unsqueeze(1)).abs() < ratio * height / 2
    column_inside = (columns - x.unsqueeze(1)).abs() < ratio * width / 2
    return (row_inside.unsqueeze(2) & column_inside.unsqueeze(1)).float().unsqueeze(1)
