"""The doctor asks whether runs may execute hooks, where policies have some, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.engine.doctorfacts import Facts
from reconciler.engine.doctorhooks import ask_hooks
from reconciler.model.doctor import Finding, Level
from reconciler.model.hooks import Hook, HookCommand
from reconciler.model.plan import Desired
from reconciler.model.policy import (
    BackupPolicy,
    Document,
    Kind,
    NamespaceSelector,
    ParsedFiles,
    Selector,
)
from tests.unit.engine.doctor_world import DoctorWorld
from tests.unit.engine.run_world import SYSTEM, manifest
from tests.unit.policy.test_model import POLICY

RUN = f"system:serviceaccount:{SYSTEM}:backstay-run"
DEPLOY = Path(__file__).resolve().parents[3] / "deploy/components/hooks"
_AUDIT = {"validationActions": ["Audit"]}
SYNC = Hook(name="sync", match_labels={"app": "db"}, pre=HookCommand(("sync",)))


@pytest.fixture
def world() -> DoctorWorld:
    """Return an installation with two shops beside what it has."""
    made = DoctorWorld()
    for name in ("shop-a", "shop-b"):
        made.cluster.put(manifest("Namespace", name, ""))
    for found in yaml.safe_load_all((DEPLOY / "admission-hooks.yaml").read_text()):
        made.cluster.put(found)
    made.cluster.requests.clear()
    return made


def asked(world: DoctorWorld, *names: str, hooks: Sequence[Hook] = (SYNC,)) -> Finding:
    """What is said of one policy that selects some namespaces, all of them granted to hooks."""
    selector = Selector(namespaces=NamespaceSelector(names=names))
    policy: BackupPolicy = replace(
        POLICY, selector=selector, hooks=tuple(hooks), hooks_within=("shop-*",)
    )
    document = Document(file="a.yaml", index=0, kind=str(Kind.BACKUP_POLICY), value=policy)
    facts: Facts = world.facts()
    facts.found_cluster = facts.found_server = world.cluster
    facts.who = world.cluster.user
    facts.found_desired = Desired(ParsedFiles(documents=(document,)))
    (found,) = ask_hooks(facts)
    assert found.id == "policies/hooks"
    return found


def test_without_hooks_nothing_is_asked(world: DoctorWorld) -> None:
    found = asked(world, "shop-a", hooks=())
    assert (found.level, found.message) == (Level.OK, "no policy has hooks")
    assert not world.cluster.requests


def test_rights_are_asked_where_hooks_run_in_the_runs_name(world: DoctorWorld) -> None:
    found = asked(world, "shop-*")
    assert (found.level, found.where) == (Level.OK, RUN)
    assert found.message == "may execute hooks in 2 namespaces"
    assert world.cluster.requests["may"] == 4


@pytest.mark.parametrize("verb", ["get", "create"])
def test_a_missing_right_is_told_with_the_command_that_gives_it(
    world: DoctorWorld, verb: str
) -> None:
    world.cluster.denied.add((RUN, verb, "pods/exec"))
    found = asked(world, "shop-*")
    assert found.level is Level.PROBLEM
    assert found.message == (
        "may not get and create pods/exec in shop-a, shop-b, where hooks of shop run"
    )
    assert found.hint.endswith(f"--serviceaccount={SYSTEM}:backstay-run -n shop-a")


def installed_elsewhere(raw: Any) -> None:
    """The admission policy, as it is where nobody has patched its user's namespace."""
    (condition,) = raw["spec"]["matchConditions"]
    assert RUN in condition["expression"]
    condition["expression"] = condition["expression"].replace(RUN, RUN.replace(SYSTEM, "backups"))


def test_an_admission_policy_for_everybody_narrows_it(world: DoctorWorld) -> None:
    for raw in world.cluster.all("ValidatingAdmissionPolicy"):
        if raw["metadata"]["name"] == "backstay-hooks":
            world.cluster.edit(raw, lambda found: found["spec"].pop("matchConditions"))
    assert asked(world, "shop-a").level is Level.OK


@pytest.mark.parametrize("broken", ["gone", "unbound", "audit", "another user"])
def test_an_admission_policy_that_does_not_narrow_it(world: DoctorWorld, broken: str) -> None:
    for raw in world.cluster.all("ValidatingAdmissionPolicyBinding"):
        if raw["metadata"]["name"] == "backstay-hooks":
            if broken == "audit":
                world.cluster.edit(raw, lambda found: found["spec"].update(_AUDIT))
            elif broken == "unbound":
                world.cluster.remove(raw)
    for raw in world.cluster.all("ValidatingAdmissionPolicy"):
        if raw["metadata"]["name"] == "backstay-hooks" and broken == "gone":
            world.cluster.remove(raw)
        elif raw["metadata"]["name"] == "backstay-hooks" and broken == "another user":
            world.cluster.edit(raw, installed_elsewhere)
    found = asked(world, "shop-a")
    assert found.level is Level.WARNING
    assert "and shells as well" in found.message
    assert "deploy/components/hooks/admission-hooks.yaml" in found.hint


def test_namespaces_beyond_the_grant_are_not_asked_about(world: DoctorWorld) -> None:
    found = asked(world, "shop", "kube-system")
    assert (found.level, found.message) == (
        Level.OK,
        "no hook runs in a namespace that is there",
    )
    assert world.cluster.requests["may"] == 0


def test_many_namespaces_cost_a_bounded_number_of_questions(world: DoctorWorld) -> None:
    for number in range(150):
        world.cluster.put(manifest("Namespace", f"shop-{number:03}", ""))
    found = asked(world, "shop-*")
    assert found.message == "may execute hooks in 152 namespaces (asked of the first 100)"
    assert world.cluster.requests["may"] == 200


def test_who_may_not_ask_in_anothers_name_is_told_so(world: DoctorWorld) -> None:
    world.cluster.impersonation = False
    assert asked(world, "shop-a").level is Level.UNKNOWN
    world.cluster.user = RUN
    assert asked(world, "shop-a").level is Level.OK
    world.cluster.user = f"system:serviceaccount:{SYSTEM}:backstay-controller"
    assert asked(world, "shop-a").level is Level.INFO


def test_it_is_among_what_is_asked_of_policies(world: DoctorWorld) -> None:
    made = world.doctor(groups=("policies",)).findings
    found = [one for one in made if one.id == "policies/hooks"]
    assert [one.message for one in found] == ["no policy has hooks"]
