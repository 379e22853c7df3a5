"""Our keep rules against those of restic: the same points, for any words of a retention."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from reconciler.model.policy import Retention
from reconciler.plan.retention import Point, decide
from tests.rig import cheapkeys, tools
from tests.rig.resticsnapshots import write_snapshots

PASSWORD = "a-password-of-some-length"
NOW = datetime(2030, 1, 1, tzinfo=UTC)
SETS = 6
_FLAGS = ("last", "hourly", "daily", "weekly", "monthly", "yearly")
_COUNTS = st.integers(1, 40)
_SPANS = st.tuples(*(st.integers(0, most) for most in (3, 15, 70, 50))).map(
    lambda parts: "".join(f"{n}{unit}" for n, unit in zip(parts, "ymdh", strict=True) if n)
)
_WORDS = {
    **{f"keep_{word}": _COUNTS for word in _FLAGS},
    **{f"keep_within{word}": _SPANS.filter(bool) for word in ("", *(f"_{w}" for w in _FLAGS[1:]))},
}


@dataclass(frozen=True, slots=True)
class Repository:
    """Points in sets that overlap, as snapshots of a real repository with a tag per set."""

    points: Mapping[int, tuple[Point, ...]]
    forget: Callable[..., Any]


def _moments(chance: random.Random) -> list[datetime]:
    """Dense and sparse stretches over years, ends of months and years, no two alike."""
    begin = datetime(2024, 11, 21, 2, tzinfo=UTC)
    found = {begin - timedelta(hours=n) for n in range(60)}
    found |= {begin - timedelta(days=n, minutes=chance.randrange(600)) for n in range(100)}
    found |= {begin - timedelta(days=chance.randrange(1500), seconds=n) for n in range(80)}
    for year in (2021, 2022, 2023):
        for text in ("01-01T00:00:00", "02-28T23:59:59", "03-31T12:00:00", "12-31T23:59:59"):
            found.add(datetime.fromisoformat(f"{year}-{text}+00:00"))
    return sorted(found)


@pytest.fixture(scope="module", params=[tools.SUITE, tools.NEXT_SUITE])
def repository(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Repository:
    """250 snapshots in one repository, written once; for the image's restic, and the next."""
    binary = str(tools.restic_path(request.param))
    folder = tmp_path_factory.mktemp("retention") / "repository"
    environment = {
        "PATH": os.environ["PATH"], "TZ": "UTC", "RESTIC_PASSWORD": PASSWORD,
        "RESTIC_REPOSITORY": str(folder), "HOME": str(folder.parent),
    }  # fmt: skip

    def restic(*arguments: str) -> str:
        command = [binary, "--no-cache", *arguments]
        return subprocess.run(
            command, check=True, capture_output=True, text=True, env=environment
        ).stdout

    restic("init")
    cheapkeys.cheapen(folder, PASSWORD)
    chance = random.Random(20261121)  # noqa: S311 - the same points in each run
    sets: dict[int, list[Point]] = {number: [] for number in range(SETS)}
    snapshots = {}
    for moment in _moments(chance):
        name = f"{moment:%Y%m%d-%H%M%S}"
        chosen = [n for n in sets if chance.random() < (1, 0.5, 0.2, 0.1, 0.04, 0.01)[n]]
        for number in chosen:
            sets[number].append(Point(name, moment))
        tags = [f"set{number}" for number in chosen]
        snapshots[name] = {"time": f"{moment:%Y-%m-%dT%H:%M:%SZ}", "tags": tags}
    write_snapshots(folder, PASSWORD, snapshots)

    def forget(number: int, retention: Retention) -> set[str]:
        flags = [
            f"--{key}={value}"
            for key, value in ((_flag(k), v) for k, v in retention.words().items())
        ]
        said = restic(
            "forget",
            "--dry-run",
            "--json",
            "--group-by=",
            f"--tag=set{number}",
            "--no-lock",
            *flags,
        )
        (group,) = json.loads(said)
        times = [datetime.fromisoformat(found["time"]) for found in group["keep"] or []]
        return {f"{time.astimezone(UTC):%Y%m%d-%H%M%S}" for time in times}

    return Repository({n: tuple(points) for n, points in sets.items()}, forget)


def _flag(word: str) -> str:
    """`keepWithinDaily` → `keep-within-daily`."""
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in word)


@pytest.mark.one_in(2)
@settings(
    max_examples=20,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    number=st.integers(0, SETS - 1),
    words=st.fixed_dictionaries({}, optional=_WORDS).filter(bool),
)
@example(number=0, words={"keep_last": 3, "keep_daily": 7, "keep_weekly": 5, "keep_monthly": 12})
@example(number=4, words={"keep_hourly": 40, "keep_yearly": 40})
@example(number=1, words={"keep_within": "1y5m7d2h"})
@example(number=2, words={"keep_within_yearly": "3y15m70d50h"})
def test_the_points_that_restic_keeps(
    repository: Repository, number: int, words: dict[str, Any]
) -> None:
    retention = Retention(**words)
    kept = {
        verdict.point.run
        for verdict in decide(repository.points[number], retention, NOW)
        if verdict.keep
    }
    assert kept == repository.forget(number, retention)
