"""Creates objects: many at a time, and never one that is there.

What an object needs of another is in an earlier phase or wave (`reconciler.plan.restoreorder`);
inside a wave the order is nobody's. One object that the cluster refuses keeps no other one away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from functools import partial
from typing import Any, TypeVar

from reconciler.engine.restorecontext import RestorePorts
from reconciler.model.errors import Stalled
from reconciler.model.restore import Phase, RestoreStep
from reconciler.plan.restoreorder import waves

_WAVE = 512
"""Objects between two looks at the Lease."""
T = TypeVar("T")
R = TypeVar("R")

Values = Mapping[str, Mapping[str, Any]]
"""path → the whole Secret, which a step's manifest is not."""
Work = Callable[[RestoreStep], bool]
"""Makes one object; False where it was there."""


class Creator:
    """Creates what one restore creates. ``refused``: path → why the cluster would not take it."""

    def __init__(
        self, world: RestorePorts, *, check: Callable[[], None], workers: int, values: Values
    ) -> None:
        self._world = world
        self._check = check
        self._workers = workers
        self._values = values
        self.refused: dict[str, str] = {}

    def create_all(self, steps: Sequence[RestoreStep], work: Work | None = None) -> int:
        """Creates steps of one phase by ``work`` (a plain creation); returns how many it made."""
        created = 0
        done = 0
        for wave in waves(steps, most=_WAVE):
            self._check()
            for step, made in in_parallel(
                wave, partial(self._try, work or self.create), self._workers
            ):
                created += made
                done += 1
                self._world.reporter.progress(step.phase.name.lower(), done, len(steps))
        return created

    def create(self, step: RestoreStep) -> bool:
        """Creates one object; False where somebody else made it meanwhile: it stays as it is."""
        _, made = self._world.writer.create(self._values.get(step.path, step.manifest))
        if not made:
            self.tell_kept(step)
        return made

    def tell_kept(self, step: RestoreStep) -> None:
        """Says that a name was taken since the plan was made."""
        self._world.reporter.warning("somebody else made it meanwhile, kept", object=str(step.ref))

    def _try(self, work: Work, step: RestoreStep) -> bool:
        if step.path in self.refused:
            return False
        try:
            return work(step)
        except Stalled as error:
            if step.phase <= Phase.NAMESPACES:
                raise
            # One object that a webhook refuses must not keep all others away.
            self.refused[step.path] = f"{step.ref}: {error.message}"
            self._world.reporter.warning(
                "not created", object=str(step.ref), why=error.message, hint=error.hint
            )
            return False


def in_parallel(items: Sequence[T], work: Callable[[T], R], workers: int) -> Iterator[tuple[T, R]]:
    """(item, result) as each ends, ``workers`` at a time. The first error ends it: what has begun
    is waited for, what has not is left."""
    if workers == 1 or len(items) == 1:
        for item in items:
            yield item, work(item)
        return
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="restore") as pool:
        futures: dict[Future[R], T] = {pool.submit(work, item): item for item in items}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
