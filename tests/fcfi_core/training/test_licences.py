from __future__ import annotations

import pytest

from fcfi_core.errors import SettingsError
from fcfi_core.training.configuration import SourceConfiguration, TrainingConfiguration
from fcfi_core.training.licences import is_permissive, permissive_only


@pytest.mark.parametrize(
    ("licence", "permissive"),
    [
        ("CC0-1.0", True),
        ("Apache-2.0", True),
        ("CC-BY-4.0 AND MIT", True),
        ("CC-BY-4.0 AND LicenseRef-Flickr", False),
        ("CC-BY-SA-4.0", False),
        ("CC-BY-NC-4.0", False),
        ("for research", False),
        ("", False),
        (" AND ", False),
    ],
)
def test_what_is_permissive(licence, permissive):
    assert is_permissive(licence) is permissive


def test_only_sources_with_a_permissive_licence_stay():
    free = SourceConfiguration("nuclei", licence="CC0-1.0")
    research = SourceConfiguration("voc", licence="LicenseRef-research")
    unknown = SourceConfiguration("found")
    run = TrainingConfiguration("out", 1, (research, free, unknown))
    assert permissive_only(run).sources == (free,)
    with pytest.raises(SettingsError, match="no source of the configuration states a permissive licence"):
        permissive_only(TrainingConfiguration("out", 1, (research, unknown)))
