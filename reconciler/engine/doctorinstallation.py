"""Asks whether what `deploy/` installs is there, and whether the controller does its work."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from reconciler import policy
from reconciler.engine.doctorfacts import Facts, failed
from reconciler.engine.observe import read_all
from reconciler.model import kinds, naming
from reconciler.model.config import DEFAULT_FILE
from reconciler.model.doctor import Finding, Level
from reconciler.model.errors import BackstayError, InvalidInput, Refused
from reconciler.model.objects import Resource
from reconciler.plan import rights
from reconciler.plan.doctorpolicies import age_text
from reconciler.plan.podlife import moment_of
from reconciler.plan.rights import ADMISSION, Role

Raw = Mapping[str, Any]
CONTROLLER = "backstay-controller"
_APPLY = "kubectl apply -k your overlay of deploy/base"
_QUIET = timedelta(minutes=20)
"""Longer than a cycle may hang before it ends the controller's process."""


def _one(facts: Facts, resource: Resource, name: str, namespace: str = "") -> Raw | None:
    """By a list: a run's account may list everything, and get next to nothing."""
    selector = f"metadata.name={name}"
    found = read_all(facts.cluster, resource, dict, namespace=namespace, field_selector=selector)
    return found[0] if found else None


def ask_accounts(facts: Facts) -> Iterator[Finding]:
    """The namespace and the accounts in it."""
    if _one(facts, kinds.NAMESPACES, facts.namespace) is None:
        yield Finding(
            id="installation/accounts",
            level=Level.PROBLEM,
            where=f"Namespace {facts.namespace}",
            message="is not there: Backstay is not installed here",
            hint="deploy/README.md says how; is this the right cluster?",
        )
        return
    accounts = read_all(facts.cluster, kinds.SERVICE_ACCOUNTS, dict, namespace=facts.namespace)
    there = {raw["metadata"]["name"] for raw in accounts}
    missing = [role.account for role in Role if role.account not in there]
    if missing:
        yield Finding(
            id="installation/accounts",
            level=Level.PROBLEM,
            where=f"Namespace {facts.namespace}",
            message=f"has no service account {', '.join(missing)}",
            hint=_APPLY,
        )
    else:
        yield Finding(
            id="installation/accounts",
            level=Level.OK,
            where=f"Namespace {facts.namespace}",
            message=f"has {', '.join(role.account for role in Role)}",
        )


def ask_config(facts: Facts) -> Iterator[Finding]:
    """Runs read the Config of the cluster: one here with another name would look elsewhere."""
    where = f"ConfigMap {facts.namespace}/{facts.config_map}"
    found = _one(facts, kinds.CONFIG_MAPS, facts.config_map, facts.namespace)
    text = ((found or {}).get("data") or {}).get(DEFAULT_FILE)
    if found is None or text is None:
        yield Finding(
            id="installation/config",
            level=Level.PROBLEM,
            where=where,
            message="is not there" if found is None else f"has no key {DEFAULT_FILE}",
            hint="without it neither controller nor runs start; " + _APPLY,
        )
        return
    try:
        name = policy.parse_config(where, str(text).encode()).cluster.name
    except InvalidInput as error:
        yield failed("installation/config", error, where)
        return
    here = facts.config.cluster.name
    if name == here:
        yield Finding(
            id="installation/config", level=Level.OK, where=where, message=f"is of cluster {name}"
        )
        return
    yield Finding(
        id="installation/config",
        level=Level.PROBLEM,
        where=where,
        message=f"names the cluster {name}, and the Config given here names it {here}: branches,"
        " URLs and passwords follow from the name, so nothing of this cluster is found from here",
        hint=f"put cluster.name: {name} into the Config given here; or is this another cluster than"
        " you meant (--kubeconfig, --context)?",
    )


def ask_admission(facts: Facts) -> Iterator[Finding]:
    """RBAC lets a run write Jobs and Secrets anywhere; only this policy narrows it to its own."""
    where = f"ValidatingAdmissionPolicy {ADMISSION}"
    found = _one(facts, kinds.ADMISSION_POLICIES, ADMISSION)
    binding = _one(facts, kinds.ADMISSION_BINDINGS, ADMISSION)
    spec = (binding or {}).get("spec") or {}
    bound = spec.get("policyName") == ADMISSION and "Deny" in (spec.get("validationActions") or ())
    level, message, hint = Level.OK, "is there and in force, as shipped", ""
    if found is None or not bound:
        level = Level.PROBLEM
        message = "is not there" if found is None else "is not in force: its binding does not deny"
        message += f", so backstay-run may write any Job and Secret in {_scope(facts)}"
        hint = "kubectl apply -f deploy/base/admission-run.yaml"
    elif rights.admission_digest(found.get("spec") or {}, facts.namespace) != rights.SHIPPED:
        level = Level.WARNING
        message = "differs from the one that this version of Backstay ships"
        hint = "compare: kubectl diff -f deploy/base/admission-run.yaml; then apply it again"
    yield Finding(id="installation/admission", level=level, where=where, message=message, hint=hint)


