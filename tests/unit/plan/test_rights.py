"""The table of rights is what `deploy/` grants, both ways, and so is the admission policy."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.model.doctor import Level
from reconciler.model.rights import Right
from reconciler.plan import rights
from reconciler.plan.rights import NEEDS, Denied, Role
from tests.unit.engine.doctor_world import is_known

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
FILES = {
    Role.CONTROLLER: "base/rbac-controller.yaml",
    Role.RUN: "base/rbac-run.yaml",
    Role.RESTORE: "components/restore/rbac.yaml",
}
HOOKS = "components/hooks"
OWN = "backstay-system"
Object = dict[str, Any]


def load(path: str) -> list[Object]:
    """The documents of a file of `deploy/`."""
    return [found for found in yaml.safe_load_all((DEPLOY / path).read_text()) if found]


def granted(documents: list[Object]) -> Iterator[Right]:
    """Every single right that Roles and ClusterRoles of a file grant."""
    for found in documents:
        if found["kind"] not in ("Role", "ClusterRole"):
            continue
        namespace = found["metadata"].get("namespace", "")
        for rule in found["rules"]:
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    for name in rule.get("resourceNames", [""]):
                        for verb in rule["verbs"]:
                            yield Right(
                                verb=verb, group=group, resource=resource, name=name,
                                namespace=namespace,
                            )  # fmt: skip


@pytest.mark.parametrize("role", Role)
def test_the_table_is_what_deploy_grants(role: Role) -> None:
    needed = [need.at(OWN) for need in NEEDS[role]]
    assert len(set(needed)) == len(needed)
    assert set(needed) == set(granted(load(FILES[role])))


def test_hooks_need_what_their_component_grants_and_no_more() -> None:
    at = [need.at("shop") for need in rights.HOOKS]
    made = {replace(right, namespace="shop") for right in granted(load(f"{HOOKS}/rbac.yaml"))}
    assert (
        set(at)
        == made
        == {Right(verb=verb, resource="pods/exec", namespace="shop") for verb in ("get", "create")}
    )


def test_hooks_are_bound_for_runs_in_a_namespace_that_somebody_names() -> None:
    assert not [found for found in load(f"{HOOKS}/rbac.yaml") if found["kind"].endswith("Binding")]
    (binding,) = load(f"{HOOKS}/rolebinding.yaml")
    assert (binding["kind"], binding["metadata"]["namespace"]) == ("RoleBinding", "shop")
    (role,) = load(f"{HOOKS}/rbac.yaml")
    assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) == (
        role["kind"],
        role["metadata"]["name"],
    )
    (subject,) = binding["subjects"]
    user = f"system:serviceaccount:{subject['namespace']}:{subject['name']}"
    assert user == Role.RUN.user(OWN)


@pytest.mark.parametrize("role", Role)
def test_the_rights_are_bound_to_the_roles_own_account(role: Role) -> None:
    bindings = [found for found in load(FILES[role]) if found["kind"].endswith("Binding")]
    assert bindings
    for binding in bindings:
        (subject,) = binding["subjects"]
        user = f"system:serviceaccount:{subject['namespace']}:{subject['name']}"
        assert user == role.user(OWN)


def test_the_accounts_are_those_that_deploy_makes() -> None:
    made = {found["metadata"]["name"] for found in load("base/serviceaccounts.yaml")}
    assert made == {role.account for role in Role}


def test_every_right_has_a_reason_and_a_known_id() -> None:
    for role, needs in NEEDS.items():
        for need in needs:
            assert need.why
            assert is_known(rights.right_id(role, need.right))


def test_what_is_missing_is_told_with_why_it_is_needed() -> None:
    by_id = {rights.right_id(Role.RUN, need.right): need for need in NEEDS[Role.RUN]}
    denied = [
        Denied(by_id["rights/run/create/jobs.batch"]),
        Denied(by_id["rights/run/list"], ["secrets", "pods"], "no such role"),
        Denied(by_id["rights/run/update/leases.coordination.k8s.io"]),
    ]
    found = rights.judge(Role.RUN, denied, namespace=OWN, who="run", level=Level.PROBLEM)
    assert [one.message for one in found] == [
        "may not create jobs.batch: it starts movers, and removes them",
        (
            "may not list secrets, pods: what it can't list is a gap in the recovery point"
            " (no such role)"
        ),
        (
            "may not update leases.coordination.k8s.io in namespace backstay-system: one run of a"
            " policy at a time"
        ),
    ]
    assert {one.level for one in found} == {Level.PROBLEM}
    assert all("rbac-run.yaml" in one.hint for one in found)


def test_many_missing_kinds_are_counted() -> None:
    need = next(n for n in NEEDS[Role.RUN] if n.right.resource == "*")
    (found,) = rights.judge(
        Role.RUN, [Denied(need, [f"k{n}" for n in range(9)])], namespace=OWN, who="r",
        level=Level.PROBLEM,
    )  # fmt: skip
    assert "k0, k1, k2, k3, k4 and 4 more kinds" in found.message


def policy_spec() -> Object:
    """The shipped admission policy as an API server stores it, with its own additions."""
    found = next(
        one for one in load("base/admission-run.yaml") if one["kind"] == "ValidatingAdmissionPolicy"
    )
    assert found["metadata"]["name"] == rights.ADMISSION
    spec: Object = copy.deepcopy(found["spec"])
    spec["matchConstraints"] |= {"matchPolicy": "Equivalent", "namespaceSelector": {}}
    for rule in spec["matchConstraints"]["resourceRules"]:
        rule["scope"] = "*"
    return spec


def test_the_shipped_admission_policy_is_recognised() -> None:
    # After a change of deploy/base/admission-run.yaml: SHIPPED is what this says.
    assert rights.admission_digest(policy_spec(), OWN) == rights.SHIPPED


def test_another_namespace_of_ours_is_the_same_policy() -> None:
    text = yaml.safe_dump(policy_spec()).replace(f":{OWN}:", ":elsewhere:")
    assert rights.admission_digest(yaml.safe_load(text), "elsewhere") == rights.SHIPPED


@pytest.mark.parametrize("part", ["validations", "variables", "matchConditions"])
def test_a_rule_less_is_another_policy(part: str) -> None:
    spec = policy_spec()
    spec[part].pop()
    assert rights.admission_digest(spec, OWN) != rights.SHIPPED


def test_a_policy_that_fails_open_is_another_one() -> None:
    assert rights.admission_digest({**policy_spec(), "failurePolicy": "Ignore"}, OWN) != (
        rights.SHIPPED
    )
