"""The manifests in docker/kubernetes: the cluster's own schema, complete, no rights, of this version.

What operators add to a cluster (KEDA, KubeRay, nuclio) has schemas of ours, in ``kubernetes_schemas``.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
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
        if patch.pop("$patch", "") == "delete":
            del found[patch["kind"]]
            continue
        found[patch["kind"]] = merged(found[patch["kind"]], patch)
    return found


FOLDERS = sorted(path.parent for path in FOLDER.glob("*/kustomization.yaml"))
RESOURCES = [
    pytest.param(folder, kind, id=f"{folder.name}-{kind}") for folder in FOLDERS for kind in built(folder)
]


OURS = {path.stem: path for path in (Path(__file__).parent / "kubernetes_schemas").glob("*.json")}
"""Schemas of what operators add, by kind."""


def pods(resource):
    """Yield the specs of all pods that a resource makes."""
    spec = resource.get("spec", {})
    cluster = spec.get("rayClusterSpec", {})
    groups = [spec, *([cluster["headGroupSpec"], *cluster["workerGroupSpecs"]] if cluster else [])]
    for group in groups:
        if "template" in group:
            yield group["template"]["spec"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("folder", "kind"), RESOURCES)
def test_the_clusters_schema_knows_it(folder, kind, version):
    resource = built(folder)[kind]
    if kind not in OURS:
        kubernetes_validate.validate(resource, version, strict=True)
        return
    jsonschema.Draft202012Validator(json.loads(OURS[kind].read_text(encoding="utf-8"))).validate(resource)
    for spec in pods(resource):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "any"}, "spec": spec}
        kubernetes_validate.validate(pod, version, strict=True)


@pytest.mark.parametrize(
    ("folder", "kind", "wrong"),
    [
        ("keda", "ScaledObject", {"maxReplicas": 3}),
        ("ray", "RayJob", {"rayClusterSpec": {"workerGroups": []}}),
        ("cvat", "NuclioFunction", {"targetCPU": "75"}),
    ],
)
def test_our_schemas_notice_what_is_mistyped(folder, kind, wrong):
    schema = json.loads(OURS[kind].read_text(encoding="utf-8"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(merged(built(FOLDER / folder)[kind], {"spec": wrong}), schema)


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
    for image in plan.get("images", ()):
        assert image["newTag"].startswith(f"{fcfi_core.__version__}-")


PODS = [
    pytest.param(spec, id=f"{folder.name}-{spec['containers'][0]['name']}")
    for folder in FOLDERS
    for resource in built(folder).values()
    for spec in pods(resource)
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


def test_keda_asks_for_a_metric_that_there_is_and_alone(make_service, colour_model):
    from fcfi_core.predictor import Predictor

    found = built(FOLDER / "keda")
    assert "HorizontalPodAutoscaler" not in found
    assert found["ScaledObject"]["spec"]["scaleTargetRef"]["name"] == found["Deployment"]["metadata"]["name"]
    text = make_service(Predictor(colour_model)).metrics.text().decode()
    (trigger,) = found["ScaledObject"]["spec"]["triggers"]
    (metric,) = re.findall(r"fcfi_\w+", trigger["metadata"]["query"])
    assert f"\n{metric} " in text


def test_the_job_on_ray_is_a_command_that_there_is():
    program, *words = built(FOLDER / "ray")["RayJob"]["spec"]["entrypoint"].split()
    assert program == "fcfi"
    arguments = build_parser().parse_args(words)
    assert arguments.cluster == "auto"
    assert str(arguments.images) == "s3://photos"


def test_the_versions_of_ray_are_one():
    pinned = re.search(r"^ray==(\S+)$", (FOLDER.parents[1] / "constraints.txt").read_text(), re.MULTILINE)
    assert built(FOLDER / "ray")["RayJob"]["spec"]["rayClusterSpec"]["rayVersion"] == pinned[1]


def test_nuclio_is_told_the_same_as_by_nuctl():
    manifest = built(FOLDER / "cvat")["NuclioFunction"]
    given = read(FOLDER.parents[1] / "cvat_function" / "function.yaml")
    for key, value in given["metadata"]["annotations"].items():
        told = "" if value is None else str(value)
        assert manifest["metadata"]["annotations"][key] == " ".join(told.split())
    for key in (
        "description",
        "runtime",
        "handler",
        "eventTimeout",
        "readinessTimeoutSeconds",
        "env",
        "securityContext",
        "triggers",
    ):
        assert manifest["spec"][key] == given["spec"][key]


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
