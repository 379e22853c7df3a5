"""A simulation as text, Markdown and JSON: golden, because docs and scripts rely on them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.finding import Place
from reconciler.model.policy import BackupPolicy, Objectives, Schedule, Volumes
from reconciler.plan.simulation import Collision, Simulation, simulate
from reconciler.report.simulate import render_github, render_markdown, render_text, to_json
from reconciler.report.timeline import time_line
from tests.conftest import Golden
from tests.unit.plan.schedules_world import policy

SINCE = datetime(2026, 11, 21, 18, 0, tzinfo=UTC)


def promised(name: str, cron: str, hours: int, zone: str = "Etc/UTC") -> BackupPolicy:
    return replace(
        policy(name), schedule=Schedule(cron, zone), objectives=Objectives(rpo=hours * 3600)
    )


def everything() -> Simulation:
    return simulate(
        [
            promised("shop", "17 2 * * *", 26, "Europe/Berlin"),
            promised("mail", "H */6 * * *", 7),
            promised("wiki", "0 0 * * SUN", 168),
            policy("old", suspend=True),
            policy("git", "30 1 * * *"),
            replace(policy("media", "0 3 1 * *"), volumes=Volumes(repository="cold")),
        ],
        cluster="prod-eu",
        since=SINCE,
        until=SINCE + timedelta(days=30),
        within=3600,
    )


def nothing() -> Simulation:
    return simulate([], cluster="", since=SINCE, until=SINCE + timedelta(days=1), within=900)


def test_text(golden: Golden) -> None:
    golden("report/simulate.txt", render_text(everything()))
    golden("report/simulate-narrow.txt", render_text(everything(), width=40))
    assert render_text(nothing()) == (
        "Simulation of 0 policies, 1 day from 2026-11-21T18:00:00Z\n\n0 policies, 0 runs\n"
    )


def test_github(golden: Golden) -> None:
    found, places = everything(), {"shop": Place("policies/a,b.yaml", 3)}
    text = render_github(found, places)
    golden("report/simulate.github", text)
    assert text.count("\n::warning ") + text.startswith("::warning ") == (
        1 + 2 + len(found.collisions)
    )
    assert render_github(nothing(), {}) == "0 policies, 0 runs\n"


def test_github_has_ten_collisions_and_counts_the_rest() -> None:
    one = Collision(repository="##[error]", policies=("a", "b"), times=1, first=SINCE)
    found = replace(nothing(), collisions=(one,) * 12)
    lines = render_github(found, {"a": Place("a.yaml", 7)}).splitlines()
    assert lines[0].startswith("::warning file=a.yaml,line=7,title=collision::collision on ")
    assert "##[error]" not in lines[0]
    assert len(lines) == 12
    assert lines[10] == "and 2 more collisions"


def test_markdown(golden: Golden) -> None:
    golden("report/simulate.md", render_markdown(everything()))
    assert render_markdown(nothing()).endswith("**0 policies, 0 runs**\n")


def test_json(golden: Golden) -> None:
    document = to_json(everything())
    for one in document["policies"]:
        one["runs"] = one["runs"][:2]
    golden("report/simulate.json", json.dumps(document, indent=2) + "\n")
    assert document["formatVersion"] == 1


def test_no_line_of_a_drawing_is_wider_than_asked() -> None:
    for width in (40, 80, 120):
        drawn = render_text(everything(), width=width).splitlines()[2:10]
        assert max(len(line) for line in drawn if "column is" not in line) <= width


@pytest.mark.parametrize(
    ("days", "width", "columns", "unit"),
    [(30, 90, 61, "12 h"), (30, 60, 31, "1 d"), (1, 90, 24, "1 h"), (365, 90, 53, "7 d")],
)
def test_columns(days: int, width: int, columns: int, unit: str) -> None:
    line = time_line(SINCE, SINCE + timedelta(days=days), width)
    assert (line.columns, line.unit) == (columns, unit)


def test_cells_and_ruler() -> None:
    line = time_line(SINCE, SINCE + timedelta(days=3), 80)
    runs = [SINCE + timedelta(minutes=5 * n) for n in range(14)] + [SINCE + timedelta(hours=3)]
    assert line.row(runs).rstrip("·") == "+2·1"
    assert line.ruler() == "      11-22                   11-23                   11-24"


@given(
    runs=st.lists(st.integers(0, 29 * 86400), max_size=50),
    width=st.integers(24, 200),
)
def test_every_run_is_drawn(runs: list[int], width: int) -> None:
    line = time_line(SINCE, SINCE + timedelta(days=30), width)
    row = line.row([SINCE + timedelta(seconds=second) for second in runs])
    assert len(row) == line.columns <= width
    if "+" not in row:
        assert sum(int(cell) for cell in row if cell.isdigit()) == len(runs)
