"""Our times are those of the parser in Kubernetes, two years ahead, in 20 zones and more.

The zones have every kind of clock change there is: none, whole hours by day, at midnight, half an
hour, two hours, and pauses for Ramadan. Our year of arithmetic (`runtimes`), our search step by
step (`crontimes`) and the original must agree to the second.
"""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from zoneinfo import available_timezones

import pytest

from reconciler.model.policy import Schedule
from reconciler.plan.crontimes import moment_of, next_time, seconds_of
from reconciler.plan.runtimes import runs_between, worst_gap
from reconciler.policy.cron import MACROS, CronError, parse_cron
from reconciler.policy.fields import check_time_zone
from tests.rig import crontimes, goprograms
from tests.rig.crontimes import Answer, Question

# Not the fixture's: the first one on a machine builds the program.
pytestmark = pytest.mark.timeout(300, func_only=True)
SINCE = datetime(2026, 11, 21, 18, 0, tzinfo=UTC)
UNTIL = datetime(2028, 11, 21, 18, 0, tzinfo=UTC)
ZONES = (
    "Etc/UTC",
    "Europe/Berlin",
    "Europe/London",
    "Europe/Lisbon",
    "Atlantic/Azores",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Santiago",
    "America/Havana",
    "America/Nuuk",
    "America/St_Johns",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Australia/Adelaide",
    "Pacific/Chatham",
    "Pacific/Norfolk",
    "Antarctica/Troll",
)
CRONS = (
    "17 2 * * *",
    "30 1 * * *",
    "0 0 * * *",
    "30 0 * * *",
    "15 3 * * *",
    "45 23 * * *",
    "0 5 * * FRI",
    "0 5 * * THU",
    "30 2 * * SUN",
    "0 0 * * SAT,SUN",
    "0 */6 * * *",
    "10 1-3 * * *",
    "*/20 2 * * *",
    "0 4 1 * *",
    "0 0 1 * *",
    "30 2 31 * *",
    "0 3 29 2 *",
    "0 12 13 * FRI",
    "0 0 1-7 * MON",
    "0 6 */2 * *",
    "0 6 * * */2",
    "15 2 25-31 3,10 0",
    "5,35 0,12,23 * 4,9,10 1-5",
    *(parse_cron(macro) for macro in MACROS if macro != "@hourly"),
)
DENSE = ("0 * * * *", "*/15 * * * *", "59 */2 * * *", "* 1-2 * * *")


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    """Build the program while HOME is still the caller's."""
    goprograms.program("crontimes")


def original(cron: str, zone: str, since: datetime, until: datetime) -> Answer:
    (answer,) = crontimes.ask([Question(cron, zone, seconds_of(since), seconds_of(until))])
    return answer


def ours(cron: str, zone: str, since: datetime, until: datetime) -> tuple[int, ...]:
    return tuple(seconds_of(run) for run in runs_between(Schedule(cron, zone), since, until))


def walked(cron: str, zone: str, since: datetime, until: datetime) -> tuple[int, ...]:
    found = []
    run = next_time(Schedule(cron, zone), since)
    while run is not None and run <= until:
        found.append(seconds_of(run))
        run = next_time(Schedule(cron, zone), run)
    return tuple(found)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("zone", ZONES)
def test_two_years_of_runs_are_those_of_the_original(zone: str) -> None:
    questions = [Question(cron, zone, seconds_of(SINCE), seconds_of(UNTIL)) for cron in CRONS]
    for asked, answer in zip(questions, crontimes.ask(questions), strict=True):
        assert not answer.error
        assert ours(asked.cron, zone, SINCE, UNTIL) == answer.runs, asked.cron


@pytest.mark.one_in(3)
@pytest.mark.parametrize("zone", ["Europe/Berlin", "Africa/Cairo", "Australia/Lord_Howe"])
@pytest.mark.parametrize("cron", DENSE)
def test_a_year_of_dense_schedules(zone: str, cron: str) -> None:
    until = SINCE + timedelta(days=366)
    assert ours(cron, zone, SINCE, until) == original(cron, zone, SINCE, until).runs


def test_the_search_itself_is_the_original() -> None:
    random = Random(20261121)  # noqa: S311 - the same examples every time
    zones = sorted(available_timezones())
    questions: list[Question] = []
    while len(questions) < 300:
        cron = random_cron(random)
        zone = random.choice([random.choice(zones), random.choice(ZONES)])
        begin = seconds_of(SINCE) + random.randrange(2 * 366 * 86400)
        if cron and zone not in ("localtime", "Factory"):
            questions.append(Question(cron, zone, begin, begin + 40 * 86400))
    for asked, answer in zip(questions, crontimes.ask(questions), strict=True):
        since, until = moment_of(asked.since), moment_of(asked.until)
        assert not answer.error
        assert walked(asked.cron, asked.zone, since, until) == answer.runs, asked
        assert ours(asked.cron, asked.zone, since, until) == answer.runs, asked


def random_cron(random: Random) -> str:
    """A schedule of a few times a day at most; empty where the grammar refuses it."""
    hours = ",".join(str(random.choice([0, 0, 1, 2, 3, 23, random.randint(0, 23)])) for _ in "ab")
    day = random.choice(["*", "*", "*/2", "1", "28-31", f"{random.randint(1, 31)}"])
    month = random.choice(["*", "*", "*/3", f"{random.randint(1, 12)}"])
    weekday = random.choice(["*", "*", "0", "FRI", "SAT", "1-5", f"{random.randint(0, 6)}"])
    try:
        return parse_cron(f"{random.choice([0, 15, 30, 59])} {hours} {day} {month} {weekday}")
    except CronError:
        return ""


def test_every_zone_that_we_take_is_taken() -> None:
    zones = []
    for zone in sorted(available_timezones()):
        with contextlib.suppress(ValueError):
            zones.append(check_time_zone(zone))
    assert len(zones) > 500
    questions = [Question("0 0 * * *", zone, 0, 0) for zone in zones]
    assert not [answer.error for answer in crontimes.ask(questions) if answer.error]
    # validateTimeZone in the API server
    part = re.compile(r"[A-Za-z._0-9+][A-Za-z._0-9+-]{0,13}")
    assert all(part.fullmatch(one) for zone in zones for one in zone.split("/"))
    assert "local" not in [zone.lower() for zone in zones]


def test_the_gap_of_spring_is_the_original_s() -> None:
    runs = original("17 2 * * *", "Europe/Berlin", SINCE, SINCE + timedelta(days=366)).runs
    gap = max(after - before for before, after in pairwise(runs))
    assert gap == 47 * 3600
    found = worst_gap(Schedule("17 2 * * *", "Europe/Berlin"), SINCE)
    assert found is not None
    assert found.seconds == gap
    assert f"{found.begin:%Y-%m-%d %H:%M} {found.end:%Y-%m-%d %H:%M}" == (
        "2027-03-27 01:17 2027-03-29 00:17"
    )


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("0 4 * * 7", "above maximum"),
        ("0 22-2 * * *", "beyond end of range"),
        ("0 4 L * *", "failed to parse int"),
        ("0 0 4 * * *", "expected exactly 5 fields"),
        ("H 4 * * *", "failed to parse int"),
    ],
)
def test_what_the_original_refuses_is_refused(cron: str, said: str) -> None:
    assert said in original(cron, "Etc/UTC", SINCE, UNTIL).error
    if "H" not in cron:
        with pytest.raises(CronError):
            parse_cron(cron)
