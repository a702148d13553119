"""Every path, command, variable and port that the Docker files name is real."""

from __future__ import annotations

import json
import re
import shlex
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from fcfi_core.cli import build_parser
from fcfi_core.settings import declared
from label_studio_backend import probe
from label_studio_backend.settings import VARIABLES, Settings

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "docker" / "label-studio.Dockerfile"
COMPOSE = ROOT / "docker" / "compose.label-studio.yaml"


@pytest.fixture(scope="module")
def instructions():
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [tuple(line.split(None, 1)) for line in lines if line.strip()]


@pytest.fixture(scope="module")
def services():
    return yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]


def values(instructions, name):
    return [rest for word, rest in instructions if word == name]


def test_what_is_copied_exists(instructions):
    for rest in values(instructions, "COPY"):
        words = shlex.split(rest)
        if words[0].startswith("--from"):
            continue
        for source in words[:-1]:
            assert (ROOT / source).exists(), source


def test_the_command_is_one_that_fcfi_knows(instructions):
    (command,) = values(instructions, "CMD")
    program, *words = json.loads(command)
    assert program == "fcfi"
    assert build_parser().parse_args(words).run


def test_the_health_check_runs(instructions, site, monkeypatch):
    (check,) = values(instructions, "HEALTHCHECK")
    assert json.loads(check.split("CMD", 1)[1]) == ["python", "-m", probe.__name__]
    monkeypatch.setenv("FCFI_PORT", str(site.server.server_port))
    for status, code in ((200, 0), (401, 0), (500, 1)):
        site.answers["/health"] = (status, {}, b"{}")
        assert probe.main() == code
    monkeypatch.setenv("FCFI_PORT", "9")
    assert probe.main() == 1


def test_it_runs_as_nobody_in_particular(instructions):
    stages = [rest.split()[-1] for rest in values(instructions, "FROM")]
    assert stages == ["wheel", "base", "gpu", "cpu"]
    assert values(instructions, "USER") == ["10001", "10001"]
    assert instructions[-1] == ("USER", "10001")


def test_variables_and_port_are_ours(instructions):
    ours = dict(
        pair.split("=", 1) for rest in values(instructions, "ENV") for pair in rest.split() if "FCFI" in pair
    )
    assert set(ours) <= {variable.name for variable in declared()}
    settings = Settings.from_environment(ours)
    assert settings.host == "0.0.0.0"
    assert values(instructions, "EXPOSE") == [str(settings.port)]


def test_compose_builds_what_is_there_and_sets_what_is_read(services):
    build = services["fcfi"]["build"]
    context = (COMPOSE.parent / build["context"]).resolve()
    assert context == ROOT
    assert context / build["dockerfile"] == DOCKERFILE
    assert f" AS {build['target']}\n" in DOCKERFILE.read_text(encoding="utf-8")
    environment = services["fcfi"]["environment"]
    assert set(environment) <= {variable.name for variable in VARIABLES}
    assert Settings.from_environment(environment).label_studio_url == "http://label-studio:8080"


def test_compose_opens_label_studio_for_a_private_backend_and_shares_the_token(services):
    environment = services["label-studio"]["environment"]
    assert environment["ML_BLOCK_LOCAL_IP"] == environment["SSRF_PROTECTION_ENABLED"] == "false"
    assert environment["LABEL_STUDIO_USER_TOKEN"] == services["fcfi"]["environment"]["LABEL_STUDIO_API_KEY"]


def test_compose_publishes_no_secret_and_no_port_to_the_world(services):
    text = COMPOSE.read_text(encoding="utf-8")
    for name in ("LABEL_STUDIO_PASSWORD", "LABEL_STUDIO_API_KEY"):
        assert set(re.findall(rf"\$\{{{name}(:.)", text)) == {":?"}  # asked for, without a default
    for service in services.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    assert "openssl rand -hex 20" in text  # 40 characters: Label Studio cuts longer tokens


def test_what_the_images_need_is_sent_to_docker_and_nothing_else(instructions):
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    sent = {line[1:] for line in lines if line.startswith("!")}
    needed = {
        word
        for rest in values(instructions, "COPY")
        if not rest.startswith("--from")
        for word in shlex.split(rest)[:-1]
    }
    assert "*" in lines
    assert {name for name in needed if not any(fnmatch(name, pattern) for pattern in sent)} == set()


def test_commands_in_comments_exist():
    text = COMPOSE.read_text(encoding="utf-8")
    (words,) = re.findall(r"exec fcfi fcfi (.*)", text)
    assert build_parser().parse_args(shlex.split(words)).run
