"""What ``backstay controller`` serves over HTTP. Wiring only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from reconciler import ports
from reconciler.adapters.bell import SystemBell
from reconciler.adapters.healthpages import make_pages
from reconciler.adapters.httpserver import HttpServer, Listener, open_socket
from reconciler.adapters.metrics import Metrics
from reconciler.engine.instruments import Instruments

listen_option = click.option(
    "--listen", default="", metavar="[HOST]:PORT",
    help="Serve /healthz, /readyz and /metrics here; by default nowhere.",
)  # fmt: skip


@contextmanager
def watching(
    listen: str, *, reporter: ports.Reporter, clock: ports.Clock, bell: SystemBell
) -> Iterator[tuple[Instruments, Metrics]]:
    """The loop's instruments, with the server that shows them where one is wanted."""
    metrics = Metrics(clock)
    instruments = Instruments(metrics, reporter=reporter, clock=clock, monotonic=bell.monotonic)
    listeners = []
    if listen:
        pages = make_pages(
            alive=instruments.alive, missing=instruments.missing, metrics=metrics.render
        )
        listeners.append(Listener(pages, open_socket(listen)))
    with HttpServer(listeners):
        yield instruments, metrics


def instrumented(
    pause: Callable[[float], bool], why: Callable[[], tuple[str, ...]], instruments: Instruments
) -> Callable[[float], bool]:
    """The loop's pause, told to those who watch the loop."""

    def watched(seconds: float) -> bool:
        instruments.pausing(seconds)
        over = pause(seconds)
        if not over:
            instruments.paused(why())
        return over

    return watched
