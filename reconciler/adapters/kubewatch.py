"""Kubernetes: `reconciler.ports.ClusterWatch`, the list and the watch that a reflector is made of.

The official client's own are not used: its SharedInformer lists without pages, asks for no
bookmarks, sets no time limit on silence and comes back without a pause; its Watch forgets where it
was. Here a watch asks for bookmarks, so that a version to go on from stays fresh though nothing
happens, and a stream that gives not even these is given up: a half-open connection says nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import orjson

from reconciler import ports
from reconciler.adapters.kubeerrors import Answer, Call, explain_list, read_status
from reconciler.adapters.kubetransport import Stream, Transport
from reconciler.model.errors import Expired, Incomplete, Transient
from reconciler.model.objects import Resource

T = TypeVar("T")
WATCH_SECONDS = 600
"""The server ends a watch after these; the next one goes on where it was."""
SILENCE = 150.0
"""Seconds without an event: bookmarks come about once a minute."""
_PAGE = "500"
_EXPIRED = 410


class KubeWatch:
    """One cluster, watched. Safe to share between threads."""

    def __init__(
        self, transport: Transport, *, seconds: int = WATCH_SECONDS, silence: float = SILENCE
    ) -> None:
        self._transport = transport
        self._seconds = seconds
        self._silence = silence
        self._lock = threading.Lock()
        self._streams: set[Stream] = set()
        self._over = False

    @property
    def requests(self) -> Mapping[str, int]:
        """HTTP requests sent so far, by method."""
        return self._transport.requests

    def listing(
        self, resource: Resource, parse: Callable[[dict[str, Any]], T]
    ) -> tuple[list[T], str]:
        """Everything there is, and the version to watch from."""
        what = Call(verb="list", resource=resource)
        found: list[T] = []
        version = token = ""
        while True:
            query = [("limit", _PAGE), *([("continue", token)] if token else [])]
            try:
                answer = self._transport.send("GET", _path(resource), query=query)
                if not answer.ok:
                    raise explain_list(answer, what)
                body = answer.json(str(what))
            except Transient as error:
                if isinstance(error, Incomplete):
                    raise
                raise Incomplete(f"{what}: {error.message}", hint=error.hint) from error
            found.extend(parse(item) for item in body.get("items") or ())
            metadata = body.get("metadata") or {}
            version = version or str(metadata.get("resourceVersion") or "")
            token = str(metadata.get("continue") or "")
            if not token:
                return found, version

    def changes(self, resource: Resource, version: str) -> Iterator[ports.Happened]:
        """See `reconciler.ports.ClusterWatch`."""
        what = Call(verb="watch", resource=resource)
        if self._over:
            return
        query = [
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", version),
            ("timeoutSeconds", str(self._seconds)),
        ]
        with self._transport.stream(_path(resource), query=query, silence=self._silence) as stream:
            if not self._begin(stream):
                return
            try:
                if stream.status != 200:
                    raise explain_list(stream.whole(), what)
                for line in stream.lines():
                    yield _parse(line, what)
            except Transient:
                if not self._over:
                    raise
            finally:
                with self._lock:
                    self._streams.discard(stream)

    def end(self) -> None:
        """Ends every watch, those that are at work in other threads too, for good."""
        with self._lock:
            self._over = True
            streams = tuple(self._streams)
        for stream in streams:
            stream.end()

    def _begin(self, stream: Stream) -> bool:
        with self._lock:
            if not self._over:
                self._streams.add(stream)
            return not self._over


def _path(resource: Resource) -> str:
    root = f"/apis/{resource.group}" if resource.group else "/api"
    return f"{root}/{resource.version}/{resource.plural}"


def _parse(line: bytes, what: Call) -> ports.Happened:
    """Raises Expired where the version is too old, Transient for what is no event."""
    try:
        event = orjson.loads(line)
        kind, obj = str(event["type"]), event["object"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise Transient(f"{what}: the API server sent what is no event") from error
    if kind != "ERROR":
        if not isinstance(obj, dict) or not isinstance(obj.get("metadata"), dict):
            raise Transient(f"{what}: the API server sent an event without an object")
        return ports.Happened(kind, obj)
    status = read_status(Answer(_code(obj), orjson.dumps(obj)))
    if status.code == _EXPIRED:
        raise Expired(f"{what}: too much has happened since ({status})")
    raise Transient(f"{what}: the API server ended it ({status})")


def _code(obj: object) -> int:
    code = obj.get("code") if isinstance(obj, dict) else None
    return code if isinstance(code, int) else 500
