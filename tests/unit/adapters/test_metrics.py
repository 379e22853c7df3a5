"""Metrics: what is shown, and that docs/metrics.md says so, name by name."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from reconciler.adapters.metrics import Metrics
from reconciler.engine.figures import OUTCOMES
from reconciler.model.figures import Figures, PolicyFigures, Unprotected
from tests.fakes.clock import FakeClock

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"
NOW = datetime(2026, 11, 21, 4, 17, 5, tzinfo=UTC)
FIGURES = Figures(
    policies=(
        PolicyFigures(
            name="shop",
            last_success=NOW - timedelta(hours=1),
            recovery_point=NOW - timedelta(hours=2),
            next_run=NOW + timedelta(hours=22),
            rpo=93600,
        ),
        PolicyFigures(name="tests", suspended=True),
    ),
    policy_count=2,
    unprotected=Unprotected(namespaces=3, claims=5),
    revision_seen="main@sha1:" + "2" * 40,
    revision_in_force="main@sha1:" + "1" * 40,
    problems=1,
    source_read=NOW - timedelta(minutes=5),
)


def filled() -> Metrics:
    """Return metrics of which each has a value."""
    metrics = Metrics(FakeClock(NOW))
    metrics.publish(FIGURES)
    for outcome in OUTCOMES:
        metrics.cycle(outcome, 0.3)
    metrics.woken("timer")
    metrics.count_requests(lambda: {"GET": 7})
    return metrics


def samples(metrics: Metrics) -> dict[str, str]:
    """Series → value."""
    text = metrics.render()[0].decode()
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: value for name, _, value in lines}


def test_values() -> None:
    found = samples(filled())
    assert float(found['backstay_policy_rpo_achieved_seconds{policy="shop"}']) == 7200
    assert float(found['backstay_policy_rpo_promised_seconds{policy="shop"}']) == 93600
    at = float(found['backstay_policy_last_success_timestamp_seconds{policy="shop"}'])
    assert at == (NOW - timedelta(hours=1)).timestamp()
    assert 'backstay_policy_last_success_timestamp_seconds{policy="tests"}' not in found
    assert float(found['backstay_policy_suspended{policy="tests"}']) == 1
    read = float(found["backstay_source_last_read_timestamp_seconds"])
    assert read == (NOW - timedelta(minutes=5)).timestamp()
    assert float(found["backstay_unprotected_namespaces"]) == 3
    assert float(found["backstay_unprotected_claims"]) == 5
    assert float(found["backstay_revision_current"]) == 0
    assert float(found['backstay_cycles_total{outcome="done"}']) == 1
    assert float(found["backstay_cycle_duration_seconds_count"]) == len(OUTCOMES)
    assert float(found['backstay_api_requests_total{method="GET"}']) == 7


def test_an_age_grows_while_no_cycle_comes() -> None:
    clock = FakeClock(NOW)
    metrics = Metrics(clock)
    metrics.publish(FIGURES)
    clock.advance(600)
    achieved = samples(metrics)['backstay_policy_rpo_achieved_seconds{policy="shop"}']
    assert float(achieved) == 7800


def test_what_is_not_known_is_not_zero() -> None:
    found = samples(Metrics(FakeClock(NOW)))
    assert [name for name in found if name.startswith("backstay_unprotected")] == []
    assert [name for name in found if name.startswith("backstay_revision")] == []


def test_a_controller_without_a_good_cycle_shows_that_it_had_none() -> None:
    metrics = Metrics(FakeClock(NOW), outcomes=OUTCOMES)
    metrics.cycle("failed", 1)
    found = samples(metrics)
    counts = {name: float(found[f'backstay_cycles_total{{outcome="{name}"}}']) for name in OUTCOMES}
    assert counts == dict.fromkeys(OUTCOMES, 0.0) | {"failed": 1}


def test_the_alert_for_a_controller_that_stands_asks_for_one_that_is_gone_too() -> None:
    rule = PAGE.read_text().partition("BackstayControllerStands")[2]
    good = re.findall(r'outcome=~"([a-z|]+)"', rule)[0].split("|")
    # A wrong policy is no controller that stands: the others were applied.
    assert good == ["done", "problems"]
    assert set(good) <= set(OUTCOMES)
    assert "absent(backstay_cycles_total)" in rule


def test_labels_are_few_and_bounded() -> None:
    allowed = {"policy", "outcome", "by", "method", "state", "revision", "le"}
    for family in filled().families():
        assert {label for sample in family.samples for label in sample.labels} <= allowed


def test_a_hostile_policy_name_stays_one_line() -> None:
    metrics = Metrics(FakeClock(NOW))
    metrics.publish(Figures(policies=(PolicyFigures(name='a"\n# HELP x'),)))
    text = metrics.render()[0].decode()
    assert "\n# HELP x" not in text


def documented() -> dict[str, set[str]]:
    """Name → labels, of each row of the page's tables."""
    rows = re.findall(r"^\| `([a-z_]+)(?:\{([a-z_, ]+)\})?` \|", PAGE.read_text(), re.MULTILINE)
    return {name: set(re.findall(r"\w+", labels)) for name, labels in rows}


def shown() -> dict[str, set[str]]:
    """The same of what there is; a family's samples have its suffixes."""
    found: dict[str, set[str]] = {}
    for family in filled().families():
        if not family.name.startswith("backstay_"):
            continue
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = {label for sample in family.samples for label in sample.labels}
        found[name] = labels - {"le"}
    return found


def test_the_page_lists_every_metric_with_its_labels_and_no_other() -> None:
    assert documented() == shown()


def test_the_page_names_every_outcome() -> None:
    text = PAGE.read_text()
    for outcome in OUTCOMES:
        assert f"`{outcome}`" in text
