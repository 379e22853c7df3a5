"""Lists every kind of the selected namespaces, ahead of the one who reads them.

A thread talks to the API server while the reader cleans and writes: on two cores they overlap.
A list that does not reach its end becomes a `Gap`; what came of it before is real and is kept,
and its absence proves nothing. Where it was the API server that was away, and is back, the list
begins again: an outage is waited for and is no gap.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler import ports
from reconciler.model.errors import BackstayError, Expired, Incomplete
from reconciler.model.objects import Gap, Resource
from reconciler.plan.observe import gap_of

_AHEAD = 1
"""Pages that wait for the reader: it overlaps, and three are in memory at most. Read as Python's
objects, a page takes seven times its bytes."""
_LISTS = 3
"""How often a list whose token expired half-way begins again."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of one list. A list that began again gives objects twice: the first one stands."""

    resource: Resource
    namespace: str
    items: Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None = None


Target = tuple[Resource, str]
"""A kind and the namespace that it is listed in; an empty one lists it everywhere."""


WasAway = Callable[[Callable[[], bool]], bool]
"""Asked after a list has failed; gets what says that nobody wants it any more. False: the API
server is there, and it is this list that fails. True: it was away, and is back."""


def _always_there(_: Callable[[], bool]) -> bool:
    return False


def _list_one(
    reader: ports.ClusterReader, target: Target, stopped: threading.Event, was_away: WasAway
) -> Iterator[Page | Gap]:
    resource, namespace = target
    attempt = 0
    while True:
        try:
            for items in reader.pages(resource, namespace=namespace):
                yield Page(resource, namespace, items)
                if stopped.is_set():
                    return
        except Expired as error:
            attempt += 1
            if attempt == _LISTS:
                yield gap_of(resource, error, namespace=namespace)
                return
        except BackstayError as error:
            if isinstance(error, Incomplete) and was_away(stopped.is_set):
                continue
            yield gap_of(resource, error, namespace=namespace)
            return
        else:
            return


def list_all(
    reader: ports.ClusterReader, targets: Iterable[Target], was_away: WasAway = _always_there
) -> Generator[Page | Gap, None, None]:
    """Pages and gaps of all targets, in their order, read ahead by a thread.

    Close it when it is left early: the thread ends with it.
    """
    waiting: queue.Queue[Page | Gap | _End] = queue.Queue(maxsize=_AHEAD)
    stopped = threading.Event()

    def put(item: Page | Gap | _End) -> bool:
        while not stopped.is_set():
            try:
                waiting.put(item, timeout=0.2)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        error: BaseException | None = None
        try:
            for target in targets:
                for item in _list_one(reader, target, stopped, was_away):
                    if not put(item):
                        return
        except BaseException as caught:  # noqa: BLE001 - carried to the reader's thread
            error = caught
        put(_End(error))

    thread = threading.Thread(target=work, name="listing", daemon=True)
    thread.start()
    try:
        while True:
            item = waiting.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stopped.set()
        thread.join()


def discovered(reader: ports.ClusterReader) -> tuple[tuple[Resource, ...], tuple[Gap, ...]]:
    """Kinds that the cluster serves and the groups that failed; raises where nothing answers."""
    found = reader.discover()
    if not found.resources:
        raise Incomplete("the API server names no kinds", hint="look at its health")
    return found.resources, found.failed
