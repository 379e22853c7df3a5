"""A run captures what its policy selects, says what it leaves out, and tells it from deletions."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from reconciler.capture import choice
from reconciler.model.grants import Grant
from reconciler.model.objects import Gap, Resource
from reconciler.model.policy import ClusterScoped, CopyMethod, Volumes
from reconciler.model.run import LeftOutCount, NamespaceRecord, Outcome, RunRecord
from tests.fakes.cluster import FakeCluster
from tests.fakes.faults import FaultyReader
from tests.unit.engine.run_world import RunWorld, claim, manifest, put_shop

CLASS = "_cluster/storageclass.storage.k8s.io/local.yaml"
DRIVER = "_cluster/csidriver.storage.k8s.io/driver.yaml"
PRIORITY = "_cluster/priorityclass.scheduling.k8s.io/unused.yaml"
NAMESPACE = "_cluster/namespace/shop.yaml"


def world(**objects: Any) -> RunWorld:
    """A shop, cluster-scoped objects that it needs and others, and a policy over the shop."""
    made = RunWorld()
    for group, kind, name in (
        ("storage.k8s.io/v1", "StorageClass", "local"),
        ("storage.k8s.io/v1", "CSIDriver", "driver"),
        ("scheduling.k8s.io/v1", "PriorityClass", "unused"),
    ):
        made.cluster.put(manifest(f"{group}/{kind}", name, ""))
    made.cluster.put(manifest("Node", "n1", ""))
    select(made, **objects)
    return made


def select(made: RunWorld, **objects: Any) -> None:
    """Changes the policy's ``selector.objects``, and so its digest."""
    selector = made.policy.selector
    selector = replace(selector, objects=replace(selector.objects, **objects))
    made.policy = replace(made.policy, selector=selector)
    made.digest = f"sha256:{hashlib.sha256(str(selector).encode()).hexdigest()}"


def paths(made: RunWorld) -> set[str]:
    return {path for path in made.tree() if path != "_run.yaml"}


def shop(record: RunRecord) -> NamespaceRecord:
    (part,) = record.namespaces
    return part


def left_out_kinds(record: RunRecord) -> dict[str, str]:
    return {found.kind: found.reason for found in record.left_out_kinds}


def listed(made: RunWorld) -> set[str]:
    """Kinds whose lists were asked for; a reader that writes down what it is asked."""
    asked: set[str] = set()

    class Listening(FakeCluster):
        def pages(self, resource: Resource, **where: Any) -> Any:
            asked.add(resource.folder)
            return super().pages(resource, **where)

    listening = Listening()
    listening.__dict__ = made.cluster.__dict__
    made.run(reader=listening)
    return asked


def test_kinds_that_are_not_chosen_are_not_listed_and_named_in_the_record() -> None:
    made = world(exclude=("secrets", "*.rbac.authorization.k8s.io"))
    asked = listed(made)
    assert not asked & {"secret", "role.rbac.authorization.k8s.io"}
    assert not asked & {"clusterrole.rbac.authorization.k8s.io"}
    assert {path.split("/")[1] for path in paths(made) if path.startswith("shop/")} == {
        "configmap", "serviceaccount", "deployment.apps", "persistentvolumeclaim",
    }  # fmt: skip
    found = left_out_kinds(made.record())
    assert found["secret"] == f"{choice.FIELD}.exclude: secrets"
    assert found["clusterrole.rbac.authorization.k8s.io"].startswith(f"{choice.FIELD}.exclude: ")
    assert found["node"] == "joins the cluster by itself"
    assert found["csidriver.storage.k8s.io"] == choice.UNKNOWN_REFERENCE
    assert made.record().outcome is Outcome.COMPLETED
    assert (made.record().secrets.count, made.record().warnings) == (0, ())  # type: ignore[union-attr]


