"""``backstay plan`` against a cluster: what it asks for, and what it says where it may not look."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import nullcontext
from dataclasses import replace

import pytest

from reconciler.cli.planlive import (
    Led,
    ReadPoints,
    is_unwanted,
    lead,
    make_plan,
    with_coverage,
)
from reconciler.engine import controller
from reconciler.engine.controller import Setting
from reconciler.model.errors import Incomplete, Problem, Refused, Stalled
from reconciler.model.finding import Place
from reconciler.model.inventory import PointDigest
from reconciler.model.run import Outcome
from reconciler.plan.inventoryfiles import PolicyPoints
from tests.fakes.faults import FaultyReader
from tests.unit.engine.controller_world import ControllerWorld, files, policy_yaml

REQUESTS = 6
"""The controller's own, and one list of namespaces and one of claims: as often for any change."""
SHORTER = policy_yaml("shop").replace(b"keepDaily: 7", b"keepLast: 1")


@pytest.fixture
def world() -> ControllerWorld:
    """Its cluster has the schedule of policy shop, and two namespaces."""
    made = ControllerWorld()
    for name in ("shop", "crm"):
        made.cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    made.source.push(files("shop"))
    assert made.cycle().exit_code == 0
    return made


def ids(led: Led) -> list[str]:
    """Ids in order."""
    return [one.id for one in led.findings]


def never(_setting: Setting, policies: Collection[str]) -> tuple[PolicyPoints, ...]:
    """Nobody asks for recovery points."""
    raise AssertionError(f"recovery points of {policies} were read")


def planned(world: ControllerWorld, read: ReadPoints = never) -> Led:
    """The plan; ``read`` gives recovery points."""
    cycle = controller.make_plan(world.setting)
    return lead(cycle, with_coverage(cycle, world.setting), world.setting, read)


def test_where_nothing_changes_nothing_is_said_nor_read(world: ControllerWorld) -> None:
    world.cluster.requests.clear()
    assert planned(world).findings == ()
    assert sum(world.cluster.requests.values()) == REQUESTS
    world.source.push(
        files(crm=policy_yaml("crm", "40 3 * * *"), shop=policy_yaml("shop", "17 2 * * 1"))
    )
    world.cluster.requests.clear()
    assert ids(planned(world)) == ["runs-seldomer", "coverage-gained"]
    assert sum(world.cluster.requests.values()) == REQUESTS


def test_findings_have_the_lines_of_the_revision(world: ControllerWorld) -> None:
    world.source.push(
        files(crm=policy_yaml("crm", "40 3 * * *"), shop=policy_yaml("shop", "17 2 * * 1"))
    )
    seldomer, gained = planned(world).findings
    assert seldomer.place == Place("policies/shop.yaml", 5)
    assert gained.place == Place("policies/crm.yaml", 6)
    world.source.push(files("crm"))
    lost = planned(world, lambda *_: ()).findings[0]
    assert (lost.id, lost.place, lost.facts["side"]) == (
        "coverage-lost", Place("policies/shop.yaml"), "base",
    )  # fmt: skip


def test_recovery_points_are_read_where_they_would_expire(world: ControllerWorld) -> None:
    world.source.push(files(shop=SHORTER))
    points = tuple(
        PointDigest(
            policy="shop",
            run=f"shop-{day}",
            started=world.clock.now().replace(day=day),
            outcome=Outcome.COMPLETED,
            namespaces={"shop": Outcome.COMPLETED},
        )
        for day in (17, 18, 19)
    )
    asked: list[Collection[str]] = []

    def read(_setting: Setting, policies: Collection[str]) -> tuple[PolicyPoints, ...]:
        asked.append(policies)
        return (PolicyPoints(policy="shop", points=points, older=4),)

    (found,) = planned(world, read).findings
    assert asked == [{"shop"}]
    assert (found.id, str(found.severity)) == ("retention-shortened", "error")
    assert found.details[0].startswith("shop: 2 of 3 would expire: 2026-11-18T")
    assert found.details[1].startswith("4 older ones are not in the inventory")


def test_points_that_can_not_be_read_are_a_note(world: ControllerWorld) -> None:
    def read(_setting: Setting, _policies: Collection[str]) -> tuple[PolicyPoints, ...]:
        raise Stalled("the manifest store is away")

    world.source.push(files(shop=SHORTER))
    led = planned(world, read)
    assert [(one.id, one.facts["points"]) for one in led.findings] == [
        ("retention-shortened", "unknown")
    ]
    assert led.plan.notes[-1] == (
        "which recovery points there are is not known: the manifest store is away"
    )


