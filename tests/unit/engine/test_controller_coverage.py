"""What a plan says of namespaces and claims is what a run would do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reconciler.engine.coverage import observe_coverage, observe_covered
from reconciler.model.errors import Incomplete
from reconciler.model.hooks import Hook, HookCommand
from reconciler.model.plan import Coverage
from reconciler.model.policy import CopyMethod, Exemption, NamespaceSelector, VolumeRule
from reconciler.model.protection import Unprotected
from reconciler.plan.coverage import needs_shared_key
from reconciler.plan.guards import words
from tests.fakes.cluster import FakeCluster
from tests.fakes.faults import FaultyReader
from tests.fakes.snapshots import DRIVER, FakeSnapshots
from tests.unit.engine.controller_world import CONFIG
from tests.unit.plan.schedules_world import policy

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def claim(namespace: str, name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"accessModes": ["ReadWriteOnce"], **spec},
        "status": {"phase": "Bound"},
    }


@pytest.fixture
def cluster() -> FakeCluster:
    found = FakeCluster()
    for name in ("shop", "mail"):
        found.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    found.put(claim("shop", "data"))
    found.put(claim("shop", "web-cache"))
    found.put(claim("shop", "held", accessModes=["ReadWriteOncePod"]))
    found.put(claim("mail", "spool"))
    found.put(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"namespace": "shop", "name": "web-0"},
            "spec": {
                "nodeName": "node-1",
                "containers": [{"name": "web"}],
                "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "held"}}],
            },
            "status": {"phase": "Running"},
        }
    )
    return found


def shop() -> Any:
    base = policy("shop")
    rule = VolumeRule(claims=("*-cache",), copy_method=CopyMethod.SKIP, reason="rebuilt on start")
    return replace(base, volumes=replace(base.volumes, rules=(rule,)))


def lines(coverage: Coverage) -> list[tuple[str, str, bool]]:
    return [(line.claim, line.method, line.possible) for line in coverage.claims]


def test_each_claim_has_its_method_and_its_reason(cluster: FakeCluster) -> None:
    found, other = observe_coverage(
        cluster, [shop(), policy("nobody")], CONFIG, own_namespace="backstay-system"
    )
    assert found.namespaces == (("shop", "named"),)
    assert lines(found) == [
        ("data", "Direct", True),
        ("held", "Direct", False),
        ("web-cache", "Skip", True),
    ]
    whys = {line.claim: line.why for line in found.claims}
    assert whys["web-cache"] == "rule 1: rebuilt on start"
    assert "pod web-0 holds it" in whys["held"]
    assert other == Coverage(policy="nobody", guards=words(None))


def test_without_the_grant_for_the_shared_key_nothing_is_copied(cluster: FakeCluster) -> None:
    config = replace(CONFIG, shared_key_in_tenants=False)
    (found,) = observe_coverage(cluster, [shop()], config, own_namespace="backstay-system")
    assert [line.possible for line in found.claims] == [False, False, True]
    assert needs_shared_key(CopyMethod.DIRECT) in found.claims[0].why


def test_it_is_complete_or_raises(cluster: FakeCluster) -> None:
    reader = FaultyReader(cluster, lambda resource, _: resource.plural == "persistentvolumeclaims")
    with pytest.raises(Incomplete):
        observe_coverage(reader, [shop()], CONFIG, own_namespace="backstay-system")


def test_it_reads_pods_only_where_claims_are_selected(cluster: FakeCluster) -> None:
    cluster.requests.clear()
    observe_coverage(cluster, [shop()], CONFIG, own_namespace="backstay-system")
    assert cluster.requests == {"pages": 3}


def test_a_method_that_is_left_open_is_decided_as_the_run_decides_it(cluster: FakeCluster) -> None:
    FakeSnapshots(cluster)
    storage = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": DRIVER}
    cluster.put({**storage, "metadata": {"name": "csi"}})
    cluster.put(claim("shop", "data", storageClassName="csi"))
    found = {"apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshotClass"}
    cluster.put({**found, "metadata": {"name": "fast"}, "driver": DRIVER})
    base = shop()
    for method, other in ((CopyMethod.AUTO, "Direct"), (CopyMethod.SNAPSHOT, "Snapshot")):
        wanted = replace(base, volumes=replace(base.volumes, copy_method=method))
        cluster.requests.clear()
        seen = observe_covered(
            cluster, [wanted], (), CONFIG, own_namespace="backstay-system", now=NOON
        )
        assert cluster.requests == {"pages": 5}
        (made,) = seen.policies
        assert lines(made) == [
            ("data", "Snapshot", True),
            ("held", other, False),
            ("web-cache", "Skip", True),
        ]
        # Of four claims the copied one is protected, whoever asks.
        assert seen.unprotected == Unprotected(namespaces=2, claims=3)
        assert seen.inventory is not None
        assert [one.name for one in seen.inventory.snapshot_classes] == ["fast"]


def test_hooks_are_looked_for_where_data_is_copied(cluster: FakeCluster) -> None:
    sync = Hook(name="sync", match_labels={"app": "web"}, pre=HookCommand(("sync",)))
    hooked = replace(shop(), hooks=(sync,), hooks_within=("shop",))
    cluster.requests.clear()
    (found,) = observe_coverage(cluster, [hooked], CONFIG, own_namespace="backstay-system")
    assert cluster.requests == {"pages": 4}
    assert [(miss.namespace, miss.well) for miss in found.hooks_missed] == [("shop", False)]
    for raw in cluster.all("Pod"):
        cluster.edit(raw, _running)
    (found,) = observe_coverage(cluster, [hooked], CONFIG, own_namespace="backstay-system")
    assert [(line.namespace, line.command.shown) for line in found.hooks] == [("shop", '["sync"]')]
    assert found.hooks[0].pods
    (none,) = observe_coverage(
        cluster, [replace(hooked, hooks_within=())], CONFIG, own_namespace="backstay-system"
    )
    assert not none.hooks


def _running(raw: dict[str, Any]) -> None:
    raw["metadata"]["labels"] = {"app": "web"}
    names = [one["name"] for one in raw["spec"].get("containers") or [{"name": "c"}]]
    raw["spec"]["containers"] = [{"name": name} for name in names]
    raw["status"] = {
        "phase": "Running",
        "containerStatuses": [{"name": name, "state": {"running": {}}} for name in names],
    }


def test_what_no_policy_protects_is_counted_with_the_same_reads(cluster: FakeCluster) -> None:
    scratch = Exemption(
        name="held",
        namespaces=NamespaceSelector(names=("shop",)),
        claims=("held",),
        reason="rebuilt",
        owner="team-ci",
        expires="2026-12-01T23:59:59Z",
    )

    def counted(now: datetime, *exemptions: Exemption) -> Unprotected | None:
        cluster.requests.clear()
        found = observe_covered(
            cluster, [shop()], exemptions, CONFIG, own_namespace="backstay-system", now=now
        )
        assert cluster.requests == {"pages": 3}
        return found.unprotected

    # Of the shop one can't be copied and one is skipped; mail and default are nobody's.
    assert counted(NOON) == Unprotected(namespaces=2, claims=3)
    assert counted(NOON, scratch) == Unprotected(namespaces=2, claims=2)
    assert counted(NOON + timedelta(days=30), scratch) == Unprotected(namespaces=2, claims=3)
