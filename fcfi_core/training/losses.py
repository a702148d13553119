"""The losses of FCFI.

Predictions and labels are ``(B, 1, H, W) float32``; labels are 1 for the object, 0 for the background
and -1 for pixels that do not count. Every loss returns one value per sample, ``(B,)``.
"""

from __future__ import annotations

import torch
from torch import Tensor

_EPSILON = 1e-12
_IGNORED = -1


def normalized_focal_loss(
    prediction: Tensor,
    label: Tensor,
    *,
    window: Tensor | None = None,
    from_probability: bool = False,
    alpha: float = 0.5,
    gamma: float = 2,
) -> Tensor:
    """Return the normalised focal loss of each sample, (B,).

    The focal weights are rescaled so that they add up to the number of counted pixels: the loss keeps
    its size when most pixels have become easy.

    Args:
        prediction: (B, 1, H, W) logits, or probabilities with ``from_probability``.
        label: (B, 1, H, W) in {0, 1}, -1 where ignored.
        window: (B, 1, H, W) soft window of FFCM; only pixels where it is exactly 1 count (the
            official rule for the corrected feedback). None: all pixels count.
        from_probability: take ``prediction`` as it is. The official training applies the sigmoid to
            both feedback maps although they are probabilities already; False reproduces that.
        alpha: weight of object pixels; background pixels weigh ``1 - alpha``.
        gamma: how strongly easy pixels are played down.
    """
    counted = label != _IGNORED
    if window is not None:
        counted = counted & (window.to(torch.int64) == 1)
    probability = prediction if from_probability else torch.sigmoid(prediction)
    # Probability given to the right answer; ignored pixels count as perfectly answered.
    right = torch.where(counted, 1 - (label - probability).abs(), torch.ones_like(probability))
    focus = (1 - right) ** gamma
    counted_sum = counted.to(prediction.dtype).sum(dim=(-2, -1), keepdim=True)
    rescale = (counted_sum / (focus.sum(dim=(-2, -1), keepdim=True) + _EPSILON)).detach()
    weight = torch.where(label > 0.5, alpha, 1 - alpha) * counted
    logarithm = torch.minimum(right + _EPSILON, torch.ones_like(right)).log()
    loss = -weight * rescale * focus * logarithm
    return loss.sum(dim=(1, 2, 3)) / (counted_sum.flatten(1).sum(dim=1) + _EPSILON)
