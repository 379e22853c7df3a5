"""The gate: every process that a shim stands before reports here, and waits for an answer.

It is a thread of the test's own process, so a test asks it for what happened and tells it what to
hold back. A hold catches one process, before its program starts or after it ended; the process
waits until the block that asked for it is left. Whoever can't reach the gate goes on by itself, so
the end of a test never leaves anything waiting.

Names of environment variables are reported, values never: a test that searches command lines for
secrets must not collect them.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BufferedIOBase
from types import TracebackType
from typing import Literal, Self

from tests.rig.cluster.errors import RigError

At = Literal["before", "after"]
WAIT_SECONDS = 600.0
_LOOK_SECONDS = 0.05
_LONGEST = 1 << 24


@dataclass(slots=True, kw_only=True, eq=False)
class Call:
    """One process: what it was asked, and how it ended. `host` is the pod's name in a pod."""

    program: str
    argv: tuple[str, ...]
    names: frozenset[str]
    host: str
    pid: int
    cwd: str
    parent: str
    """The command line of the process that started it, empty for a pod's first process."""
    started: float
    """Seconds of time.monotonic()."""
    ended: float | None = None
    code: int | None = None
    """As in subprocess: negative for a signal. None while it runs, or if the shim itself died."""

    def has(self, *words: str) -> bool:
        """Whether each word is one of its arguments."""
        return all(word in self.argv[1:] for word in words)


@dataclass(slots=True, eq=False)
class Hold:
    """Catches the nth call that fits; see `Gate.held`."""

    program: str
    words: tuple[str, ...]
    at: At
    nth: int
    pod: str
    _left: int = field(init=False)
    _call: Call | None = field(init=False, default=None)
    _caught: threading.Event = field(init=False, default_factory=threading.Event)
    _released: threading.Event = field(init=False, default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Count from now."""
        self._left = self.nth

    def wait(self, seconds: float = WAIT_SECONDS) -> Call:
        """The process that is held, as soon as there is one."""
        if not self._caught.wait(seconds):
            raise RigError(f"after {seconds:.0f} s no process is held {self}")
        assert self._call is not None
        return self._call

    @property
    def caught(self) -> bool:
        """Whether a process is, or was, held."""
        return self._caught.is_set()

    def release(self) -> None:
        """Let it go on before the block ends."""
        self._released.set()

    def __str__(self) -> str:
        """As a test asked for it."""
        where = f" in a pod {self.pod}…" if self.pod else ""
        return f"{self.at} {self.program} {' '.join(self.words)} (nth={self.nth}){where}"

    def takes(self, call: Call) -> bool:
        """Whether this call is the one; under the gate's lock."""
        fits = call.program == self.program and call.has(*self.words)
        if self._released.is_set() or not fits or not call.host.startswith(self.pod):
            return False
        self._left -= 1
        if self._left != 0:
            return False
        self._call = call
        return True

    def keep(self, connection: socket.socket) -> None:
        """Wait for the release, or for the end of the process."""
        self._caught.set()
        while not self._released.wait(_LOOK_SECONDS) and not _is_gone(connection):
            pass


class Gate:
    """Listens on an address that the shims reach; use it as a context manager."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self._server = _Server((address, 0), self)
        self._thread = threading.Thread(target=self._serve, name="gate", daemon=True)
        self._lock = threading.Lock()
        self._calls: list[Call] = []
        self._holds: list[Hold] = []

    @property
    def place(self) -> str:
        """HOST:PORT, as a shim's file has it."""
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Let everybody go, and answer nobody any more."""
        with self._lock:
            held = list(self._holds)
        for hold in held:
            hold.release()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def calls(self, program: str = "", *words: str, pod: str = "") -> list[Call]:
        """The calls so far, oldest first: of a program, with these arguments, in pods named so."""
        with self._lock:
            return [
                call
                for call in self._calls
                if program in ("", call.program) and call.has(*words) and call.host.startswith(pod)
            ]

    def forget(self) -> None:
        """Drop the calls so far: a test counts from here."""
        with self._lock:
            self._calls.clear()

    @contextlib.contextmanager
    def held(
        self, program: str, *words: str, at: At = "before", nth: int = 1, pod: str = ""
    ) -> Iterator[Hold]:
        """Hold the nth call from now on; ``pod`` is how the name of its host begins.

        ``before``: its program has not started. ``after``: it has ended, its caller does not know.
        """
        hold = Hold(program, words, at, nth, pod)
        with self._lock:
            self._holds.append(hold)
        try:
            yield hold
        finally:
            hold.release()
            with self._lock:
                self._holds.remove(hold)

    def _serve(self) -> None:
        self._server.serve_forever(poll_interval=0.05)

    def _attend(self, connection: socket.socket, stream: BufferedIOBase) -> None:
        """One process, from its start to its end."""
        fields = _read(stream)
        if not fields:
            return
        call = _parse(fields)
        try:
            with self._lock:
                self._calls.append(call)
            self._answer(call, "before", connection)
            last = _read(stream)
            call.ended = time.monotonic()
            if last:
                call.code = int(last[1])
                self._answer(call, "after", connection)
        finally:
            call.ended = call.ended or time.monotonic()

    def _answer(self, call: Call, at: At, connection: socket.socket) -> None:
        with self._lock:
            takers = [hold for hold in self._holds if hold.at == at and hold.takes(call)]
        for hold in takers:
            hold.keep(connection)
        connection.sendall(b"\n")


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # it was killed
            self.server.gate._attend(self.connection, self.rfile)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], gate: Gate) -> None:
        self.gate = gate
        super().__init__(address, _Handler)


def _read(stream: BufferedIOBase) -> list[str]:
    """The fields of the next frame; none when the other side has gone."""
    head = stream.readline(32)
    if not head.endswith(b"\n"):
        return []
    size = int(head)
    if not 0 < size < _LONGEST:
        raise RigError(f"a shim sent a frame of {size} bytes")
    body = stream.read(size)
    return [os.fsdecode(part) for part in body.split(b"\0")[:-1]] if len(body) == size else []


def _parse(fields: list[str]) -> Call:
    _, program, pid, host, cwd, parent, count, *rest = fields
    words = int(count)
    return Call(
        program=program,
        argv=tuple(rest[:words]),
        names=frozenset(rest[words:]),
        host=host,
        pid=int(pid),
        cwd=cwd,
        parent=parent,
        started=time.monotonic(),
    )


def _is_gone(connection: socket.socket) -> bool:
    ready, _, _ = select.select([connection], [], [], 0)
    return bool(ready) and connection.recv(1, socket.MSG_PEEK) == b""
