"""Dilated depthwise convolutions whose gradients a CPU calculates quickly.

For the backward pass of a depthwise convolution with dilation torch needs more than ten times as long as
for one without. With a dilation of d, pixels only meet those whose rows and columns leave the same
remainders when divided by d; so each of these d x d *phases* of the maps can be convolved for itself,
without dilation.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from fcfi_core.networks.inverted_residual import Convolution


def quicken_gradients(network: nn.Module) -> None:
    """Let the dilated depthwise convolutions of ``network`` compute by phases, in place.

    Weights and their names stay, and so do results, but for rounding.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and type(module) in (nn.Conv2d, Convolution):
            dilation, padding = module.dilation, module.padding
            depthwise = module.groups == module.in_channels == module.out_channels
            keeps_size = padding == tuple(dilation[0] * (side // 2) for side in module.kernel_size)
            usual = module.stride == (1, 1) and module.padding_mode == "zeros"
            if depthwise and keeps_size and usual and dilation[0] == dilation[1] > 1:
                module.__class__ = _Phased


class _Phased(nn.Conv2d):
    """A convolution of every phase by itself, as if they were further samples of the batch."""

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, C, H, W); sides that the dilation does not divide are convolved as usual."""
        apart = self.dilation[0]
        batch, channels, height, width = features.shape
        if height % apart or width % apart:
            return super().forward(features)
        rows, columns = height // apart, width // apart
        cells = features.permute(0, 2, 3, 1).reshape(batch, rows, apart, columns, apart, channels)
        phases = cells.permute(2, 4, 0, 1, 3, 5).reshape(-1, rows, columns, channels).permute(0, 3, 1, 2)
        padding = tuple(side // 2 for side in self.kernel_size)
        maps = functional.conv2d(phases, self.weight, self.bias, padding=padding, groups=self.groups)
        cells = maps.permute(0, 2, 3, 1).reshape(apart, apart, batch, rows, columns, channels)
        return cells.permute(2, 3, 0, 4, 1, 5).reshape(batch, height, width, channels).permute(0, 3, 1, 2)
