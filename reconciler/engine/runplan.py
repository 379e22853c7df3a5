"""What a run is going to do, decided before it does anything: namespaces, claims, movers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from reconciler import ports
from reconciler.engine import claimlists
from reconciler.engine.context import RunPorts, RunRequest
from reconciler.engine.somenamespaces import observe_selectable
from reconciler.engine.storageclasses import observe_storage
from reconciler.model.errors import Stalled
from reconciler.model.grants import EVERYTHING, covers, find_grant, limit_selector
from reconciler.model.policy import CopyMethod
from reconciler.model.volumes import (
    CopyKind,
    MoveKind,
    MoveTask,
    RepositoryAccess,
    VolumeCopy,
)
from reconciler.plan import copymethods, coverage, selection
from reconciler.plan.copymethods import Storage
from reconciler.plan.selection import Selection, VolumeDecision

_SHOWN = 100
_COPY_STARTS = 1800
"""Seconds until a mover of a copy is at work: some drivers fill a volume before it can be used."""
_FEW = 10
"""A glob under a narrow grant passes over most of a large cluster, in every run."""


class NothingSelected(Stalled):
    """The policy selects no namespace: the run is Failed and commits nothing."""

    reason = "NothingSelected"


class NotGranted(Stalled):
    """Today's Config does not give the policy its Repository any more: nothing is written there."""

    reason = "NotGranted"


@dataclass(frozen=True, slots=True)
class RunPlan:
    """Selected namespaces and a decision for each of their claims."""

    selection: Selection
    decisions: Mapping[str, tuple[VolumeDecision, ...]]
    """By namespace, in the order of the selection."""
    total_namespaces: int
    limited_by: str = ""
    """The folder whose grant limits the namespaces; empty where none does."""
    storage: Storage | None = None
    """None where the policy leaves nothing open that only the cluster's classes can tell."""

    @property
    def with_data(self) -> tuple[str, ...]:
        """Namespaces that have at least one volume to copy."""
        return tuple(name for name, found in self.decisions.items() if any(map(is_copied, found)))


NO_PLAN = RunPlan(Selection(()), {}, 0)
"""Of a run that did not come so far as to plan."""


def is_copied(decision: VolumeDecision) -> bool:
    """Whether a mover runs for this claim."""
    return decision.method is not CopyMethod.SKIP and not decision.impossible


def make_run_plan(request: RunRequest, run: RunPorts) -> RunPlan:
    """Observes namespaces, claims and their users, and decides.

    Raises NothingSelected, NotGranted.
    """
    policy = request.compiled.policy
    # The compiled policy may be older than a grant that was narrowed: today's Config decides, too.
    selector = limit_selector(
        policy.selector.namespaces, request.config.grants, request.policy.source
    )
    namespaces, total = observe_selectable(run.reader, selector)
    chosen = selection.select_namespaces(selector, namespaces, own_namespace=request.namespace)
    if not chosen.namespaces:
        passed = "".join(f"; {found.name}: {found.why}" for found in chosen.passed_over[:_FEW])
        raise NothingSelected(
            f"policy {policy.name} selects no namespace of {total}{passed}; nothing was committed",
            hint="the last recovery point stays as it is; correct the selector, or bring the"
            " namespace back with: backstay restore " + policy.name,
        )
    _check_repository(request)
    claims = claimlists.observe_claims_in(run.reader, chosen.names, total)
    with_claims = tuple(name for name in chosen.names if claims[name])
    users = claimlists.observe_users_in(run.reader, with_claims, total)
    storage = observe_storage(run.reader) if copymethods.needs_storage(policy.volumes) else None
    decisions = {}
    for name in chosen.names:
        used = users.get(name, {})
        decided = selection.decide_volumes(policy.volumes, claims[name], used, storage)
        decisions[name] = tuple(_with_grant(request, found) for found in decided)
    limited_by = "" if selector.within is None else selector.grant or request.policy.source
    return RunPlan(chosen, decisions, total, limited_by, storage)


