"""Runs, load and collisions of several policies; adding one never changes another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.errors import Refused
from reconciler.model.policy import BackupPolicy, Objectives, Schedule, Volumes
from reconciler.plan.simulation import Simulation, simulate
from reconciler.policy import parse_files
from tests.unit.plan.schedules_world import policy

SINCE = datetime(2026, 11, 21, 18, 0, tzinfo=UTC)


def run(policies: Sequence[BackupPolicy], days: int = 30, within: int = 900) -> Simulation:
    return simulate(
        policies,
        cluster="prod-eu",
        since=SINCE,
        until=SINCE + timedelta(days=days),
        within=within,
    )


def on(found: BackupPolicy, repository: str) -> BackupPolicy:
    return replace(found, volumes=Volumes(repository=repository))


def test_every_run_is_there_and_policies_are_sorted() -> None:
    found = run([policy("shop", "17 4 * * *"), policy("mail", "0 */6 * * *")])
    assert [one.name for one in found.policies] == ["mail", "shop"]
    assert [len(one.runs) for one in found.policies] == [120, 30]
    assert found.policies[1].runs[0] == datetime(2026, 11, 22, 4, 17, tzinfo=UTC)


def test_a_suspended_policy_has_no_runs_and_keeps_nothing() -> None:
    wanted = replace(policy("shop", suspend=True), objectives=Objectives(rpo=60))
    found = run([wanted])
    assert found.policies[0].runs == ()
    assert found.policies[0].keeps_rpo is None
    assert found.loads[0].runs == 0
    assert found.loads[0].busiest is None


@pytest.mark.parametrize(("rpo", "keeps"), [(46, False), (47, True), (None, None)])
def test_the_promise_is_held_against_the_worst_gap_of_a_year(
    rpo: int | None, keeps: bool | None
) -> None:
    wanted = replace(
        policy("shop"),
        schedule=Schedule("17 2 * * *", "Europe/Berlin"),
        objectives=Objectives(rpo=rpo and rpo * 3600),
    )
    found = run([wanted], days=1)
    assert found.policies[0].keeps_rpo is keeps
    assert found.broken == (found.policies if keeps is False else ())
    assert len(found.policies[0].irregular) == 2


def test_hashes_are_of_the_cluster() -> None:
    (one,) = run([policy("shop", "H 4 * * *")]).policies
    assert one.written.cron == "H 4 * * *"
    assert one.compiled.cron.endswith(" 4 * * *")
    assert {run.minute for run in one.runs} == {int(one.compiled.cron.split()[0])}


def test_load_is_counted_by_repository_and_hour() -> None:
    policies = [
        policy("a", "0 4 * * *"),
        policy("b", "30 4 * * SAT"),
        policy("c", "0 5 * * *"),
        on(policy("d", "0 4 * * *"), "other"),
    ]
    main, other = run(policies, days=7).loads
    assert (main.repository, main.policies, main.runs) == ("main", 3, 15)
    assert main.by_hour[4:6] == (8, 7)
    assert sum(main.by_hour) == main.runs
    assert main.busiest == datetime(2026, 11, 28, 4, 0, tzinfo=UTC)
    assert main.most == 2
    assert (other.repository, other.runs) == ("other", 7)


def test_policies_that_start_together_collide_on_one_repository_only() -> None:
    policies = [
        policy("a", "0 4 * * *"),
        policy("b", "15 4 * * *"),
        policy("c", "10 4 * * SUN"),
        on(policy("d", "0 4 * * *"), "other"),
        policy("e", "16 4 * * *"),
    ]
    found = run(policies, days=14).collisions
    assert [(one.policies, one.times, one.first.isoformat()) for one in found] == [
        (("a", "b", "c"), 2, "2026-11-22T04:00:00+00:00"),
        (("a", "b"), 12, "2026-11-23T04:00:00+00:00"),
    ]
    assert run(policies, within=60).collisions[0].policies == ("b", "e")


def test_a_policy_does_not_collide_with_itself() -> None:
    assert run([policy("a", "*/5 * * * *")]).collisions == ()


def test_more_runs_than_can_be_drawn_are_refused() -> None:
    wanted = [policy(f"p{n}", "* * * * *") for n in range(12)]
    with pytest.raises(Refused, match="30 days have more than 500,000 runs") as caught:
        run(wanted)
    assert caught.value.hint == "ask for fewer days"


def test_the_worked_examples_keep_their_promises() -> None:
    folder = Path(__file__).parents[3] / "policies"
    files = {str(path): path.read_bytes() for path in folder.rglob("*.yaml")}
    found = run(parse_files(files).policies, days=1)
    assert found.policies
    assert found.broken == ()
    assert not [one for policy in found.policies for one in policy.irregular]


schedules = st.sampled_from(
    ["0 4 * * *", "H 4 * * *", "H/30 * * * *", "0 0 1 * *", "15 */6 * * 1-5", "H H * * *"]
)
many = st.dictionaries(
    st.from_regex(r"[a-z]{1,4}", fullmatch=True),
    st.tuples(schedules, st.sampled_from(["main", "other"])),
    min_size=1,
    max_size=6,
).map(lambda found: [on(policy(name, cron), repo) for name, (cron, repo) in found.items()])


@settings(max_examples=25)
@given(policies=many)
def test_the_order_of_policies_does_not_matter(policies: list[BackupPolicy]) -> None:
    assert run(policies, days=3) == run(list(reversed(policies)), days=3)


@settings(max_examples=25)
@given(policies=many)
def test_adding_a_policy_never_changes_another(policies: list[BackupPolicy]) -> None:
    before = run(policies[1:], days=3).policies
    after = run(policies, days=3).policies
    assert [one for one in after if one.name != policies[0].name] == list(before)


@settings(max_examples=25)
@given(policies=many)
def test_every_run_is_counted_once(policies: list[BackupPolicy]) -> None:
    found = run(policies, days=3)
    assert sum(load.runs for load in found.loads) == sum(len(one.runs) for one in found.policies)
    assert all(len(one.policies) > 1 and one.times for one in found.collisions)