def test_objects_without_the_labels_are_counted_with_the_label_that_they_lack() -> None:
    made = world(match_labels={"tier": "gold"})
    labels = {"labels": {"tier": "gold"}}
    made.cluster.put(manifest("ConfigMap", "chosen", metadata=labels))
    made.cluster.put(manifest("Pod", "bare", metadata=labels))
    made.run()
    # The claim has no such label, and its data is copied.
    assert {path for path in paths(made) if path.startswith("shop/")} == {
        "shop/configmap/chosen.yaml", "shop/pod/bare.yaml", "shop/persistentvolumeclaim/files.yaml",
    }  # fmt: skip
    reason = f"{choice.FIELD}.matchLabels: tier=gold"
    assert shop(made.record()).left_out == tuple(
        LeftOutCount(kind=kind, reason=reason, count=1)
        for kind in ("configmap", "deployment.apps", "secret", "serviceaccount")
    )
    assert shop(made.record()).objects.left_out == 4
    assert shop(made.record()).volumes[0].outcome is Outcome.COMPLETED


def test_what_the_cluster_makes_by_itself_keeps_its_own_reason() -> None:
    made = world(match_labels={"tier": "gold"})
    owner = {"ownerReferences": [{"kind": "ReplicaSet", "name": "r", "controller": True}]}
    made.cluster.put(manifest("Pod", "web-1", metadata=owner))
    made.run()
    reasons = {found.kind: found.reason for found in shop(made.record()).left_out}
    assert reasons["pod"] == "made by its owner, and made again with it"


@pytest.mark.parametrize("copied", [True, False], ids=["copied", "skipped"])
def test_a_claim_comes_with_its_data_whatever_is_selected(copied: bool) -> None:
    made = world(include=("configmap",), exclude=("persistentvolumeclaim",))
    method = CopyMethod.DIRECT if copied else CopyMethod.SKIP
    made.policy = replace(made.policy, volumes=Volumes(repository="main", copy_method=method))
    made.run()
    claims = {path for path in paths(made) if "/persistentvolumeclaim/" in path}
    assert claims == ({"shop/persistentvolumeclaim/files.yaml"} if copied else set())
    assert (CLASS in paths(made)) is copied, "what a claim needs comes with it"
    reasons = {found.kind: found.reason for found in shop(made.record()).left_out}
    assert ("persistentvolumeclaim" in reasons) is not copied
    assert made.record().outcome is Outcome.COMPLETED
    made.lose_shop()
    made.restored()
    assert len(made.cluster.all("PersistentVolumeClaim")) == copied


def test_what_is_not_selected_refers_to_nothing() -> None:
    made = world(exclude=("serviceaccount",), match_labels={"tier": "gold"})
    rbac = "rbac.authorization.k8s.io"
    account = {"kind": "ServiceAccount", "name": "default", "namespace": "shop"}
    role = {"kind": "ClusterRole", "name": "reader", "apiGroup": rbac}
    made.cluster.put(manifest(f"{rbac}/v1/ClusterRole", "reader", ""))
    made.cluster.put(
        manifest(f"{rbac}/v1/ClusterRoleBinding", "reads", "", subjects=[account], roleRef=role)
    )
    spec = {"priorityClassName": "unused"}
    made.cluster.put(manifest("Pod", "bare", spec=spec))
    made.run()
    assert {path for path in paths(made) if path.startswith("_cluster/")} == {NAMESPACE, CLASS}
    made.cluster.put(manifest("Pod", "bare", spec=spec, metadata={"labels": {"tier": "gold"}}))
    select(made, exclude=())
    made.run(2)
    added = {path.split("/")[1] for path in paths(made) if path.startswith("_cluster/")}
    assert added == {
        "namespace", "storageclass.storage.k8s.io", f"clusterrole.{rbac}",
        f"clusterrolebinding.{rbac}", "priorityclass.scheduling.k8s.io",
    }  # fmt: skip


