"""What ``H`` comes to: stable, spread, inside its range, and read alike by everybody."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime

from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.cronhash import compile_cron, compile_schedule, uses_hash
from reconciler.policy.cron import CronError, parse_cron
from tests.unit.plan.schedules_world import policy

FIRST = datetime(2026, 1, 1)  # noqa: DTZ001 - no zone is needed to parse


def compiled(cron: str, cluster: str = "prod-eu", policy: str = "shop") -> str:
    return compile_cron(cron, cluster=cluster, policy=policy)


def test_what_has_no_hash_stays() -> None:
    assert compiled("17 4 * * THU") == "17 4 * * THU"


def test_a_hash_never_moves() -> None:
    # Frozen: another number here moves every run of everybody.
    assert compiled("H H * * *") == "48 12 * * *"


def test_policies_and_clusters_differ() -> None:
    crons = {compiled("H H * * *", c, p) for c in ("prod-eu", "prod-us") for p in ("shop", "mail")}
    assert len(crons) == 4


def test_policies_spread_over_the_hour() -> None:
    minutes = Counter(compiled("H 4 * * *", policy=f"team-{n}").split()[0] for n in range(3000))
    assert len(minutes) == 60
    assert max(minutes.values()) < 100


def test_steps_begin_anywhere_and_stay_in_range() -> None:
    for number in range(100):
        name = f"team-{number}"
        first = re.fullmatch(r"(\d+)-59/15 \* \* \* \*", compiled("H/15 * * * *", policy=name))
        assert first is not None
        assert int(first[1]) < 15
        inner = re.fullmatch(r"(\d+)-29/10 4 \* \* \*", compiled("H(0-29)/10 4 * * *", policy=name))
        assert inner is not None
        assert int(inner[1]) < 10
        assert 2 <= int(compiled("0 H(2-5) * * *", policy=name).split()[1]) <= 5


def test_a_step_is_never_on_a_range_of_one() -> None:
    crons = {compiled("0 H(4-6)/2 * * *", policy=f"p{n}") for n in range(20)}
    assert crons == {"0 4-6/2 * * *", "0 5-6/2 * * *"}


def test_a_policy_gets_the_schedule_of_its_cluster() -> None:
    wanted = policy("shop", "H 4 * * *")
    schedule = compile_schedule(wanted, "prod-eu")
    assert schedule.cron == compiled("H 4 * * *")
    assert schedule.time_zone == wanted.schedule.time_zone
    assert not uses_hash(schedule.cron)


@st.composite
def hash_terms(draw: st.DrawFn, high: int) -> str:
    first = draw(st.integers(0, high - 1))
    last = draw(st.integers(first + 1, high))
    span = draw(st.sampled_from(["", f"({first}-{last})"]))
    width = last - first if span else high
    step = f"/{draw(st.integers(2, width))}" if width > 1 and draw(st.booleans()) else ""
    return f"H{span}{step}"


@given(
    minute=st.lists(hash_terms(59), min_size=1, max_size=3).map(",".join),
    hour=st.lists(hash_terms(23), min_size=1, max_size=3).map(",".join),
    name=st.from_regex(r"[a-z]{1,9}", fullmatch=True),
)
def test_what_comes_out_is_a_plain_schedule_for_every_parser(
    minute: str, hour: str, name: str
) -> None:
    cron = compiled(parse_cron(f"{minute} {hour} * * *"), policy=name)
    assert parse_cron(cron) == cron
    assert not uses_hash(cron)
    sim = CronSim(cron, FIRST)
    for term, values in ((minute, sim.minutes), (hour, sim.hours)):
        spans = [re.search(r"\((\d+)-(\d+)\)", one) for one in term.split(",")]
        if all(spans):
            assert min(values) >= min(int(span[1]) for span in spans if span)
            assert max(values) <= max(int(span[2]) for span in spans if span)


@given(st.text(st.sampled_from("H()0123456789-/,* @LWTZ#?JANMO"), max_size=24))
def test_no_text_is_taken_that_could_not_be_compiled(text: str) -> None:
    try:
        cron = parse_cron(text)
    except CronError:
        return
    assert parse_cron(compiled(cron)) == compiled(cron)