def _scope(facts: Facts) -> str:
    return f"cluster {facts.config.cluster.name}"


def ask_controller(facts: Facts) -> Iterator[Finding]:
    """Backups don't depend on it, new and changed policies do."""
    where = f"Deployment {facts.namespace}/{CONTROLLER}"
    found = _one(facts, kinds.DEPLOYMENTS, CONTROLLER, facts.namespace)
    if found is None:
        yield Finding(
            id="installation/controller",
            level=Level.PROBLEM,
            where=where,
            message="is not there: schedules do not follow Git",
            hint=_APPLY,
        )
        return
    wanted = (found.get("spec") or {}).get("replicas", 1)
    ready = (found.get("status") or {}).get("readyReplicas") or 0
    describe = f"kubectl -n {facts.namespace} describe deploy,pod"
    select = f"-l {naming.COMPONENT}=controller"
    level, message, hint = Level.OK, "is ready", ""
    if not wanted:
        level, message = Level.PROBLEM, "is scaled to 0: schedules do not follow Git"
        hint = f"kubectl -n {facts.namespace} scale deploy {CONTROLLER} --replicas=1"
    elif not ready:
        level, message = Level.PROBLEM, f"is not ready{_why(found)}: schedules do not follow Git"
        hint = f"{describe} {select}"
    elif wanted > 1:
        level, message = Level.WARNING, f"has {wanted} replicas; one is enough, the rest wait"
        hint = f"kubectl -n {facts.namespace} scale deploy {CONTROLLER} --replicas=1"
    yield Finding(
        id="installation/controller", level=level, where=where, message=message, hint=hint
    )
    yield _image(facts, found, where)


def _why(deployment: Raw) -> str:
    for condition in (deployment.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Available" and condition.get("status") == "False":
            return f" ({condition.get('reason')})"
    return ""


def _image(facts: Facts, deployment: Raw, where: str) -> Finding:
    pod = ((deployment.get("spec") or {}).get("template") or {}).get("spec") or {}
    images = [str(one.get("image")) for one in pod.get("containers") or ()]
    if facts.config.image in images:
        return Finding(id="versions/image", level=Level.OK, message=facts.config.image)
    return Finding(
        id="versions/image",
        level=Level.WARNING,
        where=where,
        message=f"runs {', '.join(images)}, and Config gives {facts.config.image} to runs and"
        " movers",
        hint="give both the same image: `image` in Config, and `images` in the overlay",
    )


def ask_cycle(facts: Facts) -> Iterator[Finding]:
    """Its log says how its last cycle went; where it can't be read, what it did has to do."""
    where = f"Deployment {facts.namespace}/{CONTROLLER}"
    try:
        line = _last_cycle(facts)
    except BackstayError as error:
        # No account of ours may read logs: from its pod that is no news.
        own = isinstance(error, Refused) and facts.who == Role.RUN.user(facts.namespace)
        yield Finding(
            id="installation/cycle",
            level=Level.INFO if own else Level.UNKNOWN,
            where=where,
            message=error.message,
            hint="its effect is seen at policies/applied; or ask with the right to read its log",
        )
        return
    when = moment_of((line or {}).get("time"))
    log = f"kubectl -n {facts.namespace} logs deploy/{CONTROLLER}"
    if line is None or when is None:
        yield Finding(
            id="installation/cycle",
            level=Level.WARNING,
            where=where,
            message="its log tells of no cycle yet",
            hint=f"wait a minute, then: {log}",
        )
        return
    interval = timedelta(seconds=facts.config.policy_source.interval)
    age = facts.ports.clock.now() - when
    if age > max(3 * interval, _QUIET):
        level, message = Level.PROBLEM, f"its last cycle ended {age_text(age)} ago"
    elif line.get("event") == "cycle failed":
        level, message = Level.PROBLEM, f"its last cycle failed: {line.get('error')}"
    else:
        level, message = Level.OK, f"its last cycle was done at {line['time']}"
    hint = "" if level is Level.OK else str(line.get("hint") or "") or log
    yield Finding(id="installation/cycle", level=level, where=where, message=message, hint=hint)


def _last_cycle(facts: Facts) -> dict[str, Any] | None:
    """The newest line of the controller's log that ends a cycle."""
    label = f"{naming.COMPONENT}=controller"
    pods = read_all(
        facts.cluster, kinds.PODS, dict, namespace=facts.namespace, label_selector=label
    )
    newest = sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))
    for pod in reversed(newest):
        text = facts.cluster.logs(facts.namespace, pod["metadata"]["name"], tail=500)
        for line in reversed(text.splitlines()):
            try:
                found = json.loads(line)
            except ValueError:
                continue
            if isinstance(found, dict) and found.get("event") in ("cycle done", "cycle failed"):
                return found
    return None
