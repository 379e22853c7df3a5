"""Which restic snapshots of a Repository stay and which go, each with the rule that says so. Pure.

This is the only decision that ever removes a backup, so a snapshot goes only where all is known
that could hold it, and stays in every doubt:

1. what no run of this cluster made, to the last tag (`reconciler.plan.ownsnapshots`), stays;
2. what a kept recovery point names stays, whichever policy's it is (I13);
3. nothing goes while a brake holds (`reconciler.plan.keptpoints.find_brakes`), and nothing of a
   policy that is not in force or whose changed retention nobody approved;
4. what is left goes when its run has expired; what that run's record does not name, when all of
   the run has;
5. what was made by a run without a record goes a week later, unless its commit waits as a bundle
   or the branch may have lost the record;
6. a bundle goes a week after its run is on the branch, and then what says that it was delivered.

`check_plan` looks at the result once more, from the records alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.model.errors import Bug
from reconciler.model.policy import CLUSTER_NAMESPACE
from reconciler.model.run import Outcome
from reconciler.model.volumes import ResticSnapshot
from reconciler.plan import keptpoints
from reconciler.plan.keptpoints import AHEAD, GRACE, Decided, Facts, Key, Listing, Part, Question
from reconciler.plan.ownsnapshots import Kind, Own, recognise

_MOST_NAMED = 3
"""So many kept points are told of one snapshot; the others are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One restic snapshot, and why it stays or goes. ``own`` is None for a stranger's."""

    snapshot: ResticSnapshot
    keep: bool
    reasons: tuple[str, ...]
    own: Own | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One restic repository with all its snapshots, oldest first."""

    id: str
    url: str
    namespaces: tuple[str, ...]
    lines: tuple[Line, ...]

    @property
    def removed(self) -> tuple[str, ...]:
        """Ids of the snapshots that go: exactly what may be forgotten."""
        return tuple(line.snapshot.id for line in self.lines if not line.keep)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenancePlan:
    """What maintenance of one Repository would do. ``brakes``: why nothing goes at all."""

    cluster: str
    repository: str
    at: datetime
    places: tuple[Place, ...]
    brakes: tuple[str, ...] = ()
    held: Mapping[str, str] = field(default_factory=dict)
    """Policies of which nothing goes → why."""
    questions: tuple[Question, ...] = ()
    points: tuple[Decided, ...] = ()

    @property
    def removed(self) -> int:
        """How many snapshots go."""
        return sum(len(place.removed) for place in self.places)


def plan_maintenance(facts: Facts, repository: str, now: datetime) -> MaintenancePlan:
    """The plan for one Repository of Backstay's: all its restic repositories that were listed.

    Raises Bug where the plan contradicts the records: then nothing may be done.
    """
    points = keptpoints.decide_points(facts, now)
    brakes = keptpoints.find_brakes(facts)
    judge = _Judge(facts, points, brakes, repository, now)
    listings = [one for one in facts.listings if one.repository == repository]
    plan = MaintenancePlan(
        cluster=facts.cluster,
        repository=repository,
        at=now,
        places=tuple(judge.place(one) for one in sorted(listings, key=lambda one: one.url)),
        brakes=brakes,
        held=points.held,
        questions=points.questions,
        points=points.decided,
    )
    check_plan(plan, facts)
    return plan


def check_plan(plan: MaintenancePlan, facts: Facts) -> None:
    """Looks once more, by other means, at what would go; raises Bug where it must not.

    Nothing that a kept point names; and of the last complete point of each policy and namespace
    that restic has all of, nothing at all, nor of the last one that has a claim (I13).
    """
    going = {(place.id, gone) for place in plan.places for gone in place.removed}
    for decided in plan.points:
        if decided.keep and going & decided.part.names:
            raise Bug(f"maintenance would remove a part of {decided.part.point.run}, which stays")
    if going and plan.brakes:
        raise Bug(f"maintenance would remove snapshots, though {plan.brakes[0]}")
    listed = {(one.id, snapshot.id) for one in facts.listings for snapshot in one.snapshots}
    last: dict[tuple[str, str, str], Part] = {}
    for history in facts.histories.values():
        for record in history.records:
            for part in keptpoints.parts_of(record, history.policy):
                whole = part.point.outcome is Outcome.COMPLETED and part.names <= listed
                if not whole or part.point.started > plan.at + AHEAD:
                    continue
                for claim in {"", *(claim for claim, _ in part.claims)}:
                    place = (part.policy, part.namespace, claim)
                    if _newer(part, last.get(place)):
                        last[place] = part
    for part in last.values():
        if going & part.names:
            raise Bug(f"maintenance would remove {part.point.run}, the last good one of its policy")


def _newer(part: Part, than: Part | None) -> bool:
    mine = (part.point.started, part.point.run)
    return than is None or mine > (than.point.started, than.point.run)


class _Judge:
    """Decides snapshot by snapshot, from what was decided about the points."""

    def __init__(
        self,
        facts: Facts,
        points: keptpoints.Points,
        brakes: Sequence[str],
        repository: str,
        now: datetime,
    ) -> None:
        self._facts = facts
        self._brakes = brakes
        self._held = points.held
        self._now = now
        self._keepers: defaultdict[Key, list[Decided]] = defaultdict(list)
        self._of_run: defaultdict[str, list[Decided]] = defaultdict(list)
        for decided in points.decided:
            self._of_run[decided.part.point.run].append(decided)
            for key in decided.part.names if decided.keep else ():
                self._keepers[key].append(decided)
        self._recorded = {
            record.name: record
            for history in facts.histories.values()
            for record in history.records
        }
        self._bundles: set[str] = set()
        """Runs that have a bundle, delivered or not."""
        self._newest: dict[str, datetime] = {}
        """Run → when its newest snapshot was made, in any restic repository."""
        for own, snapshot in _own_snapshots(facts):
            for run in own.runs if own.kind is not Kind.DELIVERED else ():
                self._newest[run] = max(snapshot.time, self._newest.get(run, snapshot.time))
                if own.kind is Kind.BUNDLE:
                    self._bundles.add(run)
        self._vault = any(
            listing.repository == repository and CLUSTER_NAMESPACE in listing.namespaces
            for listing in facts.listings
        )
        """Whether it is known which bundles wait."""

    def place(self, listing: Listing) -> Place:
        """All snapshots of one restic repository."""
        ordered = sorted(listing.snapshots, key=lambda one: (one.time, one.id))
        return Place(
            id=listing.id,
            url=listing.url,
            namespaces=tuple(sorted(listing.namespaces)),
            lines=tuple(self._line(listing, snapshot) for snapshot in ordered),
        )

    def _line(self, listing: Listing, snapshot: ResticSnapshot) -> Line:
        own = recognise(snapshot, cluster=self._facts.cluster, namespaces=listing.namespaces)
        key = (listing.id, snapshot.id)
        if keepers := self._keepers.get(key):
            known = own if isinstance(own, Own) else None
            return Line(snapshot=snapshot, keep=True, reasons=_told(keepers), own=known)
        if isinstance(own, str):
            return Line(snapshot=snapshot, keep=True, reasons=(own,))
        keep, why = self._judge(own, snapshot, key)
        return Line(snapshot=snapshot, keep=keep, reasons=(why,), own=own)

    def _judge(self, own: Own, snapshot: ResticSnapshot, key: Key) -> tuple[bool, str]:
        """About a snapshot of ours that no kept point names."""
        if self._brakes:
            return True, f"nothing is removed: {self._brakes[0]}"
        if own.policy not in self._facts.histories:
            return True, f"policy {own.policy} has no branch: what its runs recorded is not known"
        if own.policy in self._held:
            return True, self._held[own.policy]
        if snapshot.time > self._now:
            return True, "it was made in the future"
        match own.kind:
            case Kind.BUNDLE:
                return self._bundle(own.runs[0], snapshot)
            case Kind.DELIVERED:
                return self._delivered(own, snapshot)
            case _:
                run = own.runs[0]
                known = run in self._recorded
                return self._expired(run, snapshot, key) if known else self._lost(own, run)

    def _expired(self, run: str, snapshot: ResticSnapshot, key: Key) -> tuple[bool, str]:
        """Of a run with a record: whether what the snapshot belongs to has expired."""
        parts = self._of_run[run]
        naming = [one for one in parts if key in one.part.names]
        for one in naming or parts:
            if one.keep:
                return True, f"{_name(one.part)} stays: {one.reasons[0]}"
        if not naming and snapshot.time > self._now - GRACE:
            return True, f"the record of {run} does not name it; it stays for a week"
        if naming:
            return False, f"{_name(naming[0].part)} expired: {naming[0].reasons[0]}"
        return False, f"{run} expired, and its record does not name it"

    def _lost(self, own: Own, run: str) -> tuple[bool, str]:
        """Of a run without a record."""
        history = self._facts.histories[own.policy]
        memory = self._facts.memories.get(own.policy)
        if run in self._bundles:
            return True, f"{run} waits as a bundle"
        if not self._vault:
            return True, "whether its run waits as a bundle is not known: _cluster is not listed"
        if history.rewound is not None and own.began <= history.rewound:
            told = "the branch was rewound or rewritten since"
            return True, f"{told}: it may have lost the record of {run}"
        if memory is None or not memory.tips or memory.since is None:
            return True, f"nobody remembers the branch: it may have lost the record of {run}"
        if own.began <= memory.since:
            # A Git server that was restored from its backup has lost what only restic has.
            told = f"the branch is remembered since {memory.since:%Y-%m-%dT%H:%M:%SZ} only"
            return True, f"{told}: it may have lost the record of {run}"
        if max(own.began, self._newest[run]) > self._now - GRACE:
            return True, f"{run} has no record yet; it stays for a week"
        return False, f"{run} never got a record, and a week is over"

    def _bundle(self, run: str, snapshot: ResticSnapshot) -> tuple[bool, str]:
        if run not in self._recorded:
            return True, f"{run} waits as this bundle"
        if snapshot.time > self._now - GRACE:
            return True, f"{run} was delivered; its bundle stays for a week"
        return False, f"{run} is on its branch: its bundle is needed no more"

    def _delivered(self, own: Own, snapshot: ResticSnapshot) -> tuple[bool, str]:
        if held := sorted(self._bundles & set(own.runs)):
            return True, f"the bundle of {held[0]} is still there"
        if not self._vault or snapshot.time > self._now - GRACE:
            return True, "it says which runs were delivered, and stays for a week"
        return False, "none of the bundles that it is about is there any more"


def _own_snapshots(facts: Facts) -> Iterator[tuple[Own, ResticSnapshot]]:
    for listing in facts.listings:
        for snapshot in listing.snapshots:
            own = recognise(snapshot, cluster=facts.cluster, namespaces=listing.namespaces)
            if isinstance(own, Own):
                yield own, snapshot


def _told(keepers: Iterable[Decided]) -> tuple[str, ...]:
    """The kept points that name a snapshot, each with its first reason."""
    told = [f"{_name(one.part)}: {one.reasons[0]}" for one in keepers]
    more = len(told) - _MOST_NAMED
    return (*told[:_MOST_NAMED], *((f"and {more} more",) if more > 0 else ()))


def _name(part: Part) -> str:
    return f"{part.point.run} ({part.namespace})"
