"""Who lacks rights is told which; to ask for them takes none, not even that to say who one is."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model.doctor import Finding, Level
from reconciler.model.errors import Refused, Transient
from tests.unit.engine.doctor_world import DoctorWorld
from tests.unit.engine.test_doctor_findings import PROBLEM


class Blind:
    """A cluster that does not say which one it is."""

    def __init__(self, world: DoctorWorld, error: Exception) -> None:
        self._inner = world.cluster
        self._error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def identity(self) -> Any:
        """Fails."""
        raise self._error


DENIED = Refused("get namespace/kube-system: not allowed", hint="grant get on namespaces")


@pytest.fixture
def world() -> DoctorWorld:
    """Return an installation that nothing is wrong with, seen by somebody without rights."""
    world = DoctorWorld()
    world.cluster.impersonation = False
    kinds = [found.kind_name for found in map(_Kind, world.cluster.discover().resources)]
    for verb in ("get", "list", "create", "patch", "update"):
        world.cluster.denied.update(("", verb, kind) for kind in ("everything", *kinds))
    world.cluster.denied.add(("", "delete", "jobs.batch"))
    return world


class _Kind:
    def __init__(self, resource: Any) -> None:
        group = f".{resource.group}" if resource.group else ""
        self.kind_name = f"{resource.plural}{group}"


def told(world: DoctorWorld, error: Exception) -> dict[str, Finding]:
    made = world.doctor(cluster=lambda: Blind(world, error))
    return {one.id: one for one in made.findings}


def test_every_right_that_is_missing_is_listed_with_its_next_step(world: DoctorWorld) -> None:
    found = told(world, DENIED)
    assert (found["cluster/api"].level, found["cluster/api"].message) == (PROBLEM, DENIED.message)
    missing = {
        "rights/restore/get", "rights/restore/list", "rights/restore/create",
        "rights/restore/patch", "rights/restore/update", "rights/restore/delete/jobs.batch",
    }  # fmt: skip
    assert {one for one in found if one.startswith("rights/restore/")} == missing
    for one in missing:
        assert found[one].level is Level.WARNING
        assert found[one].message.startswith("may not ")
        assert "ask somebody" in found[one].hint
    yours = {one: found[one] for one in found if one.startswith("rights/you/")}
    assert {"rights/you/list/namespaces", "rights/you/create/jobs.batch"} <= yours.keys()
    assert "rights/you/get/pods/log" not in yours, "that one is there"
    for finding in yours.values():
        assert finding.level is Level.WARNING
        assert "kubectl auth can-i " in finding.hint
    assert yours["rights/you/create/jobs.batch"].message == (
        "may not create jobs.batch in namespace backstay-system: `run` makes a Job of the"
        " schedule, and follows it"
    )
    assert (
        "can-i create jobs.batch -n backstay-system" in yours["rights/you/create/jobs.batch"].hint
    )
    assert "more kinds" in found["rights/restore/list"].message
    for role in ("controller", "run"):
        assert found[f"rights/{role}"].level is Level.UNKNOWN
        assert "not allowed to ask in the name of" in found[f"rights/{role}"].message


def test_one_right_that_a_command_needs_is_missed_alone() -> None:
    world = DoctorWorld()
    world.cluster.denied.add(("", "get", "pods/log"))
    (found,) = world.wrong()
    assert (found.id, found.level) == ("rights/you/get/pods/log", Level.WARNING)
    assert "can-i get pods --subresource=log -n backstay-system" in found.hint


def test_what_needs_no_right_is_asked_all_the_same(world: DoctorWorld) -> None:
    found = told(world, DENIED)
    assert found["cluster/clock"].level is Level.OK
    assert found["policies/applied"].level is Level.UNKNOWN
    assert found["git/cluster"].level is Level.UNKNOWN


def test_a_cluster_that_is_away_is_not_asked_on(world: DoctorWorld) -> None:
    found = told(world, Transient("no route to host"))
    assert found["rights/restore"].level is Level.UNKNOWN
    assert found["rights/restore"].hint == "see cluster/api"
