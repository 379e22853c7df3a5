"""Watches the loop for those who watch it: is it alive, is it ready, what did it do, how long.

Never a part of a decision, and never the end of a cycle: what goes wrong here is told once a cycle
as the bug that it is, and the loop goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from reconciler import ports
from reconciler.engine.controller import Cycle, Setting
from reconciler.engine.figures import figures_of, outcome_of
from reconciler.engine.unexpected import explain_unexpected
from reconciler.model.figures import Figures

LONGEST_CYCLE = 900.0
"""Seconds after which a cycle hangs."""
_SLACK = 60.0
"""Seconds by which a pause, or the end of a cycle that hangs, may be late on a busy machine."""


class Meter(Protocol):
    """Where figures go; `reconciler.adapters.metrics` shows them to Prometheus."""

    def publish(self, figures: Figures) -> None:
        """These are in force from now on."""
        ...

    def cycle(self, outcome: str, seconds: float) -> None:
        """A cycle has ended."""
        ...

    def woken(self, by: str) -> None:
        """A pause has ended, and why; ``timer`` when its time was over."""
        ...


class Instruments:
    """Called by the loop's thread; `alive` and `missing` by any."""

    def __init__(
        self,
        meter: Meter,
        *,
        reporter: ports.Reporter,
        clock: ports.Clock,
        monotonic: Callable[[], float],
    ) -> None:
        self._meter = meter
        self._reporter = reporter
        self._clock = clock
        self._monotonic = monotonic
        self._deadline = monotonic() + LONGEST_CYCLE + _SLACK
        self._begun = 0.0
        self._cluster = ""
        self._config_read = False
        self._done_once = False
        self._failed_step = ""
        self._not_shown = False
        self.figures = Figures()

    def begin(self, prepare: Callable[[], Setting]) -> Setting:
        """A cycle begins, with what ``prepare`` gives or raises."""
        self._begun = self._monotonic()
        self._go_on()
        self._config_read = False
        setting = prepare()
        self._config_read = True
        self._cluster = setting.config.cluster.name
        return setting

    def end(self, cycle: Cycle) -> None:
        """A cycle has ended, one way or another."""
        self._done_once = self._done_once or cycle.error is None
        self._failed_step = cycle.failed_step
        if cycle.mirrored is not None:
            self._not_shown = bool(cycle.mirrored.why)
        try:
            self._meter.cycle(outcome_of(cycle), self._monotonic() - self._begun)
            now = self._clock.now()
            self.publish(figures_of(self.figures, cycle, cluster=self._cluster, now=now))
        except Exception as error:  # noqa: BLE001 - figures end no cycle; told as a bug
            explain_unexpected(error, self._reporter, ended="the figures of a cycle")

    def goes_on(self, _: Cycle) -> None:
        """What follows a cycle begins, and has as long as a cycle of its own."""
        self._go_on()

    def _go_on(self) -> None:
        self._deadline = self._monotonic() + LONGEST_CYCLE + _SLACK

    def publish(self, figures: Figures) -> None:
        """These from now on."""
        self.figures = figures
        self._meter.publish(figures)

    def pausing(self, seconds: float) -> None:
        """The loop waits, at most so long."""
        self._deadline = self._monotonic() + seconds + _SLACK

    def paused(self, by: tuple[str, ...]) -> None:
        """The pause is over, and why."""
        for why in by or ("timer",):
            self._meter.woken(why)
        if by:
            self._reporter.event("woken", by=", ".join(by))

    def alive(self) -> str:
        """Empty, or what is wrong with the loop."""
        late = self._monotonic() - self._deadline
        return f"the loop gave no sign of life for {late:.0f} s too long" if late > 0 else ""

    def missing(self) -> tuple[str, ...]:
        """What has to happen before the controller is of use, in words without details."""
        found = [] if self._config_read else ["Config could not be read yet; the log says why"]
        if not self._done_once:
            step = f", the last one failed at: {self._failed_step}" if self._failed_step else ""
            found.append(f"no cycle has ended well yet{step}")
        return tuple(found)

    def wanting(self) -> tuple[str, ...]:
        """What is not as it should be, though schedules are kept; in words without details."""
        if self._not_shown:
            return ("policies are not shown as BackupPolicy objects; the log says why",)
        return ()
