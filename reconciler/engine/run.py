"""One run of one policy: select, copy volumes and capture side by side, record, push, verify.

Nothing is said to be done before it was proven: every snapshot is asked of its repository again,
and the push is proven by the remote's own answer. Killed at any point and started again with the
same run id, it adopts what ended and does the rest; without a record on the branch there is no
recovery point.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from reconciler.capture import message, paths, record
from reconciler.engine import (
    capturing,
    clusterbranch,
    finishing,
    hooks,
    latebundles,
    proving,
    quiescing,
    repositories,
    secretstore,
    volumes,
)
from reconciler.engine.clusterbranch import ClusterBranch
from reconciler.engine.context import RunPorts, RunRequest, cluster_branch
from reconciler.engine.history import read_record
from reconciler.engine.lastwords import tell_unpublished
from reconciler.engine.leases import LeaseLost
from reconciler.engine.leftovers import Traces, remove_leftovers, remove_own
from reconciler.engine.pacing import Pace, Turn
from reconciler.engine.patience import Patience, insist
from reconciler.engine.publishing import publish
from reconciler.engine.rebasing import put_on_tip
from reconciler.engine.recording import make_failed_record, make_record
from reconciler.engine.runlease import HeldLease, hold_lease, is_of_run, job_is_over
from reconciler.engine.runplan import (
    NO_PLAN,
    NothingSelected,
    RunPlan,
    is_copied,
    leftover_task,
    make_run_plan,
    make_task,
    tell_plan,
)
from reconciler.engine.tips import Tips
from reconciler.engine.unexpected import explain_unexpected
from reconciler.engine.unrecorded import Stored, merge, tell_unrecorded
from reconciler.model.cluster import ClusterIdentity
from reconciler.model.errors import BackstayError, ForeignCluster, Interrupted, Stalled
from reconciler.model.policy import CLUSTER_NAMESPACE
from reconciler.model.run import Outcome, RepositoryEntry, RunRecord
from reconciler.model.store import Write
from reconciler.model.volumes import MoveTask

Stopped = Callable[[], bool]
T = TypeVar("T")
_SKEW = timedelta(minutes=5)
"""How far the clocks of the API server and of a run's node may differ."""
_LAST_WORDS = timedelta(minutes=2)
"""Until then a push begins after the movers' deadline: one that hangs leaves time for a bundle."""
_LOOK_BACK = 50
"""Commits that are searched for an earlier end of this very run."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """The record as it is on the branch, and the commit that holds it; empty: it waits."""

    record: RunRecord
    commit: str
    error: BackstayError | None = None
    """Why a run is Failed; its exit code is the run's."""


@dataclass(frozen=True, slots=True)
class _Committed:
    """A record and the local commit that holds it; ``put_on`` makes it again on another tip."""

    record: RunRecord
    commit: str
    put_on: Callable[[str | None], str]
    parent: str | None


def execute_run(
    request: RunRequest, run: RunPorts, *, stopped: Stopped = lambda: False
) -> RunResult:
    """Does it. Raises ForeignCluster, NothingSelected, Busy and whatever keeps it from recording.

    ``stopped`` turning true ends the run with Interrupted; what movers do goes on, and the same
    run started again adopts it.
    """
    try:
        with hold_lease(request, run, stopped) as lease:
            return _Run(request, run, lease, stopped).execute()
    except BackstayError:
        raise
    except Exception as error:  # noqa: BLE001 - told without its text, which may hold a secret
        raise explain_unexpected(error, run.reporter) from None


