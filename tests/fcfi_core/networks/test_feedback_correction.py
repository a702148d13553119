from __future__ import annotations

import pytest
import torch

from fcfi_core.networks.feedback_correction import FeedbackCorrection, with_correction


class Everything(FeedbackCorrection):
    """Every cell is like the clicked one; the window reaches 4 pixels in one sample, 12 in the other."""

    def affinity(self, embedding, rows, columns):
        return torch.ones_like(embedding[:, :1])

    def reach(self, corrected, label, rows, columns, pixels):
        reach = torch.tensor([4.0, 12.0])
        return reach, reach


@pytest.mark.parametrize("label", [0, 1])
@torch.inference_mode()
def test_another_affinity_and_another_window_decide_what_a_click_changes(label):
    torch.manual_seed(0)
    usual = FeedbackCorrection(4, 6, 8).eval()
    other = with_correction(usual, Everything)
    image, maps, feedback = torch.rand(2, 3, 64, 64), torch.rand(2, 2, 64, 64), torch.rand(2, 1, 64, 64)
    clicks = torch.tensor([[[32, 32, label]], [[32, 32, label]]])
    corrected, _ = other(image, maps, torch.rand(2, 4, 16, 16), feedback, clicks)
    before = torch.nn.functional.interpolate(feedback, (16, 16), mode="bilinear", align_corners=True)
    for sample, cells in ((0, 1), (1, 3)):
        inside = torch.zeros(16, 16, dtype=torch.bool)
        inside[8 - cells : 8 + cells, 8 - cells : 8 + cells] = True
        assert (corrected[sample, 0][inside] == label).all()
        assert torch.equal(corrected[sample, 0][~inside], before[sample, 0][~inside])


@torch.inference_mode()
def test_the_usual_window_is_a_share_of_the_frame_and_the_usual_affinity_a_cosine():
    module = FeedbackCorrection(4, 6, 8, expansion_ratio=0.3)
    here = torch.tensor([1])
    assert module.reach(torch.zeros(1, 1, 8, 8), here, here, here, (100, 200)) == (15, 30)
    assert module.reach(torch.zeros(1, 1, 8, 8), here, here, here, (2, 3)) == (1, 1)
    embedding = torch.rand(1, 8, 4, 5)
    found = module.affinity(embedding, here, torch.tensor([2]))
    wanted = torch.cosine_similarity(embedding, embedding[:, :, 1:2, 2:3], dim=1)
    torch.testing.assert_close(found[:, 0], wanted)
