"""Faults put around a cluster: a list that fails, one that expires, a writer that is refused.

Each wraps a real or fake ClusterReader or ClusterWriter and passes everything else through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from reconciler.model.cluster import ClusterIdentity, Discovery
from reconciler.model.errors import BackstayError, Expired, Incomplete
from reconciler.model.objects import Resource
from reconciler.ports import ClusterReader

Matches = Callable[[Resource, str], bool]
"""(resource, namespace) → whether the fault strikes this list."""


class FaultyReader:
    """Fails lists that ``matches`` picks, after ``pages`` pages, ``times`` times (0: always)."""

    def __init__(
        self,
        inner: ClusterReader,
        matches: Matches,
        *,
        error: BackstayError | None = None,
        pages: int = 0,
        times: int = 0,
    ) -> None:
        self._inner = inner
        self._matches = matches
        self._error = error or Incomplete("list: the API server hung up")
        self._pages = pages
        self._left = times or -1
        self.struck = 0

    @classmethod
    def expiring(cls, inner: ClusterReader, matches: Matches, *, pages: int = 1) -> FaultyReader:
        """The continue token expires once, after ``pages`` pages."""
        return cls(inner, matches, error=Expired("list: HTTP 410 Expired"), pages=pages, times=1)

    def identity(self) -> ClusterIdentity:
        """Passed through."""
        return self._inner.identity()

    def discover(self) -> Discovery:
        """Passed through."""
        return self._inner.discover()

    def pages(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
    ) -> Iterator[list[dict[str, Any]]]:
        """Passed through until the fault strikes."""
        struck = self._left != 0 and self._matches(resource, namespace)
        found = self._inner.pages(
            resource,
            namespace=namespace,
            label_selector=label_selector,
            field_selector=field_selector,
        )
        for seen, page in enumerate(found):
            if struck and seen == self._pages:
                break
            yield page
        if struck:
            self._left -= 1
            self.struck += 1
            raise self._error

    def count(self, resource: Resource) -> int | None:
        """Passed through; it fails as a list of all namespaces does, and is not counted as one."""
        if self._left != 0 and self._matches(resource, ""):
            raise self._error
        return self._inner.count(resource)

    def get(self, resource: Resource, name: str, *, namespace: str = "") -> dict[str, Any] | None:
        """Passed through."""
        return self._inner.get(resource, name, namespace=namespace)

    def logs(self, namespace: str, pod: str, *, container: str = "", tail: int = 50) -> str:
        """Passed through."""
        return self._inner.logs(namespace, pod, container=container, tail=tail)


class FaultyWriter:
    """Raises ``error`` at the ``after``-th call of one method (1 is the first), once."""

    def __init__(self, inner: Any, method: str, *, error: BackstayError, after: int = 1) -> None:
        self._inner = inner
        self._method = method
        self._error = error
        self._left = after

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._inner, name)
        if name != self._method:
            return call

        def struck(*args: Any, **kwargs: Any) -> Any:
            self._left -= 1
            if self._left == 0:
                raise self._error
            return call(*args, **kwargs)

        return struck
