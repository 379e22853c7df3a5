"""Which recovery point is the last that holds a namespace or a claim. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from reconciler.model.inventory import PointDigest
from reconciler.model.protection import LastPoint
from reconciler.model.run import Outcome

_STORED = frozenset({Outcome.COMPLETED, Outcome.PARTIALLY_FAILED})


class LastPoints:
    """Looks up the newest of many recovery points; a claim ``""`` means the manifests.

    ``heirs``: a policy's former name → its name now. What began under the former name before the
    first known run under the new one is a recovery point of both; what began later is of another
    policy that only took the name.
    """

    def __init__(
        self, points: Iterable[PointDigest], heirs: Mapping[str, str] | None = None
    ) -> None:
        self._last: dict[tuple[str, str, str], LastPoint] = {}
        self._first: dict[str, datetime] = {}
        known = sorted(points, key=lambda point: point.started)
        began: dict[str, datetime] = {}
        for point in known:
            began.setdefault(point.policy, point.started)
        for point in known:
            names = [point.policy]
            heir = (heirs or {}).get(point.policy)
            if heir and (heir not in began or point.started < began[heir]):
                names.append(heir)
            last = LastPoint(point.policy, point.run, point.started, point.outcome)
            held = tuple(_held(point))
            for name in names:
                self._first.setdefault(name, point.started)
            for name in ("", *names):
                for place in held:
                    self._last[(name, *place)] = last

    def first(self, policy: str) -> datetime | None:
        """When the oldest known one of a policy was started, whatever it holds."""
        return self._first.get(policy)

    def find(self, namespace: str, claim: str = "", *, policy: str = "") -> LastPoint | None:
        """The newest of a policy, or of any."""
        return self._last.get((policy, namespace, claim))


def _held(point: PointDigest) -> Iterator[tuple[str, str]]:
    for namespace, outcome in point.namespaces.items():
        if outcome in _STORED:
            yield namespace, ""
    for namespace, claims in point.claims.items():
        for claim in claims:
            yield namespace, claim
