"""Which recovery point is the last that holds a namespace or a claim. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from reconciler.model.inventory import PointDigest
from reconciler.model.protection import LastPoint
from reconciler.model.run import Outcome

_STORED = frozenset({Outcome.COMPLETED, Outcome.PARTIALLY_FAILED})


class LastPoints:
    """Looks up the newest of many recovery points; a claim ``""`` means the manifests."""

    def __init__(self, points: Iterable[PointDigest]) -> None:
        self._last: dict[tuple[str, str, str], LastPoint] = {}
        self._first: dict[str, datetime] = {}
        for point in sorted(points, key=lambda point: point.started):
            self._first.setdefault(point.policy, point.started)
            last = LastPoint(point.policy, point.run, point.started, point.outcome)
            for namespace, outcome in point.namespaces.items():
                if outcome in _STORED:
                    self._remember(namespace, "", last)
            for namespace, claims in point.claims.items():
                for claim in claims:
                    self._remember(namespace, claim, last)

    def _remember(self, namespace: str, claim: str, last: LastPoint) -> None:
        self._last[last.policy, namespace, claim] = last
        self._last["", namespace, claim] = last

    def first(self, policy: str) -> datetime | None:
        """When the oldest known one of a policy was started, whatever it holds."""
        return self._first.get(policy)

    def find(self, namespace: str, claim: str = "", *, policy: str = "") -> LastPoint | None:
        """The newest of a policy, or of any."""
        return self._last.get((policy, namespace, claim))
