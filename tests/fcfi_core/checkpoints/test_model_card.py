from __future__ import annotations

from pathlib import Path

from fcfi_core.checkpoints import CATALOGUE, read_checkpoint, resolve
from fcfi_core.checkpoints.catalogue import FOLDER


def test_the_card_in_the_documentation_is_the_one_in_the_package():
    root = Path(__file__).parents[3]
    assert (root / "docs/model-card.md").read_text() == (FOLDER / "default.md").read_text()


def test_the_card_names_every_training_set_and_the_version():
    card = (FOLDER / "default.md").read_text()
    header = read_checkpoint(resolve("default")).header["model_card"]
    assert header["version"] in card
    assert all(f"`{name}`" in card for name in CATALOGUE["default"].training_data.split(", "))
