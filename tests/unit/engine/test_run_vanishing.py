"""What goes or comes while a run is at work: it is not taken for deleted, nor for backed up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from reconciler.model.cluster import Discovery
from reconciler.model.objects import Resource
from reconciler.model.policy import CopyMethod, VolumeRule
from reconciler.model.run import Outcome
from tests.fakes.cluster import FakeCluster
from tests.unit.engine.run_world import BRANCH, POLICY, RunWorld, claim, manifest, put_shop


class _Vanishing(FakeCluster):
    """The same cluster; ``shop`` goes with the first list of ConfigMaps."""

    def __init__(self, inner: FakeCluster, *, back: bool) -> None:
        self.__dict__ = inner.__dict__
        self.__dict__["back"] = back
        self.__dict__["left"] = False

    def pages(self, resource: Resource, **where: Any) -> Iterator[list[dict[str, Any]]]:
        """As ever, but once."""
        if resource.kind == "ConfigMap" and not self.__dict__["left"]:
            self.__dict__["left"] = True
            for obj in self.all():
                if obj["metadata"].get("namespace") == "shop":
                    self.remove(obj)
            self.remove(manifest("Namespace", "shop", ""))
            if self.__dict__["back"]:
                self.put(manifest("Namespace", "shop", ""))
        return super().pages(resource, **where)


@pytest.mark.parametrize("back", [False, True], ids=["deleted", "replaced"])
def test_i2_a_namespace_that_vanishes_during_its_capture_deletes_nothing(back: bool) -> None:
    world = RunWorld()
    world.run(1)
    before = {path for path in world.tree() if path.startswith("shop/")}
    result = world.run(2, reader=_Vanishing(world.cluster, back=back))
    assert result.record.outcome is Outcome.PARTIALLY_FAILED
    assert {path for path in world.tree() if path.startswith("shop/")} == before
    reasons = [why for part in result.record.namespaces for why in part.reasons]
    assert any("while it was captured" in why for why in reasons)


def test_the_run_after_it_came_back_is_complete() -> None:
    world = RunWorld()
    world.run(1)
    world.run(2, reader=_Vanishing(world.cluster, back=True))
    put_shop(world.cluster)
    assert world.run(3).record.outcome is Outcome.COMPLETED


class _Growing(FakeCluster):
    """The same cluster; a claim comes once the run has decided on volumes."""

    def __init__(self, inner: FakeCluster) -> None:
        self.__dict__ = inner.__dict__

    def discover(self) -> Discovery:
        """As ever, a moment later."""
        self.put(claim("late"))
        return super().discover()


def test_i4_a_claim_that_came_during_the_run_is_not_said_to_be_backed_up() -> None:
    world = RunWorld()
    record = world.run(reader=_Growing(world.cluster)).record
    assert "shop/persistentvolumeclaim/late.yaml" in world.tree()
    assert record.outcome is Outcome.PARTIALLY_FAILED
    late = record.namespaces[0].volumes[-1]
    assert (late.claim, late.outcome, late.snapshot) == ("late", Outcome.FAILED, None)
    assert record.namespaces[0].reasons == (
        "volume late: it appeared after the run had begun: its data will be in the next one",
    )
    assert world.record() == record
    assert world.run(2).record.outcome is Outcome.COMPLETED


def test_a_claim_that_came_during_the_run_and_is_skipped_by_rule_is_no_failure() -> None:
    rule = VolumeRule(claims=("late",), copy_method=CopyMethod.SKIP, reason="a cache")
    world = RunWorld(policy=replace(POLICY, volumes=replace(POLICY.volumes, rules=(rule,))))
    assert world.run(reader=_Growing(world.cluster)).record.outcome is Outcome.COMPLETED


def test_a_commit_that_only_looks_like_a_runs_does_not_stop_a_run_that_a_namespace_left() -> None:
    world = RunWorld()
    put_shop(world.cluster, "shop-two")
    first = world.run().commit
    store = world.make_store()
    odd = store.commit(
        BRANCH, first, [], "Copied\n\nBackstay-Run: shop-1\nBackstay-Outcome: Good\n",
        when=world.clock.now(),
    )  # fmt: skip
    store.push({BRANCH: odd})
    world.cluster.remove(manifest("Namespace", "shop-two", ""))
    record = world.run(2).record
    assert {part.name: part.outcome for part in record.namespaces} == {
        "shop": Outcome.COMPLETED,
        "shop-two": Outcome.PARTIALLY_FAILED,
    }


class _Replacing(FakeCluster):
    """The same cluster; somebody deletes a claim and makes it again before it is captured."""

    def __init__(self, inner: FakeCluster) -> None:
        self.__dict__ = inner.__dict__

    def discover(self) -> Discovery:
        """As ever, a moment later."""
        self.remove(claim("files"))
        self.put(claim("files"))
        return super().discover()


def test_i4_a_claim_that_was_replaced_during_the_run_is_not_said_to_be_backed_up() -> None:
    world = RunWorld()
    record = world.run(reader=_Replacing(world.cluster)).record
    assert record.outcome is Outcome.PARTIALLY_FAILED
    (files,) = record.namespaces[0].volumes
    assert (files.outcome, files.snapshot) == (Outcome.FAILED, None)
    assert "made again" in files.reason
    assert world.run(2).record.outcome is Outcome.COMPLETED


def test_a_namespace_that_is_being_deleted_leaves_the_tree_and_says_so() -> None:
    """It can't come back: its older recovery points have what it had."""
    world = RunWorld()
    put_shop(world.cluster, "shop-two")
    world.run(1)
    world.cluster.edit(
        manifest("Namespace", "shop-two", ""),
        lambda raw: raw["metadata"].update(deletionTimestamp="2026-11-21T04:00:00Z"),
    )
    parts = {part.name: part for part in world.run(2).record.namespaces}
    assert parts["shop"].outcome is Outcome.COMPLETED
    assert parts["shop-two"].outcome is Outcome.PARTIALLY_FAILED
    (reason,) = parts["shop-two"].reasons
    assert reason.startswith("it left the selection without a change of the policy")
    assert reason.endswith("(it is being deleted)")
    assert not [path for path in world.tree() if path.startswith("shop-two/")]


def test_an_object_that_a_finalizer_holds_is_left_out_and_counted() -> None:
    world = RunWorld()
    world.run(1)
    held = manifest("ConfigMap", "settings", metadata={"finalizers": ["example.org/held"]})
    world.cluster.put(held)
    world.cluster.edit(
        held, lambda raw: raw["metadata"].update(deletionTimestamp="2026-11-21T04:00:00Z")
    )
    record = world.run(2).record
    (part,) = record.namespaces
    assert record.outcome is Outcome.COMPLETED
    assert "shop/configmap/settings.yaml" not in world.tree()
    assert [(one.kind, one.reason) for one in part.left_out] == [("configmap", "being deleted")]
    assert part.objects.deleted == 1
