"""What ``backstay controller`` serves over HTTP. Wiring only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from reconciler import ports
from reconciler.adapters.bell import SystemBell
from reconciler.adapters.credentials import CredentialsResolver
from reconciler.adapters.healthpages import make_pages
from reconciler.adapters.httpserver import HttpServer, Listener, open_socket
from reconciler.adapters.metrics import Metrics
from reconciler.adapters.webhook import Webhook, key_of, path_of
from reconciler.engine.controller import Cycle, Setting
from reconciler.engine.figures import OUTCOMES
from reconciler.engine.instruments import Instruments
from reconciler.engine.waking import Waker
from reconciler.model.errors import BackstayError, Refused


class Door:
    """Opens the webhook with the key that Config names, anew whenever that changes."""

    def __init__(self, webhook: Webhook, reporter: ports.Reporter, *, listens: bool) -> None:
        self._webhook = webhook
        self._reporter = reporter
        self._listens = listens
        self._key = b""
        self._told = ""

    def begin(self, setting: Setting) -> Setting:
        """Before a cycle; a key that can't be had closes the webhook and stops nothing."""
        key, why = b"", ""
        try:
            key = self._find(setting)
        except BackstayError as error:
            why = error.message
            self._tell_closed(why, error.hint)
        self._told = why
        self._use(key)
        return setting

    def end(self, cycle: Cycle) -> None:
        """After one: while Config can't be read nobody can say which key is good, so none is.

        Nothing is lost: all that a cycle could do then is to read Config again.
        """
        if cycle.failed_step == "config" and self._key:
            why = "Config can't be read, and it names the key"
            self._tell_closed(why, "mend Config: the next cycle opens it again")
            self._told = why
            self._use(b"")

    def _tell_closed(self, why: str, hint: str) -> None:
        if why != self._told:
            self._reporter.warning("webhook closed", why=why, hint=hint)

    def _use(self, key: bytes) -> None:
        if key != self._key:
            self._key = key
            self._webhook.use(key)
            if key:
                self._reporter.event("webhook open", path=path_of(key))

    def _find(self, setting: Setting) -> bytes:
        credentials = setting.config.policy_source.webhook
        if credentials is None:
            return b""
        if not self._listens:
            raise Refused(
                "Config has policySource.webhook, and nobody listens for it",
                hint="add components/webhook to the kustomization, or --listen-webhook",
            )
        resolver = CredentialsResolver(reader=setting.reader, namespace=setting.place.namespace)
        found = resolver.resolve(credentials)
        return key_of(found.data, found.source)


@dataclass(frozen=True, slots=True)
class Serving:
    """What is served, for the loop to fill."""

    instruments: Instruments
    metrics: Metrics
    door: Door


@contextmanager
def serving(
    listen: str,
    listen_webhook: str,
    waker: Waker,
    *,
    reporter: ports.Reporter,
    clock: ports.Clock,
    bell: SystemBell,
) -> Iterator[Serving]:
    """The loop's instruments and the webhook, with servers for those that are wanted.

    They are two, because the webhook is for a Git host far away, and the rest is for nobody there.
    """
    metrics = Metrics(clock, outcomes=OUTCOMES)
    instruments = Instruments(metrics, reporter=reporter, clock=clock, monotonic=bell.monotonic)
    webhook = Webhook(lambda: waker.hint("webhook"))
    listeners = []
    if listen:
        pages = make_pages(
            alive=instruments.alive,
            missing=instruments.missing,
            wanting=instruments.wanting,
            metrics=metrics.render,
        )
        listeners.append(Listener(pages, open_socket(listen)))
    if listen_webhook:
        listeners.append(Listener(webhook, open_socket(listen_webhook)))
    for listener in listeners:
        reporter.event("listening", port=listener.socket.getsockname()[1])
    with HttpServer(listeners):
        yield Serving(instruments, metrics, Door(webhook, reporter, listens=bool(listen_webhook)))


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
