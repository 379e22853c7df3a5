"""Bundles of runs that could not be pushed, put on their branch: in order, below what is newer.

The late trees come first, by the start of their runs; if the branch's newest run began after one of
them, its own tree comes again on top, so that the tip stays the newest state; a run that Failed has
no tree of its own, only a record. All of it is one push, fast-forward only. What is damaged, of
another cluster, or lacks files keeps waiting, is told, and is in nobody's way; so is a run that
began before somebody rewrote the history on purpose: it may bring back what was taken out of it.
What is on the branch already is only marked.

A bundle that holds what no run writes (a message, a file without an end) is set aside as well, and
those after it are delivered: each has a whole tree, so none needs the one before it. So it is with
one for which there is no room: the next delivery begins with an empty one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from reconciler import ports
from reconciler.capture import message, paths, record
from reconciler.engine.bundling import BUNDLE_PATH, Waiting, mark_delivered
from reconciler.engine.context import policy_branch
from reconciler.engine.pacing import Turn
from reconciler.engine.patience import Patience
from reconciler.engine.publishing import publish
from reconciler.engine.rebasing import put_on_tip
from reconciler.model.errors import (
    BackstayError,
    Interrupted,
    OverBound,
    OverFetched,
    Refused,
    Stalled,
    Transient,
)
from reconciler.model.run import Outcome, RunRecord
from reconciler.model.store import Commit, Write

ROOM = 2 << 30
"""Bytes of bundles in one delivery, with those that are refused: all of them are taken over before
any is pushed, so whoever may write them would decide how much of the disk they take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """A bundle that was taken over: its commit is here, and not on the branch."""

    waiting: Waiting
    commit: str
    made: RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What became of the bundles of one policy."""

    tip: str | None
    delivered: tuple[str, ...] = ()
    """Run ids, oldest first; those of which the branch had the record already are among them."""
    kept: dict[str, str] = field(default_factory=dict)
    """Run id → why it can't be delivered."""


@dataclass(frozen=True, slots=True)
class _Branch:
    """What the branch said at a tip: its runs, and the latest commit that ends a rewrite."""

    tip: str | None
    runs: frozenset[str] = frozenset()
    rewrite: Commit | None = None

    def began_before(self, one: Waiting) -> bool:
        """Whether a run began before the history was rewritten on purpose."""
        return self.rewrite is not None and one.started <= self.rewrite.time


