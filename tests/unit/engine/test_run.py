"""A run from beginning to end: what it commits, what it refuses, what it is worth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.capture import message
from reconciler.engine.runplan import NothingSelected
from reconciler.model.errors import Refused, RepositoryLost, Transient, WrongPassword
from reconciler.model.objects import Gap, Resource
from reconciler.model.policy import CopyMethod, VolumeRule, Volumes
from reconciler.model.run import Outcome
from reconciler.model.volumes import MoveResult, MoveState, MoveTask
from tests.fakes.faults import FaultyReader
from tests.fakes.keyring import MASTER
from tests.unit.engine.run_world import (
    BRANCH,
    HOME,
    MARKER,
    RUN_IDS,
    RunWorld,
    claim,
    manifest,
    put_shop,
)


def list_of(kind: str, namespace: str = "*") -> Any:
    """A fault that strikes this list."""

    def matches(resource: Resource, where: str) -> bool:
        return resource.kind == kind and namespace in ("*", where)

    return matches


def test_commit_record_trailers_and_snapshots_agree() -> None:
    world = RunWorld()
    result = world.run()
    assert result.record == world.record()
    assert (result.record.outcome, result.error) == (Outcome.COMPLETED, None)
    (commit,) = world.commits()
    assert commit.sha == result.commit
    summary = message.parse_summary(message.parse_trailers(commit.message))
    assert summary is not None
    assert (summary.run_id, summary.outcome) == (RUN_IDS[0], Outcome.COMPLETED)
    assert (summary.volumes_stored, summary.volumes_wanted) == (1, 1)
    (volume,) = result.record.namespaces[0].volumes
    (snapshot,) = world.repository("shop").snapshots
    assert volume.snapshot == snapshot.id
    assert volume.repository is not None
    assert volume.repository.id == world.repository("shop").id
    (secrets,) = world.repository("_cluster").snapshots
    assert (secrets.host, secrets.paths) == ("prod-eu/_cluster", ("/secrets.jsonl",))
    assert secrets.tags == ("policy:shop", f"run:{RUN_IDS[0]}")
    assert world.mover.cleaned == [("shop", "files")]


def test_the_first_run_writes_marker_and_repositories() -> None:
    world = RunWorld()
    world.run()
    assert set(world.tree(HOME)) == {"_cluster.yaml", "_repositories.yaml"}
    assert world.cluster.identity().uid in world.tree(HOME)["_cluster.yaml"].decode()
    text = world.tree(HOME)["_repositories.yaml"].decode()
    assert world.repository("shop").id in text
    assert world.repository("_cluster").id in text


def test_i2_a_kind_that_is_forbidden_deletes_nothing_below_it() -> None:
    world = RunWorld()
    world.run()
    world.cluster.remove(manifest("ConfigMap", "settings"))
    world.cluster.remove(manifest("apps/v1/Deployment", "web"))
    reader = FaultyReader(world.cluster, list_of("ConfigMap"), error=Transient("403 Forbidden"))
    result = world.run(2, reader=reader)
    assert "shop/configmap/settings.yaml" in world.tree()
    assert "shop/deployment.apps/web.yaml" not in world.tree()
    assert result.record.outcome is Outcome.PARTIALLY_FAILED
    assert [gap.folder for gap in result.record.gaps] == ["configmap"]
    assert "403 Forbidden" in result.record.namespaces[0].reasons[0]


def test_i2_half_a_list_is_no_list() -> None:
    world = RunWorld()
    for number in range(3):
        world.cluster.put(manifest("ConfigMap", f"c{number}"))
    world.run()
    world.cluster._page_size = 1
    world.cluster.remove(manifest("ConfigMap", "settings"))
    reader = FaultyReader(world.cluster, list_of("ConfigMap"), pages=2)
    result = world.run(2, reader=reader)
    assert "shop/configmap/settings.yaml" in world.tree()
    assert result.record.outcome is Outcome.PARTIALLY_FAILED


def test_i2_a_list_that_expired_once_is_read_again() -> None:
    world = RunWorld()
    world.cluster.put(manifest("ConfigMap", "kube-root-ca.crt"))
    world.cluster._page_size = 1
    world.run()
    counted = world.record().namespaces[0]
    world.cluster.remove(manifest("ConfigMap", "settings"))
    reader = FaultyReader.expiring(world.cluster, list_of("ConfigMap"))
    result = world.run(2, reader=reader)
    assert reader.struck == 1
    assert result.record.outcome is Outcome.COMPLETED
    assert "shop/configmap/settings.yaml" not in world.tree()
    assert result.record.namespaces[0].left_out == counted.left_out, "nothing is counted twice"


def test_i2_a_list_that_always_expires_is_a_gap() -> None:
    world = RunWorld()
    world.run()
    world.cluster.remove(manifest("ConfigMap", "settings"))
    expired = FaultyReader.expiring(world.cluster, list_of("ConfigMap"), pages=0)
    expired._left = -1
    result = world.run(2, reader=expired)
    assert expired.struck == 3
    assert "shop/configmap/settings.yaml" in world.tree()
    assert result.record.outcome is Outcome.PARTIALLY_FAILED


def test_i2_a_group_whose_discovery_failed_deletes_nothing_of_it() -> None:
    world = RunWorld()
    world.run()
    world.cluster.remove(manifest("apps/v1/Deployment", "web"))
    world.cluster.remove(manifest("ConfigMap", "settings"))
    world.cluster.failed.append(Gap(group="apps", reason="HTTP 503"))
    result = world.run(2)
    assert "shop/deployment.apps/web.yaml" in world.tree()
    assert "shop/configmap/settings.yaml" not in world.tree()
    assert result.record.outcome is Outcome.PARTIALLY_FAILED


def test_i2_nothing_cluster_scoped_is_deleted_while_there_is_any_gap() -> None:
    world = RunWorld()
    storage = manifest("storage.k8s.io/v1/StorageClass", "local", "", provisioner="local")
    world.cluster.put(storage)
    world.run()
    path = "_cluster/storageclass.storage.k8s.io/local.yaml"
    assert path in world.tree()
    # The claim was what referred to it; whether something else does can't be known.
    world.cluster.remove(claim("files"))
    reader = FaultyReader(world.cluster, list_of("ConfigMap"))
    world.run(2, reader=reader)
    assert path in world.tree()
    world.run(3)
    assert path not in world.tree()


def test_i2_a_namespace_without_a_gap_loses_what_is_gone() -> None:
    world = RunWorld()
    put_shop(world.cluster, "shop-two")
    for number in range(8):
        world.cluster.put(manifest("Namespace", f"other-{number}", ""))
    for number in range(100):  # so many that the two namespaces are listed by themselves
        world.cluster.put(manifest("ConfigMap", f"c{number}", "other-0"))
    world.run()
    for namespace in ("shop", "shop-two"):
        world.cluster.remove(manifest("ConfigMap", "settings", namespace))
    reader = FaultyReader(world.cluster, list_of("ConfigMap", "shop"))
    result = world.run(2, reader=reader)
    assert "shop/configmap/settings.yaml" in world.tree()
    assert "shop-two/configmap/settings.yaml" not in world.tree()
    outcomes = {part.name: part.outcome for part in result.record.namespaces}
    assert outcomes["shop"] is Outcome.PARTIALLY_FAILED
    assert outcomes["shop-two"] is Outcome.COMPLETED


def test_i3_a_marker_in_a_secret_is_nowhere_but_in_restic() -> None:
    world = RunWorld()
    result = world.run()
    world.cluster.edit(
        manifest("Secret", "db"), lambda raw: raw["data"].update(more="TWFya2VyMg==")
    )
    world.run(2)
    world.storage.failure = Transient("storage away")
    failed = world.run(3)
    stored = b"".join(
        node.data for tree in world.repository("_cluster").trees.values() for node in tree.values()
    )
    coded = world.cluster.all("Secret")[0]["data"]["password"]
    assert coded.encode() in stored
    texts = [world.log.text(), repr(result), repr(failed), repr(failed.error)]
    for commit in world.remote.commits.values():
        texts.append(commit.message)
        texts += [data.decode() for data in commit.files.values()]
    for secret in (MARKER, coded, "TWFya2VyMg", "Marker2", MASTER):
        assert not [text for text in texts if secret in text]


@pytest.mark.parametrize(
    ("change", "flaw"),
    [
        ({"host": "prod-eu/other"}, "its host is prod-eu/other"),
        ({"paths": ("/data/other",)}, "its paths are /data/other"),
        ({"tags": ("policy:shop", f"run:{RUN_IDS[0]}")}, "it lacks the tags claim:files"),
        ({"tags": ()}, "restic does not list it"),
        (None, "restic does not list it"),
    ],
)
def test_i4_a_snapshot_that_restic_does_not_confirm_is_no_backup(
    change: dict[str, Any] | None, flaw: str
) -> None:
    world = RunWorld()

    def move(task: MoveTask) -> MoveResult:
        result = world.move(task)
        snapshots = world.repository("shop").snapshots
        made = snapshots.pop()
        if change is not None:
            snapshots.append(replace(made, **change))
        return result

    world.mover._effect = move
    result = world.run()
    (part,) = result.record.namespaces
    (volume,) = part.volumes
    assert (volume.outcome, volume.snapshot) == (Outcome.FAILED, None)
    assert flaw in volume.reason
    assert (part.outcome, result.record.outcome) == (Outcome.PARTIALLY_FAILED,) * 2


@pytest.mark.parametrize("state", [MoveState.COMPLETED, MoveState.PARTIALLY_FAILED])
def test_i4_a_mover_that_names_no_snapshot_has_made_none(state: MoveState) -> None:
    world = RunWorld()
    world.mover._effect = lambda _: MoveResult(state=state)
    (part,) = world.run().record.namespaces
    assert part.volumes[0].outcome is Outcome.FAILED
    assert part.volumes[0].reason
    assert part.outcome is Outcome.PARTIALLY_FAILED


def test_i4_a_failed_copy_leaves_no_recovery_point_whatever_it_stored() -> None:
    world = RunWorld()
    world.mover._effect = lambda task: replace(
        world.move(task), state=MoveState.FAILED, message="killed", started="when?"
    )
    record = world.run().record
    (volume,) = record.namespaces[0].volumes
    assert (volume.outcome, volume.snapshot, volume.reason) == (Outcome.FAILED, None, "killed")
    assert record.warnings[0].endswith("its copy failed, or is not proven")


def test_i7_a_run_without_a_change_writes_its_record_and_nothing_else() -> None:
    world = RunWorld()
    world.run()
    home = world.remote.heads[HOME]
    result = world.run(2)
    assert world.changed_paths() == {"_run.yaml"}
    assert world.remote.heads[HOME] == home
    counts = result.record.objects
    assert (counts.created, counts.changed, counts.deleted) == (0, 0, 0)
    assert counts.captured == 6


def test_i7_one_changed_key_is_one_changed_file() -> None:
    world = RunWorld()
    world.run()
    settings = manifest("ConfigMap", "settings")
    world.cluster.edit(settings, lambda raw: raw["data"].update(colour="blue"))
    result = world.run(2)
    assert world.changed_paths() == {"_run.yaml", "shop/configmap/settings.yaml"}
    assert result.record.objects.changed == 1


def test_i8_every_claim_and_namespace_says_why() -> None:
    world = RunWorld()
    world.cluster.put(claim("web-cache"))
    world.cluster.put(claim("new", phase="Pending"))
    world.cluster.put(manifest("Namespace", "shop-x", ""))
    rule = VolumeRule(claims=("*-cache",), copy_method=CopyMethod.SKIP, reason="rebuilt on start")
    selector = replace(world.policy.selector.namespaces, exclude=("shop-x",))
    world.policy = replace(
        world.policy,
        volumes=Volumes(repository="main", rules=(rule,), copy_method=CopyMethod.DIRECT),
        selector=replace(world.policy.selector, namespaces=selector),
    )
    record = world.run().record
    assert record.outcome is Outcome.COMPLETED
    why = {volume.claim: volume.why for volume in record.namespaces[0].volumes}
    assert why == {
        "files": "copyMethod Direct",
        "web-cache": "rule 1: rebuilt on start",
        "new": "it is not bound, so it holds no data",
    }
    assert all(found.why for found in record.cluster_scoped.references)  # type: ignore[union-attr]
    (passed,) = world.log.of("namespace passed over")
    assert passed == {"namespace": "shop-x", "why": "excluded by shop-x"}
    assert all(left.reason for part in record.namespaces for left in part.left_out)


def test_a_namespace_without_secrets_is_complete() -> None:
    world = RunWorld()
    world.cluster.remove(manifest("Secret", "db"))
    record = world.run().record
    assert record.outcome is Outcome.COMPLETED
    assert record.secrets is not None
    assert (record.secrets.snapshot, record.secrets.count) == (None, 0)
    assert world.record() == record
    world.lose_shop()
    assert world.restored().created == 5


def test_a_run_that_selects_no_namespace_fails_and_commits_nothing() -> None:
    world = RunWorld()
    world.run()
    world.lose_shop()
    before = dict(world.remote.heads)
    with pytest.raises(NothingSelected, match="selects no namespace") as caught:
        world.run(2)
    assert "restore" in caught.value.hint
    assert caught.value.exit_code == 1
    assert world.remote.heads == before
    assert world.repository("_cluster").snapshots[-1].tags[1] == f"run:{RUN_IDS[0]}"


def test_a_namespace_that_left_is_told_and_its_files_go() -> None:
    world = RunWorld()
    put_shop(world.cluster, "shop-two")
    world.run()
    world.cluster.remove(manifest("Namespace", "shop-two", ""))
    result = world.run(2)
    parts = {part.name: part for part in result.record.namespaces}
    assert parts["shop-two"].outcome is Outcome.PARTIALLY_FAILED
    assert "left the selection" in parts["shop-two"].reasons[0]
    assert parts["shop"].outcome is Outcome.COMPLETED
    assert not [path for path in world.tree() if path.startswith("shop-two/")]
    assert world.run(3).record.outcome is Outcome.COMPLETED


def test_a_namespace_that_a_changed_policy_leaves_is_no_failure() -> None:
    world = RunWorld()
    put_shop(world.cluster, "shop-two")
    world.run()
    namespaces = replace(world.policy.selector.namespaces, names=("shop",))
    world.policy = replace(
        world.policy, selector=replace(world.policy.selector, namespaces=namespaces)
    )
    world.digest = "sha256:" + "2" * 64
    # A run that fails with the new policy keeps the tree that the old one made.
    world.storage.failure = Transient("storage away")
    assert world.run(2).record.outcome is Outcome.FAILED
    world.storage.failure = None
    result = world.run(3)
    assert result.record.outcome is Outcome.COMPLETED
    assert not [path for path in world.tree() if path.startswith("shop-two/")]
    # What is deleted is counted and has its reason (I8).
    left = result.record.namespaces[-1]
    assert (left.name, left.outcome, left.objects.deleted) == ("shop-two", Outcome.SKIPPED, 5)
    assert left.reasons == (
        "the policy was changed and does not select it any more: its files are gone",
    )
    assert result.record.objects.deleted == 6, "its Namespace as well"
    world.lose_shop()
    assert world.restore().plan().warnings == ()


def test_a_new_namespace_that_matches_is_in_the_next_run() -> None:
    world = RunWorld()
    world.run()
    put_shop(world.cluster, "shop-two")
    result = world.run(2)
    assert result.record.outcome is Outcome.COMPLETED
    assert [part.name for part in result.record.namespaces] == ["shop", "shop-two"]
    assert "shop-two/configmap/settings.yaml" in world.tree()
    assert world.repository("shop-two").snapshots
    assert b"shop-two" in world.tree(HOME)["_repositories.yaml"]


def test_a_repository_that_is_gone_is_not_made_again() -> None:
    world = RunWorld()
    world.run()
    world.storage.repositories.clear()
    result = world.run(2)
    assert isinstance(result.error, RepositoryLost)
    assert result.error.exit_code == 10
    assert result.error.hint
    assert not world.storage.repositories
    assert result.record.outcome is Outcome.FAILED
    assert world.changed_paths() == {"_run.yaml"}


def test_a_repository_that_was_replaced_fails_its_volumes_only() -> None:
    world = RunWorld()
    world.run()
    world.repository("shop").id = "0" * 64
    result = world.run(2)
    (volume,) = result.record.namespaces[0].volumes
    assert volume.outcome is Outcome.FAILED
    assert "it was replaced" in volume.reason
    assert result.record.outcome is Outcome.PARTIALLY_FAILED
    assert len(world.repository("shop").snapshots) == 1


def test_a_wrong_password_is_a_failed_record_above_the_last_good_tree() -> None:
    world = RunWorld()
    world.run()
    world.cluster.remove(manifest("ConfigMap", "settings"))
    world.keyring.masters["restic-main"] = MASTER[::-1]
    result = world.run(2)
    assert isinstance(result.error, WrongPassword)
    assert result.error.exit_code == 12
    assert result.record.outcome is Outcome.FAILED
    assert world.changed_paths() == {"_run.yaml"}
    assert "shop/configmap/settings.yaml" in world.tree()
    assert "wrong password" in result.record.namespaces[0].reasons[0]
    world.keyring.masters["restic-main"] = MASTER
    assert world.run(3).record.outcome is Outcome.COMPLETED


def test_a_first_run_that_fails_does_not_make_the_cluster_a_foreign_one() -> None:
    world = RunWorld()
    world.storage.failure = Transient("storage away")
    result = world.run()
    assert result.record.outcome is Outcome.FAILED
    assert set(world.tree()) == {"_run.yaml"}
    world.storage.failure = None
    assert world.run(2).record.outcome is Outcome.COMPLETED


def test_a_storage_that_goes_away_half_way_is_a_failed_record() -> None:
    world = RunWorld()
    world.run()

    def move(task: MoveTask) -> MoveResult:
        world.storage.failure = Transient("storage away", hint="look at it")
        return MoveResult(state=MoveState.FAILED, message="storage away")

    world.mover._effect = move
    world.mover._looks = 0
    broken = FaultyReader(world.cluster, lambda *_: False)
    broken.discover = lambda: (_ for _ in ()).throw(Transient("storage away"))  # type: ignore[method-assign]
    result = world.run(2, reader=broken)
    assert result.record.outcome is Outcome.FAILED
    assert isinstance(result.error, Transient)
    assert world.changed_paths() == {"_run.yaml"}
    assert world.record().name == RUN_IDS[1]


@pytest.mark.parametrize("kind", ["Namespace", "PersistentVolumeClaim"])
def test_a_cluster_that_cannot_be_looked_at_is_a_failed_record(kind: str) -> None:
    world = RunWorld()
    error = Refused("list: HTTP 403 Forbidden", hint="grant it")
    result = world.run(reader=FaultyReader(world.cluster, list_of(kind), error=error))
    assert result.error is error
    assert result.record.outcome is Outcome.FAILED
    assert result.record.warnings == ("list: HTTP 403 Forbidden", "grant it")
    assert world.record() == result.record
    assert world.run(2).record.outcome is Outcome.COMPLETED


def test_a_deadline_fails_the_movers_that_are_not_done() -> None:
    world = RunWorld()
    world.mover._looks = 10_000
    result = world.run()
    (volume,) = result.record.namespaces[0].volumes
    assert volume.outcome is Outcome.FAILED
    assert "deadline" in volume.reason
    assert result.record.outcome is Outcome.PARTIALLY_FAILED
    assert "shop/configmap/settings.yaml" in world.tree(), "the rest is recorded all the same"
    assert world.mover.cleaned == [("shop", "files")]


def test_a_mover_is_refused_without_the_grant() -> None:
    world = RunWorld()
    world.config = replace(world.config, shared_key_in_tenants=False)
    result = world.run()
    (volume,) = result.record.namespaces[0].volumes
    assert volume.outcome is Outcome.FAILED
    assert "sharedKeyInTenants" in volume.reason
    assert not world.mover.begun
    assert BRANCH in world.remote.heads
