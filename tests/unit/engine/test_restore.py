"""A restore: what comes back, in which order, and what it never touches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.model import naming
from reconciler.model.errors import (
    BackstayError,
    Incomplete,
    NotSupported,
    PartialFailure,
    Refused,
    RepositoryLost,
    Transient,
    Waiting,
)
from reconciler.model.objects import Gap
from reconciler.model.restore import RestoreAction
from reconciler.model.volumes import MoveKind, MoveResult, MoveState, MoveTask
from tests.fakes.faults import FaultyWriter
from tests.fakes.keyring import MASTER
from tests.unit.engine.run_world import (
    BRANCH,
    MARKER,
    RUN_IDS,
    SYSTEM,
    Crash,
    RunWorld,
    claim,
    deployment,
    manifest,
)

PLACE = ("shop", "files")


def lost_world() -> RunWorld:
    """Everything was backed up, and is gone."""
    world = RunWorld()
    world.run()
    world.lose_shop()
    world.cluster.writes.clear()
    return world


def stored_claim(world: RunWorld) -> dict[str, Any]:
    (found,) = world.cluster.all("PersistentVolumeClaim")
    return found


def mark_of(world: RunWorld) -> str | None:
    annotations = stored_claim(world)["metadata"].get("annotations") or {}
    return annotations.get(naming.RESTORING)


def test_everything_comes_back_and_a_second_time_nothing_changes() -> None:
    world = lost_world()
    result = world.restored()
    assert (result.created, result.filled, result.differing) == (6, 1, ())
    assert world.data[PLACE] == b"a thousand files"
    assert mark_of(world) is None
    (secret,) = world.cluster.all("Secret")
    assert MARKER in secret["metadata"]["annotations"]["note"]
    world.cluster.writes.clear()
    plan = world.restore().plan()
    assert plan.empty
    assert {step.action for step in plan.steps} == {RestoreAction.KEEP}
    assert not any(step.differs for step in plan.steps)
    again = world.restored()
    assert (again.created, again.filled, again.kept) == (0, 0, 6)
    assert world.deeds() == []


def test_a_run_after_the_restore_changes_nothing_but_its_record() -> None:
    world = lost_world()
    world.restored()
    world.run(2)
    assert world.changed_paths() == {"_run.yaml"}


def test_claims_are_full_before_any_workload_is_there() -> None:
    world = lost_world()
    seen: list[int] = []

    def move(task: MoveTask) -> MoveResult:
        seen.append(len(world.cluster.all("Deployment")))
        assert mark_of(world) == RUN_IDS[0]
        assert (task.run_as_user, task.fs_group) == (1000, 2000)
        return world.move(task)

    world.mover._effect = move
    world.restored()
    kinds = [ref.kind for verb, ref in world.deeds() if verb == "create"]
    assert seen == [0]
    assert kinds.index("Namespace") < kinds.index("Secret") < kinds.index("PersistentVolumeClaim")
    assert kinds.index("PersistentVolumeClaim") < kinds.index("Deployment")


def test_definitions_come_first_and_their_objects_after() -> None:
    world = RunWorld()
    spec = {
        "group": "shop.example.org",
        "scope": "Namespaced",
        "names": {"kind": "Coupon", "plural": "coupons"},
        "versions": [{"name": "v1", "served": True, "storage": True}],
    }
    definition = manifest(
        "apiextensions.k8s.io/v1/CustomResourceDefinition",
        "coupons.shop.example.org",
        "",
        spec=spec,
    )
    world.cluster.put(definition)
    world.cluster.put(manifest("shop.example.org/v1/Coupon", "ten", spec={"off": 10}))
    world.run()
    world.lose_shop()
    world.cluster.remove(definition)
    world.cluster.writes.clear()
    result = world.restored()
    assert (result.created, result.skipped) == (8, 0)
    kinds = [ref.kind for verb, ref in world.deeds() if verb == "create"]
    assert kinds[0] == "CustomResourceDefinition"
    (coupon,) = world.cluster.all("Coupon")
    assert coupon["spec"] == {"off": 10}
    assert world.restore().plan().empty


def test_i12_what_exists_is_never_changed() -> None:
    world = RunWorld()
    world.run()
    settings = manifest("ConfigMap", "settings")
    world.cluster.edit(settings, lambda raw: raw["data"].update(colour="red"))
    world.data[PLACE] = b"newer data"
    world.cluster.remove(deployment("web", "files"))
    before = {kind: world.cluster.all(kind) for kind in ("ConfigMap", "Secret", "Namespace")}
    claims = world.cluster.all("PersistentVolumeClaim")
    plan = world.restore().plan()
    differing = [step.path for step in plan.steps if step.differs]
    assert differing == ["shop/configmap/settings.yaml"]
    assert [fill.action for fill in plan.fills] == [RestoreAction.KEEP]
    result = world.restore().execute(plan)
    assert (result.created, result.filled, result.kept) == (1, 0, 5)
    assert {kind: world.cluster.all(kind) for kind in before} == before
    assert world.cluster.all("PersistentVolumeClaim") == claims
    assert world.data[PLACE] == b"newer data"


def test_i12_a_claim_that_appeared_since_the_plan_keeps_its_data() -> None:
    world = lost_world()
    restore = world.restore()
    plan = restore.plan()
    world.cluster.put(manifest("Namespace", "shop", ""))
    world.cluster.put(manifest("ServiceAccount", "default"))
    theirs = world.cluster.put(claim("files"))
    world.data[PLACE] = b"somebody else's"
    with pytest.raises(Refused, match="changed since the plan was made"):
        restore.execute(plan)
    assert world.data[PLACE] == b"somebody else's"
    assert stored_claim(world) == theirs
    assert not world.cluster.all("Deployment")


def test_i11_killed_between_claim_and_data_it_goes_on_and_fills_it() -> None:
    world = lost_world()

    def die(_: MoveTask) -> MoveResult:
        raise Crash

    world.mover._effect = die
    with pytest.raises(Crash):
        world.restored()
    assert mark_of(world) == RUN_IDS[0]
    assert not world.cluster.all("Deployment")
    world.mover._effect = world.move
    plan = world.restore().plan()
    assert [(fill.action, fill.why) for fill in plan.fills] == [
        (RestoreAction.CREATE, "an earlier restore began to fill it")
    ]
    result = world.restored()
    assert result.filled == 1
    assert world.data[PLACE] == b"a thousand files"
    assert mark_of(world) is None
    assert len(world.cluster.all("Deployment")) == 1


def test_i11_an_old_movers_end_is_not_taken_for_the_end_of_a_new_one() -> None:
    world = lost_world()
    restore = world.restore()
    plan = restore.plan()
    (task,) = restore._tasks(plan)
    while world.mover.ensure(task).state is MoveState.RUNNING:
        pass
    # Its Job is still there; the claim that it filled is not.
    del world.data[PLACE]
    restore.execute(plan)
    assert world.data[PLACE] == b"a thousand files"


def test_an_unfinished_restore_of_another_run_is_not_gone_on_with() -> None:
    world = RunWorld()
    world.run()
    world.run(2)
    world.lose_shop()
    world.mover._effect = lambda _: MoveResult(state=MoveState.FAILED, message="no space")
    with pytest.raises(PartialFailure):
        world.restored(RUN_IDS[0])
    (fill,) = world.restore().plan().fills
    assert fill.action is RestoreAction.SKIP
    assert f"an unfinished restore of {RUN_IDS[0]}" in fill.why


def test_a_claim_that_a_restore_has_not_filled_is_not_backed_up_as_whole() -> None:
    world = lost_world()
    world.mover._effect = lambda _: MoveResult(state=MoveState.FAILED, message="no space")
    with pytest.raises(PartialFailure):
        world.restored()
    world.mover._effect = world.move
    (volume,) = world.run(2).record.namespaces[0].volumes
    assert RUN_IDS[0] in volume.reason
    assert volume.snapshot is None


@pytest.mark.parametrize("state", [MoveState.FAILED, MoveState.PARTIALLY_FAILED])
def test_a_volume_that_does_not_come_back_starts_no_workload(state: MoveState) -> None:
    world = lost_world()
    world.mover._effect = lambda _: MoveResult(state=state, message="no space")
    with pytest.raises(
        PartialFailure, match=r"1 of 1 volumes did not come back.*no space"
    ) as caught:
        world.restored()
    assert caught.value.exit_code == 3
    assert "restore again" in caught.value.hint
    assert not world.cluster.all("Deployment")
    assert mark_of(world) == RUN_IDS[0]
    assert world.mover.cleaned[-1] == PLACE
    world.mover._effect = world.move
    assert world.restored().filled == 1


def test_a_failed_run_is_no_recovery_point() -> None:
    world = RunWorld()
    world.run()
    world.storage.failure = Transient("storage away")
    commit = world.run(2).commit
    world.storage.failure = None
    for at in (RUN_IDS[1], commit, commit[:10]):
        with pytest.raises(Refused, match="stored nothing that can be restored") as caught:
            world.restore(at).plan()
        assert RUN_IDS[0] in caught.value.hint
    assert world.restore().plan().run_id == RUN_IDS[0]


def test_a_partial_point_must_be_asked_for() -> None:
    world = RunWorld()
    world.mover._effect = lambda _: MoveResult(state=MoveState.FAILED, message="unreadable")
    world.run()
    world.lose_shop()
    with pytest.raises(Refused, match="no complete recovery point"):
        world.restore().plan()
    with pytest.raises(Refused, match="a part of it is missing"):
        world.restore(RUN_IDS[0]).plan()
    plan = world.restore(allow_partial=True).plan()
    (fill,) = plan.fills
    assert fill.action is RestoreAction.SKIP
    assert "unreadable" in fill.why
    assert "volume shop/files: unreadable" in plan.warnings[0]


def test_secrets_that_are_not_those_of_the_commit_stop_it_before_anything_is_made() -> None:
    world = lost_world()
    repository = world.repository("_cluster")
    for tree in repository.trees.values():
        for path, node in tree.items():
            tree[path] = replace(node, data=node.data.replace(b'"db"', b'"dc"'))
    with pytest.raises(Refused, match="not the one whose fingerprint is in Git"):
        world.restored()
    assert world.deeds() == []


def test_a_replaced_repository_stops_it_before_anything_is_made() -> None:
    world = lost_world()
    world.repository("shop").id = "0" * 64
    with pytest.raises(RepositoryLost):
        world.restored()
    assert world.deeds() == []


def test_it_is_refused_without_the_grant_before_anything_is_made() -> None:
    world = lost_world()
    world.config = replace(world.config, shared_key_in_tenants=False)
    with pytest.raises(Refused, match="sharedKeyInTenants"):
        world.restored()
    assert world.deeds() == []


def test_a_cluster_that_does_not_say_what_it_serves_is_not_written_to() -> None:
    world = lost_world()
    world.cluster.failed.append(Gap(group="apps", reason="HTTP 503"))
    with pytest.raises(Incomplete, match="did not say what it serves"):
        world.restore().plan()


@pytest.mark.parametrize("gone", [manifest("Namespace", "shop", ""), claim("files")])
def test_what_is_still_going_is_waited_for(gone: dict[str, Any]) -> None:
    world = RunWorld()
    world.run()
    world.cluster.edit(
        gone, lambda raw: raw["metadata"].update(deletionTimestamp="2026-11-21T05:00:00Z")
    )
    with pytest.raises(Waiting, match="still being deleted") as caught:
        world.restore().plan()
    assert caught.value.hint


def test_another_clusters_record_is_not_supported_yet() -> None:
    world = lost_world()
    other = "clusters/other/shop"
    world.remote.heads[other] = world.remote.heads[BRANCH]
    world.config = replace(world.config, cluster=replace(world.config.cluster, name="other"))
    with pytest.raises(NotSupported, match="prod-eu"):
        world.restore().plan()


def test_a_policy_without_runs_names_those_that_have_some() -> None:
    world = lost_world()
    world.remote.heads["clusters/prod-eu/blog"] = world.remote.heads.pop(BRANCH)
    with pytest.raises(Refused, match="there is no branch") as caught:
        world.restore().plan()
    assert caught.value.hint == "policies with runs: blog"


def test_a_manifest_at_another_place_is_refused() -> None:
    world = lost_world()
    commit = world.remote.commits[world.remote.heads[BRANCH]]
    files = dict(commit.files)
    files["shop/configmap/other.yaml"] = files["shop/configmap/settings.yaml"]
    world.remote.commits[commit.sha] = replace(commit, files=files)
    with pytest.raises(Refused, match="not where a run would have put it"):
        world.restore().plan()


def test_a_kind_that_is_not_served_is_skipped_and_said() -> None:
    world = lost_world()
    world.cluster.resources = [r for r in world.cluster.resources if r.kind != "Deployment"]
    plan = world.restore().plan()
    (skipped,) = [step for step in plan.steps if step.action is RestoreAction.SKIP]
    assert skipped.path == "shop/deployment.apps/web.yaml"
    assert "is not served here" in skipped.why
    assert world.restore().execute(plan).skipped == 1


def test_what_is_removed_again_at_once_is_told() -> None:
    world = lost_world()
    made = world.cluster.create

    def prune(obj: Any) -> Any:
        found = made(obj)
        if obj["kind"] == "ConfigMap":
            world.cluster.remove(obj)
        return found

    writer = FaultyWriter(world.cluster, "none", error=BackstayError(""))
    writer.create = prune  # type: ignore[attr-defined]
    with pytest.raises(PartialFailure, match="created and are gone again: shop/configmap/settings"):
        world.restored(writer=writer)


def test_an_object_that_is_refused_does_not_keep_back_the_others() -> None:
    world = lost_world()
    error = Refused("create shop/configmap/settings: HTTP 403: denied by a webhook")
    writer = FaultyWriter(world.cluster, "create", error=error, after=2)
    with pytest.raises(PartialFailure, match=r"1 objects .*by a webhook") as caught:
        world.restored(writer=writer)
    assert caught.value.exit_code == 3
    assert "restore again" in caught.value.hint
    assert world.data[PLACE] == b"a thousand files"
    assert len(world.cluster.all("Deployment")) == 1
    assert (world.restored().created, world.restore().plan().empty) == (1, True)


def test_a_namespace_that_is_refused_ends_it() -> None:
    world = lost_world()
    writer = FaultyWriter(world.cluster, "apply", error=Refused("HTTP 403"), after=1)
    with pytest.raises(Refused, match="HTTP 403"):
        world.restored(writer=writer)
    assert world.deeds() == []


def test_a_leftover_of_the_mover_does_not_fail_the_restore() -> None:
    world = lost_world()

    class Untidy:
        def ensure(self, task: MoveTask) -> MoveResult:
            return world.mover.ensure(task)

        def cleanup(self, task: MoveTask) -> None:
            if world.data.get(PLACE):
                raise Transient(f"HTTP 503 about {task.claim}")

    assert world.restored(mover=Untidy()).filled == 1
    assert world.log.of("mover left behind")


def test_the_movers_task_carries_what_it_needs() -> None:
    world = RunWorld()
    namespace = manifest("Namespace", "shop", "")
    key = "backstay.dev/privileged-movers"
    world.cluster.edit(namespace, lambda raw: raw["metadata"].update(annotations={key: "true"}))
    world.run()
    world.lose_shop()
    restore = world.restore()
    plan = restore.plan()
    (task,) = restore._tasks(plan)
    assert task.kind is MoveKind.RESTORE
    assert (task.run_id, task.host, task.privileged) == (RUN_IDS[0], "prod-eu/shop", True)
    assert task.snapshot == world.repository("shop").snapshots[0].id
    assert MASTER not in repr(task)
    assert task.namespace != SYSTEM
