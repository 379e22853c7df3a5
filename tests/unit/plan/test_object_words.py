"""A plan says in words what a policy's ``selector.objects`` leaves out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.model.policy import (
    BackupPolicy,
    ClusterScoped,
    NamespaceSelector,
    ObjectSelector,
    Retention,
    Schedule,
    Selector,
    Volumes,
)
from reconciler.model.run import ClusterScopedRecord, Counts, LeftOutCount, LeftOutKind
from reconciler.plan.coverage import cover
from reconciler.plan.objectwords import describe, tell_left_out
from reconciler.plan.selection import Selection
from tests.unit.capture.records import FULL, SMALLEST

CLAIMS = "; claims whose data is copied are captured all the same"


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        ({}, ()),
        ({"include": ("*",), "cluster_scoped": ClusterScoped.REFERENCED}, ()),
        (
            {"match_labels": {"tier": "gold", "app": "web"}},
            (f"objects without app=web and tier=gold (matchLabels){CLAIMS}",),
        ),
        (
            {"include": ("configmap", "*.apps"), "exclude": ("secret",)},
            (
                f"kinds in namespaces other than configmap, *.apps (include){CLAIMS}",
                "kinds secret (exclude)",
            ),
        ),
        ({"include": ()}, (f"kinds in namespaces other than none (include){CLAIMS}",)),
        (
            {"cluster_scoped": ClusterScoped.NONE},
            ("cluster-scoped objects but for the selected Namespaces (clusterScoped: None)",),
        ),
        (
            {"cluster_scoped": ClusterScoped.ALL},
            ("no cluster-scoped object but what every policy leaves out (clusterScoped: All)",),
        ),
    ],
)
def test_every_field_has_its_words(selector: dict[str, Any], words: tuple[str, ...]) -> None:
    objects = ObjectSelector(**selector)
    assert describe(objects) == words
    policy = BackupPolicy(
        name="shop",
        schedule=Schedule("17 4 * * *"),
        selector=Selector(namespaces=NamespaceSelector(names=("shop",)), objects=objects),
        volumes=Volumes(repository="main"),
        retention=Retention(keep_daily=7),
    )
    assert cover(policy, Selection(()), {}, {}, shared_key=True).left_out == words


def test_what_a_recovery_point_lacks_on_purpose() -> None:
    assert tell_left_out(SMALLEST) == ""
    assert tell_left_out(FULL) == "its policy left out kinds secret", "not what every policy does"
    kinds = tuple(
        LeftOutKind(kind=f"k{number}", reason="selector.objects.include does not have it")
        for number in range(10)
    )
    labels = LeftOutCount(kind="pod", reason="selector.objects.matchLabels: tier=gold", count=4)
    part = replace(FULL.namespaces[0], left_out=(*FULL.namespaces[0].left_out, labels))
    none = ClusterScopedRecord(objects=Counts(), selection="None")
    narrow = replace(FULL, left_out_kinds=kinds, namespaces=(part, part), cluster_scoped=none)
    assert tell_left_out(narrow) == (
        "its policy left out kinds k0, k1, k2, k3, k4, k5, k6, k7 and 2 more;"
        " 8 objects without its labels; what is cluster-scoped, but for the Namespaces"
    )
