"""FFCM, CFFM, disks and losses against the official modules."""

from __future__ import annotations

import pytest
import torch

from fcfi_core.networks.click_maps import disk_maps
from fcfi_core.networks.feedback_correction import FeedbackCorrection
from fcfi_core.networks.feedback_fusion import FeedbackFusion
from fcfi_core.training.losses import normalized_focal_loss

LIMIT = 1e-5  # absolute for maps, relative for losses and gradients


def assert_close(found, wanted):
    torch.testing.assert_close(found, wanted, rtol=0, atol=LIMIT)


@pytest.mark.cases("ffcm")
def test_feedback_correction(case, tensor, filled, kit):
    told = case.parameters
    module = FeedbackCorrection(told["in_ch"], told["aux_ch"], told["mid_ch"], told["expan_ratio"])
    filled(module, kit.manifest["module_salts"]["ffcm"])
    inputs = [tensor(name) for name in ("images", "clicks", "features", "feedback", "new_points")]
    corrected, window = module(*inputs, soft_window=told["is_training"])
    assert_close(corrected, tensor("out"))
    assert (window is None) == ("valid_masks" not in case)
    if window is not None:
        wanted = tensor("valid_masks")
        assert_close(window, wanted)
        # The masked loss counts cells where the window is exactly 1.
        assert torch.equal(window == 1, wanted == 1)


@pytest.mark.cases("cffm")
def test_feedback_fusion(case, tensor, filled, kit):
    told = case.parameters
    module = FeedbackFusion(told["in_ch"], told["mid_ch"], told["update_num"])
    filled(module, kit.manifest["module_salts"]["cffm"])
    features, fused = module(tensor("features"), tensor("feedback"), told["gate"])
    assert_close(features, tensor("out_features"))
    assert_close(fused, tensor("out_feedback"))


@pytest.mark.cases("disks")
def test_disks(case, tensor):
    disks = disk_maps(tensor("points"), *case.parameters["size"], case.parameters["radius"])
    assert torch.equal(disks.to(torch.uint8), tensor("out"))


def check_loss(case, tensor, window):
    told = case.parameters
    prediction = tensor("pred").requires_grad_()
    loss = normalized_focal_loss(
        prediction, tensor("label"), window=window, alpha=told["alpha"], gamma=told["gamma"]
    )
    torch.testing.assert_close(loss.detach(), tensor("loss"), rtol=LIMIT, atol=0)
    loss.mean().backward()
    gradient = tensor("grad")
    largest = float(gradient.abs().max())
    torch.testing.assert_close(prediction.grad, gradient, rtol=0, atol=LIMIT * largest)


@pytest.mark.cases("nfl")
def test_normalized_focal_loss(case, tensor):
    check_loss(case, tensor, None)


@pytest.mark.cases("nfl_masked")
def test_normalized_focal_loss_in_a_window(case, tensor):
    check_loss(case, tensor, tensor("mask"))
