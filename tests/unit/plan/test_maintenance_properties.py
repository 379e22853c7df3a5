"""Whatever happened, and whatever is lost: what maintenance may never remove."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.model.policy import Retention
from reconciler.model.run import Outcome
from reconciler.plan.keptpoints import AHEAD, Facts, Key, Part, parts_of
from tests.unit.plan.maintenance_world import C, F, P, World, days

# On a busy machine a history may take long to draw, which is no bug. The same examples each time:
# thousands of others were tried when this was written, and are again with derandomize=False.
PATIENT = settings(suppress_health_check=[HealthCheck.too_slow], max_examples=40, derandomize=True)
retentions = st.builds(
    Retention,
    keep_last=st.none() | st.integers(1, 4),
    keep_daily=st.none() | st.integers(1, 4),
    keep_monthly=st.none() | st.integers(1, 3),
    keep_within=st.sampled_from([None, None, "6h", "3d", "1m"]),
).filter(lambda one: bool(one.words()))
_policies = st.sampled_from(["shop", "web"])


@dataclass(frozen=True)
class Event:
    """A run some hours ago: outcomes of namespaces, and what became of what it stored."""

    hours: int
    policy: str
    outcomes: tuple[Outcome, ...]
    recorded: bool
    lost: frozenset[int]
    """Numbers of its snapshots that restic does not have any more."""
    again: bool
    """Whether it names what the run before stored, besides its own."""


events = st.lists(
    st.builds(
        Event,
        hours=st.integers(-72, 24 * 120),
        policy=_policies,
        outcomes=st.lists(st.sampled_from([C, C, C, P, F]), min_size=1, max_size=2).map(tuple),
        recorded=st.sampled_from([True, True, True, False]),
        lost=st.frozensets(st.integers(0, 3), max_size=2) | st.just(frozenset[int]()),
        again=st.booleans(),
    ),
    max_size=14,
    unique_by=lambda event: (event.hours, event.policy),
)


def _build(history: list[Event], words: dict[str, Retention]) -> World:
    world = World(retentions=words)
    gone: set[str] = set()
    before: dict[str, str] = {}
    for event in sorted(history, key=lambda one: -one.hours):
        started = days(event.hours / 24)
        held = world.secrets(event.policy, started)
        parts, ids = {}, [held]
        for number, outcome in enumerate(event.outcomes):
            namespace = f"ns{number}"
            volume = world.volume(event.policy, started, namespace)
            ids.append(volume)
            also = [before[namespace]] if event.again and namespace in before else []
            parts[namespace] = (outcome, [volume, *also])
            before[namespace] = volume
        if event.recorded:
            world.record(event.policy, started, parts, secrets=held)
        gone |= {ids[number] for number in event.lost if number < len(ids)}
    world.forget(gone)
    return world


def _whole(facts: Facts, now: datetime) -> dict[tuple[str, str], Part]:
    """The newest complete point of each policy and namespace that restic has all of."""
    listed: set[Key] = {(one.id, s.id) for one in facts.listings for s in one.snapshots}
    found: dict[tuple[str, str], Part] = {}
    parts = [
        part
        for history in facts.histories.values()
        for record in history.records
        for part in parts_of(record, history.policy)
    ]
    for part in sorted(parts, key=lambda one: one.point.started):
        if part.point.outcome is C and part.names <= listed and part.point.started <= now + AHEAD:
            found[part.policy, part.namespace] = part
    return found


@PATIENT
@given(history=events, shop=retentions, web=retentions)
def test_i13_the_last_good_point_and_every_kept_one_stay_whole(
    history: list[Event], shop: Retention, web: Retention
) -> None:
    world = _build(history, {"shop": shop, "web": web})
    plan, facts = world.plan(), world.facts()
    last = _whole(facts, plan.at)
    gone = {(place.id, one) for place in plan.places for one in place.removed}
    assert not any(part.names & gone for part in last.values())
    kept = {key for decided in plan.points if decided.keep for key in decided.part.names}
    assert not kept & gone
    world.forget({one for _, one in gone})
    after = _whole(world.facts(), plan.at)
    assert {place: part.point for place, part in after.items()} == {
        place: part.point for place, part in last.items()
    }


@PATIENT
@given(history=events, shop=retentions, web=retentions, data=st.data())
def test_removing_is_monotone_also_when_it_was_cut_short(
    history: list[Event], shop: Retention, web: Retention, data: st.DataObject
) -> None:
    world = _build(history, {"shop": shop, "web": web})
    going = world.removed()
    done = data.draw(st.sets(st.sampled_from(sorted(going)))) if going else set()
    world.forget(done)
    rest = world.removed()
    assert rest <= going - done
    world.forget(rest)
    assert world.removed() == set()


def _more(one: int | None, other: int | None) -> int | None:
    return max((value for value in (one, other) if value is not None), default=None)


@PATIENT
@given(history=events, words=retentions, longer=retentions)
def test_a_retention_of_more_words_removes_nothing_more(
    history: list[Event], words: Retention, longer: Retention
) -> None:
    world = _build(history, {"shop": words, "web": words})
    going = world.removed()
    after = replace(
        words,
        keep_last=_more(words.keep_last, longer.keep_last),
        keep_daily=_more(words.keep_daily, longer.keep_daily),
        keep_monthly=_more(words.keep_monthly, longer.keep_monthly),
    )
    world.retentions = {"shop": after, "web": after}
    assert world.removed() <= going


@PATIENT
@given(history=events, words=retentions, data=st.data())
def test_whatever_is_not_known_holds_more(
    history: list[Event], words: Retention, data: st.DataObject
) -> None:
    world = _build(history, {"shop": words, "web": words})
    going = world.removed()
    match data.draw(st.integers(0, 3)):
        case 0:
            world.unlisted = {data.draw(st.sampled_from([("main", "ns0"), ("main", "_cluster")]))}
        case 1:
            world.retentions.pop(data.draw(_policies))
        case 2:
            world.rewound[data.draw(_policies)] = days(data.draw(st.integers(0, 120)))
        case _:
            world.frozen[data.draw(_policies)] = "somebody said so"
    assert world.removed() <= going


@PATIENT
@given(history=events, words=retentions, lacking=_policies)
def test_a_record_that_is_lost_never_costs_a_point_of_another_run(
    history: list[Event], words: Retention, lacking: str
) -> None:
    """As by a branch that was rewound, and that nobody noticed: the alarm stands in later runs."""
    world = _build(history, {"shop": words, "web": words})
    if not world.records.get(lacking):
        return
    lost = world.records[lacking].pop()
    world.rewound[lacking] = max(lost.started, days(0))
    names = {key for part in parts_of(lost, lacking) for key in part.names}
    plan = world.plan()
    removed = {(place.id, one) for place in plan.places for one in place.removed}
    others = {
        key
        for place in plan.places
        for line in place.lines
        if line.own and lost.name in line.own.runs
        for key in [(place.id, line.snapshot.id)]
    }
    assert not others & names & removed
