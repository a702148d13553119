"""Dilated convolutions by phases: the same results and gradients as torch's own."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fcfi_core.networks.inverted_residual import Convolution
from fcfi_core.networks.registry import build
from fcfi_core.training.gradients import quicken_gradients


def _gradients(convolution: nn.Module, features: torch.Tensor) -> tuple[torch.Tensor, ...]:
    features = features.clone().requires_grad_()
    result = convolution(features)
    (result * torch.arange(result.numel()).view_as(result).cos()).sum().backward()
    assert features.grad is not None
    parameters = [parameter.grad for parameter in convolution.parameters() if parameter.grad is not None]
    return (result.detach(), features.grad, *parameters)


@given(
    dilation=st.integers(2, 4),
    rows=st.integers(1, 4),
    columns=st.integers(1, 4),
    surplus=st.integers(0, 1),
    channels=st.integers(2, 5),
    kernel_size=st.sampled_from((3, 5)),
    last=st.booleans(),
)
def test_results_and_gradients_stay(dilation, rows, columns, surplus, channels, kernel_size, last):
    torch.manual_seed(channels)
    usual = Convolution(channels, channels, kernel_size, dilation=dilation, groups=channels)
    phased = nn.Sequential(copy.deepcopy(usual))
    quicken_gradients(phased)
    assert type(phased[0]) is not Convolution
    features = torch.randn(2, channels, rows * dilation + surplus, columns * dilation)
    if last:
        features = features.contiguous(memory_format=torch.channels_last)
    for expected, found in zip(_gradients(usual, features), _gradients(phased, features), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "convolution",
    [
        nn.Conv2d(4, 4, 3, padding=1, groups=4),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2),
        nn.Conv2d(4, 8, 3, padding=2, dilation=2, groups=4),
        nn.Conv2d(4, 4, 3, stride=2, padding=2, dilation=2, groups=4),
        nn.Conv2d(4, 4, 3, padding=1, dilation=2, groups=4),
        nn.Conv2d(4, 4, 3, padding="same", dilation=2, groups=4),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4, padding_mode="reflect"),
    ],
)
def test_other_convolutions_are_left_alone(convolution):
    quicken_gradients(convolution)
    assert type(convolution) is nn.Conv2d


def test_a_network_keeps_its_weights_names_and_answers():
    torch.manual_seed(0)
    usual = build("mobilenetv2").eval()
    phased = copy.deepcopy(usual)
    quicken_gradients(phased)
    changed = [name for name, module in phased.named_modules() if type(module).__name__ == "_Phased"]
    assert len(changed) == 6  # three of the encoder, three behind it
    assert list(phased.state_dict()) == list(usual.state_dict())
    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        for expected, found in zip(usual.encode(image), phased.encode(image), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
