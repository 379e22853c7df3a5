"""What a change of schedules and promises is told to do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from reconciler.model.finding import Finding, Place, Severity
from reconciler.model.policy import BackupPolicy, Objectives, Schedule
from reconciler.plan.schedulefindings import schedule_findings
from tests.unit.plan.schedules_world import policy

NOW = datetime(2026, 11, 21, 12, 34, tzinfo=UTC)
DAY = 86400
HOUR = 3600


def place(name: str, path: str) -> Place:
    return Place(f"policies/{name}.yaml#{path}", 7)


def promised(
    cron: str, rpo: int | None = None, zone: str = "Etc/UTC", *, suspend: bool = False
) -> BackupPolicy:
    return replace(
        policy("shop", suspend=suspend),
        schedule=Schedule(cron, zone),
        objectives=Objectives(rpo=rpo),
    )


def findings(
    before: BackupPolicy | None, after: BackupPolicy, cluster: str = "prod"
) -> tuple[Finding, ...]:
    return schedule_findings([before] if before else [], [after], cluster, NOW, place)


def test_a_promise_that_the_new_schedule_breaks() -> None:
    found, _ = findings(promised("17 2 * * *", 26 * HOUR), promised("17 2 * * 1-5", 26 * HOUR))
    assert (found.id, found.severity) == ("rpo-missed", Severity.ERROR)
    assert found.message == (
        "policy shop: objectives.rpo promises 26h, and its schedule has 3 d without a run,"
        " from 2026-11-27T02:17:00Z"
    )
    assert found.place == place("shop", "schedule.cron")
    assert found.facts["gap"] == str(3 * DAY)


def test_a_night_on_which_clocks_change_breaks_a_promise() -> None:
    """02:17 in Berlin on 2027-03-28 does not exist: 47 h."""
    found = findings(None, promised("17 2 * * *", 26 * HOUR, "Europe/Berlin"))
    assert [one.id for one in found] == ["rpo-missed", "run-lost", "run-doubled"]
    assert "47 h without a run" in found[0].message
    assert found[0].place == place("shop", "objectives.rpo")
    assert [one.severity for one in found[1:]] == [Severity.WARNING, Severity.NOTE]


def test_a_promise_that_stays_broken_is_louder_only_if_it_gets_worse() -> None:
    before = promised("17 2 * * *", HOUR)
    (better,) = findings(before, promised("17 */12 * * *", HOUR))
    assert better.severity is Severity.WARNING
    worse, _ = findings(before, promised("17 2 */2 * *", HOUR))
    assert worse.severity is Severity.ERROR


def test_what_the_change_does_not_touch_is_not_told() -> None:
    broken = promised("17 2 * * *", HOUR, "Europe/Berlin")
    assert findings(broken, broken) == ()
    assert findings(None, replace(broken, suspend=True)) == ()


def test_a_policy_that_is_resumed_is_held_to_its_promise() -> None:
    broken = promised("17 2 * * *", HOUR)
    found = findings(replace(broken, suspend=True), broken)
    assert [one.id for one in found] == ["rpo-missed"]


def test_a_promise_that_is_taken_back() -> None:
    (longer,) = findings(promised("17 2 * * *", 26 * HOUR), promised("17 2 * * *", 2 * DAY))
    assert (longer.id, longer.severity) == ("rpo-loosened", Severity.WARNING)
    assert longer.message == "policy shop: objectives.rpo promised 26h, and promises 2d now"
    (none,) = findings(promised("17 2 * * *", 26 * HOUR), promised("17 2 * * *"))
    assert none.message.endswith("and promises nothing now")


def test_a_day_that_does_not_come_within_years_never_runs() -> None:
    (found,) = findings(None, promised("0 3 29 2 */6"))
    assert (found.id, found.severity) == ("never-runs", Severity.ERROR)
    assert "0 3 29 2 */6" in found.message


def test_what_depends_on_the_cluster_is_not_said_of_none() -> None:
    hashed = promised("H 2 * * *", 26 * HOUR, "Europe/Berlin")
    assert "run-lost" not in [one.id for one in findings(None, hashed, cluster="")]
    assert "run-lost" in [one.id for one in findings(None, hashed)]


def test_a_policy_that_runs_more_seldom_is_told_without_a_promise() -> None:
    (found,) = findings(promised("17 4 * * *"), promised("17 4 1 1 *"))
    assert (found.id, found.severity) == ("runs-seldomer", Severity.WARNING)
    assert found.message == (
        "policy shop runs more seldom: its schedule has 365 d without a run,"
        " from 2027-01-01T04:17:00Z, and it had 24 h at most"
    )
    assert found.place == place("shop", "schedule.cron")
    assert found.facts == {"from": str(DAY), "to": str(365 * DAY)}


def test_what_does_not_run_more_seldom() -> None:
    daily = promised("17 4 * * *")
    assert findings(promised("17 4 1 1 *"), daily) == ()
    assert findings(daily, promised("47 23 * * *")) == ()
    assert findings(replace(daily, suspend=True), promised("17 4 1 1 *")) == ()
    assert findings(daily, promised("17 4 1 1 *", suspend=True)) == ()
    assert findings(None, promised("17 4 1 1 *")) == ()
    assert findings(daily, promised("17 4 * * *", zone="Europe/Berlin")) == ()
