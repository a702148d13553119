"""The plain API under ``/api/v1``: for every tool that speaks HTTP and JSON, and for nobody in particular.

:func:`routes` is all a server needs. What is sent and answered is declared once, in :mod:`messages`; the
document at ``/api/v1/openapi.json`` is made of it.
"""

from __future__ import annotations

from fcfi_core.serving.api.document import PREFIX
from fcfi_core.serving.api.server import routes

__all__ = ["PREFIX", "routes"]
