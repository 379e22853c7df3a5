"""Asks what policies get: schedules, runs, namespaces, and claims that can be copied."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from reconciler.engine.context import policy_branch
from reconciler.engine.coverage import observe_coverage
from reconciler.engine.doctorfacts import Facts
from reconciler.engine.doctorleftovers import run_of_job
from reconciler.engine.history import read_record
from reconciler.engine.observe import read_all
from reconciler.model import kinds, naming
from reconciler.model.cronhash import compile_policy
from reconciler.model.doctor import Finding, Level
from reconciler.model.errors import BackstayError
from reconciler.model.plan import Action, Change, Coverage, History, Observed
from reconciler.model.run import Outcome
from reconciler.plan.begun import policy_of_run
from reconciler.plan.cronjob import Place
from reconciler.plan.doctorpolicies import Runs, judge_runs
from reconciler.plan.schedules import plan_schedules

_SHOWN = 10
_DEFAULT = "storageclass.kubernetes.io/is-default-class"
_DEFAULTS = (_DEFAULT, "storageclass.beta.kubernetes.io/is-default-class")
"""The API server still takes the older one."""


def ask_applied(facts: Facts) -> Iterator[Finding]:
    """The controller's own plan: is there anything left to do, or in the way?"""
    lists = (
        tuple(read_all(facts.cluster, kind, dict, namespace=facts.namespace))
        for kind in (kinds.CRON_JOBS, kinds.CONFIG_MAPS, kinds.JOBS)
    )
    facts.found_observed = Observed(*lists)
    files = facts.files
    state = [
        raw for raw in facts.observed.config_maps if raw["metadata"]["name"] == "backstay-state"
    ]
    plan = plan_schedules(
        facts.desired,
        facts.observed,
        History(
            revision=files.revision,
            descends=files.descends,
            last=str((state[0].get("data") or {}).get("revision", "")) if state else "",
            path=facts.config.policy_source.path,
            path_found=files.path_found,
        ),
        facts.config,
        place=Place(namespace=facts.namespace, config_map=facts.config_map),
        now=facts.ports.clock.now(),
    )
    changes = [one for one in plan.changes if facts.policy in ("", one.policy)]
    yield from _unused(changes)
    pending = [one for one in changes if one.changes]
    skipped = [one for one in changes if one.action is Action.SKIPPED]
    for change in skipped[:_SHOWN]:
        yield _applied(change.reason, change.hint or "backstay plan shows more", _name(change))
    for brake in plan.brakes:
        yield _applied(f"nothing is deleted: {brake}", "backstay plan shows what is kept, and how")
    if pending:
        names = ", ".join(f"{one.action} {_name(one)}" for one in pending[:3])
        more = f" and {len(pending) - 3} more" if len(pending) > 3 else ""
        yield _applied(
            f"{files.revision} is not applied yet: {names}{more}",
            f"the controller does it within {facts.config.policy_source.interval} s; if it stays:"
            f" kubectl -n {facts.namespace} logs deploy/backstay-controller",
        )
    elif not skipped and not plan.brakes:
        yield Finding(id="policies/applied", level=Level.OK, message=f"as in {files.revision}")


def _applied(message: str, hint: str, where: str = "") -> Finding:
    return Finding(
        id="policies/applied", level=Level.WARNING, where=where, message=message, hint=hint
    )


def _name(change: Change) -> str:
    return f"{change.object.kind}/{change.object.name}"


def _unused(changes: list[Change]) -> Iterator[Finding]:
    unused = [
        one for one in changes if one.object.kind == "ConfigMap" and one.reason.startswith("unused")
    ]
    for one in unused[:_SHOWN]:
        yield Finding(
            id="leftovers/configmap",
            level=Level.INFO,
            where=str(one.object),
            message=one.reason,
            hint="nothing: the controller removes it when its time is over",
        )
    if not unused:
        yield Finding(id="leftovers/configmap", level=Level.OK, message="none")


def ask_runs(facts: Facts) -> Iterator[Finding]:
    """Each policy's schedule, its last run and what it missed."""
    jobs = [(run_of_job(dict(raw)), raw) for raw in facts.observed.jobs]
    pods = read_all(facts.cluster, kinds.PODS, dict, namespace=facts.namespace)
    cron_jobs = {raw["metadata"]["name"]: raw for raw in facts.observed.cron_jobs}
    now = facts.ports.clock.now()
    for policy in facts.policies:
        branch = policy_branch(facts.config.cluster.name, policy.name)
        known = branch not in facts.failed_branches and facts.found_branches is not None
        points = facts.points.get(branch, ())
        runs = Runs(
            policy=compile_policy(policy, facts.config.cluster.name),
            namespace=facts.namespace,
            cron_job=cron_jobs.get(naming.cronjob_name(policy.name)),
            points=points if known else None,
            jobs=[one for one in jobs if one[0] and policy_of_run(one[0]) == policy.name],
            pods=pods,
            reasons=_reasons(facts, points[0].commit)
            if points and points[0].outcome is not Outcome.COMPLETED
            else (),
        )
        yield from judge_runs(runs, now)


