"""A VolumeMover in memory: tells what a test wrote down for a claim, after so many looks."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from reconciler.model.errors import BackstayError
from reconciler.model.volumes import Leftover, MoveResult, MoveState, MoveTask

Key = tuple[str, str, str, str]
"""run id, kind, namespace, claim"""


def default_result(task: MoveTask) -> MoveResult:
    """A good copy whose snapshot id follows from the task."""
    name = f"{task.run_id}/{task.namespace}/{task.claim}"
    return MoveResult(
        state=MoveState.COMPLETED,
        snapshot=(name.encode().hex() + "0" * 64)[:64],
        files=3,
        size=1024,
        added=512,
        took=1,
        started="2026-11-21T04:17:05Z",
    )


class FakeMover:
    """Each task runs for ``looks`` looks, then ends with what ``results`` has for its claim."""

    def __init__(
        self,
        results: dict[tuple[str, str], MoveResult] | None = None,
        *,
        looks: int = 1,
        effect: Callable[[MoveTask], MoveResult | None] | None = None,
    ) -> None:
        """``results`` by (namespace, claim). ``effect`` runs when a copy ends; its result wins."""
        self.results = dict(results or {})
        self.errors: dict[tuple[str, str], BackstayError] = {}
        """Raised by `ensure` for these claims."""
        self.begun: Counter[tuple[str, str]] = Counter()
        """How often a copy of a claim was really begun."""
        self.any_begun = threading.Event()
        """Set from the first on, for whoever works beside the movers' thread."""
        self.cleaned: list[tuple[str, str]] = []
        self.most = 0
        """The largest number of copies at a time."""
        self._looks = looks
        self._effect = effect
        self._running: dict[Key, int] = {}
        self._ended: dict[Key, MoveResult] = {}
        self._there: dict[Key, Leftover] = {}
        """What `leftovers` tells; the uid says which beginning it was."""

    def ensure(self, task: MoveTask) -> MoveResult:
        """RUNNING for ``looks`` looks, then always the same result."""
        place, key = (task.namespace, task.claim), _key(task)
        if error := self.errors.get(place):
            raise error
        if key in self._ended:
            return self._ended[key]
        if key not in self._running:
            self.begun[place] += 1
            self._running[key] = 0
            self._there[key] = _leftover(task, uid=str(sum(self.begun.values())))
            self.most = max(self.most, len(self._running))
            self.any_begun.set()
        if self._running[key] < self._looks:
            self._running[key] += 1
            return MoveResult(state=MoveState.RUNNING)
        del self._running[key]
        made = self._effect(task) if self._effect else None
        self._ended[key] = made or self.results.get(place) or default_result(task)
        return self._ended[key]

    def cleanup(self, task: MoveTask) -> None:
        """Forgets the task; no effect if it is not known."""
        key = _key(task)
        if key in self._ended or key in self._running:
            self.cleaned.append((task.namespace, task.claim))
        self._forget(key)

    def leftovers(self, policy: str) -> tuple[Leftover, ...]:
        """All that were begun and not cleaned up."""
        found = [
            replace(left, ended=key in self._ended)
            for key, left in self._there.items()
            if left.policy == policy
        ]
        return tuple(sorted(found, key=lambda left: (left.namespace, left.name)))

    def remove(self, left: Leftover) -> bool:
        """Forgets it, unless its task was begun again meanwhile."""
        key = (left.run_id, left.kind.value, left.namespace, left.claim)
        there = self._there.get(key)
        if there is None or there.uid != left.uid:
            return False
        self._forget(key)
        return True

    def _forget(self, key: Key) -> None:
        self._ended.pop(key, None)
        self._running.pop(key, None)
        self._there.pop(key, None)


def _leftover(task: MoveTask, *, uid: str) -> Leftover:
    return Leftover(
        kind=task.kind,
        run_id=task.run_id,
        policy=task.policy,
        namespace=task.namespace,
        claim=task.claim,
        name="/".join(_key(task)),
        uid=uid,
        ended=False,
    )


def _key(task: MoveTask) -> Key:
    return task.run_id, task.kind.value, task.namespace, task.claim
