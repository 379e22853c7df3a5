"""Walks the branches of a manifest repository and proves what it can; docs/history.md tells what.

Each branch is walked once, from its oldest commit, with what each commit changed: so the objects
of every tree are counted without listing one. Records are read some at a time.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from reconciler import ports
from reconciler.capture import message, paths, record
from reconciler.engine.context import policy_branch
from reconciler.engine.history import Promises
from reconciler.engine.reading import HistoryReader
from reconciler.engine.restoresource import open_repository
from reconciler.model.errors import BackstayError, OverBound, RepositoryMissing, Stalled
from reconciler.model.policy import CLUSTER_NAMESPACE
from reconciler.model.run import Outcome, RepositoryRef, RunRecord
from reconciler.model.store import Commit, TouchedFiles
from reconciler.plan.expiry import Expiry, Promise
from reconciler.plan.rewrites import check_rewrites, rewritten_commits
from reconciler.plan.verify import Branch, Chain, Check, Verdict, check_of, compare_record

_AT_ONCE = 100
_MOST_TOLD = 1000
"""Problems of one kind that are kept; a branch that was replaced has no others."""

Place = tuple[RepositoryRef, str]
"""A restic repository as a record names it, and the namespace whose password opens it."""


@dataclass(frozen=True, slots=True)
class _Naming:
    """A snapshot that a run names, for this namespace; for all of its own where it is empty."""

    place: Place
    snapshot: str
    run: str
    started: datetime
    namespace: str = ""


@dataclass(slots=True)
class Snapshots:
    """Every restic snapshot that a record names → the first run that names it.

    ``promises``: what is promised of those that are named by runs which maintenance looked at.
    """

    named: dict[Place, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    promises: dict[tuple[Place, str], Promise] = field(default_factory=dict)

    def add(self, found: RunRecord) -> Iterator[_Naming]:
        """Takes those of one run, and yields them."""
        held = found.secrets
        if held is not None and held.repository is not None and held.snapshot:
            place = (held.repository, CLUSTER_NAMESPACE)
            self.named[place].setdefault(held.snapshot, f"{found.name} (Secrets)")
            yield _Naming(place, held.snapshot, found.name, found.started)
        for part in found.namespaces:
            for volume in part.volumes:
                if volume.repository is not None and volume.snapshot:
                    run = f"{found.name} ({part.name}/{volume.claim})"
                    place = (volume.repository, part.name)
                    self.named[place].setdefault(volume.snapshot, run)
                    yield _Naming(place, volume.snapshot, found.name, found.started, part.name)

    def promise(self, names: Iterable[_Naming], expiry: Expiry) -> None:
        """Says of snapshots what was promised; whose word holds one, wins."""
        for one in names:
            said = expiry.of(one.run, one.started, [one.namespace] if one.namespace else [])
            key = (one.place, one.snapshot)
            if self.promises.get(key, said) is not Promise.HELD:
                self.promises[key] = said

    def missing(self, place: Place, held: Collection[str], promise: Promise) -> list[str]:
        """Those that are not among ``held``, and of which this was promised; sorted."""
        return sorted(
            f"{one}: of run {run}"
            for one, run in self.named[place].items()
            if one not in held and self.promises.get((place, one), Promise.HELD) is promise
        )


@dataclass(frozen=True, slots=True)
class _Run:
    """A run's commit before its record was read; ``tree``: objects by namespace."""

    sha: str
    summary: message.Summary
    record_id: str
    tree: Mapping[str, int]
    changes: tuple[int, int, int] | None
    """Objects created, changed and deleted; None where the commit before is not known."""
    moved: bool
    """Whether somebody may have pushed the commit before while this run was at work."""


