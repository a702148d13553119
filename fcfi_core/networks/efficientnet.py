"""The light network on EfficientNet-Lite encoders."""

from __future__ import annotations

from fcfi_core.networks.efficientnet_backbone import EfficientNetLite0, EfficientNetLite2
from fcfi_core.networks.mobilenet import MobileNetFeedbackNetwork


class EfficientNetLite0FeedbackNetwork(MobileNetFeedbackNetwork):
    """FCFI on EfficientNet-Lite0 with late click injection."""

    size_multiple = 32
    encoder = EfficientNetLite0


class EfficientNetLite2FeedbackNetwork(MobileNetFeedbackNetwork):
    """FCFI on EfficientNet-Lite2 with late click injection."""

    size_multiple = 32
    encoder = EfficientNetLite2