def _reasons(facts: Facts, commit: str) -> tuple[str, ...]:
    try:
        found = read_record(facts.store, commit)
    except BackstayError:
        return ()
    told = [f"{part.name}: {why}" for part in found.namespaces for why in part.reasons]
    return (*told, *found.warnings) if told or found.warnings else ()


def ask_selection(facts: Facts) -> Iterator[Finding]:
    """What each policy would protect if it ran now, by the run's own decisions."""
    covered = observe_coverage(
        facts.cluster, facts.policies, facts.config, own_namespace=facts.namespace
    )
    suspended = {policy.name for policy in facts.policies if policy.suspend}
    for coverage in covered:
        for found in _selected(coverage):
            bad = found.level is Level.PROBLEM and coverage.policy in suspended
            rest = f"{found.message}; it is suspended"
            yield replace(found, level=Level.INFO, message=rest) if bad else found


def _selected(coverage: Coverage) -> Iterator[Finding]:
    where, count = f"policy {coverage.policy}", len(coverage.namespaces)
    if not count:
        yield Finding(
            id="policies/selection",
            level=Level.PROBLEM,
            where=where,
            message="selects no namespace that is there: its runs fail",
            hint="correct its selector, or suspend it",
        )
        return
    told = "1 namespace" if count == 1 else f"{count} namespaces"
    yield Finding(id="policies/selection", level=Level.OK, where=where, message=f"selects {told}")
    yield from _claims(coverage, where)


def _claims(coverage: Coverage, where: str) -> Iterator[Finding]:
    stuck = [line for line in coverage.claims if not line.possible]
    for line in stuck[:_SHOWN]:
        yield Finding(
            id="storage/claims",
            level=Level.INFO if line.restoring else Level.PROBLEM,
            where=f"{where}, claim {line.namespace}/{line.claim}",
            message=f"can't be copied: {line.why}",
            hint="see leftovers/restoring-claim"
            if line.restoring
            else "give it a rule with copyMethod: Skip and a reason, or change what is in the way",
        )
    if len(stuck) > _SHOWN:
        yield Finding(
            id="storage/claims",
            level=Level.INFO if all(one.restoring for one in stuck[_SHOWN:]) else Level.PROBLEM,
            where=where,
            message=f"{len(stuck) - _SHOWN} more claims can't be copied",
            hint="backstay plan lists them all",
        )
    if not stuck:
        yield Finding(
            id="storage/claims",
            level=Level.OK,
            where=where,
            message="every claim can be copied, or is left out by rule"
            if coverage.claims
            else "it selects no claim",
        )


def ask_storage(facts: Facts) -> Iterator[Finding]:
    """Classes that claims of a restore need, and those that snapshots will."""
    classes = read_all(facts.cluster, kinds.STORAGE_CLASSES, dict)
    default = [
        raw["metadata"]["name"]
        for raw in classes
        if "true" in map((raw["metadata"].get("annotations") or {}).get, _DEFAULTS)
    ]
    if default:
        level = Level.OK if len(default) == 1 else Level.INFO
        message = default[0] if len(default) == 1 else f"{', '.join(default)}: the newest counts"
        hint = ""
    else:
        level, message = Level.WARNING, "there is none: claims without a class wait for ever"
        hint = f"kubectl annotate storageclass NAME {_DEFAULT}=true"
    yield Finding(id="storage/default-class", level=level, message=message, hint=hint)
    served = {(one.group, one.plural) for one in facts.cluster.discover().resources}
    snapshots = []
    if (kinds.SNAPSHOT_CLASSES.group, kinds.SNAPSHOT_CLASSES.plural) in served:
        snapshots = read_all(facts.cluster, kinds.SNAPSHOT_CLASSES, dict)
    names = ", ".join(raw["metadata"]["name"] for raw in snapshots) or "none"
    yield Finding(
        id="storage/snapshot-classes",
        level=Level.INFO,
        message=f"{names}; copyMethod Snapshot is not supported yet",
    )
