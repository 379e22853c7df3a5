"""A Lease that is kept while something is at work, and noticed when it is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from reconciler import ports
from reconciler.model.errors import BackstayError

DURATION = 60
"""Seconds until a Lease that nobody renews is free again."""
RENEW_EVERY = 15.0


class LeaseLost(BackstayError):
    """Somebody else, ``holder``, took the Lease while this one was at work."""

    reason = "LeaseLost"

    def __init__(self, message: str, *, hint: str = "", holder: str = "") -> None:
        super().__init__(message, hint=hint)
        self.holder = holder


@contextmanager
def keep_lease(
    writer: ports.ClusterWriter,
    reporter: ports.Reporter,
    *,
    namespace: str,
    name: str,
    holder: str,
    lost_hint: str,
    leave_on: tuple[type[BaseException], ...] = (),
    on_lost: Callable[[], object] = lambda: None,
    every: float = RENEW_EVERY,
) -> Iterator[Callable[[], None]]:
    """Renews a Lease that ``holder`` has, and frees it in the end.

    Yields a check that asks the cluster and raises LeaseLost once somebody else was seen to have
    it. One that ran out unseen (the API server was away, or this machine slept) is taken again: who
    had it meanwhile has given it back, and ended. ``on_lost`` is called at the first sight of
    another holder, by whichever thread. After an exception of ``leave_on`` it is not freed, and
    tells who had it last. It is renewed ``every`` so many seconds.
    """
    ended = threading.Event()
    others: list[str] = []

    def is_ours() -> bool:
        if not others:
            now = writer.acquire_lease(namespace, name, holder, seconds=DURATION)
            if now != holder:
                others.append(now)
                on_lost()
        return not others

    def renew() -> None:
        while not ended.wait(every):
            try:
                if not is_ours():
                    return
            except BackstayError as error:
                reporter.warning("lease not renewed", lease=name, why=error.message)

    def check() -> None:
        if not is_ours():
            what = f"the Lease {namespace}/{name} was taken by another: {others[0]}"
            raise LeaseLost(what, hint=lost_hint, holder=others[0])

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    left = False
    try:
        yield check
    except leave_on:
        left = True
        raise
    finally:
        ended.set()
        thread.join()
        if not left:
            _release(writer, reporter, namespace, name, holder)


def _release(
    writer: ports.ClusterWriter, reporter: ports.Reporter, namespace: str, name: str, holder: str
) -> None:
    try:
        writer.release_lease(namespace, name, holder)
    except BackstayError as error:
        reporter.warning("lease not released", lease=name, why=error.message)
