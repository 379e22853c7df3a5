"""A run's guards: what is gone too much at once stays in the tree until somebody accepts it.

What they hold is like what a gap covers: the files stay, the record names them as gaps, and so a
restore, a diff and `verify` treat them as what the run did not see. Nothing cluster-scoped is
deleted beside it, because it follows from objects that may come back.

It is compared with the last good run of each namespace: the newest one in which it was Completed,
or one in which somebody accepted what had gone. Without any, with the tree as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.capture import choice, message, paths
from reconciler.engine.context import RunPorts, RunRequest
from reconciler.engine.history import read_record_of
from reconciler.model import jsonform
from reconciler.model.errors import Stalled
from reconciler.model.grants import limit_selector
from reconciler.model.objects import Gap
from reconciler.model.policy import Guards, ObjectSelector, Selector
from reconciler.model.run import GuardsRecord, Outcome, RunRecord, WithheldCount
from reconciler.plan import guards as rules
from reconciler.plan.selection import may_select

_LOOK_BACK = 100
"""Commits that are searched: so many in a row would have failed."""
_RECORDS = 10
"""Records that are read for a good run: each may be a connection."""


@dataclass(frozen=True, slots=True)
class Going:
    """A file of the tree that a run would delete, and why the policy leaves its object out.

    An empty ``reason``: the object is not there.
    """

    path: str
    location: paths.Location
    reason: str = ""

    @property
    def place(self) -> rules.Place:
        """Where it is counted."""
        return self.location.namespace, self.location.folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """``tree``: the paths of the commit below; ``seen``: those of the objects that are there."""

    tree: Collection[str]
    seen: Collection[str]
    going: Sequence[Going]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What stays, and what the record is to say of it."""

    paths: frozenset[str] = frozenset()
    gaps: tuple[Gap, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Namespace → why it is not Completed, beside its gaps."""
    warnings: tuple[str, ...] = ()
    record: GuardsRecord | None = None


@dataclass(frozen=True, slots=True)
class _Base:
    run: str
    commit: str


class Before:
    """What the runs before this one recorded; read when it is asked for, and once."""

    def __init__(self, request: RunRequest, run: RunPorts, objects: ObjectSelector) -> None:
        self._request = request
        self._run = run
        policy = request.compiled.policy
        self.selector = Selector(
            namespaces=limit_selector(
                policy.selector.namespaces, request.config.grants, request.policy.source
            ),
            objects=objects,
        )
        self._runs: list[tuple[message.Summary, str]] | None = None
        self._records: dict[str, RunRecord | None] = {}

    @property
    def selection(self) -> str:
        """Digest of what the policy selects, by today's grants."""
        return jsonform.digest(self.selector)

    def same_selection(self) -> bool:
        """Whether the tree below was captured with the same selector as this run's.

        True also where nobody can tell: nothing must leave unseen. A Failed run keeps the tree of
        the run before it, so its own policy says nothing. Older records know the policy only.
        """
        for _, record in self._recorded(limit=1):
            if record.selection:
                return record.selection == self.selection
            return record.policy.digest == self._request.policy.digest
        return True

    def removed(self, namespace: str, existing: Collection[str]) -> bool:
        """Whether it is the policy's change that a namespace is not selected any more.

        One that is gone from the cluster and would be selected by its name went by itself.
        """
        if self.same_selection():
            return False
        here = self._request.namespace
        return namespace in existing or not may_select(
            self.selector.namespaces, namespace, own_namespace=here
        )

    def bases(self, parts: Iterable[str]) -> dict[str, _Base]:
        """The last good run of each namespace (empty: of what is cluster-scoped), if any."""
        missing, found = set(parts), dict[str, _Base]()
        for number, (commit, record) in enumerate(self._recorded(limit=_RECORDS)):
            if number == 0:
                # What was held already is compared with the same run until it is accepted.
                found |= self._since(record, missing)
                missing -= found.keys()
            good = {part for part in missing if _is_good(record, part)}
            found |= dict.fromkeys(good, _Base(record.name, commit))
            missing -= good
            if not missing:
                break
        return found

    def newest(self) -> str:
        """The run that made the tree below; empty where none did."""
        return next((summary.run_id for summary, _ in self._summaries()), "")

    def _since(self, record: RunRecord, parts: Collection[str]) -> dict[str, _Base]:
        told = record.guards
        held = told.withheld if told and not told.accepted else ()
        commits = {summary.run_id: commit for summary, commit in reversed(self._summaries())}
        return {
            one.namespace: _Base(one.since, commits.get(one.since, ""))
            for one in held
            if one.namespace in parts and one.since
        }

    def _recorded(self, *, limit: int) -> Iterator[tuple[str, RunRecord]]:
        """Commits and records of runs that stored something, newest first."""
        for summary, commit in self._summaries()[:limit]:
            if commit not in self._records:
                self._records[commit] = self._read(summary, commit)
            record = self._records[commit]
            if record is not None:
                yield commit, record

    def _read(self, summary: message.Summary, commit: str) -> RunRecord | None:
        try:
            return read_record_of(
                self._run.store, commit, run_id=summary.run_id, outcome=summary.outcome
            )
        except Stalled as error:
            self._run.reporter.warning(
                "commit passed over, no run made it", commit=commit, why=error.message
            )
            return None

    def _summaries(self) -> list[tuple[message.Summary, str]]:
        if self._runs is None:
            self._runs = list(self._find())
        return self._runs

    def _find(self) -> Iterator[tuple[message.Summary, str]]:
        for commit in self._run.store.log(self._request.branch, limit=_LOOK_BACK):
            try:
                summary = message.parse_summary(commit.trailers)
            except Stalled:
                continue  # somebody else's commit that looks like a run's; `log` passes it too
            if summary is not None and summary.outcome is not Outcome.FAILED:
                yield summary, commit.sha


def hold(
    request: RunRequest,
    run: RunPorts,
    before: Before,
    files: Files,
    selected: Collection[str],
    removed: Collection[str],
) -> Held:
    """What of the files that would go has to stay.

    ``removed``: namespaces that left the selection by a change of the policy.
    """
    policy = request.compiled.policy
    if policy.guards is None:
        return Held()
    return _Holder(request, run, before, policy.guards).hold(files, selected, removed)


class _Holder:
    def __init__(self, request: RunRequest, run: RunPorts, before: Before, guards: Guards) -> None:
        self._request = request
        self._run = run
        self._before = before
        self._guards = guards

    def hold(self, files: Files, selected: Collection[str], removed: Collection[str]) -> Held:
        """As the module's function."""
        suspicious, intended = self._divide(files.going, removed)
        leaving = {one.path for one in files.going}
        now = _count({*files.tree, *files.seen} - leaving)
        reasons = rules.too_few(self._guards, now, selected)
        gone = Counter(one.place for one in suspicious)
        if not gone:
            return Held(reasons=reasons)
        parts = {namespace for namespace, _ in gone}
        bases = self._before.bases(parts)
        before = self._counts_before(bases, files.tree, {"", *selected, *parts}, intended)
        lost = {namespace for namespace in parts if namespace and namespace not in selected}
        why = rules.judge(self._guards, rules.Shrink(before=before, now=now, gone=gone), lost)
        held = [one for one in suspicious if one.place in why]
        return self._told(held, why, bases, reasons) if held else Held(reasons=reasons)

    def _divide(
        self, going: Sequence[Going], removed: Collection[str]
    ) -> tuple[list[Going], set[str]]:
        """What went by itself, and the paths that go by a change of the policy."""
        suspicious, intended = [], set[str]()
        for one in going:
            by_policy = one.location.namespace in removed or (
                one.reason
                and (
                    not one.reason.startswith(choice.FIELD)
                    or one.reason == choice.NOT_NEEDED
                    or not self._before.same_selection()
                )
            )
            if by_policy:
                intended.add(one.path)
            else:
                suspicious.append(one)
        return suspicious, intended

    def _counts_before(
        self,
        bases: Mapping[str, _Base],
        tree: Collection[str],
        parts: Collection[str],
        intended: Collection[str],
    ) -> Counter[rules.Place]:
        """Of each part in its own last good run; without one, in the tree as it is."""
        trees: dict[str, Collection[str]] = {"": tree}
        counts: Counter[rules.Place] = Counter()
        for base in bases.values():
            if base.commit not in trees:
                trees[base.commit] = self._run.store.tree(base.commit)
        by_commit = {
            commit: _count(path for path in held if path not in intended)
            for commit, held in trees.items()
        }
        for part in parts:
            commit = bases[part].commit if part in bases else ""
            for place, count in by_commit[commit].items():
                if place[0] == part:
                    counts[place] = count
        return counts

    def _told(
        self,
        held: Sequence[Going],
        why: Mapping[rules.Place, str],
        bases: Mapping[str, _Base],
        reasons: Mapping[str, str],
    ) -> Held:
        newest = self._before.newest()
        counts = sorted(Counter(one.place for one in held).items())
        withheld = tuple(
            WithheldCount(
                namespace=namespace,
                kind=kind,
                count=count,
                since=bases[namespace].run if namespace in bases else newest,
            )
            for (namespace, kind), count in counts
        )
        request = self._request
        accept = rules.shrink_digest(
            request.cluster,
            request.policy.name,
            (one.since for one in withheld),
            (one.path for one in held),
        )
        accepted = self._guards.accept == accept
        record = GuardsRecord(withheld=withheld, accept=accept, accepted=accepted)
        if accepted:
            told = f"guards.accept: {accept}: {len(held)} files left the tree, as was accepted"
            return Held(reasons=reasons, warnings=(told,), record=record)
        self._run.reporter.warning("guard tripped", files=len(held), accept=accept)
        told = (
            f"guards keep {len(held)} files in the tree that the cluster has no more; to let"
            f" exactly these go, once, give policy {request.policy.name} in Git:"
            f" guards.accept: {accept}"
        )
        return Held(
            paths=frozenset(one.path for one in held),
            gaps=tuple(_gap(one, why[one.namespace, one.kind]) for one in withheld),
            reasons=reasons,
            warnings=(told,),
            record=record,
        )


def _is_good(record: RunRecord, part: str) -> bool:
    if record.guards is not None and record.guards.accepted:
        return True
    if not part:
        return record.outcome is Outcome.COMPLETED
    return any(one.name == part and one.outcome is Outcome.COMPLETED for one in record.namespaces)


def _count(held: Iterable[str]) -> Counter[rules.Place]:
    found = map(paths.parse_path, held)
    return Counter((place.namespace, place.folder) for place in found if place is not None)


def _gap(one: WithheldCount, why: str) -> Gap:
    kind, _, group = one.kind.partition(".")
    files = "1 file stays" if one.count == 1 else f"{one.count} files stay"
    return Gap(
        group=group,
        plural=kind,
        namespace=one.namespace,
        folder=one.kind,
        reason=f"{files} as in run {one.since}, held by guards: {why}",
    )
