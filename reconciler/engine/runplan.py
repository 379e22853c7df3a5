"""What a run is going to do, decided before it does anything: namespaces, claims, movers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler import ports
from reconciler.engine import claimlists
from reconciler.engine.context import RunPorts, RunRequest
from reconciler.engine.somenamespaces import observe_selectable
from reconciler.model.errors import Stalled
from reconciler.model.grants import EVERYTHING, covers, find_grant, limit_selector
from reconciler.model.policy import CopyMethod
from reconciler.model.volumes import MoveKind, MoveTask, RepositoryAccess
from reconciler.plan import coverage, selection
from reconciler.plan.selection import Selection, VolumeDecision

_SHOWN = 100
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
    decisions = {}
    for name in chosen.names:
        decided = selection.decide_volumes(policy.volumes, claims[name], users.get(name, {}))
        decisions[name] = tuple(_with_grant(request, found) for found in decided)
    limited_by = "" if selector.within is None else selector.grant or request.policy.source
    return RunPlan(chosen, decisions, total, limited_by)


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
    """Refuses a Direct mover with the shared key unless Config grants it."""
    if not is_copied(decision) or request.config.shared_key_in_tenants:
        return decision
    return VolumeDecision(
        claim=decision.claim,
        method=decision.method,
        why=f"{decision.why}; {coverage.NEEDS_SHARED_KEY}",
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
    return MoveTask(
        kind=MoveKind.BACKUP,
        run_id=request.run_id,
        policy=request.policy.name,
        namespace=namespace,
        claim=decision.claim.name,
        access=access,
        host=f"{request.cluster}/{namespace}",
        image=request.config.image,
        exclude=request.compiled.policy.volumes.exclude,
        node=user.node if user else "",
        privileged=found.namespace.privileged_movers,
        run_as_user=user.run_as_user if user else None,
        run_as_group=user.run_as_group if user else None,
        fs_group=user.fs_group if user else None,
        supplemental_groups=user.supplemental_groups if user else (),
        tolerations=user.tolerations if user else (),
    )


def leftover_task(request: RunRequest, namespace: str, claim: str) -> MoveTask:
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
    )
