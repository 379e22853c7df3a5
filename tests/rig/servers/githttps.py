"""A real Git server over HTTPS: ``git http-backend`` behind TLS with an authority of its own.

It asks for one ``Authorization`` header and refuses everybody else, as forges do. What it does
badly is set by `GitHttps.misbehave`, for one kind of request or for all: `githttpsmoods` has the
ways. For tests, on loopback only.
"""

from __future__ import annotations

import base64
import http.server
import os
import ssl
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from tests.rig.servers.httpsauthority import Authority

Request = Literal["info", "ls-refs", "fetch", "push", "any"]


@dataclass(frozen=True, slots=True)
class Response:
    """What the real server says."""

    code: int
    fields: Mapping[str, str]
    body: bytes


Mood = Callable[["Handler", Callable[[], Response]], None]
"""Answers a request in place of the real server, which it may ask what it would have said."""


class GitHttps:
    """Serves the repositories in ``folder`` to who sends ``authorization``; a context manager.

    With an empty ``authorization`` anybody may come in; without ``tls`` it is plain HTTP.
    """

    def __init__(self, folder: Path, *, authorization: str = "", tls: bool = True) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.authorization = authorization
        """May be changed at any time: credentials that are revoked, and renewed."""
        self.seen: list[str] = []
        """The Authorization header of every request, empty where there was none."""
        self.ended = threading.Event()
        """Set when the server goes away; whoever waits in an answer waits for this."""
        self.moods: dict[Request, Mood] = {}
        self._authority = Authority()
        self._context: ssl.SSLContext | None = None
        if tls:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.renew()
        self._server = _Server(self, self._context)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def certificate(self) -> bytes:
        """The authority's certificate, as ``ca.crt`` of a Secret."""
        return self._authority.certificate

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def address(self) -> str:
        """The beginning of every URL."""
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}"

    def renew(self, *, host: str = "127.0.0.1", days: int = 1) -> None:
        """A new certificate for whoever connects from now on; negative ``days``: expired."""
        if self._context is not None:
            pair = self.folder / "tls.pem"
            pair.write_bytes(self._authority.issue(host, days=days))
            self._context.load_cert_chain(pair)

    def misbehave(self, mood: Mood, *, on: Request = "any") -> None:
        """From now on requests of a kind are answered like this."""
        self.moods[on] = mood

    def behave(self) -> None:
        """As a good server again."""
        self.moods.clear()

    def create(self, name: str) -> str:
        """An empty bare repository; returns its URL."""
        path = self.path(name)
        subprocess.run(["git", "init", "-q", "--bare", path], check=True)
        for key in ("uploadpack.allowFilter", "http.receivepack"):
            subprocess.run(["git", "-C", path, "config", key, "true"], check=True)
        return self.url(name)

    def path(self, name: str) -> Path:
        """Where a repository lies on this machine."""
        return self.folder / f"{name}.git"

    def url(self, name: str) -> str:
        """The URL of a repository."""
        return f"{self.address}/{name}.git"


def basic(username: str, password: str) -> str:
    """The header of a user name and a password."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


class _Server(http.server.ThreadingHTTPServer):
    """Clients that go away, or don't trust us, are no news."""

    def __init__(self, owner: GitHttps, context: ssl.SSLContext | None) -> None:
        self.owner = owner
        self.context = context
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing."""


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection; what it writes goes through TLS."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 120
    server: _Server

    def setup(self) -> None:
        """TLS begins here, in the connection's own thread: one client can't hold up others."""
        if self.server.context is not None:
            self.request = self.server.context.wrap_socket(self.request, server_side=True)
        super().setup()

    def finish(self) -> None:
        """The socket that TLS made is ours to close."""
        try:
            super().finish()
        finally:
            self.request.close()

    @property
    def owner(self) -> GitHttps:
        """The server it belongs to."""
        return self.server.owner

    def do_GET(self) -> None:
        """As the base class names it."""
        self._serve(b"")

    def do_POST(self) -> None:
        """As the base class names it."""
        if self.headers.get("Transfer-Encoding") == "chunked":
            self._serve(b"".join(self._chunks()))
        else:
            self._serve(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Says nothing."""

    def reply(self, response: Response) -> None:
        """Sends a whole answer."""
        self.send_response(response.code)
        for key, value in {**response.fields, "Content-Length": str(len(response.body))}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(response.body)

    def _chunks(self) -> list[bytes]:
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        return chunks

    def _serve(self, body: bytes) -> None:
        owner = self.owner
        owner.seen.append(self.headers.get("Authorization", ""))
        if owner.authorization and owner.seen[-1] != owner.authorization:
            self.reply(Response(401, {"WWW-Authenticate": 'Basic realm="git"'}, b""))
            return
        moods = owner.moods
        mood = moods.get(self._kind(body)) or moods.get("any")
        if mood is None:
            self.reply(self._real(body))
        else:
            mood(self, lambda: self._real(body))

    def _kind(self, body: bytes) -> Request:
        if self.command == "GET":
            return "info"
        if self.path.endswith("git-receive-pack"):
            return "push"
        return "ls-refs" if b"command=ls-refs" in body else "fetch"

    def _real(self, body: bytes) -> Response:
        path, _, query = self.path.partition("?")
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.owner.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "REMOTE_USER": "somebody",
        }
        done = subprocess.run(
            ["git", "http-backend"], input=body, env=environment, capture_output=True, check=False
        )
        head, _, rest = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
        code = int(fields.pop("Status", "200").split()[0])
        return Response(code, fields, rest)
