"""HTTP beside the program's own work: in a thread of its own, until it is told to end.

Connections are few and short: a probe, Prometheus, a Git host. So their number, the size of what
they send before anybody has looked at it, and their life are bounded, whatever they do. Where there
are too many the oldest one goes: who says nothing must not keep a probe from its answer.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from reconciler.model.errors import Refused, UsageError

MOST_CONNECTIONS = 32
SECONDS = 20.0
"""The life of a connection; longer than the webhook gives a request."""
_IDLE = 5
_GRACE = 3
_HEADERS = 16 * 1024


def open_socket(address: str) -> socket.socket:
    """Listens at ``host:port``, ``[::1]:port`` or ``:port`` (every address). Raises Refused.

    Connections wait here until somebody serves them, so there is no moment in which a probe is
    refused though the process is well.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise UsageError(f"{address!r} is no address to listen at", hint="such as :8080")
    host = host.removeprefix("[").removesuffix("]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        if not host and socket.has_dualstack_ipv6():
            return socket.create_server(
                ("", int(port)), family=socket.AF_INET6, dualstack_ipv6=True
            )
        return socket.create_server((host, int(port)), family=family)
    except OSError as error:
        raise Refused(
            f"can't listen at {address}: {error.strerror or error}",
            hint="is another controller at work on this machine?",
        ) from error


@dataclass(frozen=True, slots=True)
class Listener:
    """An application and the socket on which it is reached."""

    app: ASGIApp
    socket: socket.socket


class HttpServer:
    """Serves from ``with`` to its end; what is being answered then has a few seconds."""

    def __init__(self, listeners: Sequence[Listener], *, seconds: float = SECONDS) -> None:
        self._listeners = tuple(listeners)
        self._servers = tuple(
            uvicorn.Server(_settings(listener.app, seconds)) for listener in self._listeners
        )
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.should_exit = True
        self._thread.join(_GRACE + 30)
        for listener in self._listeners:
            listener.socket.close()

    @property
    def alive(self) -> bool:
        """Whether it serves."""
        return self._thread.is_alive()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        pairs = zip(self._servers, self._listeners, strict=True)
        await asyncio.gather(*(server.serve([listener.socket]) for server, listener in pairs))


def _bounded(seconds: float) -> type[asyncio.Protocol]:
    """A protocol whose connections end after so long.

    uvicorn's own limits don't do it: its time-out is armed by an answer only, and its limit of
    connections, silent ones included, gives 503 to who asks next.
    """

    class Bounded(H11Protocol):
        """One connection."""

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)  # type: ignore[arg-type]
            self.began = self.loop.time()
            self.end = self.loop.call_later(seconds, self.transport.abort)
            others = [
                other
                for other in self.connections
                if isinstance(other, Bounded) and not other.transport.is_closing()
            ]
            if len(others) > MOST_CONNECTIONS:
                min(others, key=lambda other: other.began).transport.abort()

        def connection_lost(self, exc: Exception | None) -> None:
            self.end.cancel()
            super().connection_lost(exc)

    return Bounded


def _settings(app: ASGIApp, seconds: float) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="asyncio",
        http=_bounded(seconds),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        timeout_keep_alive=_IDLE,
        timeout_graceful_shutdown=_GRACE,
        h11_max_incomplete_event_size=_HEADERS,
    )
