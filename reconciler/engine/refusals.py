"""What of the policies' objects the API server has not taken, so that it is not asked all the time.

Whoever asks takes the Lease, so a refusal that stands would make every cycle write (I7). What was
refused is tried again in the next cycle, since most refusals pass, and then more and more seldom;
at once where the policy, or the object in the cluster, has changed. Kept by the process only: a new
one tries once more than it needs to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.model import jsonform
from reconciler.model.errors import Refused
from reconciler.plan.mirror import MirrorChange

_FIRST, _LONGEST = timedelta(minutes=2), timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _Refusal:
    what: str
    error: Refused
    times: int
    when: datetime

    def stands(self, what: str, now: datetime) -> bool:
        wait = min(_FIRST * 2 ** min(self.times - 2, 10), _LONGEST) if self.times > 1 else None
        return wait is not None and what == self.what and timedelta() <= now - self.when < wait


class Refusals:
    """By policy."""

    def __init__(self) -> None:
        self._found: dict[str, _Refusal] = {}

    def standing(
        self, changes: Sequence[MirrorChange], now: datetime
    ) -> tuple[tuple[MirrorChange, ...], Refused | None]:
        """(what to try now, a refusal that stands)."""
        kept = [c for c in changes if self._stands(c, now)]
        error = self._found[kept[0].policy].error if kept else None
        return tuple(change for change in changes if change not in kept), error

    def note(self, change: MirrorChange, error: Refused, now: datetime) -> None:
        """It was refused now."""
        what, before = _digest(change), self._found.get(change.policy)
        times = before.times + 1 if before is not None and before.what == what else 1
        self._found[change.policy] = _Refusal(what, error, times, now)

    def forget(self, change: MirrorChange) -> None:
        """It was taken."""
        self._found.pop(change.policy, None)

    def _stands(self, change: MirrorChange, now: datetime) -> bool:
        found = self._found.get(change.policy)
        return found is not None and found.stands(_digest(change), now)


def _digest(change: MirrorChange) -> str:
    """Of what is written, and of the version that it is written to."""
    metadata = change.live["metadata"] if change.live else {}
    version = (metadata.get("uid"), metadata.get("resourceVersion"))
    return jsonform.digest((str(change.action), change.body, change.patch, version))