def test_a_narrower_selection_leaves_the_tree_and_is_no_deletion() -> None:
    made = world()
    for name in ("settings", "gone"):
        labels = {"labels": {"tier": "gold"}}
        made.cluster.put(manifest("ConfigMap", name, metadata=labels))
    made.run()
    select(made, exclude=("secret",), match_labels={"tier": "gold"})
    made.cluster.remove(manifest("ConfigMap", "gone"))
    record = made.run(2).record
    assert record == made.record()
    part = shop(record)
    assert (part.outcome, part.reasons) == (Outcome.COMPLETED, ())
    reason = f"{choice.FIELD}.matchLabels: tier=gold"
    assert part.unselected == (
        LeftOutCount(kind="deployment.apps", reason=reason, count=1),
        LeftOutCount(kind="secret", reason=f"{choice.FIELD}.exclude: secret", count=1),
        LeftOutCount(kind="serviceaccount", reason=reason, count=1),
    )
    assert part.objects.deleted == 4, "one was deleted from the cluster"
    assert {path for path in paths(made) if path.startswith("shop/")} == {
        "shop/configmap/settings.yaml", "shop/persistentvolumeclaim/files.yaml",
    }  # fmt: skip
    (told,) = record.warnings
    assert told.startswith("shop: files left the tree with the selection")
    assert told.endswith("1 deployment.apps, 1 secret, 1 serviceaccount")
    assert made.run(3).record.warnings == ()
    # They come back with the selection.
    select(made, exclude=(), match_labels={})
    back = made.run(4).record
    assert shop(back).objects.created == 3
    assert "shop/secret/db.yaml" in paths(made)


def test_i2_a_gap_keeps_what_is_not_selected_any_more() -> None:
    made = world()
    made.run()
    select(made, exclude=("deployment.apps",))
    made.cluster.failed.append(Gap(group="apps", reason="HTTP 503"))
    record = made.run(2).record
    assert "shop/deployment.apps/web.yaml" in paths(made)
    assert record.outcome is Outcome.PARTIALLY_FAILED
    made.cluster.failed.clear()
    assert made.run(3).record.outcome is Outcome.COMPLETED
    assert "shop/deployment.apps/web.yaml" not in paths(made)


def test_i2_a_list_that_failed_deletes_no_object_without_the_labels() -> None:
    made = world()
    made.run()
    select(made, match_labels={"tier": "gold"})
    reader = FaultyReader(made.cluster, lambda resource, _: resource.kind == "Secret")
    record = made.run(2, reader=reader).record
    assert "shop/secret/db.yaml" in paths(made)
    assert "secret" not in {found.kind for found in shop(record).unselected}
    assert record.outcome is Outcome.PARTIALLY_FAILED


# -- cluster-scoped ------------------------------------------------------------------------------


def test_referenced_takes_what_is_needed_and_counts_the_rest() -> None:
    made = world()
    put_shop(made.cluster, "elsewhere")
    made.run()
    part = made.record().cluster_scoped
    assert part is not None
    assert part.selection == "Referenced"
    assert {path for path in paths(made) if path.startswith("_cluster/")} == {NAMESPACE, CLASS}
    counted = {(found.kind, found.reason): found.count for found in part.left_out}
    assert counted == {
        ("namespace", choice.OTHER_NAMESPACE): 4,
        ("priorityclass.scheduling.k8s.io", choice.NOT_NEEDED): 1,
    }


def test_all_takes_all_and_names_what_is_needed() -> None:
    made = world(cluster_scoped=ClusterScoped.ALL)
    put_shop(made.cluster, "elsewhere")
    made.run()
    found = {path for path in paths(made) if path.startswith("_cluster/")}
    assert found == {NAMESPACE, CLASS, DRIVER, PRIORITY}
    part = made.record().cluster_scoped
    assert part is not None
    assert (part.selection, part.objects.captured) == ("All", 4)
    assert [str(ref.object) for ref in part.references] == [
        "namespace/shop", "storageclass.storage.k8s.io/local",
    ]  # fmt: skip
    assert left_out_kinds(made.record())["node"]
    assert "csidriver.storage.k8s.io" not in left_out_kinds(made.record())


def test_none_takes_the_namespaces_only_and_asks_for_nothing_else() -> None:
    made = world(cluster_scoped=ClusterScoped.NONE)
    asked = listed(made)
    assert "storageclass.storage.k8s.io" not in asked
    assert {path for path in paths(made) if path.startswith("_cluster/")} == {NAMESPACE}
    kinds = left_out_kinds(made.record())
    assert kinds["storageclass.storage.k8s.io"] == choice.NO_CLUSTER_SCOPED
    made.lose_shop()
    made.restored()
    assert made.cluster.all("Deployment")


