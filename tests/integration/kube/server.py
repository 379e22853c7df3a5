"""An HTTP server on loopback that answers as a test wrote down, and remembers what it was asked."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. ``cut``: the body ends early; ``hang``: seconds before it; 0: closed without."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    hang: float = 0.0

    @property
    def data(self) -> bytes:
        """JSON, or the bytes as they are."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body or {}).encode()


def failure(code: int, reason: str = "", message: str = "", **headers: str) -> Reply:
    """A Status."""
    body = {"kind": "Status", "code": code, "reason": reason, "message": message}
    return Reply(code, body, {key.replace("_", "-"): value for key, value in headers.items()})


@dataclass(frozen=True, slots=True)
class Request:
    """What came in."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


class Server:
    """Gives its replies in order; the last one stays. Routes (path → reply) come first."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.routes: dict[str, Reply] = {}
        self.requests: list[Request] = []
        self.url = ""
        self._lock = threading.Lock()

    def next(self, request: Request) -> Reply:
        """The reply to this request."""
        with self._lock:
            self.requests.append(request)
            if request.path in self.routes:
                return self.routes[request.path]
            return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[Server]:
    """A server on a free port."""
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            raw = self.rfile.read(length)
            parts = urlsplit(self.path)
            request = Request(
                self.command,
                parts.path,
                dict(parse_qsl(parts.query)),
                {key.lower(): value for key, value in self.headers.items()},
                json.loads(raw) if raw else None,
            )
            reply = server.next(request)
            time.sleep(reply.hang)
            if reply.status == 0:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(reply.status)
            for key, value in reply.headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(reply.data) + (10 if reply.cut else 0)))
            self.end_headers()
            self.wfile.write(reply.data)
            self.close_connection = reply.cut

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _do  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Nothing."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    scheme = "https" if context else "http"
    server.url = f"{scheme}://127.0.0.1:{httpd.server_address[1]}"
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()


class Clock:
    """Sleeps by moving its time."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 21, 4, 17, 3, tzinfo=UTC)
        self.slept: list[float] = []

    def now(self) -> datetime:
        """As told."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """At once."""
        self.slept.append(seconds)
        self.time += timedelta(seconds=seconds)
