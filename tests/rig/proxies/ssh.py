"""A proxy in front of sshd, which sees connections and bytes only: refuses, cuts, slows, freezes.

What is encrypted can't be told apart; a test that wants to hit a push holds git at the gate first,
and then says what is to become of the next connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.rig.proxies.loop import Looped

_CHUNK = 1 << 14
_LOOK_SECONDS = 0.02


@dataclass(slots=True, eq=False)
class Fate:
    """What becomes of the connections that begin while it is there."""

    after: int | None = None
    """Bytes from the client after which it is cut."""
    rate: float | None = None
    """Bytes per second, in each direction."""
    frozen: bool = False
    times: int = 0
    """For how many connections; 0 is for all."""
    hits: int = 0
    """How many connections it was for so far."""
    cuts: int = 0
    """How many of them were cut."""


class SshProxy(Looped):
    """In front of ``host``:``port``; without a fate it passes everything."""

    def __init__(self, host: str, port: int, *, address: str = "127.0.0.1") -> None:
        super().__init__()
        self._to = (host, port)
        self.address = address
        self.port = 0
        self.connections = 0
        """Taken so far."""
        self._fates: list[Fate] = []
        self._lock = threading.Lock()
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def place(self) -> str:
        """HOST:PORT."""
        return f"{self.address}:{self.port}"

    @contextmanager
    def refused(self) -> Iterator[None]:
        """Nobody listens, and every connection that there is breaks, for the time of the block."""
        self._do(self._close())
        try:
            yield
        finally:
            self._do(self._listen())

    @contextmanager
    def cut(self, after: int, *, times: int = 1) -> Iterator[Fate]:
        """The next connections break after so many bytes of the client's."""
        with self._fate(Fate(after=after, times=times)) as fate:
            yield fate

    @contextmanager
    def slow(self, rate: float) -> Iterator[Fate]:
        """Connections that begin in the block have so many bytes per second."""
        with self._fate(Fate(rate=rate)) as fate:
            yield fate

    @contextmanager
    def frozen(self) -> Iterator[Fate]:
        """Connections that begin in the block are taken; nothing comes through until its end."""
        with self._fate(Fate(frozen=True)) as fate:
            yield fate
            fate.frozen = False

    @contextmanager
    def _fate(self, fate: Fate) -> Iterator[Fate]:
        with self._lock:
            self._fates.append(fate)
        try:
            yield fate
        finally:
            fate.frozen = False
            with self._lock:
                self._fates.remove(fate)

    async def _up(self) -> None:
        await self._listen()

    async def _down(self) -> None:
        await self._close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, self.address, self.port, reuse_address=True
        )
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def _close(self) -> None:
        self._server.close()
        for writer in list(self._open):
            writer.transport.abort()
        await asyncio.sleep(0)

    def _next_fate(self) -> Fate:
        with self._lock:
            self.connections += 1
            for fate in self._fates:
                if not fate.times or fate.hits < fate.times:
                    fate.hits += 1
                    return fate
        return Fate()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fate = self._next_fate()
        ends = [writer]
        try:
            self._open.add(writer)
            inner, outer = await asyncio.open_connection(*self._to)
            ends.append(outer)
            self._open.add(outer)
            await asyncio.gather(
                self._pass(reader, outer, fate, cut=fate.after, ends=ends),
                self._pass(inner, writer, fate, cut=None, ends=ends),
            )
        except OSError:
            pass  # one of the two went away; the other is told below
        finally:
            for end in ends:
                self._open.discard(end)
                end.transport.abort() if end.transport.is_closing() else end.close()

    async def _pass(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        fate: Fate,
        *,
        cut: int | None,
        ends: list[asyncio.StreamWriter],
    ) -> None:
        passed = 0
        size = _CHUNK if fate.rate is None else max(1, min(_CHUNK, int(fate.rate / 10)))
        while chunk := await source.read(size):
            while fate.frozen:
                await asyncio.sleep(_LOOK_SECONDS)
            if cut is not None and passed + len(chunk) > cut:
                target.write(chunk[: cut - passed])
                await target.drain()
                fate.cuts += 1
                for end in ends:
                    end.transport.abort()
                return
            passed += len(chunk)
            target.write(chunk)
            await target.drain()
            if fate.rate is not None:
                await asyncio.sleep(len(chunk) / fate.rate)
        with contextlib.suppress(OSError):
            target.write_eof()
