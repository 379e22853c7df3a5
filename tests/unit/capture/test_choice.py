"""What a policy's objects choose, kind by kind and object by object; each answer has its reason."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.capture import choice, quiet, references
from reconciler.capture.choice import Choice
from reconciler.model.objects import Resource
from reconciler.model.policy import ClusterScoped, ObjectSelector
from tests.fakes.kubekinds import BUILT_IN, kind

DRIVER = kind("CSIDriver")
ISSUER = Resource(
    group="cert-manager.io",
    version="v1",
    kind="ClusterIssuer",
    plural="clusterissuers",
    namespaced=False,
)


def why_kind(name: str, **selector: Any) -> str | None:
    return Choice(ObjectSelector(**selector)).kind_left_out(kind(name))


def why_object(labels: dict[str, str], name: str = "ConfigMap", **selector: Any) -> str | None:
    found = {"metadata": {"name": "x", "labels": labels}}
    return Choice(ObjectSelector(**selector)).object_left_out(kind(name), found)


def test_without_a_word_every_kind_of_a_namespace_is_chosen() -> None:
    for found in BUILT_IN:
        if found.namespaced:
            assert Choice(ObjectSelector()).kind_left_out(found) == quiet.kind_left_out(found)
    assert why_object({}) is None


@pytest.mark.parametrize(
    ("name", "include", "exclude", "why"),
    [
        ("Deployment", ("*",), ("deployment.apps",), "exclude: deployment.apps"),
        ("Deployment", ("*",), ("deployments.apps",), "exclude: deployments.apps"),
        ("Deployment", ("*",), ("*.apps",), "exclude: *.apps"),
        ("Deployment", ("*.apps",), ("statefulset.apps",), None),
        ("Deployment", ("*.apps",), ("configmap", "deploy*"), "exclude: deploy*"),
        ("Deployment", ("deployment",), (), "include does not have it"),
        ("Deployment", ("configmap", "deployments.apps"), (), None),
        ("Secret", ("*.apps",), (), "include does not have it"),
        ("Secret", ("secrets",), (), None),
        ("Secret", (), (), "include does not have it"),
        ("Secret", ("*",), ("s?cret",), "exclude: s?cret"),
    ],
)
def test_globs_of_kinds(
    name: str, include: tuple[str, ...], exclude: tuple[str, ...], why: str | None
) -> None:
    wanted = f"{choice.FIELD}.{why}" if why else None
    assert why_kind(name, include=include, exclude=exclude) == wanted
    assert why_object({}, name, include=include, exclude=exclude) == wanted


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ({"app": "web", "tier": "gold", "more": "x"}, None),
        ({"app": "web"}, "matchLabels: tier=gold"),
        ({"app": "web", "tier": "silver"}, "matchLabels: tier=gold"),
        ({}, "matchLabels: app=web"),
    ],
)
def test_an_object_carries_every_label(labels: dict[str, str], why: str | None) -> None:
    found = why_object(labels, match_labels={"tier": "gold", "app": "web"})
    assert found == (f"{choice.FIELD}.{why}" if why else None)


def test_what_nobody_could_restore_without_is_listed_whatever_is_written() -> None:
    """Namespaces, and claims: those whose data is copied are captured."""
    for name in ("Namespace", "PersistentVolumeClaim"):
        for mode in ClusterScoped:
            assert why_kind(name, include=(), exclude=("*",), cluster_scoped=mode) is None


def test_exclude_is_for_cluster_scoped_kinds_too_and_include_is_not() -> None:
    for mode in (ClusterScoped.REFERENCED, ClusterScoped.ALL):
        selector = {"include": ("configmap",), "cluster_scoped": mode}
        assert why_kind("StorageClass", **selector) is None
        why = why_kind("StorageClass", exclude=("*.storage.k8s.io",), **selector)
        assert why == f"{choice.FIELD}.exclude: *.storage.k8s.io"


def test_each_mode_lists_what_it_needs() -> None:
    cluster_scoped = [*(found for found in BUILT_IN if not found.namespaced), ISSUER]
    listed = {
        mode: {
            found
            for found in cluster_scoped
            if Choice(ObjectSelector(cluster_scoped=mode)).kind_left_out(found) is None
        }
        for mode in ClusterScoped
    }
    quietly = {found for found in cluster_scoped if quiet.kind_left_out(found)}
    candidates = {found for found in cluster_scoped if references.is_candidate(found)}
    assert listed[ClusterScoped.ALL] == {*cluster_scoped} - quietly
    assert listed[ClusterScoped.REFERENCED] == candidates
    assert listed[ClusterScoped.NONE] == {kind("Namespace")}
    assert DRIVER not in candidates
    assert Choice(ObjectSelector()).kind_left_out(ISSUER) == choice.UNKNOWN_REFERENCE


@pytest.mark.parametrize(
    ("group", "exclude", "left_out"),
    [
        ("metrics.k8s.io", (), True),
        ("apps", (), False),
        ("sub.example.org", ("*.example.org",), True),
        ("sub.example.org", ("*.sub.example.org",), True),
        ("sub.example.org", ("widget.sub.example.org",), False),
        ("sub.example.org", ("w*.sub.example.org",), False),
        ("sub.example.org", ("??????.sub.example.org",), False),
        ("sub.example.org", ("*",), True),
        ("", ("*",), True),
        ("", ("*.apps", "secret"), False),
    ],
)
def test_a_group_whose_kinds_nobody_knows(
    group: str, exclude: tuple[str, ...], left_out: bool
) -> None:
    """Left out only where no kind that it may have would be captured (I2)."""
    assert Choice(ObjectSelector(exclude=exclude)).group_left_out(group) is left_out


def test_kinds_that_are_pointed_at() -> None:
    snapshot = "volumesnapshot.snapshot.storage.k8s.io"
    assert Choice(ObjectSelector()).anchors_left_out() == set()
    few = Choice(ObjectSelector(include=("configmap", "services")))
    assert few.anchors_left_out() == {"serviceaccount", snapshot}
    none = Choice(ObjectSelector(exclude=("service*", "*.snapshot.storage.k8s.io")))
    assert none.anchors_left_out() == {"serviceaccount", "service", snapshot}


def test_every_reason_begins_with_the_field_that_decides() -> None:
    for reason in (choice.NOT_NEEDED, choice.UNKNOWN_REFERENCE, choice.NO_CLUSTER_SCOPED):
        assert reason.startswith("selector.objects.clusterScoped: ")
    assert choice.OTHER_NAMESPACE.startswith("selector.namespaces ")
