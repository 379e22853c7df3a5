"""Which recovery points stay, over all policies of a cluster, and what holds them. Pure.

`reconciler.plan.retention` decides about the points of one policy in one namespace. Here stands
what may not be known, and what then stays:

- A record, a branch or a remembered tip that is not there as it should be: everything stays, for
  nobody knows what else it names (`find_brakes`).
- A policy that is not in force, or whose retention changed by much and nobody approved: all of its
  points stay.
- A repository that could not be listed: the points of the namespaces stay whose records name it.
- A point counts as complete only if restic lists all that its record names. A word is asked twice,
  of what was recorded and of what is still there; what either keeps stays. So a point that has
  lost its data takes no other's place, and an expired one does not come back to take one.
- The points that have a claim's data are decided once more among themselves, claim by claim: where
  it is gone, by accident or by a rule, later points never push out the last ones that have it.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from reconciler.model import jsonform
from reconciler.model.policy import Retention
from reconciler.model.run import Outcome, RunRecord
from reconciler.model.volumes import ResticSnapshot
from reconciler.plan import retention
from reconciler.plan.retention import Point

GRACE = timedelta(days=7)
"""How long stays what is no recovery point: somebody may want to look at it, or be at work."""
MOST_LOST = 20
"""Percent of a policy's points that a changed retention may expire without approval."""
AHEAD = timedelta(days=1)
"""So far in the future may a run have begun: clocks differ."""

Key = tuple[str, str]
"""(restic's id of the repository, id of the snapshot)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A policy's branch, read from its tip to its first commit; ``records`` in any order."""

    policy: str
    commits: frozenset[str]
    records: tuple[RunRecord, ...]
    tip: str = ""
    """The newest commit."""
    problems: tuple[str, ...] = ()
    """What of it could not be read."""
    rewound: datetime | None = None
    """When the last run began that found the branch rewound, or its history was last rewritten:
    what it lost is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What was written down of a branch: tips that were seen; the retention last applied.

    ``since``: from when on a lost tip would have been noticed; None where nobody knows.
    """

    tips: tuple[str, ...] = ()
    since: datetime | None = None
    retention: Retention | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Every snapshot of one restic repository, and the namespaces that it is for.

    ``repository`` is empty where it is listed only because records name it.
    """

    id: str
    repository: str
    namespaces: frozenset[str]
    url: str
    snapshots: tuple[ResticSnapshot, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a cluster. ``retentions`` are of the policies in force.

    ``frozen``: policies of which nothing goes → why. ``approvals``: digests that somebody approved.
    ``problems``: what could not be read at all.
    """

    cluster: str
    histories: Mapping[str, History]
    listings: tuple[Listing, ...]
    retentions: Mapping[str, Retention]
    frozen: Mapping[str, str] = field(default_factory=dict)
    memories: Mapping[str, Memory] = field(default_factory=dict)
    approvals: frozenset[str] = frozenset()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A run's part for one namespace, and all snapshots that it needs."""

    policy: str
    namespace: str
    point: Point
    claims: frozenset[tuple[str, Key]]
    """Each claim with the snapshot of it."""
    secrets: frozenset[Key]

    @property
    def volumes(self) -> frozenset[Key]:
        """The snapshots of all claims."""
        return frozenset(key for _, key in self.claims)

    @property
    def names(self) -> frozenset[Key]:
        """All of them."""
        return self.volumes | self.secrets


@dataclass(frozen=True, slots=True)
class Decided:
    """A part that stays or expires; ``reasons`` are never empty (I8)."""

    part: Part
    keep: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A changed retention that waits for somebody's word."""

    policy: str
    message: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """Every part of every run. ``held``: policies of which nothing goes → why."""

    decided: tuple[Decided, ...]
    held: Mapping[str, str]
    questions: tuple[Question, ...] = ()


def find_brakes(facts: Facts) -> tuple[str, ...]:
    """Every reason why nothing at all may be removed."""
    return (*facts.problems, *_brakes(facts))


def decide_points(facts: Facts, now: datetime) -> Points:
    """Every part of every run, by policy and namespace, the newest first."""
    listed = {one.id: frozenset(s.id for s in one.snapshots) for one in facts.listings}
    found: list[Decided] = []
    held: dict[str, str] = {}
    questions = []
    for policy, history in sorted(facts.histories.items()):
        cells = _cells(history)
        why, question = _held(facts, history, cells, listed, now)
        if question is not None:
            questions.append(question)
        if why:
            held[policy] = why
        for parts in cells.values():
            if why:
                found += [Decided(part, keep=True, reasons=(why,)) for part in parts]
            else:
                found += _decide_cell(parts, facts.retentions[policy], listed, now)
    return Points(decided=tuple(found), held=held, questions=tuple(questions))