def test_from_all_to_less_is_a_change_of_the_selection() -> None:
    made = world(cluster_scoped=ClusterScoped.ALL)
    made.run()
    select(made, cluster_scoped=ClusterScoped.REFERENCED)
    part = made.run(2).record.cluster_scoped
    assert part is not None
    assert {found.kind: found.reason for found in part.unselected} == {
        "csidriver.storage.k8s.io": choice.UNKNOWN_REFERENCE,
        "priorityclass.scheduling.k8s.io": choice.NOT_NEEDED,
    }
    (told,) = made.record().warnings
    assert told.startswith("cluster-scoped: files left the tree with the selection")
    select(made, cluster_scoped=ClusterScoped.NONE)
    part = made.run(3).record.cluster_scoped
    assert part is not None
    assert {found.kind for found in part.unselected} == {"storageclass.storage.k8s.io"}
    assert {path for path in paths(made) if path.startswith("_cluster/")} == {NAMESPACE}


def test_i2_all_deletes_what_is_gone_beside_a_gap_and_nothing_below_it() -> None:
    made = world(cluster_scoped=ClusterScoped.ALL)
    made.run()
    for kind, name in (
        ("storage.k8s.io/v1/CSIDriver", "driver"),
        ("scheduling.k8s.io/v1/PriorityClass", "unused"),
    ):
        made.cluster.remove(manifest(kind, name, ""))
    reader = FaultyReader(made.cluster, lambda resource, _: resource.kind == "CSIDriver")
    record = made.run(2, reader=reader).record
    assert record.outcome is Outcome.PARTIALLY_FAILED
    assert DRIVER in paths(made)
    assert PRIORITY not in paths(made)


def test_an_include_that_no_kind_is_called_is_told() -> None:
    made = world(include=("configmap", "deploymnt.apps", "*.example.org"))
    assert made.run().record.warnings == (
        f"{choice.FIELD}.include: no kind that the cluster serves is called deploymnt.apps",
        f"{choice.FIELD}.include: no kind that the cluster serves is called *.example.org",
    )
    made.cluster.failed.append(Gap(group="example.org", reason="HTTP 503"))
    assert made.run(2).record.warnings == (), "nobody knows what that group has"


def test_a_restore_of_a_narrow_point_leaves_what_it_does_not_have_alone() -> None:
    """What a policy leaves out is not deleted, and is not for a restore to judge."""
    made = world()
    made.run()
    select(made, include=("configmap",))
    made.run(2)
    before = {str(raw["metadata"]) for raw in made.cluster.all("Secret")}
    made.cluster.remove(manifest("ConfigMap", "settings"))
    (note,) = made.restore().plan().notes
    assert note.startswith("its policy left out kinds ")
    made.restored()
    assert {str(raw["metadata"]) for raw in made.cluster.all("Secret")} == before
    assert [raw["metadata"]["name"] for raw in made.cluster.all("ConfigMap")] == ["settings"]


def test_a_claim_that_is_being_deleted_is_left_out_of_every_selection() -> None:
    made = world(include=("configmap",))
    gone = claim("going")
    gone["metadata"]["deletionTimestamp"] = "2026-11-21T04:00:00Z"
    made.cluster.put(gone)
    made.run()
    assert "shop/persistentvolumeclaim/going.yaml" not in paths(made)
    reasons = {found.reason for found in shop(made.record()).left_out}
    assert "being deleted" in reasons


def test_all_from_before_a_grant_was_narrowed_takes_what_is_referenced() -> None:
    made = world(cluster_scoped=ClusterScoped.ALL)
    made.run()
    assert {NAMESPACE, CLASS, DRIVER, PRIORITY} <= paths(made)
    grants = (Grant(path="policies", namespaces=("shop",)), Grant(path="admin", admin=True))
    made.config = replace(made.config, grants=grants)
    record = made.run(2).record
    assert {path for path in paths(made) if path.startswith("_cluster/")} == {NAMESPACE, CLASS}
    assert record.warnings[0] == (
        f"{choice.FIELD}.clusterScoped: All is not granted to folder policies: captured as with"
        " Referenced"
    )
    assert record.cluster_scoped is not None
    assert record.cluster_scoped.selection == "Referenced"
    assert record.outcome is Outcome.COMPLETED
