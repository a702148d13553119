"""Collaborative feedback fusion, CFFM (paper section 3.3).

Feedback and deep features update each other: the features help to judge the corrected feedback,
and the judged feedback is added to the features as a one-channel residual.
"""

from __future__ import annotations

from torch import Tensor, nn

from fcfi_core.networks.base import joined, resized
from fcfi_core.networks.blocks import ConvNormRelu, SeparableConvNormRelu


class FeedbackFusion(nn.Module):
    """Fuses the corrected feedback with the features.

    Args:
        in_channels: channels of the features.
        middle_channels: channels of the fusion encoder.
        update_count: rounds of mutual updates; officially 1.
    """

    def __init__(self, in_channels: int, middle_channels: int, update_count: int = 1) -> None:
        super().__init__()
        self.update_count = update_count
        self.feature_conv = ConvNormRelu(in_channels, middle_channels, 1)
        self.fusion_encoder = nn.Sequential(
            ConvNormRelu(1 + middle_channels, middle_channels, 3),
            SeparableConvNormRelu(middle_channels, middle_channels),
            SeparableConvNormRelu(middle_channels, middle_channels),
            nn.Conv2d(middle_channels, 1, 3, padding=1),
            nn.Sigmoid(),
        )
        self.residual_predictor = ConvNormRelu(in_channels + 1, 1, 1)

    def forward(self, features: Tensor, corrected: Tensor, gate: float | Tensor) -> tuple[Tensor, Tensor]:
        """Return the updated features and the fused feedback.

        Args:
            features: (B, in_channels, h, w).
            corrected: (B, 1, *, *) probabilities from the focused feedback correction.
            gate: 0 keeps the features as they are, 1 adds the residual; a number or (B, 1, 1, 1).

        Returns:
            (B, in_channels, h, w) features and (B, 1, h, w) probabilities.
        """
        corrected = resized(corrected, features.shape[-2], features.shape[-1])
        if isinstance(gate, Tensor) and gate.dtype != features.dtype:
            gate = gate.to(features.dtype)
        for _ in range(self.update_count):
            judging = self.feature_conv(features)
            fused = self.fusion_encoder(joined(corrected, judging, like=judging))
            features = features + gate * self.residual_predictor(joined(features, fused, like=features))
        return features, fused