def parts_of(record: RunRecord, policy: str) -> Iterator[Part]:
    """The parts of one run. The snapshot of its Secrets belongs to each of them."""
    secrets = record.secrets
    shared: frozenset[Key] = frozenset()
    if secrets is not None and secrets.repository is not None and secrets.snapshot:
        shared = frozenset({(secrets.repository.id, secrets.snapshot)})
    for part in record.namespaces:
        yield Part(
            policy=policy,
            namespace=part.name,
            point=Point(record.name, record.started, part.outcome),
            claims=frozenset(
                (volume.claim, (volume.repository.id, volume.snapshot))
                for volume in part.volumes
                if volume.repository is not None and volume.snapshot
            ),
            secrets=shared,
        )


def change_digest(cluster: str, policy: str, before: Sequence[Retention], after: Retention) -> str:
    """128 bits in hex over what a person approves: which words take the place of which."""
    body = {
        "formatVersion": 1,
        "cluster": cluster,
        "policy": policy,
        "before": sorted(jsonform.dumps(one.words()) for one in before),
        "after": after.words(),
    }
    return hashlib.sha256(jsonform.dumps(body).encode()).hexdigest()[:32]


def _brakes(facts: Facts) -> Iterator[str]:
    for policy, memory in sorted(facts.memories.items()):
        history = facts.histories.get(policy)
        if history is None and memory.tips:
            yield f"the branch of policy {policy} is gone; it was at commit {memory.tips[0]}"
        elif history is not None:
            for tip in memory.tips:
                if tip not in history.commits:
                    yield (
                        f"the branch of policy {policy} does not have commit {tip}, which it had:"
                        " it was rewound or replaced"
                    )
    for policy, history in sorted(facts.histories.items()):
        yield from (f"policy {policy}: {problem}" for problem in history.problems)
        known: dict[str, RunRecord] = {}
        for record in history.records:
            if record.policy.name != policy or record.cluster.name != facts.cluster:
                whose = f"policy {record.policy.name} of cluster {record.cluster.name}"
                yield f"policy {policy}: its branch has a record of {whose}: {record.name}"
            if known.setdefault(record.name, record) != record:
                yield f"policy {policy}: run {record.name} has two records that differ"


_Cells = Mapping[str, tuple[Part, ...]]
_Listed = Mapping[str, frozenset[str]]


def _cells(history: History) -> _Cells:
    """Namespace → its parts, newest first; a run that is on the branch twice is one."""
    found: defaultdict[str, dict[str, Part]] = defaultdict(dict)
    for record in history.records:
        for part in parts_of(record, history.policy):
            old = found[part.namespace].setdefault(part.point.run, part)
            if old != part:
                # Two records, which brakes everything; what either names is named all the same.
                both = replace(
                    old, claims=old.claims | part.claims, secrets=old.secrets | part.secrets
                )
                found[part.namespace][part.point.run] = both
    return {
        namespace: tuple(
            sorted(parts.values(), key=lambda p: (p.point.started, p.point.run), reverse=True)
        )
        for namespace, parts in sorted(found.items())
    }


def _held(
    facts: Facts, history: History, cells: _Cells, listed: _Listed, now: datetime
) -> tuple[str, Question | None]:
    """Why nothing of a policy goes, or nothing."""
    policy = history.policy
    if policy in facts.frozen:
        return facts.frozen[policy], None
    after = facts.retentions.get(policy)
    if after is None:
        return f"policy {policy} is not in force: it keeps what it has", None
    if not after.words():
        return f"policy {policy} has no retention", None
    try:
        before = _applied(facts.memories.get(policy), history)
    except ValueError as error:
        return f"a retention of policy {policy} can't be read: {error}", None
    lost, of = _lost(cells.values(), before, after, listed, now)
    if lost * 100 <= MOST_LOST * of:
        return "", None
    digest = change_digest(facts.cluster, policy, before, after)
    if digest in facts.approvals:
        return "", None
    told = (
        f"the changed retention of policy {policy} would expire {lost} of {of} recovery points,"
        f" more than {MOST_LOST} %"
    )
    return told, Question(policy=policy, message=told, digest=digest)


