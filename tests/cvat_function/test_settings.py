"""The functions' environment."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from cvat_function.settings import VARIABLES, Settings
from fcfi_core.errors import SettingsError
from fcfi_core.masks.finish import Finish
from fcfi_core.settings import declared


def test_defaults():
    assert Settings.from_environment({}) == Settings()


def test_reads_the_environment():
    found = Settings.from_environment(
        {
            "FCFI_CVAT_RESPONSE": "Mask",
            "FCFI_MAX_MEGAPIXELS": "2",
            "FCFI_THREADS": "3",
            "FCFI_CVAT_MIN_AREA": "9",
        }
    )
    assert (found.form, found.max_pixels, found.threads) == ("mask", 2_000_000, 3)
    assert found.finish == Finish(9, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [("FCFI_CVAT_RESPONSE", "polygon"), ("FCFI_CVAT_MIN_AREA", "-1"), ("FCFI_THREADS", "many")],
)
def test_wrong_values_are_named(name, value):
    with pytest.raises(SettingsError, match=f"{name}.*{value}"):
        Settings.from_environment({name: value})


def test_doctor_knows_the_variables():
    assert set(VARIABLES) <= set(declared())


def test_transparent_parts_keep_their_colours():
    clear = Image.new("RGBA", (4, 3), (200, 10, 10, 0))
    buffer = io.BytesIO()
    clear.save(buffer, "PNG")
    for source in (clear, buffer.getvalue()):
        assert (Settings().load_frame(source).pixels == (200, 10, 10)).all()
