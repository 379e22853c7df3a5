"""The controller's pages over real HTTP on loopback."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from starlette.types import ASGIApp

from reconciler.adapters.healthpages import make_pages
from reconciler.adapters.httpserver import MOST_CONNECTIONS, HttpServer, Listener, open_socket
from reconciler.model.errors import Refused, UsageError

PATIENCE = 60


@contextmanager
def served(app: ASGIApp) -> Iterator[int]:
    """The port of an application that is served."""
    listening = open_socket("127.0.0.1:0")
    port = int(listening.getsockname()[1])
    with HttpServer([Listener(app, listening)]):
        yield port


def ask(port: int, path: str, method: str = "GET") -> tuple[int, str]:
    """Status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


class Loop:
    """What the pages ask."""

    def __init__(self) -> None:
        self.wrong = ""
        self.lacking: tuple[str, ...] = ()
        self.wanting: tuple[str, ...] = ()

    def pages(self) -> ASGIApp:
        return make_pages(
            alive=lambda: self.wrong,
            missing=lambda: self.lacking,
            wanting=lambda: self.wanting,
            metrics=lambda: (b"backstay_policies 2.0\n", "text/plain; version=0.0.4"),
        )


def test_the_pages_say_what_the_loop_says() -> None:
    loop = Loop()
    with served(loop.pages()) as port:
        assert ask(port, "/healthz") == (200, "ok\n")
        assert ask(port, "/readyz") == (200, "ok\n")
        assert ask(port, "/metrics") == (200, "backstay_policies 2.0\n")
        loop.wanting = ("no objects",)
        assert ask(port, "/readyz") == (200, "ok\nno objects\n")
        loop.wrong, loop.lacking = "the loop stands", ("no Config", "no cycle")
        assert ask(port, "/healthz") == (503, "the loop stands\n")
        assert ask(port, "/readyz") == (503, "no Config\nno cycle\n")
        assert ask(port, "/metrics")[0] == 200


def test_nothing_else_is_there_and_nothing_is_taken() -> None:
    with served(Loop().pages()) as port:
        assert ask(port, "/")[0] == 404
        assert ask(port, "/hook/x", "POST")[0] == 404
        for path in ("/healthz", "/readyz", "/metrics"):
            assert ask(port, path, "POST")[0] == 405
            assert ask(port, path, "HEAD") == (200, "")


def ends(client: socket.socket) -> bool:
    """Waits for the other side to end it."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def test_connections_that_say_nothing_keep_no_probe_from_its_answer() -> None:
    with served(Loop().pages()) as port, ExitStack() as opened:
        silent = [
            opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))
            for _ in range(2 * MOST_CONNECTIONS)
        ]
        assert ask(port, "/healthz") == (200, "ok\n")
        # Nor does their number grow: the oldest ones had to go.
        assert all(ends(client) for client in silent[:MOST_CONNECTIONS])
        assert ask(port, "/healthz") == (200, "ok\n")


@pytest.mark.parametrize("said", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_a_connection_without_a_whole_request_is_ended(said: bytes) -> None:
    listening = open_socket("127.0.0.1:0")
    place = listening.getsockname()[:2]
    with (
        HttpServer([Listener(Loop().pages(), listening)], seconds=0.2),
        socket.create_connection(place, timeout=PATIENCE) as client,
    ):
        client.sendall(said)
        assert ends(client)


def test_it_ends_with_a_connection_open_that_says_nothing() -> None:
    listening = open_socket("127.0.0.1:0")
    place = listening.getsockname()[:2]
    with (
        socket.create_connection(place, timeout=PATIENCE) as idle,
        HttpServer([Listener(Loop().pages(), listening)]) as server,
    ):
        assert ask(place[1], "/healthz")[0] == 200
        idle.sendall(b"GET /healthz")
        server.__exit__()
        assert not server.alive
    assert listening.fileno() == -1


def test_a_server_of_nothing_begins_and_ends() -> None:
    with HttpServer([]):
        pass


@pytest.mark.parametrize("address", ["", "8080", ":", ":http", ":-1", ":65536", ":²"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(UsageError, match="no address"):
        open_socket(address)


def test_an_address_that_is_taken_is_refused_with_a_hint() -> None:
    with open_socket("127.0.0.1:0") as first:
        with pytest.raises(Refused, match="can't listen") as caught:
            open_socket(f"127.0.0.1:{first.getsockname()[1]}")
        assert caught.value.hint


def test_every_address_is_one_socket() -> None:
    with open_socket(":0") as listening:
        assert listening.getsockname()[1] > 0
