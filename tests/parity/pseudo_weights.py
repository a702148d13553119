"""Pseudo-random weights that anybody can rebuild: a number depends on (salt, key, shape) only.

The golden arrays of a parity kit were made with weights of this rule, so that no weight file has to be
kept. Only the raw 64-bit stream of PCG64 is used (numpy guarantees it), one stream per key, and all
arithmetic is in float64, rounded once to float32.

===========================================  ==================================================
tensor                                       values, u(a, b) = uniform between a and b
===========================================  ==================================================
integers (``num_batches_tracked``)           0
``*.running_mean``                           u(-0.1, 0.1)
``*.running_var``                            u(0.5, 1.5)
``*.scale``                                  -u(0.2, 0.4): the layer must take the absolute value
``*.bias``                                   u(-0.1, 0.1), shifted for a few keys
other tensors with one dimension (gains)     u(0.8, 1.2), scaled for a few keys
other tensors (kernels)                      u(-1, 1) * sqrt(6 / fan-in), scaled for a few keys
===========================================  ==================================================

A kit may bring a *calibration*: arrays that replace those of some keys, so that the random network
behaves like a normalised one.
"""

from __future__ import annotations

import hashlib
import re
from math import prod

import numpy as np

# (pattern of the key, number of dimensions, factor); the first that matches counts.
FACTORS = (
    (r"\.bn3\.weight$", 1, 0.25),
    (r"branches\.\d+\.\d+\.bn2\.weight$", 1, 0.2),
    (r"fuse_layers\..*\.weight$", 1, 0.3),
    (r"fusion_encoder\.3\.weight$", 4, 1.5),
    (r"residual_predictor\.bn\.weight$", 1, 0.3),
    (r"cls_head\.weight$", 4, 3.0),
    (r"^head\.layers\.2\.weight$", 4, 3.0),
    (r"aux_head\.3\.weight$", 4, 1.5),
)
SHIFTS = (
    (r"fusion_encoder\.3\.bias$", -1.0),
    (r"residual_predictor\.bn\.bias$", 0.1),
)


def uniform(salt, key, count):
    """Return ``count`` float64 numbers in [0, 1) that belong to ``(salt, key)``."""
    seed = hashlib.sha256(f"{salt}|{key}".encode()).digest()[:16]
    raw = np.random.PCG64(int.from_bytes(seed, "little")).random_raw(count)
    return (np.asarray(raw, np.uint64).reshape(-1) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def factor(key, dimensions):
    """Return the factor of a gain or kernel."""
    matching = (
        value for pattern, wanted, value in FACTORS if wanted == dimensions and re.search(pattern, key)
    )
    return next(matching, 1.0)


def array(key, shape, dtype, salt):
    """Return the pseudo-random array of one tensor."""
    shape = tuple(shape)
    if "int" in dtype:
        return np.zeros(shape, np.int64)
    u = uniform(salt, key, prod(shape))
    if key.endswith("running_mean"):
        values = -0.1 + 0.2 * u
    elif key.endswith("running_var"):
        values = 0.5 + u
    elif key.endswith("scale"):
        values = -(0.2 + 0.2 * u)
    elif key.endswith("bias"):
        values = -0.1 + 0.2 * u + next((shift for pattern, shift in SHIFTS if re.search(pattern, key)), 0.0)
    elif len(shape) <= 1:
        values = (0.8 + 0.4 * u) * factor(key, 1)
    else:
        values = (2.0 * u - 1.0) * np.sqrt(6.0 / prod(shape[1:])) * factor(key, len(shape))
    return values.reshape(shape).astype(np.float32)


def state(layout, salt, calibration=None):
    """Return ``{key: array}`` for a layout.

    Args:
        layout: rows ``(key, shape, dtype)``.
        salt: text.
        calibration: arrays that replace the rule's; every key must be in the layout.
    """
    calibration = dict(calibration or {})
    result = {
        key: np.asarray(calibration.pop(key), np.float32).reshape(tuple(shape))
        if key in calibration
        else array(key, shape, dtype, salt)
        for key, shape, dtype in layout
    }
    if calibration:
        raise KeyError(f"calibration of keys that the layout lacks: {sorted(calibration)[:5]}")
    return result


def layout_of(module):
    """Return the rows ``[key, shape, dtype]`` of a torch module's state_dict, in its own order."""
    return [
        [key, list(tensor.shape), str(tensor.dtype).removeprefix("torch.")]
        for key, tensor in module.state_dict().items()
    ]


def digest(arrays):
    """Return the sha256 over keys (sorted), shapes and little-endian bytes."""
    total = hashlib.sha256()
    for key in sorted(arrays):
        values = np.ascontiguousarray(arrays[key])
        total.update(f"{key}|{tuple(values.shape)}|{values.dtype.str}|".encode())
        total.update(values.tobytes())
    return total.hexdigest()
