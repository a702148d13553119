"""Which devices are here, found out without torch where there is nothing to find."""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from functools import cache


@cache
def has_cuda() -> bool:
    """Return whether torch can use a CUDA device here.

    torch, which takes a second to import, is asked only if the driver sees a device.
    """
    if importlib.util.find_spec("torch") is None or not _driver_sees_a_device():
        return False
    import torch

    return torch.cuda.is_available()


def _driver_sees_a_device() -> bool:
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        count = ctypes.c_int(0)
        return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
    except (OSError, AttributeError):
        return False
