"""Schedules that CronJob and cronsim read alike; the rest is refused with the reason."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from cronsim import CronSim

from reconciler.model.cronhash import uses_hash
from reconciler.policy.cron import MACROS, CronError, parse_cron
from tests.unit.policy.yamltexts import MAIN, SHOP, parse


@pytest.mark.parametrize(
    ("text", "cron"),
    [
        ("0 4 * * *", "0 4 * * *"),
        ("  0   4 * * * ", "0 4 * * *"),
        ("*/15 9-17 * * mon-fri", "*/15 9-17 * * MON-FRI"),
        ("0 0 1,15 jan,jul *", "0 0 1,15 JAN,JUL *"),
        ("5-55/10 * * * 0", "5-55/10 * * * 0"),
        ("0 0 */2 * *", "0 0 */2 * *"),
        ("0 0 * * */2", "0 0 * * */2"),
        ("0 0 1-7 * 1", "0 0 1-7 * 1"),
        ("0 0 */1 * 1", "0 0 */1 * 1"),
        ("0 0 29 2 *", "0 0 29 2 *"),
        ("0 0 31 2 1", "0 0 31 2 1"),
        ("H 4 * * *", "H 4 * * *"),
        ("H h * * *", "H H * * *"),
        ("h(0-29)/10 H(1-4) * * *", "H(0-29)/10 H(1-4) * * *"),
        ("H/15 H/6 * * *", "H/15 H/6 * * *"),
        ("H(0-4),H(30-34) * * * THU", "H(0-4),H(30-34) * * * THU"),
        *MACROS.items(),
    ],
)
def test_schedules(text: str, cron: str) -> None:
    assert parse_cron(text) == cron


@pytest.mark.parametrize(
    ("text", "reason", "hint"),
    [
        ("", "has 0 fields, not five", "such as 17 4 * * *"),
        ("0 4 * *", "has 4 fields", "minute hour day month weekday"),
        ("0 0 4 * * *", "has 6 fields", "CronJob has no seconds"),
        ("@every 5m", "has @every", "such as */15 * * * *"),
        ("@Daily", "knows no macro `@Daily`", "did you mean @daily?"),
        ("@reboot", "knows no macro", "there are @yearly"),
        ("CRON_TZ=UTC 0 4 * * *", "names a time zone", "timeZone"),
        ("TZ=UTC 0 4 * * *", "names a time zone", "timeZone"),
        ("0 4 ? * *", "has `?` for the day of month", "write `*`"),
        ("0 4 L * *", "has `L` for the day of month", "no L, W and #"),
        ("0 4 15W * *", "has `15W` for the day of month", "no L, W and #"),
        ("0 4 * * 1#2", "has `1#2` for the day of week", "1-7 for the first week"),
        ("0 4 * * 5L", "has `5L` for the day of week", "no L, W and #"),
        ("0 4 * * 7", "has 7 for the day of week, which CronJob refuses", "write 0 or SUN"),
        ("0 22-2 * * *", "wraps for the hour", "22-23,0-2"),
        ("0 22-0 * * *", "wraps for the hour", "22-23,0"),
        ("0 4 * * FRI-MON", "wraps for the day of week", "5-6,0-1"),
        ("5/15 * * * *", "has `5/15` for the minute", "5-59/15"),
        ("5-5/15 * * * *", "range of one for the minute", "write 5"),
        ("60 * * * *", "has 60 for the minute, which goes from 0 to 59", ""),
        ("0 24 * * *", "has 24 for the hour", ""),
        ("0 0 0 * *", "has 0 for the day of month", ""),
        ("0 0 * 13 *", "has 13 for the month", ""),
        ("0 0 * FOO *", "has `FOO` for the month", "there are JAN, FEB"),
        ("0 JAN * * *", "has `JAN` for the hour", "write its number"),
        ("*/0 * * * *", "step of 0", "from 1 to 59"),
        ("*/60 * * * *", "step of 60", "from 1 to 59"),
        ("*,5 * * * *", "has `*` in a list", "write the numbers"),
        ("1,,2 * * * *", "has `` for the minute", "a comma too many"),
        ("-1 * * * *", "has `-1` for the minute", "there are numbers"),
        ("0 0 */2 * 1", "CronJob runs when either matches", "such as 1-31/2"),
        ("0 0 1 * */2", "CronJob runs when either matches", "or 0-6/2"),
        ("0 0 31 2 *", "never runs: no such month has a day 31", "such as 28"),
        ("0 0 31 4,6,9,11 *", "never runs", ""),
        ("0 0 30 FEB *", "never runs", ""),
        ("0 0 H * *", "has `H` for the day of month", "in minute and hour only"),
        ("0 0 * H *", "has `H` for the month", "in minute and hour only"),
        ("0 0 * * H", "has `H` for the day of week", "in minute and hour only"),
        ("H/1 * * * *", "whose step does not fit into 0-59", "from 2 to 59"),
        ("H/60 * * * *", "whose step does not fit into 0-59", "from 2 to 59"),
        ("0 H/24 * * *", "whose step does not fit into 0-23", "from 2 to 23"),
        ("H(0-9)/10 * * * *", "whose step does not fit into 0-9", "from 2 to 9"),
        ("H(5-5) * * * *", "has `H(5-5)`, which is always 5", "write 5"),
        ("H(9-5) * * * *", "wraps for the minute, `H(9-5)`", ""),
        ("H(0-60) * * * *", "has 60 for the minute", ""),
        ("0 H(0-24) * * *", "has 24 for the hour", ""),
        ("H5 * * * *", "has `H5` for the minute", "there are H, H(0-15)"),
        ("H-30 * * * *", "has `H-30` for the minute", "there are H, H(0-15)"),
        ("H( 0-29) * * * *", "has 6 fields", ""),
        ("٣ 4 * * *", "has `٣` for the minute", ""),
        ("0" * 5000 + " 4 * * *", "for the minute", ""),
    ],
)
def test_refused_schedules(text: str, reason: str, hint: str) -> None:
    with pytest.raises(CronError, match=re.escape(reason)) as caught:
        parse_cron(text)
    assert hint in caught.value.hint


def test_hash_is_noticed() -> None:
    assert uses_hash("H 4 * * *")
    assert uses_hash("0 h * * *")
    assert not uses_hash("0 4 * * THU")


@pytest.mark.parametrize("schedule", ['"H 4 * * *"', '{cron: "0 H(1-5) * * *"}'])
def test_a_hash_is_taken_in_a_policy(schedule: str) -> None:
    parsed = parse(MAIN, SHOP.replace('"17 4 * * *"', schedule))
    assert not parsed.problems
    assert uses_hash(parsed.policies[0].schedule.cron)


def test_a_problem_says_where_and_what_to_write() -> None:
    (problem,) = parse(MAIN, SHOP.replace('"17 4 * * *"', '"5/15 4 * * *"')).problems
    assert (problem.line, problem.column) == (12, 13)
    assert problem.message.endswith("has `5/15` for the minute")
    assert problem.hint == "a step needs a range, such as 5-59/15"


@pytest.mark.parametrize("zone", ["Local", "local", "europe/berlin", "CET+1", "TZ=UTC", "../UTC"])
def test_zones_that_the_api_server_refuses(zone: str) -> None:
    text = SHOP.replace('"17 4 * * *"', f'{{cron: "17 4 * * *", timeZone: "{zone}"}}')
    (problem,) = parse(MAIN, text).problems
    assert "is not an IANA time zone" in problem.message


def random_field(random: Random, low: int, high: int) -> str:
    if random.random() < 0.3:
        return "*" if random.random() < 0.5 else f"*/{random.randint(1, high)}"
    terms = []
    for _ in range(random.randint(1, 3)):
        first, last = sorted((random.randint(low, high), random.randint(low, high)))
        step = f"/{random.randint(1, high)}" if random.random() < 0.3 else ""
        terms.append(f"{first}-{last}{step}" if random.random() < 0.6 else str(first))
    return ",".join(terms)


LIMITS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


def robfig_matches(cron: str, when: datetime) -> bool:
    """Whether robfig/cron v3 (parser.go, spec.go), the parser of CronJob, runs at a minute."""
    now = (when.minute, when.hour, when.day, when.month, when.isoweekday() % 7)
    fits, stars = [], []
    for at, part, (low, high) in zip(now, cron.split(), LIMITS, strict=True):
        values: set[int] = set()
        star = False
        for term in part.split(","):
            span, _, step = term.partition("/")
            first, _, last = span.partition("-")
            begin, end = (low, high) if span == "*" else (int(first), int(last or first))
            values |= set(range(begin, end + 1, int(step or 1)))
            star = star or (span == "*" and int(step or 1) == 1)
        fits.append(at in values)
        stars.append(star)
    minute, hour, day, month, weekday = fits
    days = (day and weekday) if stars[2] or stars[4] else (day or weekday)
    return minute and hour and month and days


def cronsim_matches(sim: CronSim, when: datetime) -> bool:
    """Whether cronsim runs at a minute (`advance_day` in cronsim.py)."""
    day = when.day in sim.days
    weekday = when.isoweekday() in sim.weekdays or when.isoweekday() % 7 in sim.weekdays
    days = (day and weekday) if sim.day_and else (day or weekday)
    return bool(
        days and when.minute in sim.minutes and when.hour in sim.hours and when.month in sim.months
    )


def test_what_is_taken_is_read_alike_by_cronsim_and_by_the_parser_of_cronjob() -> None:
    random = Random(20261121)  # noqa: S311 - the same examples every time
    start = datetime(2026, 1, 1, tzinfo=UTC)
    taken = runs = 0
    for _ in range(250):
        text = " ".join(random_field(random, low, high) for low, high in LIMITS)
        try:
            cron = parse_cron(text)
        except ValueError:
            continue
        taken += 1
        sim = CronSim(cron, start)
        for _ in range(50):
            when = start + timedelta(minutes=random.randrange(366 * 1440))
            expected = robfig_matches(cron, when)
            runs += expected
            assert cronsim_matches(sim, when) == expected, (cron, when)
    assert taken > 80
    assert runs > 20
