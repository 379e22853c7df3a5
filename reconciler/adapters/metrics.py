"""Figures for Prometheus, in a registry of their own. docs/metrics.md is the list for readers.

Labels are ``policy``, of which there are at most `MOST_POLICIES`, words from small closed sets, and
two revisions: never a namespace, a claim or anything else that a tenant may make many of.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric

from reconciler import ports
from reconciler.model.figures import Figures, PolicyFigures

_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)
_OF_A_POLICY: tuple[tuple[str, str, Callable[[PolicyFigures, datetime], float | None]], ...] = (
    (
        "backstay_policy_last_success_timestamp_seconds",
        "When the last run of the policy ended that protected everything.",
        lambda found, _: _seconds(found.last_success),
    ),
    (
        "backstay_policy_next_run_timestamp_seconds",
        "When its next run is due.",
        lambda found, _: _seconds(found.next_run),
    ),
    (
        "backstay_policy_rpo_promised_seconds",
        "How old its newest recovery point may be (objectives.rpo).",
        lambda found, _: found.rpo,
    ),
    (
        "backstay_policy_rpo_achieved_seconds",
        "How old it is: seconds since the last run began that protected everything.",
        lambda found, now: (
            max(0.0, (now - found.recovery_point).total_seconds()) if found.recovery_point else None
        ),
    ),
    (
        "backstay_policy_suspended",
        "1 while it makes no new runs.",
        lambda found, _: float(found.suspended),
    ),
)


class Metrics:
    """Takes figures from the loop's thread, shows them to the server's."""

    def __init__(self, clock: ports.Clock, *, outcomes: Sequence[str] = ()) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._figures = Figures()
        self._requests: Callable[[], Mapping[str, int]] = dict
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        self._cycles = Counter(
            "backstay_cycles", "Cycles by how they ended.", ["outcome"], registry=self._registry
        )
        for outcome in outcomes:
            # At 0 from the start: an alert can't tell none from a series that is not there.
            self._cycles.labels(outcome)
        self._duration = Histogram(
            "backstay_cycle_duration_seconds",
            "How long cycles took.",
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._wakeups = Counter(
            "backstay_wakeups", "Cycles by what they began for.", ["by"], registry=self._registry
        )

    def publish(self, figures: Figures) -> None:
        """These are in force from now on."""
        with self._lock:
            self._figures = figures

    def cycle(self, outcome: str, seconds: float) -> None:
        """A cycle has ended."""
        self._cycles.labels(outcome).inc()
        self._duration.observe(seconds)

    def woken(self, by: str) -> None:
        """A pause has ended, and why."""
        self._wakeups.labels(by).inc()

    def count_requests(self, requests: Callable[[], Mapping[str, int]]) -> None:
        """Where the requests to the API server are counted, by method."""
        with self._lock:
            self._requests = requests

    def render(self) -> tuple[bytes, str]:
        """Everything in Prometheus' text format, and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def families(self) -> tuple[Metric, ...]:
        """Everything, with its help and its labels."""
        return tuple(self._registry.collect())

    def collect(self) -> Iterator[Metric]:
        """Prometheus' collector: ages are told as of now, not as of the last cycle."""
        with self._lock:
            figures, requests = self._figures, self._requests
        yield from _policies(figures.policies, self._clock.now())
        yield from _whole(figures)
        revisions = GaugeMetricFamily(
            "backstay_revision_info", "The policies' revisions.", labels=["state", "revision"]
        )
        for state, revision in (
            ("in_force", figures.revision_in_force),
            ("last_seen", figures.revision_seen),
        ):
            if revision:
                revisions.add_metric([state, revision], 1)
        yield revisions
        sent = CounterMetricFamily(
            "backstay_api_requests", "Requests to the API server.", labels=["method"]
        )
        for method, count in sorted(requests().items()):
            sent.add_metric([method], count)
        yield sent


def _policies(policies: Iterable[PolicyFigures], now: datetime) -> Iterator[Metric]:
    found = tuple(policies)
    for name, text, value_of in _OF_A_POLICY:
        family = GaugeMetricFamily(name, text, labels=["policy"])
        for policy in found:
            value = value_of(policy, now)
            if value is not None:
                family.add_metric([policy.name], value)
        yield family


def _whole(figures: Figures) -> Iterator[Metric]:
    unprotected, current = figures.unprotected, None
    if figures.revision_seen:
        current = float(figures.revision_seen == figures.revision_in_force)
    values: tuple[tuple[str, str, float | None], ...] = (
        ("backstay_policies", "Policies of the revision that was seen.", figures.policy_count),
        ("backstay_policy_problems", "Problems in its files.", figures.problems),
        (
            "backstay_unprotected_namespaces",
            "Namespaces that no policy protects and no exemption covers.",
            unprotected.namespaces if unprotected else None,
        ),
        (
            "backstay_unprotected_claims",
            "Claims that no policy protects and no exemption covers.",
            unprotected.claims if unprotected else None,
        ),
        ("backstay_revision_current", "1 while the newest revision is in force.", current),
        (
            "backstay_source_last_read_timestamp_seconds",
            "When the policies were last read from their source.",
            _seconds(figures.source_read),
        ),
    )
    for name, text, value in values:
        family = GaugeMetricFamily(name, text)
        if value is not None:
            family.add_metric([], value)
        yield family


def _seconds(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment else None
