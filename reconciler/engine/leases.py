"""A Lease that is kept while something is at work, and noticed when it is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from reconciler import ports
from reconciler.model.errors import BackstayError

DURATION = 60
"""Seconds until a Lease that nobody renews is free again."""
_RENEW_EVERY = 15.0


class LeaseLost(BackstayError):
    """Somebody else took the Lease while this one was at work."""

    reason = "LeaseLost"


@contextmanager
def keep_lease(
    writer: ports.ClusterWriter,
    reporter: ports.Reporter,
    *,
    namespace: str,
    name: str,
    holder: str,
    lost_hint: str,
) -> Iterator[Callable[[], None]]:
    """Renews a Lease that ``holder`` has, and frees it in the end.

    Yields a check that asks the cluster and raises LeaseLost once somebody else has it: a Lease
    that could not be renewed for a while is not trusted.
    """
    ended = threading.Event()
    lost = threading.Event()

    def is_ours() -> bool:
        if lost.is_set():
            return False
        now = writer.acquire_lease(namespace, name, holder, seconds=DURATION)
        if now != holder:
            lost.set()
        return now == holder

    def renew() -> None:
        while not ended.wait(_RENEW_EVERY):
            try:
                if not is_ours():
                    return
            except BackstayError as error:
                reporter.warning("lease not renewed", lease=name, why=error.message)

    def check() -> None:
        if not is_ours():
            raise LeaseLost(f"the Lease {namespace}/{name} was taken by another", hint=lost_hint)

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield check
    finally:
        ended.set()
        thread.join()
        try:
            writer.release_lease(namespace, name, holder)
        except BackstayError as error:
            reporter.warning("lease not released", lease=name, why=error.message)
