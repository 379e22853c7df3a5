"""Asks whether runs may execute the hooks of policies, in the namespaces where they would."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.engine.doctorfacts import Facts
from reconciler.engine.observe import observe_namespaces, read_all
from reconciler.model import kinds
from reconciler.model.doctor import Finding, Level
from reconciler.model.errors import Refused
from reconciler.plan import rights
from reconciler.plan.hooks import may_run
from reconciler.plan.rights import Role
from reconciler.plan.selection import select_namespaces

CHECK = "policies/hooks"
_MOST = 100
"""Namespaces that are asked about, each with two questions."""
_SHOWN = 5


def ask_hooks(facts: Facts) -> Iterator[Finding]:
    """Nothing is asked as long as no policy has hooks."""
    run = Role.RUN.user(facts.namespace)
    wanted = _wanted(facts)
    own = {role.user(facts.namespace): role for role in Role}.get(facts.who)
    if not wanted:
        has = any(policy.hooks for policy in facts.policies)
        told = "no hook runs in a namespace that is there" if has else "no policy has hooks"
        yield Finding(id=CHECK, level=Level.OK, where=run, message=told)
        return
    if own not in (None, Role.RUN):
        yield Finding(
            id=CHECK,
            level=Level.INFO,
            where=run,
            message=f"not asked from a pod of {own.account if own else ''}",
            hint="run backstay doctor from a terminal",
        )
        return
    asked = sorted(wanted)[:_MOST]
    try:
        denied = [name for name in asked if not _may(facts, name, "" if own else run)]
    except Refused as error:
        yield Finding(
            id=CHECK, level=Level.UNKNOWN, where=run, message=error.message, hint=error.hint
        )
        return
    if denied:
        yield _denied(facts, run, denied, wanted)
    elif not _narrowed(facts):
        yield Finding(
            id=CHECK,
            level=Level.WARNING,
            where=run,
            message=f"may execute hooks in {_count(len(wanted))}, and shells as well: the"
            f" ValidatingAdmissionPolicy {rights.HOOKS_ADMISSION} is not in force",
            hint="kubectl apply -f deploy/components/hooks/admission-hooks.yaml, with this user in"
            " its matchConditions",
        )
    else:
        more = f" (asked of the first {_MOST})" if len(wanted) > _MOST else ""
        told = f"may execute hooks in {_count(len(wanted))}{more}"
        yield Finding(id=CHECK, level=Level.OK, where=run, message=told)


def _wanted(facts: Facts) -> dict[str, list[str]]:
    """Namespace → policies whose hooks would run there now."""
    wanted: defaultdict[str, list[str]] = defaultdict(list)
    policies = [policy for policy in facts.policies if policy.hooks]
    namespaces = observe_namespaces(facts.cluster) if policies else ()
    for policy in policies:
        chosen = select_namespaces(
            policy.selector.namespaces, namespaces, own_namespace=facts.namespace
        )
        for name in may_run(policy, chosen.names, own_namespace=facts.namespace):
            wanted[name].append(policy.name)
    return dict(wanted)


def _may(facts: Facts, namespace: str, subject: str) -> bool:
    return all(facts.api.may(need.at(namespace), subject=subject).allowed for need in rights.HOOKS)


def _narrowed(facts: Facts) -> bool:
    """Whether the admission policy of the component is there, meets our runs and denies."""
    name = f"metadata.name={rights.HOOKS_ADMISSION}"
    policies = read_all(facts.cluster, kinds.ADMISSION_POLICIES, dict, field_selector=name)
    bindings = read_all(facts.cluster, kinds.ADMISSION_BINDINGS, dict, field_selector=name)
    specs = [raw.get("spec") or {} for raw in bindings]
    return any(_meets(raw, Role.RUN.user(facts.namespace)) for raw in policies) and any(
        spec.get("policyName") == rights.HOOKS_ADMISSION
        and "Deny" in (spec.get("validationActions") or ())
        for spec in specs
    )


def _meets(policy: Mapping[str, Any], user: str) -> bool:
    """Not where it was installed for another namespace: then it asks for another user."""
    conditions = (policy.get("spec") or {}).get("matchConditions") or ()
    told = [str(one.get("expression", "")) for one in conditions]
    return not told or any(f"'{user}'" in one or f'"{user}"' in one for one in told)


def _denied(facts: Facts, run: str, denied: list[str], wanted: dict[str, list[str]]) -> Finding:
    shown = ", ".join(denied[:_SHOWN])
    more = f" and {len(denied) - _SHOWN} more" if len(denied) > _SHOWN else ""
    policies = ", ".join(sorted({name for one in denied for name in wanted[one]})[:_SHOWN])
    return Finding(
        id=CHECK,
        level=Level.PROBLEM,
        where=run,
        message=f"may not get and create pods/exec in {shown}{more}, where hooks of {policies} run",
        hint="with deploy/components/hooks applied: kubectl create rolebinding backstay-hooks"
        f" --clusterrole=backstay-hooks --serviceaccount={facts.namespace}:{Role.RUN.account}"
        f" -n {denied[0]}",
    )


def _count(namespaces: int) -> str:
    return "1 namespace" if namespaces == 1 else f"{namespaces} namespaces"