class BranchWalk:
    """One branch. ``snapshots`` gathers what its records name.

    ``known``: commits which say that the history below was rewritten, and of which somebody knows
    that it was on purpose. ``promises``: what expired.
    """

    def __init__(
        self,
        store: HistoryReader,
        cluster: str,
        policy: str,
        *,
        shallow: bool,
        snapshots: Snapshots,
        known: Sequence[str] = (),
        promises: Promises | None = None,
    ) -> None:
        self._known = tuple(known)
        self._promises = promises
        self._names: list[_Naming] = []
        self._store = store
        self._cluster = cluster
        self._policy = policy
        self._shallow = shallow
        self._snapshots = snapshots
        self._chain = Chain(shallow)
        self._strangers: list[str] = []
        self._wrong: list[str] = []
        self._oversized: list[str] = []
        """What no run writes, and nobody can read in bounded memory."""
        self._tree: Counter[str] = Counter()
        self._lost = False
        """Whether the tree is not known, since what a commit changed was not read."""
        self._records: dict[str, str] = {}
        self._shapes: dict[str, int] = {}
        self._rebased = 0
        self._uncounted: dict[str, str] = {}
        self._rewrites: list[tuple[str, message.Rewrite]] = []
        """Commits that say that what is below them was rewritten."""
        self._foreign = False
        self._runs_of: dict[str, str] = {}
        self._read = 0
        self.commits: list[str] = []

    def walk(self) -> Branch:
        """Reads all of it."""
        branch = policy_branch(self._cluster, self._policy)
        runs = self._runs(self._store.commits(branch))
        while batch := list(islice(runs, _AT_ONCE)):
            for run, text in self._texts(batch):
                self._judge(run, text)
        self._promise()
        root, tip = self._chain.root, self._chain.tip
        return Branch(
            policy=self._policy,
            commits=self._chain.commits,
            runs=len(self._records),
            root=root.sha if root else "",
            tip=tip.sha if tip else "",
            first=root.time if root else None,
            last=tip.time if tip else None,
            checks=(
                self._chain.check(), self._authors(), self._agreement(), *self._rewritten(),
                *self._bounds(),
            ),
        )  # fmt: skip

    def _promise(self) -> None:
        if self._promises is None:
            return
        found = ((sha, self._runs_of.get(sha, "")) for sha in reversed(self.commits))
        expiry = self._promises.of(self._policy, found)
        if expiry is not None:
            self._snapshots.promise(self._names, expiry)

    @property
    def replaced(self) -> Mapping[str, str]:
        """Tips that a rewrite took the place of → the commit that says so, which somebody knows.

        Whoever may push can write such a commit, so those that nobody knows of replace nothing.
        """
        return {rewrite.old: sha for sha, rewrite in self._rewrites if sha in self._known}

    def _rewritten(self) -> Iterator[Check]:
        told = [(sha, rewrite.old, rewrite.after) for sha, rewrite in self._rewrites]
        yield from check_rewrites(told, self.commits, self._known)

    def _authors(self) -> Check:
        return check_of(
            "commits",
            self._strangers[:_MOST_TOLD],
            good=f"each was made by a run of {self._policy}",
            bad=f"{len(self._strangers)} commits that no run of {self._policy} made",
            count=self._chain.commits,
        )

    def _bounds(self) -> Iterator[Check]:
        if self._oversized:
            yield Check(
                name="bounds",
                verdict=Verdict.PROBLEM,
                message=f"{len(self._oversized)} are larger than what a run writes, and not read",
                problems=tuple(self._oversized[:_MOST_TOLD]),
            )

    def _agreement(self) -> Check:
        again = f"; {self._rebased} were put on another commit" if self._rebased else ""
        told = [(sha, rewrite.old, rewrite.after) for sha, rewrite in self._rewrites]
        mine = set(rewritten_commits(told, self.commits))
        uncounted = [what for sha, what in self._uncounted.items() if sha not in mine]
        if uncounted and not self._wrong:
            return Check(
                name="records",
                verdict=Verdict.UNPROVEN,
                message=f"{len(uncounted)} commits change what their runs did not count",
                problems=tuple(uncounted[:_MOST_TOLD]),
            )
        return check_of(
            "records",
            self._wrong[:_MOST_TOLD],
            good=f"{self._read} agree with their commits and trees{again}",
            bad=f"{len(self._wrong)} contradictions between records, commits and trees",
            count=self._read,
        )

    def _texts(self, batch: Sequence[_Run]) -> Iterator[tuple[_Run, bytes]]:
        """The records, but for those that are too large: these are told, and the next one read."""
        while batch:
            done = 0
            try:
                for _, text in self._store.blobs([run.record_id for run in batch]):
                    done += 1
                    yield batch[done - 1], text
            except OverBound:
                pass
            batch = batch[done:]
            if batch:
                yield from self._text_alone(batch[0])
                batch = batch[1:]

    def _text_alone(self, run: _Run) -> Iterator[tuple[_Run, bytes]]:
        try:
            ((_, text),) = self._store.blobs([run.record_id])
        except OverBound as error:
            self._oversized.append(f"{run.sha}: its record: {error.message}")
        else:
            yield run, text

    def _runs(self, commits: Iterator[TouchedFiles]) -> Iterator[_Run]:
        try:
            yield from self._runs_read(commits)
        except OverBound as error:
            self._oversized.append(error.message)

    def _runs_read(self, commits: Iterator[TouchedFiles]) -> Iterator[_Run]:
        for touched in commits:
            before = self._chain.tip
            self._chain.add(touched.commit)
            self.commits.append(touched.commit.sha)
            rewrite = message.parse_rewrite(touched.commit.trailers)
            told = rewrite is not None and rewrite.policy == self._policy
            if rewrite is not None and told and not touched.files and not touched.unread:
                self._rewrites.append((touched.commit.sha, rewrite))
                continue
            changes = self._follow(touched)
            unknown = touched.unread or self._lost
            found = None if unknown else self._look(touched, before, changes)
            self._foreign = found is None
            if found is not None:
                yield found

    def _follow(self, touched: TouchedFiles) -> tuple[int, int, int] | None:
        """Follows the tree; None where what a commit changes is not known, only what it holds."""
        sha = touched.commit.sha
        if touched.unread:
            self._oversized.append(f"{sha}: it {touched.unread}")
        elif not self._lost:
            return self._count(touched)
        try:
            places = map(paths.parse_path, self._store.tree(sha))
            self._tree = Counter(place.namespace for place in places if place is not None)
        except OverBound as error:
            self._oversized += [] if touched.unread else [f"{sha}: {error.message}"]
            self._lost = True
        else:
            self._lost = False
        return None

    def _count(self, touched: TouchedFiles) -> tuple[int, int, int]:
        """Objects created, changed and deleted."""
        created = changed = deleted = 0
        for file in touched.files:
            place = paths.parse_path(file.path)
            if place is None:
                continue
            created += file.old is None
            deleted += file.new is None
            changed += file.old is not None and file.new is not None
            self._tree[place.namespace] += (file.new is not None) - (file.old is not None)
        return created, changed, deleted

    def _look(
        self, touched: TouchedFiles, before: Commit | None, changes: tuple[int, int, int] | None
    ) -> _Run | None:
        """The run that made a commit; None where it names none, or has no record."""
        sha = touched.commit.sha
        try:
            summary = message.parse_summary(touched.commit.trailers)
        except Stalled as error:
            self._strangers.append(f"{sha}: {error.message}")
            return None
        if summary is None or summary.policy != self._policy:
            whose = f"a run of {summary.policy}" if summary else touched.commit.subject
            self._strangers.append(f"{sha}: {whose}")
            return None
        mine = next((file for file in touched.files if file.path == paths.RECORD_PATH), None)
        if mine is None or mine.new is None:
            self._wrong.append(f"{sha}: run {summary.run_id} has no record of its own")
            return None
        if self._records.setdefault(summary.run_id, mine.new) != mine.new:
            self._wrong.append(f"{sha}: run {summary.run_id} has another record in another commit")
        tree = {name: count for name, count in self._tree.items() if count}
        shape = hash(frozenset(tree.items()))
        # What was put again on top of what came late has the tree that it had before.
        late = message.DELIVERED in touched.commit.trailers
        again = late and self._shapes.get(summary.run_id) == shape
        self._shapes.setdefault(summary.run_id, shape)
        # The first commit of a shallow clone seems to create its whole tree.
        known = None if again or (before is None and self._shallow) else changes
        moved = before is not None and (self._foreign or late or before.time >= summary.started)
        return _Run(sha, summary, mine.new, tree, known, moved)

    def _judge(self, run: _Run, text: bytes) -> None:
        try:
            found = record.parse_record(text)
        except Stalled as error:
            self._wrong.append(f"{run.sha}: {error.message}")
            return
        self._read += 1
        self._names += self._snapshots.add(found)
        self._runs_of[run.sha] = found.name
        if message.summarise(found) != run.summary:
            self._wrong.append(f"{run.sha}: its message and its record do not say the same")
        problems = compare_record(found, run.tree, cluster=self._cluster, policy=self._policy)
        self._wrong += [f"{run.sha}: {problem}" for problem in problems]
        self._compare_counts(run, found)

    def _compare_counts(self, run: _Run, found: RunRecord) -> None:
        """Whether the commit changes as many objects as its run counted."""
        counts = run.summary.objects
        counted = (counts.created, counts.changed, counts.deleted)
        if run.changes is None:
            return
        if found.outcome is Outcome.FAILED and any(run.changes):
            # Such a run writes its record and nothing else, whatever it is put on.
            what = f"its run Failed, and its commit changes manifests ({_signed(run.changes)})"
            self._wrong.append(f"{run.sha}: {what}")
        elif run.changes != counted and run.moved:
            # It was put on what somebody pushed meanwhile: it is what it is.
            self._rebased += 1
        elif run.changes != counted:
            what = f"it changes manifests ({_signed(run.changes)}), and its run counted"
            self._uncounted[run.sha] = f"{run.sha}: {what} {_signed(counted)}"


