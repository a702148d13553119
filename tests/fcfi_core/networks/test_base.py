"""Maps joined behind each other."""

from __future__ import annotations

import pytest
import torch

from fcfi_core.networks.base import joined


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_maps_are_joined_in_the_type_and_layout_of_one(layout, dtype):
    torch.manual_seed(0)
    features = torch.randn(2, 6, 4, 5).to(dtype).contiguous(memory_format=layout)
    feedback, disks = torch.rand(2, 1, 4, 5), torch.rand(2, 2, 4, 5)
    result = joined(feedback, features, disks, like=features)
    assert result.dtype == dtype
    assert result.is_contiguous(memory_format=layout)
    expected = torch.cat((feedback, features.float(), disks), dim=1).to(dtype)
    assert torch.equal(result, expected)
