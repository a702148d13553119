"""Batch norms folded into the convolutions before them: the same function with fewer steps.

With fixed statistics a batch norm is ``y = s x + t`` per channel, and a convolution in front of it can
absorb both numbers. Outputs agree to float32 rounding (the folded weights are computed in float64).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import pairwise
from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def folded(network: Network) -> Network:
    """Return a copy of ``network`` in evaluation mode, with every batch norm behind a convolution folded.

    Convolution and batch norm belong together if no other convolution or batch norm was registered
    between them: in this package modules are registered in the order in which they run. The copy has
    other keys and can no longer be trained.
    """
    copied = copy.deepcopy(network).eval()
    for (_, convolution), (name, norm) in list(foldable(copied)):
        _fold(convolution, norm)
        parent, _, attribute = name.rpartition(".")
        setattr(copied.get_submodule(parent), attribute, nn.Identity())
    return copied


def foldable(network: nn.Module) -> Iterator[tuple[tuple[str, nn.Conv2d], tuple[str, nn.BatchNorm2d]]]:
    """Yield name and module of every convolution and of the batch norm behind it, where there is one."""
    for (name, before), (name_behind, behind) in pairwise(_weighted_leaves(network)):
        if isinstance(before, nn.Conv2d) and isinstance(behind, nn.BatchNorm2d):
            yield (name, before), (name_behind, behind)


def _weighted_leaves(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield name and module of every convolution and batch norm, in the order of registration."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
            yield name, module


@torch.no_grad()
def _fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """Make ``convolution`` compute what it and ``norm`` compute together."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    bias = torch.zeros_like(norm.bias) if convolution.bias is None else convolution.bias
    shifted = norm.bias.double() + (bias.double() - norm.running_mean.double()) * scale
    weight = convolution.weight.double() * scale.view(-1, 1, 1, 1)
    convolution.weight = nn.Parameter(weight.to(convolution.weight.dtype), requires_grad=False)
    convolution.bias = nn.Parameter(shifted.to(norm.bias.dtype), requires_grad=False)
