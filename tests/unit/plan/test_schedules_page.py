"""docs/schedules.md tells the truth: what is refused, what `H` becomes, what is printed."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.model.cronhash import compile_cron
from reconciler.model.policy import Objectives, Schedule
from reconciler.plan.clockchanges import irregular_times
from reconciler.plan.simulation import simulate
from reconciler.policy.cron import MACROS, CronError, parse_cron
from reconciler.report.simulate import render_text
from tests.unit.plan.schedules_world import policy

TEXT = (Path(__file__).parents[3] / "docs/schedules.md").read_text()
SINCE = datetime(2026, 11, 21, 18, 0, tzinfo=UTC)


def rows(head: str) -> list[list[str]]:
    """The cells of the table with this first cell, below its head."""
    table = TEXT.partition(f"| {head} |")[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table]


@pytest.mark.parametrize("cells", rows("refused"))
def test_what_is_refused_and_what_is_written_instead(cells: list[str]) -> None:
    refused = [text for text in re.findall(r"`([^`]+)`", cells[0]) if text.count(" ") == 4]
    taken = [text for text in re.findall(r"`([^`]+)`", cells[2]) if text.count(" ") == 4]
    for text in refused:
        with pytest.raises(CronError):
            parse_cron(text)
    for text in taken:
        assert parse_cron(text)


def test_the_tables_are_found() -> None:
    assert len(rows("refused")) == 9
    assert len(rows("written")) == 5


@pytest.mark.parametrize("cells", rows("written"))
def test_what_a_hash_becomes(cells: list[str]) -> None:
    written, became = cells[0].strip("`"), cells[1].partition("`")[2].partition("`")[0]
    assert compile_cron(parse_cron(written), cluster="prod-eu", policy="shop") == became


def test_macros() -> None:
    told = {
        macro: cells[1].strip("`")
        for cells in rows("macro")
        for macro in re.findall(r"`([^`]+)`", cells[0])
    }
    assert told == MACROS


@pytest.mark.parametrize(
    ("cron", "zone", "said"),
    [
        ("17 2 * * *", "Europe/Berlin", ["2027-03-28", "2027-10-31"]),
        ("0 5 * * FRI", "Africa/Cairo", ["2027-04-30"]),
        ("0 5 * * THU", "Africa/Cairo", ["2027-04-30"]),
        ("0 5 * * *", "Australia/Lord_Howe", ["2027-04-04", "2027-10-03"]),
    ],
)
def test_what_clock_changes_do(cron: str, zone: str, said: list[str]) -> None:
    found = irregular_times(Schedule(cron, zone), SINCE)
    assert [f"{one.walls[0]:%Y-%m-%d}" for one in found] == said
    assert f"`{cron}`" in TEXT


def test_the_printed_simulation() -> None:
    promise = Objectives(rpo=26 * 3600)
    shop = replace(policy("shop"), schedule=Schedule("17 2 * * *", "Europe/Berlin"))
    found = simulate(
        [
            replace(shop, objectives=promise),
            replace(policy("mail", "H 1 * * *"), objectives=promise),
            replace(policy("wiki", "0 */6 * * SAT,SUN")),
        ],
        cluster="prod-eu",
        since=SINCE,
        until=SINCE + timedelta(days=14),
        within=1800,
    )
    shown = "$ backstay simulate policies --cluster prod-eu --days 14 --within 30m\n"
    assert f"```\n{shown}{render_text(found)}```\n" in TEXT
