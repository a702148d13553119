"""What people asked of which object, with which model and how fast; opt-in, off by default, no pixels.

A log is a file of JSON lines, one for each finished object (:class:`Entry`). Doors tell :class:`ClickLog`
what they answered; it finds out what belongs to one object, and writes it down when nobody clicks on it any
more. Nothing here ever keeps a click from being answered.
"""

from __future__ import annotations

from fcfi_core.click_log.entry import Entry, mask_digest
from fcfi_core.click_log.file import ReadLog, read
from fcfi_core.click_log.log import ClickLog

__all__ = ["ClickLog", "Entry", "ReadLog", "mask_digest", "read"]
