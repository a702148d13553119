"""Object-contextual representations: the head of the HRNet family (official key names).

With one class the official attention takes a softmax over a single element, which is always 1: the
context is the projected object vector, the same at every position, and the queries and keys
(``f_pixel``, ``f_object``) have no influence on any output. Their weights are kept so that official
files load strictly; they are never run.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def gather_object(features: Tensor, attention_logits: Tensor) -> Tensor:
    """Return the object vector (B, C, 1, 1): the mean of features under a spatial softmax.

    Args:
        features: (B, C, h, w).
        attention_logits: (B, 1, h, w).
    """
    weights = attention_logits.flatten(2).softmax(dim=2)
    return torch.matmul(weights, features.flatten(2).transpose(1, 2)).transpose(1, 2).unsqueeze(3)


def _norm_relu(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


class ObjectContext(nn.Module):
    """Turns the object vector into the context vector.

    Args:
        in_channels: channels of the object vector and of the context.
        key_channels: channels in between.
    """

    def __init__(self, in_channels: int, key_channels: int) -> None:
        super().__init__()

        def projection() -> nn.Sequential:
            return nn.Sequential(
                nn.Conv2d(in_channels, key_channels, 1, bias=False),
                _norm_relu(key_channels),
                nn.Conv2d(key_channels, key_channels, 1, bias=False),
                _norm_relu(key_channels),
            )

        self.f_pixel = projection()
        self.f_object = projection()
        self.f_down = nn.Sequential(
            nn.Conv2d(in_channels, key_channels, 1, bias=False), _norm_relu(key_channels)
        )
        self.f_up = nn.Sequential(
            nn.Conv2d(key_channels, in_channels, 1, bias=False), _norm_relu(in_channels)
        )

    def forward(self, object_vector: Tensor) -> Tensor:
        """Return the context (B, in_channels, 1, 1) of an object vector of the same shape."""
        return self.f_up(self.f_down(object_vector))  # type: ignore[no-any-return]


class ObjectContextHead(nn.Module):
    """Joins features and context.

    Args:
        in_channels: channels of the features and of the result.
        key_channels: channels of the context's bottleneck.
        dropout: probability of dropping a whole channel while training.
    """

    def __init__(self, in_channels: int, key_channels: int, *, dropout: float = 0.05) -> None:
        super().__init__()
        self.object_context_block = ObjectContext(in_channels, key_channels)
        self.conv_bn_dropout = nn.Sequential(
            nn.Conv2d(2 * in_channels, in_channels, 1, bias=False),
            _norm_relu(in_channels),
            nn.Dropout2d(dropout),
        )

    def forward(self, features: Tensor, object_vector: Tensor) -> Tensor:
        """Return (B, in_channels, h, w) for features (B, in_channels, h, w) and an object vector."""
        context = self.object_context_block(object_vector).expand_as(features)
        return self.conv_bn_dropout(torch.cat((context, features), dim=1))  # type: ignore[no-any-return]