class Deliverer:
    """One policy's bundles. ``uid``: of the cluster that the branch belongs to.

    ``room``: bytes of bundles that it takes over.
    """

    def __init__(
        self,
        store: ports.ManifestStore,
        backend: ports.VolumeBackend,
        reporter: ports.Reporter,
        *,
        cluster: str,
        uid: str,
        policy: str,
        now: Callable[[], datetime],
        room: int = ROOM,
    ) -> None:
        self._store = store
        self._backend = backend
        self._reporter = reporter
        self._cluster = cluster
        self._uid = uid
        self._policy = policy
        self._branch = policy_branch(cluster, policy)
        self._now = now
        self._room = room
        self._known: _Branch | None = None
        self._aside: dict[str, str] = {}
        """Run id → why its commit was not put on the branch, though all of it is here."""

    def deliver(
        self,
        waiting: Sequence[Waiting],
        *,
        check: Callable[[], None],
        patience: Patience,
        turn: Turn | None = None,
    ) -> Delivery:
        """Delivers what can be; ``check`` and ``turn`` are those of `publish`.

        Raises Transient where the remote is away, and what the remote refuses with.
        """
        tip = self._store.tip(self._branch)
        branch = self._look(tip)
        late: list[Late] = []
        kept: dict[str, str] = {}
        for one in waiting:
            if one.run_id in branch.runs:
                continue
            if branch.rewrite is not None and branch.began_before(one):
                kept[one.run_id] = _outlived(one, branch.rewrite)
                continue
            try:
                late.append(self._take(one))
            except Interrupted:
                raise
            except Transient as error:
                # A pack that was cut off, say: it must not hold up the others. Asked again next.
                kept[one.run_id] = f"it could not be read now: {error.message}"
            except BackstayError as error:
                kept[one.run_id] = error.message
        late = self._whole(late, tip, kept)
        if late:
            tip = self._push(late, tip, check, patience, turn)
            kept |= self._aside
        done = tuple(one.run_id for one in waiting if one.run_id not in kept)
        for run_id, why in kept.items():
            self._reporter.warning("bundle can't be delivered", run=run_id, why=why)
        if done:
            self._mark(done)
        return Delivery(tip=tip, delivered=done, kept=kept)

    def _take(self, one: Waiting) -> Late:
        chunks = self._backend.read_file(one.snapshot, BUNDLE_PATH)
        commit = self._store.unbundle(self._measured(chunks))
        text = self._store.read(commit, [paths.RECORD_PATH]).get(paths.RECORD_PATH)
        if text is None:
            raise Refused("it holds no record of a run")
        made = record.parse_record(text)
        if (made.name, made.policy.name) != (one.run_id, self._policy):
            raise Refused(f"it holds run {made.name} of policy {made.policy.name}")
        if (made.cluster.name, made.cluster.uid) != (self._cluster, self._uid):
            raise Refused(f"it is of cluster {made.cluster.name} with uid {made.cluster.uid}")
        return Late(waiting=one, commit=commit, made=made)

    def _measured(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The same; raises Refused over what is left of the room, and then takes none of it."""
        size = 0
        for chunk in chunks:
            size += len(chunk)
            if size > self._room:
                raise Refused("there is no room for it beside the bundles before it")
            yield chunk
        self._room -= size

    def _whole(self, late: list[Late], tip: str | None, kept: dict[str, str]) -> list[Late]:
        """Those of which every file is here or comes from the remote."""
        if not late:
            return []
        lost = set(self._store.complete([one.commit for one in late], tip))
        for one in late:
            if one.commit in lost:
                kept[one.waiting.run_id] = (
                    "it builds on files that the manifest store does not have any more"
                )
        return [one for one in late if one.commit not in lost]

    def _push(
        self,
        late: Sequence[Late],
        tip: str | None,
        check: Callable[[], None],
        patience: Patience,
        turn: Turn | None,
    ) -> str | None:
        def put_on(now: str | None) -> str | None:
            branch = self._look(now)
            rest = [one for one in late if one.waiting.run_id not in branch.runs]
            if any(branch.began_before(one.waiting) for one in rest):
                raise Refused(
                    f"the history of {self._branch} was rewritten on purpose meanwhile",
                    hint="the next delivery says which bundles may be of before",
                )
            return self._chain(rest, now)

        def put_on_moved(now: str | None) -> str:
            made = put_on(now)
            if made is None:
                raise Refused("there is nothing to deliver")
            return made

        def recorded(now: str | None) -> str | None:
            there = {*self._look(now).runs, *self._aside}
            return now if all(one.waiting.run_id in there for one in late) else None

        made = put_on(tip)
        if made is None or made == tip:
            return tip
        return publish(
            self._store,
            self._branch,
            made,
            put_on=put_on_moved,
            recorded=recorded,
            check=check,
            patience=patience,
            reporter=self._reporter,
            turn=turn,
        ).commit

    def _chain(self, late: Sequence[Late], tip: str | None) -> str | None:
        """The commits one on the other: by the start of their runs, the newest run's on top.

        What can't be put there is set aside; ``tip`` itself where nothing else is left.

        A Failed run has only its record: its tree is that of the run below, so it is the newest
        run with a tree of its own that says what is late. Below a Failed tip that run comes again,
        then what is newer, then the record of the Failed one.
        """
        self._aside = {}
        last = self._record(tip)
        failed = last if last is not None and last.outcome is Outcome.FAILED else None
        good = (tip, last) if tip is not None and last is not None else None
        if failed is not None:
            good = self._good()
        older = [one for one in late if good is not None and one.made.started < good[1].started]
        below = [one for one in late if failed is None or one.made.started < failed.started]
        on = self._put_all(older, tip)
        if on != tip and good is not None and on is not None:
            on = self._again(good, on, whole=failed is not None)
        on = self._put_all([one for one in below if one not in older], on)
        if on != tip and failed is not None and tip is not None:
            on = self._put_record(tip, failed, on)
        return self._put_all([one for one in late if one not in below], on)

    def _again(self, good: tuple[str, RunRecord], on: str, *, whole: bool) -> str:
        """The newest tree on what came late; ``whole``: its commit is not the tip."""
        commit, made = good
        if not whole:
            return self._store.reparent(commit, on, text=self._text(made))
        return put_on_tip(
            self._store, self._branch, commit, on, message=self._text(made), when=made.finished
        )

    def _put_all(self, late: Sequence[Late], on: str | None) -> str | None:
        for one in late:
            try:
                on = self._put(one, on)
            except OverFetched:
                raise  # the branch's, not the bundle's
            except OverBound as error:
                self._aside[one.waiting.run_id] = error.message
        return on

    def _put(self, one: Late, on: str | None) -> str:
        if one.made.outcome is Outcome.FAILED:
            return self._put_record(one.commit, one.made, on)
        text, when = self._text(one.made), one.made.finished
        return put_on_tip(self._store, self._branch, one.commit, on, message=text, when=when)

    def _put_record(self, commit: str, made: RunRecord, on: str | None) -> str:
        """A run that failed writes its record and nothing else."""
        data = self._store.read(commit, [paths.RECORD_PATH])[paths.RECORD_PATH]
        writes = [Write(paths.RECORD_PATH, data)]
        return self._store.commit(self._branch, on, writes, self._text(made), when=made.finished)

    def _text(self, made: RunRecord) -> str:
        text = message.render_message(made).rstrip("\n")
        return f"{text}\n{message.DELIVERED}: {record.render_time(self._now())}\n"

    def _record(self, commit: str | None) -> RunRecord | None:
        if commit is None:
            return None
        text = self._store.read(commit, [paths.RECORD_PATH]).get(paths.RECORD_PATH)
        return None if text is None else record.parse_record(text)

    def _good(self) -> tuple[str, RunRecord] | None:
        """The newest commit of a run that has not Failed, and its record."""
        for commit in self._store.log(self._branch):
            try:
                found = message.parse_summary(commit.trailers)
            except Stalled:
                continue  # somebody else's that looks like a run's
            if found is not None and found.outcome is not Outcome.FAILED:
                made = self._record(commit.sha)
                if made is not None and made.name == found.run_id:
                    return commit.sha, made
        return None

    def _look(self, tip: str | None) -> _Branch:
        """What the whole branch says; once for a tip."""
        if self._known is None or self._known.tip != tip:
            commits = self._store.log(self._branch) if tip else ()
            self._known = _read_branch(self._policy, tip, commits)
        return self._known

    def _mark(self, done: Sequence[str]) -> None:
        try:
            mark_delivered(self._backend, self._cluster, self._policy, done)
        except BackstayError as error:
            # They are found on the branch the next time.
            self._reporter.warning("delivered bundles not marked", why=error.message)
        else:
            self._reporter.event("bundles delivered", policy=self._policy, runs=list(done))


def _read_branch(policy: str, tip: str | None, commits: Iterable[Commit]) -> _Branch:
    runs: set[str] = set()
    latest: Commit | None = None
    for commit in commits:
        if message.RUN in commit.trailers:
            runs.add(commit.trailers[message.RUN])
        rewrite = message.parse_rewrite(commit.trailers)
        if rewrite is None or rewrite.policy != policy:
            continue
        if latest is None or commit.time > latest.time:
            latest = commit
    return _Branch(tip, frozenset(runs), latest)


def _outlived(one: Waiting, rewrite: Commit) -> str:
    return (
        "its run began before the history was rewritten on purpose (commit"
        f" {rewrite.sha[:10]}), and it may hold what was taken out: `restic forget"
        f" {one.snapshot[:8]}` in the repository of _cluster, see docs/purge.md"
    )
