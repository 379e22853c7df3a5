"""The controller's loop with all that wakes, watches and serves it. Wiring only."""

from __future__ import annotations

import faulthandler
import random
import threading
from collections.abc import Callable

from reconciler import ports
from reconciler.adapters.bell import SystemBell
from reconciler.cli import listening, watching
from reconciler.cli.installation import Installation
from reconciler.cli.publishing import InventoryTeller
from reconciler.engine.controller import Cycle, Setting, run_controller
from reconciler.engine.instruments import LONGEST_CYCLE
from reconciler.engine.telling import Teller
from reconciler.engine.waking import Waker

_JITTER = 0.05


def loop(
    home: Installation,
    prepare: Callable[[], Setting],
    inventory: InventoryTeller,
    *,
    addresses: tuple[str, str],
    bell: SystemBell,
    stopped: threading.Event,
    reporter: ports.Reporter,
    clock: ports.Clock,
) -> None:
    """Cycles until ``stopped``; ``addresses`` of the pages and of the webhook, empty for nowhere.

    Raises what `listening.serving` does for an address that can't be had.
    """
    teller, waker = Teller(reporter, clock), Waker(bell, stopped=stopped.is_set)
    watch = watching.LateWatch(home.connect)
    with (
        listening.serving(*addresses, waker, reporter=reporter, clock=clock, bell=bell) as served,
        watching.applications(
            watch, waker, served.instruments, stopped=stopped, reporter=reporter, clock=clock
        ) as noticer,
        watching.FolderHint(waker, reporter) as folder,
    ):
        instruments = served.instruments
        tellers = (teller, instruments.end, noticer.end, served.door.end)
        served.metrics.count_requests(watching.summed(home.requests, watch.requests))
        run_controller(
            _watching(
                lambda: noticer.begin(folder.begin(served.door.begin(instruments.begin(prepare))))
            ),
            _watched(*tellers, instruments.goes_on, inventory),
            pause=listening.instrumented(waker.pause, lambda: waker.woken_by, instruments),
            jitter=lambda: random.uniform(1 - _JITTER, 1 + _JITTER),  # noqa: S311 - no secret
            reporter=reporter,
        )


def _watching(prepare: Callable[[], Setting]) -> Callable[[], Setting]:
    def begin() -> Setting:
        # Sooner than the liveness probe: a hanging cycle shows where, and the pod starts again.
        faulthandler.dump_traceback_later(LONGEST_CYCLE, exit=True)
        return prepare()

    return begin


def _watched(*tellers: Callable[[Cycle], None]) -> Callable[[Cycle], None]:
    def tell(cycle: Cycle) -> None:
        faulthandler.cancel_dump_traceback_later()
        for teller in tellers:
            teller(cycle)

    return tell
