from __future__ import annotations

from pathlib import Path

import pytest

from fcfi_core.checkpoints import CATALOGUE
from fcfi_core.errors import SettingsError
from fcfi_core.training.configuration import PhaseConfiguration, SourceConfiguration, TrainingConfiguration
from fcfi_core.training.configuration_file import load_configuration
from fcfi_core.training.licences import permissive_only

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
        (SMALLEST + "[[phases]]\nshare = 0\nsize = 64\n", "phases.share is 0"),
        (SMALLEST + "[[phases]]\nshare = 1\nsize = 64\nbatch = 0\n", "phases.batch is 0"),
        (SMALLEST + "weight = 0\n", "sources.weight is 0; raise one"),
        (SMALLEST + "weight = nan\n", "sources.weight is nan"),
        (SMALLEST + "[sampling]\npaste = 1.5\n", "sampling.paste is 1.5; give a number from 0 to 1"),
        (SMALLEST + "[sampling]\npaste = 0.7\nthin = 0.7\n", "paste and sampling.thin add up to 1.4"),
        (SMALLEST + "[optimizer]\nlearning_rate = -1\n", "learning_rate is -1"),
        (SMALLEST + "[loss]\nedge_weight = -1\n", "loss.edge_weight is -1"),
        (SMALLEST + "[loss]\nedge_radius = 0\n", "loss.edge_radius is 0; give at least 1"),
        (SMALLEST + "exact = 1\n", "sources.exact is 1"),
        (SMALLEST.replace("steps", "log_every = 0\nsteps"), "log_every is 0; give at least 1"),
        (SMALLEST.replace("steps", "threads = -1\nsteps"), "threads is -1"),
        (SMALLEST.replace("[[sources]]", "[sources]"), r"headed \[\[sources\]\]"),
        ('out = "run"\nsteps = 10\nsources = "data"\n', r"headed \[\[sources\]\]"),
        (SMALLEST + "[[sampling]]\npaste = 0.1\n", r"headed \[sampling\]"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path, text, named):
    with pytest.raises(SettingsError, match=named):
        load_configuration(write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"nowhere\.toml"):
        load_configuration(tmp_path / "nowhere.toml")


def test_every_phase_needs_a_source_that_fits_its_crops():
    small = SourceConfiguration("small", largest_crop=256)
    with pytest.raises(SettingsError, match="no source is left for crops of 320"):
        TrainingConfiguration(
            "out", 10, (small,), phases=(PhaseConfiguration(1, 256), PhaseConfiguration(1, 320))
        )
    TrainingConfiguration("out", 10, (small, SourceConfiguration("large")))


def test_the_default_s_configuration_names_the_sets_of_its_card_and_their_licences():
    root = Path(__file__).parents[3]
    configuration = load_configuration(root / "docs" / "training-default.toml")
    names = [Path(source.path).name for source in configuration.sources]
    assert names == CATALOGUE["default"].training_data.split(", ")
    permissive = {Path(source.path).name for source in permissive_only(configuration).sources}
    rows = (root / "docs" / "model-card.md").read_text(encoding="utf-8").splitlines()
    for name in names:
        (row,) = [row for row in rows if f"(`{name}`)" in row and row.endswith(("| yes |", "| no |"))]
        assert row.endswith("| yes |") == (name in permissive), row
