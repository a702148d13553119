"""Words of the environment, as values: right ones, and one sentence for each wrong one."""

from __future__ import annotations

import pytest

from fcfi_core import settings
from fcfi_core.errors import SettingsError
from fcfi_core.settings import Variable


@pytest.mark.parametrize(
    ("reader", "text", "value"),
    [
        (settings.flag, " Yes ", True),
        (settings.flag, "0", False),
        (settings.flag, "", False),
        (settings.positive, "0.5", 0.5),
        (settings.not_negative, "0", 0.0),
        (settings.count, "3", 3),
        (settings.natural, "0", 0),
        (settings.port, "65535", 65535),
        (settings.words, "A, b,,", ("a", "b")),
        (settings.hosts_and_networks, "Example.org, 10.0.0.0/8", ("example.org", "10.0.0.0/8")),
        (settings.area, "auto", None),
        (settings.area, "12", 12.0),
    ],
)
def test_what_is_written_is_what_is_read(reader, text, value):
    assert reader(text) == value


@pytest.mark.parametrize(
    ("reader", "text", "sentence"),
    [
        (settings.flag, "perhaps", "1 or 0"),
        (settings.positive, "0", "above 0"),
        (settings.positive, "much", "give a number"),
        (settings.count, "1e9", "give a whole number"),
        (settings.port, "http", "give a whole number"),
        (settings.positive, "inf", "above 0"),
        (settings.not_negative, "-1", "at least 0"),
        (settings.count, "0", "at least 1"),
        (settings.natural, "-1", "at least 0"),
        (settings.port, "65536", "1 to 65535"),
        (settings.hosts_and_networks, "10.0.0.0/40", "no network"),
        (settings.area, "-3", "auto"),
    ],
)
def test_a_wrong_word_names_the_variable_the_word_and_what_to_give(reader, text, sentence):
    variable = Variable("FCFI_TEST", 1, "for this test", reader)
    with pytest.raises(SettingsError, match="FCFI_TEST") as error:
        settings.read((variable,), {"FCFI_TEST": text})
    assert text in str(error.value)
    assert sentence in str(error.value)