def _check_repository(request: RunRequest) -> None:
    """As with namespaces, a grant that was narrowed holds for what was compiled before."""
    grants = request.config.grants
    file, _, _ = request.policy.source.rpartition("#")
    if not file or tuple(grants) == EVERYTHING:
        return
    name = request.compiled.repository.name
    grant = find_grant(grants, file)
    if grant is None or not covers(grant.repositories, name):
        where = f"folder {grant.folder}" if grant else file
        raise NotGranted(
            f"Repository {name} is not granted to {where}; nothing was copied",
            hint=f"let policy {request.policy.name} name another one, or grant it in Config; what"
            " is in it already stays, and restores read it",
        )


def _with_grant(request: RunRequest, decision: VolumeDecision) -> VolumeDecision:
    """Refuses a mover with the shared key beside an application unless Config grants it."""
    needed = coverage.needs_shared_key(decision.method)
    if not is_copied(decision) or not needed or request.config.shared_key_in_tenants:
        return decision
    return VolumeDecision(
        claim=decision.claim,
        method=decision.method,
        why=f"{decision.why}; {needed}",
        impossible=True,
        user=decision.user,
    )


def tell_plan(plan: RunPlan, reporter: ports.Reporter) -> None:
    """Logs what the run will do, each line with its reason."""
    for found in plan.selection.namespaces:
        reporter.event("namespace selected", namespace=found.name, why=found.why)
    for passed in plan.selection.passed_over[:_SHOWN]:
        reporter.event("namespace passed over", namespace=passed.name, why=passed.why)
    if (more := len(plan.selection.passed_over) - _SHOWN) > 0:
        reporter.event("and more namespaces passed over", count=more)
    for namespace, decisions in plan.decisions.items():
        for decision in decisions:
            tell = reporter.warning if decision.impossible else reporter.event
            tell(
                "volume planned",
                namespace=namespace,
                claim=decision.claim.name,
                method=str(decision.method),
                why=decision.why,
            )


def make_task(
    request: RunRequest,
    plan: RunPlan,
    namespace: str,
    decision: VolumeDecision,
    access: RepositoryAccess,
) -> MoveTask:
    """The mover's task for one claim that is copied."""
    found = next(chosen for chosen in plan.selection.namespaces if chosen.name == namespace)
    user = decision.user
    copy = _copy(request, decision.method)
    if copy is not None:
        copy = replace(
            copy,
            snapshot_class=decision.snapshot_class,
            storage_class=decision.claim.storage_class,
            size=max(decision.claim.size, decision.claim.capacity),
        )
    at_home = copy is not None and copy.method is CopyKind.SNAPSHOT
    task = MoveTask(
        kind=MoveKind.BACKUP,
        run_id=request.run_id,
        policy=request.policy.name,
        namespace=namespace,
        claim=decision.claim.name,
        access=access,
        host=f"{request.cluster}/{namespace}",
        image=request.config.image,
        exclude=request.compiled.policy.volumes.exclude,
        # A copy is nobody's but the mover's; and in Backstay's own namespace nobody is root.
        node=user.node if user and copy is None else "",
        privileged=found.namespace.privileged_movers and not at_home,
        run_as_user=user.run_as_user if user else None,
        run_as_group=user.run_as_group if user else None,
        fs_group=user.fs_group if user else None,
        supplemental_groups=user.supplemental_groups if user else (),
        tolerations=user.tolerations if user else (),
        copy=copy,
    )
    return replace(task, start_timeout=_COPY_STARTS) if copy else task


def _copy(request: RunRequest, method: str) -> VolumeCopy | None:
    kind = {one.value: one for one in CopyKind}.get(method)
    return VolumeCopy(method=kind, home=request.namespace) if kind else None


def leftover_task(request: RunRequest, namespace: str, claim: str, method: str) -> MoveTask:
    """Enough of a task to remove what its mover left behind."""
    nowhere = RepositoryAccess(name="", namespace=namespace, url="", secret="", environment={})
    return MoveTask(
        kind=MoveKind.BACKUP,
        run_id=request.run_id,
        policy=request.policy.name,
        namespace=namespace,
        claim=claim,
        access=nowhere,
        host=f"{request.cluster}/{namespace}",
        image=request.config.image,
        copy=_copy(request, method),
    )
