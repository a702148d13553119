"""The manifests in docker/kubernetes: the cluster's own schema, complete, no rights, of this version."""

from __future__ import annotations

from pathlib import Path

import kubernetes_validate
import pytest
import yaml

import fcfi_core
from fcfi_core.cli import build_parser
from fcfi_core.settings import declared

FOLDER = Path(__file__).parents[1] / "docker" / "kubernetes"
VERSIONS = ("1.31", "1.37")
"""Oldest and newest cluster that the manifests are checked for."""


def read(path):
    (document,) = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    return document


def merged(base, patch):
    """Return ``base`` with ``patch`` over it, as a strategic merge does: lists that we patch by name."""
    if isinstance(base, dict) and isinstance(patch, dict):
        return {key: merged(base.get(key), patch.get(key)) for key in [*base, *(patch.keys() - base.keys())]}
    if isinstance(base, list) and isinstance(patch, list):
        patches = {entry["name"]: entry for entry in patch}
        known = {entry["name"]: merged(entry, patches.get(entry["name"])) for entry in base}
        return [*known.values(), *(entry for name, entry in patches.items() if name not in known)]
    return base if patch is None else patch


def built(folder):
    """Return what `kubectl kustomize` makes of a folder, by kind: all resources, patched."""
    plan = read(folder / "kustomization.yaml")
    found = {}
    for name in plan["resources"]:
        place = folder / name
        found |= built(place) if place.is_dir() else {read(place)["kind"]: read(place)}
    for entry in plan.get("patches", ()):
        patch = read(folder / entry["path"])
        assert patch["metadata"]["name"] == found[patch["kind"]]["metadata"]["name"]
        found[patch["kind"]] = merged(found[patch["kind"]], patch)
    return found


FOLDERS = sorted(path.parent for path in FOLDER.glob("*/kustomization.yaml"))
RESOURCES = [
    pytest.param(folder, kind, id=f"{folder.name}-{kind}") for folder in FOLDERS for kind in built(folder)
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("folder", "kind"), RESOURCES)
def test_the_clusters_schema_knows_it(folder, kind, version):
    kubernetes_validate.validate(built(folder)[kind], version, strict=True)


def test_a_mistyped_entry_would_be_noticed():
    deployment = built(FOLDER / "base")["Deployment"]
    wrong = merged(deployment, {"spec": {"template": {"spec": {"automountServiceAccountTokens": False}}}})
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_file_is_named(folder):
    plan = read(folder / "kustomization.yaml")
    named = {*plan["resources"], *(entry["path"] for entry in plan.get("patches", ()))}
    assert {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"} == {
        name for name in named if "/" not in name
    }
    for image in plan["images"]:
        assert image["newTag"].startswith(f"{fcfi_core.__version__}-")


PODS = [
    pytest.param(pod["spec"]["template"]["spec"], id=folder.name)
    for folder in FOLDERS
    for pod in built(folder).values()
    if "template" in pod.get("spec", {})
]


@pytest.mark.parametrize("pod", PODS)
def test_pods_have_no_rights_and_limits(pod):
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    for container in pod["containers"]:
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert not container["securityContext"]["allowPrivilegeEscalation"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("pod", PODS)
def test_the_user_is_that_of_the_image(pod):
    dockerfile = (FOLDER.parent / "label-studio.Dockerfile").read_text(encoding="utf-8")
    assert f"\nUSER {pod['securityContext']['runAsUser']}\n" in dockerfile


@pytest.mark.parametrize("pod", PODS)
def test_variables_and_commands_exist(pod):
    known = {variable.name: variable for variable in declared()}
    for container in pod["containers"]:
        for entry in container.get("env", ()):
            known[entry["name"]].parse(entry["value"])
        if "command" in container:
            assert container["command"][0] == "fcfi"
            build_parser().parse_args(container["command"][1:])


def test_the_autoscaler_asks_for_a_metric_that_there_is(make_service, colour_model):
    from fcfi_core.predictor import Predictor

    text = make_service(Predictor(colour_model)).metrics.text().decode()
    (metric,) = [entry["pods"]["metric"]["name"] for entry in autoscaling() if "pods" in entry]
    assert f"\n{metric} " in text


def autoscaling():
    return built(FOLDER / "base")["HorizontalPodAutoscaler"]["spec"]["metrics"]


def test_selectors_meet():
    found = built(FOLDER / "base")
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert found["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert found["Service"]["spec"]["selector"] == labels
    assert found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    (port,) = found["Deployment"]["spec"]["template"]["spec"]["containers"][0]["ports"]
    assert found["Service"]["spec"]["ports"][0]["targetPort"] == port["name"]
