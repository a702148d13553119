"""Environment variables."""

from __future__ import annotations

import pytest

from fcfi_core.errors import SettingsError
from fcfi_core.serving.settings import credentials
from label_studio_backend.settings import Settings


def test_an_empty_environment_means_the_defaults():
    assert Settings.from_environment({}) == Settings()


def test_values_are_read():
    found = Settings.from_environment(
        {
            "LABEL_STUDIO_URL": " http://ls:8080/sub/ ",
            "LABEL_STUDIO_API_KEY": "abc",
            "BASIC_AUTH_USER": "u",
            "BASIC_AUTH_PASS": "p",
            "FCFI_ALLOWED_HOSTS": "MinIO, 10.0.0.0/8",
            "FCFI_LABEL_STUDIO_NAMES": "https://ls.example/, http://ls:8080",
            "FCFI_OUTPUT": "Polygon",
            "FCFI_IMAGE_MEGABYTES": "1.5",
            "FCFI_MAX_MEGAPIXELS": "2",
            "FCFI_BACKGROUND_MEGABYTES": "0.5",
        }
    )
    assert found.background_bytes == 500_000
    assert found.label_studio_url == "http://ls:8080/sub"
    assert (found.user, found.password) == ("u", "p")
    assert found.allowed_hosts == ("minio", "10.0.0.0/8")
    assert set(found.label_studio_names) == {"https://ls.example", "http://ls:8080"}
    assert (found.output, found.image_bytes, found.max_pixels) == ("polygon", 1_500_000, 2_000_000)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LABEL_STUDIO_URL", "label-studio:8080"),
        ("LABEL_STUDIO_URL", "http://"),
        ("LABEL_STUDIO_URL", "http://host:nine"),
        ("LABEL_STUDIO_URL", "http://me:secret@host"),
        ("FCFI_LABEL_STUDIO_NAMES", "https://ls.example,ls:8080"),
        ("FCFI_ALLOWED_HOSTS", "10.0.0.1/8"),
        ("BASIC_AUTH_USER", "alone"),
        ("FCFI_OUTPUT", "circle"),
        ("FCFI_PORT", "0"),
        ("FCFI_WORKERS", "-1"),
        ("FCFI_LABEL_STUDIO_MIN_AREA", "-1"),
        ("FCFI_IMAGE_SECONDS", "nan"),
        ("FCFI_IMAGE_SECONDS", "0"),
    ],
)
def test_bad_values_are_named(name, value):
    with pytest.raises(SettingsError, match=name.split("_USER")[0]):
        Settings.from_environment({name: value})


def test_secrets_are_never_shown():
    with pytest.raises(SettingsError) as refused:
        credentials("secret-without-colon")
    assert "secret" not in str(refused.value)
    assert credentials("user:pass:word") == ("user", "pass:word")
