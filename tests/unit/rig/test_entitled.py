"""The cluster as an account may use it refuses what `deploy/` does not grant, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler.model import kinds
from reconciler.model.objects import ObjectRef
from reconciler.plan.rights import CONTROLLER, RUN, Need
from tests.fakes.cluster import FakeCluster
from tests.fakes.entitled import Entitled, granted

HOME = "backstay-system"
JOB = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x", "namespace": "shop"}}
Ask = Callable[[Entitled], Any]

MAY: list[tuple[tuple[Need, ...], Ask]] = [
    (RUN, lambda cluster: cluster.identity()),
    (RUN, lambda cluster: list(cluster.pages(kinds.CLAIMS, namespace="shop"))),
    (RUN, lambda cluster: cluster.get(kinds.PODS, "run-1", namespace=HOME)),
    (RUN, lambda cluster: cluster.apply(JOB)),
    (RUN, lambda cluster: cluster.acquire_lease(HOME, "any", "me", seconds=60)),
    (CONTROLLER, lambda cluster: list(cluster.pages(kinds.LEASES, namespace=HOME))),
    (CONTROLLER, lambda cluster: cluster.get(kinds.LEASES, "backstay-controller", namespace=HOME)),
]
MAY_NOT: list[tuple[tuple[Need, ...], Ask, str]] = [
    (RUN, lambda cluster: cluster.get(kinds.PODS, "web", namespace="shop"), "get pods.core web in"),
    (RUN, lambda cluster: cluster.get(kinds.CLAIMS, "x", namespace="shop"), "get persistentvol"),
    (RUN, lambda cluster: cluster.acquire_lease("shop", "any", "me", seconds=60), "get leases"),
    (
        RUN,
        lambda cluster: cluster.delete(
            ObjectRef(group="", kind="Pod", namespace="shop", name="web")
        ),
        "delete pods",
    ),
    (
        CONTROLLER,
        lambda cluster: cluster.get(kinds.LEASES, "backstay-quiet-1", namespace=HOME),
        "get leases.coordination.k8s.io backstay-quiet-1",
    ),
    (CONTROLLER, lambda cluster: cluster.apply(JOB), "create jobs.batch x in namespace shop"),
    (CONTROLLER, lambda cluster: list(cluster.pages(kinds.SECRETS)), "list secrets.core"),
]


def entitled(needs: tuple[Need, ...]) -> Entitled:
    cluster = FakeCluster()
    for name in (HOME, "shop"):
        cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return Entitled(cluster, needs, HOME)


@pytest.mark.parametrize(("needs", "ask"), MAY)
def test_what_is_granted_is_answered(needs: tuple[Need, ...], ask: Ask) -> None:
    ask(entitled(needs))


@pytest.mark.parametrize(("needs", "ask", "what"), MAY_NOT)
def test_what_is_not_granted_can_not_be_asked(needs: tuple[Need, ...], ask: Ask, what: str) -> None:
    with pytest.raises(AssertionError, match=f"no right to {what}"):
        ask(entitled(needs))


def test_the_rules_of_a_file_are_rights() -> None:
    path = Path(__file__).parents[3] / "deploy/components/copies/rbac.yaml"
    needs = granted(path)
    assert {(one.right.verb, one.right.kind) for one in needs} >= {
        ("delete", "pods"),
        ("create", "volumesnapshots.snapshot.storage.k8s.io"),
    }
    assert not any(one.right.verb == "list" for one in needs)
