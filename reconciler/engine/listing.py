"""Lists every kind of the selected namespaces, ahead of the one who reads them.

Two threads talk to the API server while the reader cleans and writes: its time, theirs and the
reader's overlap. A list that does not reach its end becomes a `Gap`; what came of it before is real
and is kept, and its absence proves nothing. Where it was the API server that was away, and is back,
the list begins again: an outage is waited for and is no gap.

A kind is listed whole or namespace by namespace, whichever is cheaper (`Spread`); the rule is
`reconciler.plan.listingcost`.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from reconciler import ports
from reconciler.model.cluster import Discovery
from reconciler.model.errors import BackstayError, Expired, Incomplete
from reconciler.model.objects import Gap, Resource
from reconciler.plan import listingcost
from reconciler.plan.observe import gap_of

_CONNECTIONS = 2
"""Lists that are read at the same time: with one, the API server has nothing to do while its last
answer is parsed, and we have nothing to do while it makes the next."""
_AHEAD = 1
"""Pages that wait for the reader: with the one that is read, and one in the hands of each thread,
four are in memory at most. Read as Python's objects, a page takes seven times its bytes."""
_SWITCH = 0.0002
"""Seconds. A thread that gets an answer waits so long for its turn while the reader works: Python's
5 ms, some times per request, cost a run over many small lists a third of its time."""
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


@dataclass(frozen=True, slots=True)
class Spread:
    """A kind in some of ``total`` namespaces, listed the cheaper way, which may give the others'
    objects as well."""

    resource: Resource
    namespaces: tuple[str, ...]
    total: int

    def targets(self, reader: ports.ClusterReader) -> tuple[Target, ...]:
        """The lists to be read: one, one for each namespace, or none where there is nothing."""
        objects = None
        selected = len(self.namespaces)
        if listingcost.is_count_worth_asking(selected, self.total):
            try:
                objects = reader.count(self.resource)
            except BackstayError:
                objects = None  # the lists tell what is wrong
            if objects == 0:
                return ()
        if listingcost.is_whole_kind_cheaper(selected, self.total, objects):
            return ((self.resource, ""),)
        return tuple((self.resource, name) for name in self.namespaces)


@dataclass(frozen=True, slots=True)
class Named:
    """A few objects of a cluster-scoped kind, asked for by name: it takes no other right than a
    list of all, and one that is not there is an empty list."""

    resource: Resource
    names: tuple[str, ...]


def by_name(name: str) -> str:
    """The field selector of one object."""
    return f"metadata.name={name}"


Wanted = Target | Spread | Named

WasAway = Callable[[Callable[[], bool]], bool]
"""Asked after a list has failed; gets what says that nobody wants it any more. False: the API
server is there, and it is this list that fails. True: it was away, and is back."""


def _always_there(_: Callable[[], bool]) -> bool:
    return False


class _Outages:
    """Waits for an API server that is away, once for all lists that it has broken."""

    def __init__(self, was_away: WasAway, unwanted: Callable[[], bool]) -> None:
        self._was_away = was_away
        self._unwanted = unwanted
        self._lock = threading.Lock()
        self.seen = 0

    def explain(self, seen: int) -> bool:
        """Whether there was an outage since so many had been seen; waits until it is over."""
        with self._lock:
            if self.seen == seen and self._was_away(self._unwanted):
                self.seen += 1
            return self.seen != seen


def _list_one(
    reader: ports.ClusterReader,
    target: Target,
    stopped: threading.Event,
    outages: _Outages,
    fields: str = "",
) -> Iterator[Page | Gap]:
    resource, namespace = target
    attempt = 0
    while True:
        seen = outages.seen
        try:
            for items in reader.pages(resource, namespace=namespace, field_selector=fields):
                yield Page(resource, namespace, items)
                if stopped.is_set():
                    return
        except Expired as error:
            attempt += 1
            if attempt == _LISTS:
                yield gap_of(resource, error, namespace=namespace)
                return
        except BackstayError as error:
            if isinstance(error, Incomplete) and outages.explain(seen):
                continue
            yield gap_of(resource, error, namespace=namespace)
            return
        else:
            return


def list_all(
    reader: ports.ClusterReader,
    targets: Iterable[Wanted],
    was_away: WasAway = _always_there,
) -> Generator[Page | Gap, None, None]:
    """Pages and gaps of all targets, read ahead; the pages of one target in their order.

    Close it when it is left early: the threads end with it.
    """
    with _turns.used():
        ahead = _Ahead(reader, targets, was_away)
        try:
            yield from ahead.read()
        finally:
            ahead.stop()


class _QuickTurns:
    """The process's switch interval while somebody lists; there is one for all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._usual = 0.0

    @contextmanager
    def used(self) -> Iterator[None]:
        """Quick as long as anybody is in here; the last one to leave puts it back."""
        with self._lock:
            if self._users == 0:
                self._usual = sys.getswitchinterval()
                sys.setswitchinterval(min(_SWITCH, self._usual))
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    sys.setswitchinterval(self._usual)


_turns = _QuickTurns()


class _Ahead:
    """The threads and what they have read."""

    def __init__(
        self, reader: ports.ClusterReader, targets: Iterable[Wanted], was_away: WasAway
    ) -> None:
        self._reader = reader
        self._stopped = threading.Event()
        self._outages = _Outages(was_away, self._stopped.is_set)
        self._waiting: queue.Queue[Page | Gap | _End] = queue.Queue(maxsize=_AHEAD)
        self._todo = queue.SimpleQueue[Wanted | None]()
        for target in (*targets, *[None] * _CONNECTIONS):
            self._todo.put(target)
        self._threads = [
            threading.Thread(target=self._work, name="listing", daemon=True)
            for _ in range(_CONNECTIONS)
        ]
        for thread in self._threads:
            thread.start()

    def read(self) -> Iterator[Page | Gap]:
        """What comes until the last thread has ended; raises the error of one that failed."""
        ended = 0
        while ended < len(self._threads):
            item = self._waiting.get()
            if not isinstance(item, _End):
                yield item
            elif item.error is not None:
                raise item.error
            else:
                ended += 1

    def stop(self) -> None:
        """Waits until no thread asks the API server any more."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        error: BaseException | None = None
        try:
            while (target := self._todo.get()) is not None:
                for item in self._list(target):
                    if not self._put(item):
                        return
        except BaseException as caught:  # noqa: BLE001 - carried to the reader's thread
            error = caught
        self._put(_End(error))

    def _list(self, wanted: Wanted) -> Iterator[Page | Gap]:
        if isinstance(wanted, Named):
            everywhere = wanted.resource, ""
            for name in wanted.names:
                for item in _list_one(
                    self._reader, everywhere, self._stopped, self._outages, by_name(name)
                ):
                    yield item
                    if isinstance(item, Gap):
                        return  # it is of the whole kind, and the others would say the same
            return
        targets = wanted.targets(self._reader) if isinstance(wanted, Spread) else (wanted,)
        for target in targets:
            yield from _list_one(self._reader, target, self._stopped, self._outages)

    def _put(self, item: Page | Gap | _End) -> bool:
        while not self._stopped.is_set():
            try:
                self._waiting.put(item, timeout=0.2)
            except queue.Full:
                continue
            return True
        return False


def discovered(reader: ports.ClusterReader) -> Discovery:
    """Kinds that the cluster serves and the groups that failed; raises where nothing answers."""
    found = reader.discover()
    if not found.resources:
        raise Incomplete("the API server names no kinds", hint="look at its health")
    return found
