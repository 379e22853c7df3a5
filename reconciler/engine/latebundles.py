"""Bundles in a run: those of earlier runs are delivered first, its own is the last resort.

Neither may cost a run what it can still do: bundles that can't be delivered go on waiting and are
told, and a bundle that can't be stored leaves the run where it would be without one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reconciler.engine.bundling import NotPushed, keep, waiting_in
from reconciler.engine.context import RunPorts, RunRequest
from reconciler.engine.delivering import Deliverer
from reconciler.engine.leases import LeaseLost
from reconciler.engine.pacing import Turn
from reconciler.engine.patience import Patience
from reconciler.engine.repositories import OpenRepository
from reconciler.model.errors import BackstayError, Interrupted, PushRejected, Transient
from reconciler.model.run import RunRecord


@dataclass(frozen=True, slots=True)
class EarlierRuns:
    """What a run found: the tip to go on from, what its record is to say, and whose bundles."""

    tip: str | None
    warnings: tuple[str, ...] = ()
    runs: frozenset[str] = frozenset()


def deliver_earlier(
    request: RunRequest,
    run: RunPorts,
    vault: OpenRepository,
    tip: str | None,
    *,
    uid: str,
    check: Callable[[], None],
    patience: Patience,
    turn: Turn | None,
) -> EarlierRuns:
    """Delivers what waits in ``vault``, the repository of `_cluster`.

    Raises Interrupted and LeaseLost only.
    """
    policy = request.policy.name
    runs: frozenset[str] = frozenset()
    try:
        # Its own, of a pod that was killed then: this pod records the run anew.
        waiting = [
            one
            for one in waiting_in(vault.backend, request.cluster, policy)
            if one.run_id != request.run_id
        ]
        if not waiting:
            return EarlierRuns(tip)
        runs = frozenset(one.run_id for one in waiting)
        run.reporter.event("delivering bundles", runs=sorted(runs))
        deliverer = Deliverer(
            run.store, vault.backend, run.reporter,
            cluster=request.cluster, uid=uid, policy=policy, now=run.clock.now,
        )  # fmt: skip
        done = deliverer.deliver(waiting, check=check, patience=patience, turn=turn)
    except (Interrupted, LeaseLost):
        raise
    except BackstayError as error:
        run.reporter.warning("bundles not delivered", runs=sorted(runs), why=error.message)
        told = f"runs that wait as bundles could not be delivered: {error.message}"
        # Where not even the question was answered, nobody knows of any; the next run asks again.
        return EarlierRuns(tip, (told,) if runs else (), runs)
    told_kept = tuple(
        f"run {run_id} waits as a bundle and can't be delivered: {why}"
        for run_id, why in sorted(done.kept.items())
    )
    return EarlierRuns(done.tip, told_kept, runs)


def keep_own(
    request: RunRequest,
    run: RunPorts,
    vault: OpenRepository | None,
    made: RunRecord,
    commit: str,
    parent: str | None,
    why: BackstayError,
) -> NotPushed | None:
    """Stores the commit of a run whose remote is away; None where it is not, or that fails."""
    if vault is None or not isinstance(why, Transient) or isinstance(why, PushRejected):
        return None
    try:
        return keep(request, run, vault, made, commit, parent, why)
    except BackstayError as error:
        run.reporter.warning("bundle not stored", run=made.name, why=error.message)
        return None
