"""Gives away what a run could not end, so that others do while it goes on (invariant I5).

Nobody else may end what is in a Lease that is ours, and a run may go on for hours. An API server
that is away is waited for twice: for a moment at once, and then, until the run's time is over,
where that keeps no other namespace from being copied.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

from reconciler.engine.hookcommands import AWAY, Commands
from reconciler.engine.hookleases import HookLeases
from reconciler.engine.patience import insist
from reconciler.model.errors import BackstayError
from reconciler.plan.hooklease import OpenHook, QuietPod


class Giving:
    """What runs later and elsewhere, again or for the first time; safe to share by threads."""

    def __init__(
        self,
        commands: Commands,
        leases: HookLeases,
        *,
        deadline: datetime,
        stopped: Callable[[], bool],
    ) -> None:
        self._commands = commands
        self._leases = leases
        self._deadline = deadline
        self._stopped = stopped
        self._lock = threading.Lock()
        self._late: list[tuple[str, OpenHook]] = []
        self._owed: list[QuietPod] = []

    def add(self, pod: QuietPod, hook: OpenHook) -> None:
        """This one was not ended, or not for good."""
        with self._lock:
            self._late.append((pod.lease, hook))

    def give(self, pod: QuietPod) -> None:
        """What was added of a pod; the rest of its Lease stays ours. Raises nothing."""
        self._give(pod, self._commands.clock.now() + AWAY)

    def settle(self) -> None:
        """What could not be given away at once. Raises nothing."""
        with self._lock:
            owed, self._owed = self._owed, []
        for pod in owed:
            self._give(pod, self._deadline)

    def _give(self, pod: QuietPod, until: datetime) -> None:
        with self._lock:
            late = [hook for lease, hook in self._late if lease == pod.lease]
        if not late:
            return
        commands = self._commands
        left = until - commands.clock.now()
        patience = commands.patience(f"giving Lease {pod.lease} away", left, self._stopped)
        try:
            insist(lambda: self._leases.give_away(pod, late), patience)
        except BackstayError as error:
            # When this run is over it is taken from us.
            commands.reporter.warning("hook's lease not given away", why=error.message)
            with self._lock:
                self._owed.append(pod)
