"""Whole networks against the official ones: three clicks in a row, and the soft-window path."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fcfi_core.networks.folding import folded

LOGITS, PROBABILITIES = 5e-3, 1e-3  # absolute


def padded_points(clicks):
    """Return (1, 2N, 3) rows (y, x, order): positive clicks, then negative ones, each padded to N."""
    rows = {1: [], 0: []}
    for order, (y, x, positive) in enumerate(clicks):
        rows[int(positive)].append((y, x, order))
    count = max(1, len(rows[0]), len(rows[1]))
    points = [row for sign in (1, 0) for row in rows[sign] + [(-1, -1, -1)] * (count - len(rows[sign]))]
    return torch.tensor([points], dtype=torch.float32)


def single(maps):
    """The HRNet family returns feedback maps in lists of one."""
    return maps[0] if isinstance(maps, list) else maps


def maps_of(output):
    """Return the official outputs under the kit's names."""
    names = {"updated_feedback1": "feedback1", "updated_feedback2": "feedback2"}
    return {names.get(key, key): single(maps) for key, maps in output.items() if single(maps) is not None}


def assert_maps(output, case, tools, prefix):
    """Compare every array of the case below ``prefix`` with the outputs of one pass."""
    maps = maps_of(output)
    for name in [name for name in case.arrays if name.startswith(prefix)]:
        wanted = case.take(name)
        kind = name[len(prefix) :]
        if kind == "stats":
            found = [maps[key].double() for key in ("instances", "feedback1", "feedback2")]
            rows = [
                [float(f(values)) for f in (torch.mean, torch.std, torch.min, torch.max)] for values in found
            ]
            limits = np.array([[LOGITS], [PROBABILITIES], [PROBABILITIES]])
            assert (np.abs(np.array(rows) - wanted) <= limits).all(), name
            continue
        batch = wanted.shape[0] if wanted.ndim == 3 else 1
        found = maps[kind].numpy().reshape(batch, *maps[kind].shape[-2:])
        found = tools.thinned(found, wanted.shape[-2:]).reshape(wanted.shape)
        limit = LOGITS if kind.startswith("instances") else PROBABILITIES
        np.testing.assert_allclose(found, wanted, rtol=0, atol=limit, err_msg=name)


def fast(network):
    """Return the network as the fast engine runs it: norms folded, channels last in memory."""
    return folded(network).to(memory_format=torch.channels_last)


@pytest.mark.cases("network")
@pytest.mark.parametrize("form", [lambda network: network, fast], ids=["plain", "fast"])
@pytest.mark.timeout(1800)  # the larger variants of a whole kit, on one slow core
def test_network(case, form, networks, tools):
    network = form(networks(case.parameters["variant"]))
    image = torch.from_numpy(np.array(case.take("image"))).permute(2, 0, 1)[None].float() / 255
    clicks = case.take("clicks").tolist()
    previous = [torch.zeros_like(image[:, :1])]
    with torch.inference_mode():
        for count, newest in enumerate(clicks, start=1):
            output = network(
                torch.cat((image, previous[-1]), dim=1),
                padded_points(clicks[:count]),
                torch.tensor([[newest]]),
                0.0 if count == 1 else 1.0,
            )
            assert_maps(output, case, tools, f"click{count}/")
            previous.append(torch.sigmoid(output["instances"]))
        if any(name.startswith("trainmode/") for name in case.arrays):
            output = soft_window_pass(network, image, previous[1], clicks[:2])
            assert_maps(output, case, tools, "trainmode/")


def soft_window_pass(network, image, previous, clicks):
    """Return the training path's output for the image and its mirror image; norms stay in eval mode."""
    width = image.shape[-1]
    both = [clicks, [(y, width - 1 - x, positive) for y, x, positive in clicks]]
    view = torch.cat((image, previous), dim=1)
    return network(
        torch.cat((view, view.flip(-1))),
        torch.cat([padded_points(one) for one in both]),
        torch.tensor([one[-1] for one in both], dtype=torch.float32),
        1.0,
        is_training=True,
    )
