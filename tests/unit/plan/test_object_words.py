"""A plan says in words what a policy's ``selector.objects`` leaves out."""

from __future__ import annotations

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
from reconciler.plan.coverage import cover
from reconciler.plan.objectwords import describe
from reconciler.plan.selection import Selection

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