def _signed(changes: tuple[int, int, int]) -> str:
    created, changed, deleted = changes
    return f"+{created} ~{changed} -{deleted}"


def check_snapshots(keyring: ports.Keyring, snapshots: Snapshots) -> Iterator[Check]:
    """Whether every snapshot that a record names is in its repository: one answer for each."""
    places = sorted(snapshots.named, key=lambda place: (place[0].url, place[1]))
    for ref, namespace in places:
        named = snapshots.named[ref, namespace]
        name = f"snapshots in {ref.url}"
        try:
            access = open_repository(keyring, ref, namespace)
            held = {found.id for found in keyring.backend(access).snapshots()}
        except BackstayError as error:
            # Also a lost repository: what is wrong is told, and nothing of it is proven.
            lost = isinstance(error, RepositoryMissing)
            verdict = Verdict.PROBLEM if lost else Verdict.UNPROVEN
            yield Check(name=name, verdict=verdict, message=error.message)
            continue
        missing = snapshots.missing((ref, namespace), held, Promise.HELD)
        perhaps = snapshots.missing((ref, namespace), held, Promise.PERHAPS)
        expired = len(snapshots.missing((ref, namespace), held, Promise.EXPIRED))
        told = f"; {expired} more have expired" if expired else ""
        if perhaps and not missing:
            yield Check(
                name=name,
                verdict=Verdict.UNPROVEN,
                message=f"{len(perhaps)} that records name are gone, and perhaps expired{told}",
                problems=tuple(perhaps[:_MOST_TOLD]),
            )
            continue
        yield check_of(
            name,
            missing[:_MOST_TOLD],
            good=f"{len(named) - expired} that records name are there{told}",
            bad=f"{len(missing)} of {len(named)} that records name are gone{told}",
            count=len(named),
        )


def check_contained(
    wanted: Sequence[str],
    commits: Mapping[str, Sequence[str]],
    *,
    shallow: bool = False,
    replaced: Mapping[str, str] | None = None,
) -> Iterator[Check]:
    """Whether the history still has the tips that somebody remembered.

    A history that is cut off (``shallow``) can only prove that it has one. ``replaced``: tips that
    a rewrite took the place of → the commit that says so.
    """
    for sha in wanted:
        holders = (name for name, known in commits.items() if any(c.startswith(sha) for c in known))
        if holder := next(holders, ""):
            verdict, told = Verdict.PROVEN, f"is in the history of {holder}"
        elif mark := next((by for old, by in (replaced or {}).items() if old.startswith(sha)), ""):
            verdict = Verdict.UNPROVEN
            told = f"was rewritten: commit {mark} says that it takes the place of this one"
        elif shallow:
            verdict = Verdict.UNPROVEN
            told = "is not in what this shallow clone has; fetch the rest: git fetch --unshallow"
        else:
            verdict = Verdict.PROBLEM
            told = "is in no branch that was looked at: it was rewritten, or it was never there"
        yield Check(name=f"commit {sha[:10]}", verdict=verdict, message=told)
