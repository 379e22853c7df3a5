"""The watch's HTTP: what an API server may send, cut, hold back or refuse."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes.client import Configuration

from reconciler.adapters.kubeconfig import ClientAccess
from reconciler.adapters.kubetransport import Transport
from reconciler.adapters.kubewatch import KubeWatch
from reconciler.model import kinds
from reconciler.model.errors import BackstayError, Expired, Incomplete, Refused, Transient
from reconciler.ports import Happened
from tests.integration.kube.server import Clock, Reply, Server, failure, serving

PATIENCE = 60.0


def client(url: str, *, silence: float = PATIENCE) -> KubeWatch:
    """A watch of the server at a URL."""
    configuration = Configuration()
    configuration.host = url
    transport = Transport(ClientAccess(configuration), clock=Clock(), user_agent="backstay/test")
    return KubeWatch(transport, seconds=7, silence=silence)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def event(kind: str, name: str = "", version: str = "8", **more: Any) -> bytes:
    """A line of a watch."""
    metadata = {"name": name, "resourceVersion": version}
    return json.dumps({"type": kind, "object": {"metadata": metadata, **more}}).encode() + b"\n"


def changes(server: Server, silence: float = PATIENCE) -> list[Happened]:
    """Everything one watch tells."""
    return list(client(server.url, silence=silence).changes(kinds.NAMESPACES, "7"))


def test_what_is_asked_and_told(server: Server) -> None:
    server.replies = [Reply(body=event("ADDED", "shop") + event("BOOKMARK", version="9"))]
    found = changes(server)
    assert [(h.kind, h.object["metadata"]["resourceVersion"]) for h in found] == [
        ("ADDED", "8"),
        ("BOOKMARK", "9"),
    ]
    (asked,) = server.requests
    assert asked.path == "/api/v1/namespaces"
    assert asked.query == {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": "7",
        "timeoutSeconds": "7",
    }


def gone(code: int) -> bytes:
    """An ERROR in the stream."""
    status = {"kind": "Status", "code": code, "reason": "Gone", "message": "too old"}
    return json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (failure(410, "Expired"), Expired),
        (Reply(body=gone(410)), Expired),
        (Reply(body=event("ADDED", "a") + gone(410)), Expired),
        (Reply(body=gone(500)), Transient),
        (failure(403, "Forbidden"), Refused),
        (failure(401, "Unauthorized"), Refused),
        (failure(404, "NotFound"), BackstayError),
        (failure(429, "TooManyRequests"), Transient),
        (failure(500), Transient),
        (Reply(502, b"<html>proxy</html>"), Transient),
        (Reply(body=b"<html>\n"), Transient),
        (Reply(body=b"[]\n"), Transient),
        (Reply(body=b'{"type": "ADDED", "object": []}\n'), Transient),
        (Reply(body=b'{"type": "ADDED", "object": {}}\n'), Transient),
        (Reply(body=b'{"type": "ERROR", "object": null}\n'), Transient),
        (Reply(body=event("ADDED", "a"), cut=True), Transient),
        (Reply(0), Transient),
    ],
)
def test_every_bad_end_is_an_error_of_ours(
    server: Server, reply: Reply, error: type[BackstayError]
) -> None:
    server.replies = [reply]
    with pytest.raises(error):
        changes(server)
    assert len(server.requests) == 1


def test_a_half_line_is_no_event(server: Server) -> None:
    server.replies = [Reply(body=event("ADDED", "a") + b'{"type": "ADD')]
    assert [h.object["metadata"]["name"] for h in changes(server)] == ["a"]


def test_nobody_there_is_transient() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    with pytest.raises(Transient):
        list(client(url).changes(kinds.NAMESPACES, "7"))


class Silent:
    """A server that begins to answer one request, and then says nothing until it is told to end."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listening.accept()
        with connection:
            connection.recv(65536)
            line = event("ADDED", "shop")
            head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            connection.sendall(head + f"{len(line):x}\r\n".encode() + line + b"\r\n")
            self.over.wait(PATIENCE)

    def close(self) -> None:
        self.over.set()
        self._thread.join(PATIENCE)
        self._listening.close()


@pytest.fixture
def silent() -> Iterator[Silent]:
    server = Silent()
    yield server
    server.close()


def test_a_connection_that_says_nothing_is_given_up(silent: Silent) -> None:
    with pytest.raises(Transient):
        list(client(silent.url, silence=0.5).changes(kinds.NAMESPACES, "7"))


def test_events_come_while_the_stream_is_open_and_its_end_can_be_told(silent: Silent) -> None:
    watch = client(silent.url)
    told: list[str] = []
    came, ended = threading.Event(), threading.Event()

    def follow() -> None:
        for happened in watch.changes(kinds.NAMESPACES, "7"):
            told.append(happened.kind)
            came.set()
        ended.set()

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    assert came.wait(PATIENCE)
    watch.end()
    assert ended.wait(PATIENCE)
    thread.join(PATIENCE)
    assert told == ["ADDED"]
    assert list(watch.changes(kinds.NAMESPACES, "7")) == []


def page(names: list[str], token: str = "") -> Reply:
    """A page of a list."""
    items = [{"metadata": {"name": name}} for name in names]
    return Reply(body={"metadata": {"resourceVersion": "5", "continue": token}, "items": items})


def name_of(raw: dict[str, Any]) -> str:
    """Of an object."""
    return str(raw["metadata"]["name"])


def test_a_list_is_read_to_its_end(server: Server) -> None:
    server.replies = [page(["a", "b"], "more"), page(["c"])]
    assert client(server.url).listing(kinds.NAMESPACES, name_of) == (["a", "b", "c"], "5")
    assert [request.query.get("continue", "") for request in server.requests] == ["", "more"]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (failure(410, "Expired"), Expired),
        (failure(403, "Forbidden"), Refused),
        (failure(503), Incomplete),
        (Reply(body=b"<html>"), Incomplete),
        (Reply(0), Incomplete),
    ],
)
def test_a_list_that_ends_early_raises(
    server: Server, reply: Reply, error: type[BackstayError]
) -> None:
    server.replies = [page(["a"], "more"), reply]
    with pytest.raises(error):
        client(server.url).listing(kinds.NAMESPACES, name_of)
