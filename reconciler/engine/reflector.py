"""A copy of one kind of object, kept up by list and watch, as a hint to look.

What is in it was there a moment ago; nothing is planned or deleted by it. A list is complete or
raises, a watch goes on from the last version it heard of, and where that is too old (410) the list
is made again. While the API server can't be asked, or a new list is due, the copy is not shown:
`known` is None, and whoever needs to know reads for himself, more slowly. No error ends it.

Every way of failing waits longer each time, and a stream that ends at once counts as failing: an
API server in trouble must not be asked faster because of it. Ideas: client-go's Reflector.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from reconciler import ports
from reconciler.engine.unexpected import explain_unexpected
from reconciler.model.errors import BackstayError, Expired, Stalled
from reconciler.model.objects import Resource

T = TypeVar("T")
_FIRST, _LONGEST, _REFUSED = 1.0, 60.0, 300.0
_BETWEEN = 1.0
"""Seconds between two watches that both went well."""


class Reflector(Generic[T]):
    """``parse`` says what of an object matters: other changes are no changes."""

    def __init__(
        self,
        watch: ports.ClusterWatch,
        resource: Resource,
        parse: Callable[[dict[str, Any]], T],
        *,
        changed: Callable[[], None],
        reporter: ports.Reporter,
    ) -> None:
        self._watch = watch
        self._resource = resource
        self._parse = parse
        self._changed = changed
        self._reporter = reporter
        self._lock = threading.Lock()
        self._items: dict[tuple[str, str], T] = {}
        self._version = ""
        self._well = False
        self._failures = 0
        self._told = ""

    def known(self) -> tuple[T, ...] | None:
        """What there is; None while that is not known. From any thread."""
        with self._lock:
            return tuple(self._items.values()) if self._well else None

    def run(self, wait: Callable[[float], bool]) -> None:
        """Until ``wait`` (seconds) says that it is time to stop."""
        while not wait(self.step()):
            pass

    def step(self) -> float:
        """One watch, with a list before it where one is needed; seconds to wait before the next."""
        try:
            if not self._version:
                self._list()
            if self._follow():
                self._failures, self._told = 0, ""
                return _BETWEEN
            return self._failed()
        except Expired:
            self._version = ""
            self._hide()
            return self._failed()
        except BackstayError as error:
            self._lost(error)
            return _REFUSED if isinstance(error, Stalled) else self._failed()
        except Exception as error:  # noqa: BLE001 - told as a bug; the copy is made anew
            self._version = ""
            ended = f"the watch of {self._resource.plural}"
            self._lost(explain_unexpected(error, self._reporter, ended=ended))
            return self._failed()

    def _list(self) -> None:
        pairs, version = self._watch.listing(
            self._resource, lambda raw: (_key(raw), self._parse(raw))
        )
        items = dict(pairs)
        with self._lock:
            news = items != self._items or not self._well
            self._items, self._version, self._well = items, version, True
        if news:
            self._changed()

    def _follow(self) -> bool:
        """Whether the watch gave any sign of life before it ended."""
        alive = False
        for happened in self._watch.changes(self._resource, self._version):
            alive = True
            news = self._take(happened)
            self._version = str(happened.object["metadata"].get("resourceVersion") or "")
            if news:
                self._changed()
        return alive

    def _take(self, happened: ports.Happened) -> bool:
        """Whether it is news."""
        with self._lock:
            news, self._well = not self._well, True
            if happened.kind == "BOOKMARK":
                return news
            key = _key(happened.object)
            if happened.kind == "DELETED":
                return self._items.pop(key, None) is not None or news
            value = self._parse(happened.object)
            if self._items.get(key) == value:
                return news
            self._items[key] = value
            return True

    def _failed(self) -> float:
        self._failures += 1
        return min(_FIRST * 2.0 ** min(self._failures - 1, 10), _LONGEST)

    def _hide(self) -> None:
        with self._lock:
            self._well = False

    def _lost(self, error: BackstayError) -> None:
        """The copy is not to be believed until something is heard again; said once."""
        self._hide()
        if self._told != error.reason:
            self._told = error.reason
            self._reporter.warning(
                "watch interrupted", of=self._resource.plural, error=error.message, hint=error.hint
            )


def _key(raw: ports.KubeObject) -> tuple[str, str]:
    return str(raw["metadata"].get("namespace") or ""), str(raw["metadata"]["name"])
