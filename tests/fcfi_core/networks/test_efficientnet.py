from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from fcfi_core.networks.efficientnet_backbone import EfficientNetLite0, EfficientNetLite2
from fcfi_core.networks.mobilenet import MobileNetFeedbackNetwork
from fcfi_core.networks.registry import build

LITE = {"efficientnet_lite0": EfficientNetLite0, "efficientnet_lite2": EfficientNetLite2}


def published(encoder):
    """Tensors under the published names, as different from each other as trained ones."""
    state, random = {}, torch.Generator().manual_seed(2)

    def norm(name, channels):
        state[f"{name}.weight"] = torch.rand(channels, generator=random) + 0.5
        state[f"{name}.bias"] = torch.randn(channels, generator=random) * 0.2
        state[f"{name}.running_mean"] = torch.randn(channels, generator=random) * 0.2
        state[f"{name}.running_var"] = torch.rand(channels, generator=random) + 0.5

    def convolution(name, module, behind):
        spread = 1 / module.weight[0].numel() ** 0.5
        state[f"{name}.weight"] = torch.randn(module.weight.shape, generator=random) * spread
        norm(behind, module.out_channels)

    convolution("_conv_stem", encoder.features[0][0], "_bn0")
    for index, block in enumerate(encoder.features[1:]):
        *first, last = block.conv
        names = ["_expand_conv", "_depthwise_conv"][-len(first) :]
        for name, layer, behind in zip(names, first, ["_bn0", "_bn1"][-len(first) :], strict=True):
            convolution(f"_blocks.{index}.{name}", layer[0], f"_blocks.{index}.{behind}")
        convolution(f"_blocks.{index}._project_conv", last, f"_blocks.{index}._bn2")
    state["_fc.weight"] = torch.zeros(1000, 1280)
    return state


def as_published(state, image, strides):
    """Return the maps behind all blocks as the published network makes them, with its batch norms."""

    def normed(maps, name):
        values = (state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(maps, *values, eps=1e-3)

    def same(maps, weight, stride, groups=1):
        size = weight.shape[-1]
        rows, columns = (max((-(-side // stride) - 1) * stride + size - side, 0) for side in maps.shape[-2:])
        padding = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
        return functional.conv2d(functional.pad(maps, padding), weight, stride=stride, groups=groups)

    maps = same((image * 255 - 127) / 128, state["_conv_stem.weight"], 2)
    maps = normed(maps, "_bn0").clamp(0, 6)
    found = []
    for index, stride in enumerate(strides):
        name, before = f"_blocks.{index}", maps
        if f"{name}._expand_conv.weight" in state:
            maps = normed(same(maps, state[f"{name}._expand_conv.weight"], 1), f"{name}._bn0").clamp(0, 6)
        weight = state[f"{name}._depthwise_conv.weight"]
        maps = normed(same(maps, weight, stride, len(weight)), f"{name}._bn1").clamp(0, 6)
        maps = normed(same(maps, state[f"{name}._project_conv.weight"], 1), f"{name}._bn2")
        if maps.shape == before.shape:
            maps = maps + before
        found.append(maps)
    return found


@pytest.mark.parametrize("encoder", LITE.values(), ids=LITE)
@torch.inference_mode()
def test_published_weights_give_the_published_features(encoder):
    ours = encoder().eval()
    state = published(ours)
    ours.load_state_dict(ours.published(state))
    image = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(3))
    strides = [stage.stride if index == 0 else 1 for stage in ours.stages for index in range(stage.blocks)]
    wanted = as_published(state, image, strides)
    maps = (image * 255 - 127) / 128
    for index, block in enumerate(ours.features):
        maps = block(maps)
        if index:
            torch.testing.assert_close(maps, wanted[index - 1], rtol=1e-3, atol=1e-3)
    pyramid = ours(image)
    for stride, found, channels in zip((2, 4, 8, 16, 16), pyramid, ours.widths, strict=True):
        assert found.shape == (2, channels, 64 // stride, 96 // stride)
    for found in pyramid[:4]:
        assert any(found.shape == one.shape and torch.allclose(found, one, atol=1e-3) for one in wanted)
    assert pyramid.context.min() >= 0


def test_the_pooling_head_which_nobody_published_stays_and_a_missing_tensor_is_named():
    torch.manual_seed(0)
    ours = EfficientNetLite0()
    state = published(ours)
    before = {name: tensor.clone() for name, tensor in ours.aspp.state_dict().items()}
    ours.load_state_dict(ours.published(state))
    assert all(torch.equal(tensor, before[name]) for name, tensor in ours.aspp.state_dict().items())
    del state["_blocks.7._bn1.running_var"]
    with pytest.raises(KeyError, match=r"_blocks\.7\._bn1\.running_var"):
        ours.published(state)


@pytest.mark.parametrize("variant", LITE)
def test_what_is_behind_the_encoder_is_that_of_the_light_network(variant):
    ours, light = build(variant), build("mobilenetv2")
    assert isinstance(ours, MobileNetFeedbackNetwork)
    assert ours.size_multiple == 32

    def shapes(network):
        return {
            name: tensor.shape
            for name, tensor in network.state_dict().items()
            if not name.startswith(
                ("backbone.", "context_projection.0", "embedding_", "lateral_projection.0")
            )
        }

    assert shapes(ours) == shapes(light)


@torch.inference_mode()
def test_golden_features():
    encoder = EfficientNetLite2().eval()
    for parameter in encoder.parameters():
        steps = torch.arange(parameter.numel(), dtype=torch.float64)
        fan = max(parameter[0].numel(), 4)
        parameter.copy_((torch.sin(steps * 1.7) / fan**0.5).view_as(parameter))
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    image = torch.stack((rows / 64, columns / 64, (rows * columns % 7) / 7))[None]
    found = [float(maps.double().abs().mean()) for maps in encoder(image)]
    assert found == pytest.approx(GOLDEN, rel=1e-3)


GOLDEN = [0.559968, 2.60624, 2.87666, 6.72636, 0.693544]
"""Mean absolute features at strides 2, 4, 8, 16 and of the context; float32 sums in another order agree."""