def _applied(memory: Memory | None, history: History) -> tuple[Retention, ...]:
    """What was applied last; before the first time all that runs were ever told."""
    if memory is not None and memory.retention is not None:
        return (memory.retention,)
    told = {jsonform.dumps(dict(r.retention)): r.retention for r in history.records if r.retention}
    return tuple(jsonform.from_json(Retention, dict(told[text])) for text in sorted(told))


def _lost(
    cells: Iterable[Sequence[Part]],
    before: Sequence[Retention],
    after: Retention,
    listed: _Listed,
    now: datetime,
) -> tuple[int, int]:
    """(points that only an earlier retention keeps, all points that are there)."""
    lost = of = 0
    for parts in cells:
        there = [part for part in parts if (seen := _seen(part, listed)) and _is_point(seen)]
        of += len(there)
        if all(words == after for words in before):
            continue
        kept = _kept(parts, after, listed, now)
        earlier = [_kept(parts, words, listed, now) for words in before]
        lost += sum(
            part.point.run not in kept and any(part.point.run in one for one in earlier)
            for part in there
        )
    return lost, of


def _decide_cell(
    parts: Sequence[Part], words: Retention, listed: _Listed, now: datetime
) -> Iterator[Decided]:
    unknown = sorted({key[0] for part in parts for key in part.names} - listed.keys())
    if unknown:
        why = f"repository {unknown[0][:10]}, which records of this namespace name, is not listed"
        yield from (Decided(part, keep=True, reasons=(why,)) for part in parts)
        return
    kept = _kept(parts, words, listed, now)
    past = _recorded(_past(parts, now))
    expired = {verdict.point.run: verdict.reasons for verdict in retention.decide(past, words, now)}
    for part in parts:
        run = part.point.run
        if run in kept:
            yield Decided(part, keep=True, reasons=kept[run])
        elif run not in expired:
            yield Decided(part, keep=True, reasons=("it began in the future",))
        elif not _is_point(part.point) and part.point.started > now - GRACE:
            told = f"{part.point.outcome}: it is no recovery point, and stays for a week"
            yield Decided(part, keep=True, reasons=(told,))
        else:
            yield Decided(part, keep=False, reasons=expired[run])


def _kept(
    parts: Sequence[Part], words: Retention, listed: _Listed, now: datetime
) -> dict[str, tuple[str, ...]]:
    """Run → why it stays: by what is there, by what was recorded, or among those of a claim."""
    past = _past(parts, now)
    there = [point for part in past if (point := _seen(part, listed)) is not None]
    found: dict[str, tuple[str, ...]] = {}
    for points in (tuple(there), tuple(_recorded(past)), *_by_claim(past, listed)):
        for verdict in retention.decide(points, words, now):
            if verdict.keep:
                found.setdefault(verdict.point.run, verdict.reasons)
    return found


def _by_claim(parts: Sequence[Part], listed: _Listed) -> list[tuple[Point, ...]]:
    """For each claim the points that have its data; most claims have the same ones: each once."""
    claims: defaultdict[str, list[Point]] = defaultdict(list)
    for part in parts:
        point = _seen(part, listed)
        if point is None:
            continue
        for claim in sorted({name for name, key in part.claims if not _is_gone(key, listed)}):
            claims[claim].append(point)
    return list(dict.fromkeys(tuple(points) for _, points in sorted(claims.items())))


def _past(parts: Iterable[Part], now: datetime) -> list[Part]:
    """Without those of a clock that went wrong: they would take the others' places for years."""
    return [part for part in parts if part.point.started <= now + AHEAD]


def _recorded(parts: Iterable[Part]) -> list[Point]:
    return [part.point for part in parts]


def _seen(part: Part, listed: _Listed) -> Point | None:
    """The point as restic has it: partial where something is missing, None where all is gone.

    What could not be listed counts as there: else one repository that is away for an hour would
    make a large change of retention look small.
    """
    missing = {key for key in part.names if _is_gone(key, listed)}
    if missing and missing >= (part.volumes or part.secrets):
        return None
    if missing and part.point.outcome is Outcome.COMPLETED:
        return replace(part.point, outcome=Outcome.PARTIALLY_FAILED)
    return part.point


def _is_gone(key: Key, listed: _Listed) -> bool:
    return key[0] in listed and key[1] not in listed[key[0]]


def _is_point(point: Point) -> bool:
    return point.outcome in (Outcome.COMPLETED, Outcome.PARTIALLY_FAILED)
