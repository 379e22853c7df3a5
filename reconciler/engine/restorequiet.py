"""What the cluster says about an object with redacted values is told to nobody.

A validation error quotes the value that it is about, and so may a webhook. Adapters leave a
Secret's out because of its kind; which other objects have a value that Git must not hold, only the
restore knows that put it back (I3).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from reconciler import ports
from reconciler.model.errors import BackstayError, Refused, Stalled, Transient
from reconciler.model.objects import ObjectRef

_STATUS = re.compile(r"\bHTTP [1-5][0-9][0-9]\b")
_TRY = (
    "to see the answer, try the manifest from Git with its values:"
    " kubectl create --dry-run=server -f FILE"
)
T = TypeVar("T")


class QuietWriter:
    """Writes what a restore writes; errors about ``filled`` objects say only their status."""

    def __init__(self, inner: ports.ClusterWriter, filled: Iterable[Mapping[str, Any]]) -> None:
        self._inner = inner
        self._filled = frozenset(map(_ref_of, filled))
        self.delete = inner.delete
        self.patch = inner.patch
        self.announce = inner.announce
        self.acquire_lease = inner.acquire_lease
        self.release_lease = inner.release_lease

    def apply(self, obj: ports.KubeObject) -> dict[str, Any]:
        """As the port says."""
        return self._told(obj, lambda: self._inner.apply(obj))

    def create(self, obj: ports.KubeObject) -> tuple[dict[str, Any], bool]:
        """As the port says."""
        return self._told(obj, lambda: self._inner.create(obj))

    def _told(self, obj: ports.KubeObject, work: Callable[[], T]) -> T:
        ref = _ref_of(obj)
        if ref not in self._filled:
            return work()
        try:
            return work()
        except (Stalled, Transient) as error:
            told = _quiet(ref, error)
        # Outside of the handler: nothing of the answer goes along as the error's context.
        raise told


def _quiet(ref: ObjectRef, error: BackstayError) -> BackstayError:
    found = _STATUS.search(error.message)
    why = f"{found[0]}; its answer" if found else "its answer"
    kind, does = (Refused, "refuses") if isinstance(error, Stalled) else (Transient, "fails at")
    return kind(
        f"{ref}: the cluster {does} it ({why} may quote a redacted value)",
        hint="; ".join(filter(None, [error.hint, _TRY])),
    )


def _ref_of(obj: Mapping[str, Any]) -> ObjectRef:
    group, _, _ = str(obj["apiVersion"]).rpartition("/")
    metadata = obj["metadata"]
    namespace = str(metadata.get("namespace") or "")
    return ObjectRef(group=group, kind=obj["kind"], namespace=namespace, name=metadata["name"])