def test_a_deletion_that_is_held_says_what_its_approval_would_lose(world: ControllerWorld) -> None:
    world.source.push(files())
    led = planned(world)
    approval = led.plan.approval
    assert approval
    found = {one.id: one for one in led.findings}
    assert set(found) == {"deletion-refused", "change-skipped", "approval-loses"}
    told = found["approval-loses"]
    assert told.message.startswith("once the deletions are approved: namespace shop loses")
    assert (told.namespace, told.place) == ("shop", Place("policies/shop.yaml"))
    assert is_unwanted(led, frozenset({"approval-loses"}))
    assert not is_unwanted(led, frozenset({"coverage-lost", "error"}))
    # That word, and no other, does it.
    world.source.push(files(), message=f"Go\n\nBackstay-Approve: {approval}\n")
    assert ids(planned(world, lambda *_: ())) == ["coverage-lost", "policy-removed"]


RETENTION = b"keepDaily: 7"
CUT = (PolicyPoints(policy="shop", older=4),)


@pytest.mark.parametrize(
    ("words", "points", "unseen"),
    [
        (b"keepDaily: 6", None, True),
        (b"keepDaily: 6", CUT, True),
        (b"keepDaily: 6", (), False),
        (b"keepDaily: 8", None, False),
        (b"keepDaily: 8", CUT, False),
        (b"keepWithin: 1y", CUT, True),
    ],
)
def test_a_gate_that_needs_points_is_not_open_where_they_are_not_known(
    world: ControllerWorld,
    words: bytes,
    points: tuple[PolicyPoints, ...] | None,
    unseen: bool,
) -> None:
    def read(_setting: Setting, _policies: Collection[str]) -> tuple[PolicyPoints, ...]:
        if points is None:
            raise Stalled("the manifest store is away")
        return points

    world.source.push(files(shop=policy_yaml("shop").replace(RETENTION, words)))
    led = planned(world, read)
    assert led.unseen == (("shop",) if unseen else ())
    assert not is_unwanted(led, frozenset({"policy-removed"}))
    with pytest.raises(Refused, match="fail-on error needs") if unseen else nullcontext():
        assert not is_unwanted(led, frozenset({"error", "coverage-lost"}))
    broken = replace(
        led,
        plan=replace(led.plan, problems=(Problem(file="a.yaml", line=1, column=1, message="no"),)),
    )
    assert not is_unwanted(broken, frozenset({"error"})), "it ends with 4 all the same"


def test_a_gate_that_has_its_finding_fails_with_the_plan(world: ControllerWorld) -> None:
    world.source.push(files(shop=SHORTER))
    assert is_unwanted(planned(world, lambda *_: CUT), frozenset({"retention-shortened"}))
    world.source.push(files(shop=policy_yaml("shop").replace(RETENTION, b"keepWithin: 1y")))
    led = planned(world, lambda *_: CUT)
    assert led.findings
    assert is_unwanted(led, frozenset({str(led.findings[0].severity)}))


def test_a_span_that_is_written_otherwise_is_not_taken_for_as_long(world: ControllerWorld) -> None:
    world.source.push(files(shop=policy_yaml("shop").replace(RETENTION, b"keepWithin: 365d")))
    assert world.cycle().exit_code == 0
    world.source.push(files(shop=policy_yaml("shop").replace(RETENTION, b"keepWithin: 1y")))
    assert planned(world, lambda *_: CUT).unseen == ("shop",)
    assert planned(world, lambda *_: ()).unseen == ()


def test_points_of_a_policy_that_goes_are_no_gate(world: ControllerWorld) -> None:
    world.source.push(files("crm"))
    assert planned(world, lambda *_: CUT).unseen == ()


def test_where_namespaces_may_not_be_listed_the_plan_says_so(world: ControllerWorld) -> None:
    cycle = controller.make_plan(world.setting)
    seen = with_coverage(cycle, world.setting).plan
    assert [found.policy for found in seen.coverage or ()] == ["shop"]

    def blind(error: Refused | Incomplete) -> Setting:
        reader = FaultyReader(
            world.cluster, lambda resource, _: resource.kind == "Namespace", error=error
        )
        return replace(world.setting, reader=reader)

    told = make_plan(blind(Refused("list namespace: HTTP 403")))
    assert told.plan.coverage is None
    assert told.plan.notes[-1] == "what policies protect is not shown: list namespace: HTTP 403"
    assert told.findings == ()
    with pytest.raises(Refused):
        make_plan(blind(Refused("list namespace: HTTP 403")), must_see=True)
    with pytest.raises(Incomplete):
        make_plan(blind(Incomplete("list namespace: hung up")))
