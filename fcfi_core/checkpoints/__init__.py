"""Weights on disk: safetensors files that say what they are, a catalogue of them, and conversion.

Nothing here ever opens a network connection.
"""

from fcfi_core.checkpoints.catalogue import CATALOGUE, CatalogueEntry, resolve
from fcfi_core.checkpoints.choice import CHOSEN, choose, chosen
from fcfi_core.checkpoints.files import Checkpoint, read_checkpoint, write_checkpoint

__all__ = [
    "CATALOGUE",
    "CHOSEN",
    "CatalogueEntry",
    "Checkpoint",
    "choose",
    "chosen",
    "read_checkpoint",
    "resolve",
    "write_checkpoint",
]
