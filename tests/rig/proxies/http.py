"""An HTTP proxy that knows one server, with rules. aiohttp does both sides of the protocol."""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import aiohttp
from aiohttp import web
from yarl import URL

from tests.rig.proxies.loop import Looped
from tests.rig.proxies.rules import Answer, Cut, Held, Reset, Rule, Seen, Slow

_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "expect", "trailer"}
_LARGEST = 1 << 30
_LOOK_SECONDS = 0.02
_CLEANUP_SECONDS = 1.0


class HttpProxy(Looped):
    """Listens on ``address`` and asks ``upstream`` (a URL without a path).

    ``serve`` is the TLS of its own side, ``trust`` that of the server's; without them it is plain.
    """

    def __init__(
        self,
        upstream: str,
        *,
        address: str = "127.0.0.1",
        serve: ssl.SSLContext | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__()
        self.upstream = upstream
        self.address = address
        self.port = 0
        self._serve = serve
        self._trust = trust
        self._rules: list[Rule] = []
        self._seen: list[Seen] = []
        self._lock = threading.Lock()

    @property
    def place(self) -> str:
        """HOST:PORT."""
        return f"{self.address}:{self.port}"

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"{'https' if self._serve else 'http'}://{self.place}"

    @contextmanager
    def rule(
        self,
        method: str,
        target: str,
        does: object,
        *,
        nth: int = 1,
        times: int = 1,
        agent: str = "",
    ) -> Iterator[Rule]:
        """For the time of the block. ``method`` must match in whole, ``target`` anywhere.

        Both are regular expressions; ``agent`` is a part of the user agent. 0 times: every one.
        """
        made = Rule(re.compile(method), re.compile(target), does, nth, times, agent)
        with self._lock:
            self._rules.append(made)
        try:
            yield made
        finally:
            if isinstance(does, Held):
                does.release()
            with self._lock:
                self._rules.remove(made)

    @contextmanager
    def held(self, method: str, target: str, *, nth: int = 1, agent: str = "") -> Iterator[Held]:
        """Hold one request until it is released, at the latest at the end of the block."""
        hold = Held()
        with self.rule(method, target, hold, nth=nth, agent=agent):
            yield hold

    def seen(self, method: str = ".*", target: str = "") -> list[Seen]:
        """The requests so far, oldest first."""
        with self._lock:
            found = list(self._seen)
        return [s for s in found if re.fullmatch(method, s.method) and re.search(target, s.target)]

    def forget(self) -> None:
        """Count from here."""
        with self._lock:
            self._seen.clear()

    # -- what a subclass may say -----------------------------------------------------------------

    def rewrite(self, target: str) -> str:
        """The target that the server is asked for."""
        return target

    async def special(self, does: object, request: web.Request) -> web.StreamResponse | None:
        """What a rule of a subclass' own kind does; None is to go on and ask the server."""
        raise TypeError(f"{request.method}: no rule can do {does!r}")

    # -- in the loop -----------------------------------------------------------------------------

    async def _up(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._trust or True, limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )
        app = web.Application(client_max_size=_LARGEST)
        app.router.add_route("*", "/{any:.*}", self._relay)
        self._runner = web.AppRunner(
            app, auto_decompress=False, access_log=None, shutdown_timeout=0, handle_signals=False
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.address, self.port, ssl_context=self._serve)
        await site.start()
        self.port = int(self._runner.addresses[0][1])

    async def _down(self) -> None:
        with self._lock:
            for rule in self._rules:
                if isinstance(rule.does, Held):
                    rule.does.release()
        try:  # a stream that goes on would keep it for a minute
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._runner.cleanup(), _CLEANUP_SECONDS)
        finally:
            await self._session.close()

    async def _relay(self, request: web.Request) -> web.StreamResponse:
        seen = Seen(request.method, request.raw_path, request.headers.get("User-Agent", ""))
        with self._lock:
            self._seen.append(seen)
            rule = next((rule for rule in self._rules if rule.takes(seen)), None)
        try:
            return await self._answer(request, seen, None if rule is None else rule.does)
        except OSError:
            if request.transport is not None and not request.transport.is_closing():
                raise
            _abort(request)  # the client went away: killed, most likely

    async def _answer(self, request: web.Request, seen: Seen, does: object) -> web.StreamResponse:
        match does:
            case None | Cut():
                pass
            case Answer():
                await request.read()
                seen.status = does.status
                return web.Response(status=does.status, body=does.body, headers=does.headers)
            case Reset():
                _abort(request, reset=True)
            case Slow():
                await asyncio.sleep(does.seconds)
            case Held():
                does.catch()
                while not does.released:
                    await asyncio.sleep(_LOOK_SECONDS)
            case _:
                said = await self.special(does, request)
                if said is not None:
                    seen.status = said.status
                    return said
        return await self._ask(request, seen, does.after if isinstance(does, Cut) else None)

    async def _ask(self, request: web.Request, seen: Seen, cut: int | None) -> web.StreamResponse:
        if request.headers.get("Upgrade"):
            return web.Response(status=501, text="the proxy does not switch protocols\n")
        headers = [(k, v) for k, v in request.headers.items() if k.lower() not in _HOP]
        url = URL(self.upstream + self.rewrite(request.raw_path), encoded=True)
        body = io.BytesIO(await request.read()) if request.can_read_body else None
        try:
            asked = self._session.request(
                request.method, url, headers=headers, data=body, allow_redirects=False
            )
            async with asked as answer:
                seen.status = answer.status
                return await self._pass_on(request, answer, cut)
        except aiohttp.ClientError:  # the server is away, or broke off
            _abort(request, reset=True)

    async def _pass_on(
        self, request: web.Request, answer: aiohttp.ClientResponse, cut: int | None
    ) -> web.StreamResponse:
        given = web.StreamResponse(status=answer.status, reason=answer.reason)
        for key, value in answer.headers.items():
            if key.lower() not in _HOP:
                given.headers.add(key, value)
        if "Content-Length" not in answer.headers:
            given.enable_chunked_encoding()
        await given.prepare(request)
        passed = 0
        async for chunk in answer.content.iter_any():
            if cut is not None and passed + len(chunk) > cut:
                await given.write(chunk[: cut - passed])
                await asyncio.sleep(_LOOK_SECONDS)  # what was written is to arrive
                _abort(request)
            passed += len(chunk)
            await given.write(chunk)
        if cut is not None:
            _abort(request)
        await given.write_eof()
        return given


def _abort(request: web.Request, *, reset: bool = False) -> NoReturn:
    """End the client's connection, without a goodbye, and the work on its request."""
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        if reset and connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    raise asyncio.CancelledError
