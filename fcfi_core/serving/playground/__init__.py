"""A page to try the predictor by hand: open a photo, click, take the mask away.

:func:`routes` is all a server needs; it is the only part of the core that needs Starlette.
"""

from __future__ import annotations

from fcfi_core.serving.playground.server import routes

__all__ = ["routes"]
