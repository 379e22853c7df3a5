"""docs/install.md: its commands are typed, what they make is built, its objects are both tools'."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.policy import parse_config
from tests.integration.deploy.test_pages import bash, blocks
from tests.integration.deploy.test_render import DEPLOY, ROOT, Object, render

PAGE = (ROOT / "docs/install.md").read_text()
FIELDS: Mapping[str, frozenset[str]] = {
    "Application": frozenset({"project", "source", "destination", "syncPolicy"}),
    "Application.source": frozenset({"repoURL", "targetRevision", "path"}),
    "Application.destination": frozenset({"server", "namespace"}),
    "Application.syncPolicy": frozenset({"automated", "syncOptions"}),
    "AppProject": frozenset(
        {"sourceRepos", "destinations", "clusterResourceWhitelist", "orphanedResources"}
    ),
    "AppProject.orphanedResources": frozenset({"ignore"}),
    "GitRepository": frozenset({"interval", "url", "ref", "secretRef"}),
    "GitRepository.ref": frozenset({"branch"}),
    "GitRepository.secretRef": frozenset({"name"}),
    "Kustomization": frozenset(
        {
            *("interval", "retryInterval", "timeout", "sourceRef", "path", "prune"),
            *("deletionPolicy", "healthChecks"),
        }
    ),
    "Kustomization.sourceRef": frozenset({"kind", "name"}),
}
"""Fields of both tools' definitions that the page uses; looked up there, and not in the page."""
GROUPS = {
    "Application": "argoproj.io/v1alpha1",
    "AppProject": "argoproj.io/v1alpha1",
    "GitRepository": "source.toolkit.fluxcd.io/v1",
    "Kustomization": "kustomize.toolkit.fluxcd.io/v1",
}


def documents() -> list[Object]:
    """Every YAML document of the page."""
    return [one for text in blocks(PAGE, "yaml") for one in yaml.safe_load_all(text)]


def test_the_health_check_of_argo_cd_is_one_of_its_configuration() -> None:
    crd = yaml.safe_load((DEPLOY / "base/crd-backuppolicies.yaml").read_text())["spec"]
    config = named("ConfigMap")
    assert config["metadata"] == {"name": "argocd-cm", "namespace": "argocd"}
    (key,) = config["data"]
    assert key == f"resource.customizations.health.{crd['group']}_{crd['names']['kind']}"


def named(kind: str) -> Object:
    (found,) = (one for one in documents() if one.get("kind") == kind)
    return found


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Type the page's commands beside a tree of Backstay; return the GitOps repository."""
    folder = tmp_path_factory.mktemp("install")
    shutil.copytree(DEPLOY, folder / "backstay/deploy")
    bash("set -eu\n" + "".join(blocks(PAGE, "sh")), folder)
    return folder / "fleet"


def objects(fleet: Path, path: str) -> dict[tuple[str, str], Object]:
    """What a tool that is pointed at ``path`` would apply."""
    return {(one["kind"], one["metadata"]["name"]): one for one in render(fleet / path)}


@pytest.mark.parametrize("kind", ["Application", "Kustomization"])
def test_the_tools_are_pointed_at_what_was_made(fleet: Path, kind: str) -> None:
    spec = named(kind)["spec"]
    path = spec["path"] if kind == "Kustomization" else spec["source"]["path"]
    made = objects(fleet, path)
    base = {(one["kind"], one["metadata"]["name"]) for one in render(DEPLOY / "base")}
    assert set(made) == base | {("ConfigMap", "backstay-config")}
    pod = made["Deployment", "backstay-controller"]["spec"]["template"]["spec"]
    data = made["ConfigMap", "backstay-config"]["data"]["backstay.yaml"]
    assert parse_config("backstay.yaml", data.encode()).image == pod["containers"][0]["image"]


def test_nothing_prunes_the_namespace_or_the_definition(fleet: Path) -> None:
    kept = {
        kind
        for (kind, _), one in objects(fleet, "clusters/prod-eu/backstay").items()
        if one["metadata"].get("annotations")
        == {
            "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
            "kustomize.toolkit.fluxcd.io/prune": "disabled",
        }
    }
    assert kept == {"Namespace", "CustomResourceDefinition"}
    assert named("Kustomization")["spec"]["deletionPolicy"] == "Orphan"
    assert "finalizers" not in named("Application")["metadata"]


def test_every_field_is_one_of_its_kind() -> None:
    for one in documents():
        kind = one.get("kind", "")
        if kind == "ConfigMap":
            continue  # a health check: what it says is tried in tests/system/plan/test_health.py
        if not kind:
            assert set(one) == {"healthChecks"}
            continue
        assert one["apiVersion"] == GROUPS[kind]
        assert set(one) == {"apiVersion", "kind", "metadata", "spec"}
        assert set(one["spec"]) <= FIELDS[kind]
        for field, value in one["spec"].items():
            if isinstance(value, dict):
                assert set(value) <= FIELDS[f"{kind}.{field}"], field


def test_what_refers_to_something_names_what_there_is(fleet: Path) -> None:
    made = objects(fleet, "clusters/prod-eu/backstay")
    flux, argo = named("Kustomization")["spec"], named("Application")["spec"]
    repository = named("GitRepository")
    assert flux["sourceRef"] == {"kind": "GitRepository", "name": repository["metadata"]["name"]}
    assert repository["spec"]["url"] == argo["source"]["repoURL"]
    (healthy,) = flux["healthChecks"]
    assert made[healthy["kind"], healthy["name"]]["apiVersion"] == healthy["apiVersion"]
    assert made[healthy["kind"], healthy["name"]]["metadata"]["namespace"] == healthy["namespace"]
    crd = made["CustomResourceDefinition", "backuppolicies.backstay.dev"]["spec"]
    ((policy,),) = (one["healthChecks"] for one in documents() if "kind" not in one)
    assert policy["kind"] == crd["names"]["kind"]
    version = policy["apiVersion"].partition("/")[2]
    assert version in [one["name"] for one in crd["versions"]]


def test_a_project_must_allow_every_kind_that_is_cluster_scoped(fleet: Path) -> None:
    (line,) = re.findall(r"AppProject must allow (.+)\.$", PAGE, re.MULTILINE)
    scoped = {
        kind
        for (kind, _), one in objects(fleet, "clusters/prod-eu/backstay").items()
        if "namespace" not in one["metadata"]
    }
    assert set(re.findall(r"`(\w+)`", line)) == scoped


def test_the_component_is_where_the_page_says(fleet: Path) -> None:
    (path,) = re.findall(r"`components: \[(.+?)\]`", PAGE)
    overlay = fleet / "clusters/prod-eu/backstay"
    text = (overlay / "kustomization.yaml").read_text()
    more: Any = yaml.safe_load(text) | {"components": [path]}
    beside = overlay.parent / "restoring"
    shutil.copytree(overlay, beside)
    (beside / "kustomization.yaml").write_text(yaml.safe_dump(more))
    assert len(render(beside)) > len(render(overlay))
