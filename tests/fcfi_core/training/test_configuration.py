from __future__ import annotations

import pytest

from fcfi_core.errors import SettingsError
from fcfi_core.training.configuration import load_configuration

SMALLEST = 'out = "run"\nsteps = 10\n[[sources]]\npath = "photos"\n'


def write(tmp_path, text):
    path = tmp_path / "run.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_paths_are_relative_to_the_file(tmp_path):
    configuration = load_configuration(write(tmp_path, SMALLEST))
    assert configuration.out == str(tmp_path / "run")
    assert configuration.sources[0].path == str(tmp_path / "photos")


def test_phases_share_the_steps(tmp_path):
    text = SMALLEST + "[[phases]]\nshare = 3\nsize = 64\n[[phases]]\nshare = 1\nsize = 96\nbatch = 2\n"
    configuration = load_configuration(write(tmp_path, text))
    assert [configuration.phase_at(step).size for step in range(10)] == [64] * 8 + [96] * 2


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("steps = 10\n", "out"),
        ('out = "x"\nsteps = 10\nsources = []\n', "sources"),
        (SMALLEST + "[loss]\nkind = 'focal'\n", "loss.kind"),
        (SMALLEST + "[optimizer]\nspeed = 3\n", "optimizer.speed"),
        (SMALLEST + "[[phases]]\nshare = 1\nsize = 100\n", "100"),
        (SMALLEST.replace("10", "'ten'"), "steps"),
        (SMALLEST.replace("10", "0"), "steps"),
        (SMALLEST.replace("10", "true"), "steps"),
        ("this is no TOML", "TOML"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path, text, named):
    with pytest.raises(SettingsError, match=named):
        load_configuration(write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"nowhere\.toml"):
        load_configuration(tmp_path / "nowhere.toml")
