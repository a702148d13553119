"""OpenVINO's package without its conversion tools, which nothing here uses.

Importing them tells OpenVINO's makers of every start over the network, unless the user has forbidden it; it
also takes three quarters of the time of the import. So all of this package takes ``openvino`` from here. Who
wants the tools in the same process imports ``openvino.tools.ovc``.
"""

from __future__ import annotations

import sys

_TOOLS = "openvino.tools.ovc"

__all__ = ["openvino"]

# What stands as None cannot be imported; OpenVINO does without.
_blocked = sys.modules.setdefault(_TOOLS, None) is None  # type: ignore[arg-type]
try:
    import openvino
finally:
    if _blocked:
        del sys.modules[_TOOLS]