class _Run:
    def __init__(
        self, request: RunRequest, run: RunPorts, lease: HeldLease, stopped: Stopped
    ) -> None:
        self._request = request
        self._run = run
        self._lease = lease
        self._stopped = stopped
        self._pace = Pace.of(request, run, stopped)
        self._tips = Tips(request, run)
        self._plan = NO_PLAN
        self._traces = Traces(frozenset(), ())
        self._marked = False
        """Whether the cluster's branch says already that it is this cluster's."""
        self._newest = ""
        """The run on the tip of the branch when this one began, unless it has Failed."""
        self._finished: tuple[str, ...] = ()
        """What is to be said of hooks that were open when this run began."""
        self._told = quiescing.Told()
        self._vault: repositories.OpenRepository | None = None
        self._earlier = latebundles.EarlierRuns(None)

    def execute(self) -> RunResult:
        try:
            return self._do()
        except Interrupted:
            # The same run goes on in another pod and adopts its movers, unless its Job is over.
            if job_is_over(self._request, self._run):
                remove_own(self._request, self._run)
            raise
        except LeaseLost as lost:
            # Where another pod of this very run has it, the movers are that one's.
            if not is_of_run(lost.holder, self._request.run_id):
                remove_own(self._request, self._run)
            raise
        except Exception:
            # Nobody goes on with this run: its movers and their keys must not stay.
            remove_own(self._request, self._run)
            raise

    def _do(self) -> RunResult:
        request, run = self._request, self._run
        identity = self._insist("asking which cluster this is", run.reader.identity)
        self._insist("recalling the tips of the branches", self._tips.recall)
        branch = self._insist(
            "reading the cluster's branch",
            lambda: clusterbranch.open_cluster_branch(
                run.store, request.cluster, identity, former=request.config.cluster.renamed_from
            ),
        )
        home = cluster_branch(request.cluster)
        self._insist("looking for the remembered tip", lambda: self._tips.check(home, branch.tip))
        self._traces = remove_leftovers(request, run, self._lease.dead)
        self._finished = finishing.finish_left(request, run, self._stopped)
        self._marked = branch.marker is not None
        parent = self._insist("fetching the branch", lambda: run.store.tip(request.branch))
        self._insist(
            "looking for the remembered tip", lambda: self._tips.check(request.branch, parent)
        )
        done = self._insist("reading the last record", lambda: self._find_own(parent))
        if done is not None:
            return self._conclude_again(done)
        try:
            captured = self._back_up(identity, branch, parent)
        except (Interrupted, NothingSelected, ForeignCluster):
            raise
        except BackstayError as error:
            return self._fail(identity, parent, error)
        except Exception as error:  # noqa: BLE001 - told without its text, which may hold a secret
            return self._fail(identity, parent, explain_unexpected(error, run.reporter))
        return self._publish(captured)

    def _back_up(
        self, identity: ClusterIdentity, branch: ClusterBranch, parent: str | None
    ) -> _Committed:
        """All that may fail and be recorded as such."""
        request, run = self._request, self._run
        if branch.damage is not None:
            raise branch.damage
        plan = self._insist("planning the run", lambda: make_run_plan(request, run))
        self._plan = plan
        tell_plan(plan, run.reporter)
        opened = repositories.open_repositories(
            request, run, branch, (CLUSTER_NAMESPACE, *plan.with_data), stopped=self._stopped
        )
        self._remember(identity, opened.entries)
        failure = opened.failed.get(CLUSTER_NAMESPACE)
        if failure is not None:
            raise failure
        self._vault = opened.opened[CLUSTER_NAMESPACE]
        # The copies need most of the time that there is.
        until = min(run.clock.now() + repositories.PATIENCE, request.deadline)
        self._earlier = latebundles.deliver_earlier(
            request, run, self._vault, parent,
            uid=identity.uid,
            check=self._lease.check,
            patience=self._patience("delivering", until),
            turn=self._turn(until),
        )  # fmt: skip
        return self._copy_and_capture(identity, self._earlier.tip, plan, opened)

    def _remember(self, identity: ClusterIdentity, entries: Sequence[RepositoryEntry]) -> None:
        """Also where there is none: without the marker the branch would be a foreign one."""
        request, run = self._request, self._run
        self._insist(
            "recording repositories",
            lambda: clusterbranch.remember_repositories(
                run.store,
                request.cluster,
                identity,
                entries,
                run_id=request.run_id,
                now=run.clock.now(),
                turn=self._turn(request.deadline),
            ),
        )

    def _find_own(self, tip: str | None) -> str | None:
        """The commit of this very run below ``tip``, if its pod died after the push."""
        run, request = self._run, self._request
        if tip is None:
            return None
        last = self._read_or_warn(tip)
        self._newest = last.name if last and last.outcome is not Outcome.FAILED else ""
        if last is not None and last.finished < request.started - _SKEW:
            return None
        # Somebody's commit on top of ours would still hold our record: the trailers tell.
        for commit in run.store.log(request.branch, limit=_LOOK_BACK):
            if commit.trailers.get(message.RUN) != request.run_id:
                continue
            found = self._read_or_warn(commit.sha)
            if found is not None and found.name == request.run_id:
                return commit.sha
        return None

    def _read_or_warn(self, commit: str) -> RunRecord | None:
        """The record in a commit. What somebody else wrote must not stop every later run."""
        try:
            return read_record(self._run.store, commit)
        except Stalled as error:
            self._run.reporter.warning(
                "commit passed over, no run made it", commit=commit, why=error.message
            )
            return None

    def _conclude_again(self, commit: str) -> RunResult:
        found = read_record(self._run.store, commit)
        self._run.reporter.event("this run is on the branch already", commit=commit)
        self._clean_up(
            leftover_task(self._request, namespace.name, volume.claim, volume.copy_method)
            for namespace in found.namespaces
            for volume in namespace.volumes
            if volume.outcome is not Outcome.SKIPPED
        )
        return RunResult(found, commit)

    def _copy_and_capture(
        self,
        identity: ClusterIdentity,
        parent: str | None,
        plan: RunPlan,
        opened: repositories.Repositories,
    ) -> _Committed:
        tasks = [
            make_task(self._request, plan, namespace, decision, opened.opened[namespace].access)
            for namespace, decisions in plan.decisions.items()
            for decision in decisions
            if is_copied(decision) and namespace in opened.opened
        ]
        abandoned = threading.Event()
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="movers") as pool:
            moves = pool.submit(self._move, tasks, abandoned)
            try:
                return self._capture(identity, parent, plan, opened, moves)
            except BaseException:
                abandoned.set()
                raise

    def _move(self, tasks: list[MoveTask], abandoned: threading.Event) -> quiescing.QuietMoves:
        request, run = self._request, self._run

        def stopped() -> bool:
            # Without its Lease a run would begin again what the other one takes away.
            return abandoned.is_set() or self._stopped() or self._lease.lost()

        if request.compiled.policy.hooks and tasks:
            return quiescing.move_quietly(request, run, tasks, stopped=stopped, told=self._told)
        moves = volumes.move_volumes(
            tasks,
            mover=run.mover,
            clock=run.clock,
            reporter=run.reporter,
            concurrency=request.compiled.policy.volumes.concurrency,
            deadline=request.deadline,
            begun={(left.namespace, left.claim) for left in self._traces.own},
            stopped=stopped,
        )
        return quiescing.QuietMoves(moves, hooks.NOTHING)

    def _moved(self, moves: Future[quiescing.QuietMoves]) -> quiescing.QuietMoves:
        """Raises LeaseLost where that is what has stopped the movers."""
        try:
            return moves.result()
        except Interrupted:
            if self._lease.lost():
                self._lease.check()
            raise

    def _capture(
        self,
        identity: ClusterIdentity,
        parent: str | None,
        plan: RunPlan,
        opened: repositories.Repositories,
        moves: Future[quiescing.QuietMoves],
    ) -> _Committed:
        """Captures while the movers work, then records both in one commit, still local."""
        request, run = self._request, self._run
        cluster = opened.opened[CLUSTER_NAMESPACE]
        key = self._insist(
            "reading the key of the fingerprints",
            lambda: run.keyring.fingerprint_key(secret=cluster.ref.secret, url=cluster.ref.url),
        )
        commit = run.store.begin(request.branch, parent)
        try:
            captured = capturing.capture(
                request, run, plan, commit, parent, key, stopped=self._stopped
            )
            secrets = self._insist(
                "storing the Secrets",
                lambda: secretstore.store_secrets(
                    request, run, cluster, captured.secrets, captured.omitted, captured.sealed
                ),
            )
            moved = self._moved(moves)
            proven = proving.prove_volumes(
                request, run, plan, opened, moved.moves, stopped=self._stopped
            )
            lost = self._tell_unrecorded(
                merge((secrets.by_run, proven.by_run)), (*secrets.unasked, *proven.unasked)
            )
            made = make_record(
                request, run, identity, plan, captured, secrets.record, proven, lost, moved.hooked
            )
            self._stop_if_asked()
            commit.write(paths.RECORD_PATH, record.render_record(made))
            text = message.render_message(made)
            made_as = commit.finish(text, when=made.finished)
        except BaseException:
            commit.abort()
            raise

        def put_on(tip: str | None) -> str:
            return put_on_tip(
                run.store, request.branch, made_as, tip, message=text, when=made.finished
            )

        return _Committed(made, made_as, put_on, parent)

    def _tell_unrecorded(
        self, stored: Stored | None, unasked: Sequence[str] = ()
    ) -> tuple[str, ...]:
        known = self._earlier.runs
        dead = set(self._traces.dead) - known
        if stored is not None:
            stored = {run_id: names for run_id, names in stored.items() if run_id not in known}
        told = tell_unrecorded(self._request, self._run, self._newest, dead, stored, unasked)
        return (*self._tips.alarms, *self._finished, *self._earlier.warnings, *told)

    def _fail(
        self, identity: ClusterIdentity, parent: str | None, error: BackstayError
    ) -> RunResult:
        """Records that the run failed; the tree below stays the last good one."""
        request, run = self._request, self._run
        run.reporter.warning("run failed", why=error.message, hint=error.hint)
        self._stop_if_overtaken()
        # Nothing of it is going to be used: no mover need go on meanwhile.
        remove_own(request, run)
        if not self._marked:
            self._remember(identity, ())
        lost = self._tell_unrecorded(None)
        hooked = self._told.hooked
        made = make_failed_record(request, run, identity, self._plan, error, lost, hooked)

        def put_on(tip: str | None) -> str:
            return run.store.commit(
                request.branch,
                tip,
                [Write(paths.RECORD_PATH, record.render_record(made))],
                message.render_message(made),
                when=made.finished,
            )

        return self._publish(_Committed(made, put_on(parent), put_on, parent), error)

    def _stop_if_overtaken(self) -> None:
        """Another pod of this very run may have taken over, with the movers."""
        try:
            self._lease.check()
        except LeaseLost:
            raise
        except BackstayError as error:
            # It is asked again before the push.
            self._run.reporter.warning("lease not asked for", why=error.message)

    def _publish(self, committed: _Committed, error: BackstayError | None = None) -> RunResult:
        request, run = self._request, self._run
        try:
            published = publish(
                run.store,
                request.branch,
                committed.commit,
                put_on=committed.put_on,
                recorded=self._find_own,
                check=self._lease.check,
                patience=self._patience(f"pushing {request.branch}", _last_moment(request)),
                reporter=run.reporter,
                turn=self._turn(_last_moment(request)),
            )
        except Interrupted:
            raise
        except BackstayError as failed:
            waits = latebundles.keep_own(
                request, run, self._vault, committed.record, committed.commit, committed.parent,
                failed,
            )  # fmt: skip
            if waits is None:
                raise tell_unpublished(committed.record, failed, run.reporter) from failed
            self._clean_up(_tasks_of(request, self._plan))
            return RunResult(committed.record, "", error or waits)
        self._tips.remember(request.branch, published.commit)
        self._tips.remember_seen(cluster_branch(request.cluster))
        self._clean_up(_tasks_of(request, self._plan))
        if published.ours:
            finishing.forget_told(self._finished, request, run)
            return RunResult(committed.record, published.commit, error)
        return RunResult(read_record(run.store, published.commit), published.commit)

    def _clean_up(self, tasks: Iterable[MoveTask]) -> None:
        """Removes movers once their results are on the branch; a leftover is only untidy."""
        failed = False
        for task in tasks:
            try:
                self._run.mover.cleanup(task)
            except BackstayError as error:
                failed = True
                self._run.reporter.warning(
                    "mover not removed at once",
                    namespace=task.namespace, claim=task.claim, why=error.message,
                )  # fmt: skip
        # Where one could not be removed all are looked for once more: their keys are with them.
        remove_own(self._request, self._run, None if failed else self._traces.own)

    def _stop_if_asked(self) -> None:
        if self._stopped():
            raise Interrupted("stopped before the commit; the same run goes on when it is started")

    def _turn(self, deadline: datetime) -> Turn | None:
        pace = self._pace
        return functools.partial(pace.turn, deadline) if pace else None

    def _insist(self, what: str, call: Callable[[], T]) -> T:
        return insist(call, self._patience(what, self._request.deadline))

    def _patience(self, what: str, deadline: datetime) -> Patience:
        run = self._run
        return Patience(
            what=what,
            clock=run.clock,
            reporter=run.reporter,
            deadline=deadline,
            stopped=self._stopped,
        )


def _last_moment(request: RunRequest) -> datetime:
    """When a push is given up; the Job lives longer still, also where it lives for minutes only."""
    return request.deadline + min(_LAST_WORDS, (request.deadline - request.started) / 2)


def _tasks_of(request: RunRequest, plan: RunPlan) -> Iterator[MoveTask]:
    """Enough of each mover of the run, also of those that its predecessor began."""
    for namespace, decisions in plan.decisions.items():
        for decision in decisions:
            if is_copied(decision):
                yield leftover_task(request, namespace, decision.claim.name, decision.method)
