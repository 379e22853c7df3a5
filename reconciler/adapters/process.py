"""The one place that starts processes: git, ssh and restic all run through here.

Promises: arguments are a list and never meet a shell; the environment is exactly what the caller
gives, nothing is inherited; a process has its own session, so that a time limit or an exception
ends it *with its children* and a terminal's Ctrl-C does not reach it before us; nothing can wait
for ever; stderr is kept, but only its end.

With ``BACKSTAY_EXEC_LOG=<file>`` set, each process leaves one JSON line there when it has ended:
its arguments, the *names* of its variables, its exit code. Tests search it for secrets and count
processes with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from reconciler.model.errors import Refused, Transient

GRACE = 3.0
"""Seconds between SIGTERM and SIGKILL."""
_CHUNK = 1 << 16
_KEPT_STDERR = 1 << 16


class DeadlineExceeded(Transient):
    """A process did not end in time and was ended."""

    reason = "DeadlineExceeded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A process that ended; a negative code is the signal that ended it. ``truncated``: by us."""

    argv: tuple[str, ...]
    code: int
    stdout: bytes
    stderr: bytes
    truncated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """What a process and each of its children may take, in bytes; 0 is no cap.

    Over ``file_size`` a process gets SIGXFSZ, over ``memory`` (address space) it gets none.
    """

    file_size: int = 0
    memory: int = 0


NO_CAPS = Caps()
_living: weakref.WeakSet[Child] = weakref.WeakSet()


class Child:
    """A running process with pipes; use as a context manager, which always ends it.

    ``stdin`` is a buffered pipe if asked for, ``stdout`` always is one. Read or write them from
    one thread; stderr is drained beside. After ``deadline`` seconds the process group is ended
    and `wait` raises DeadlineExceeded. ``on_stderr`` sees every chunk of stderr, from the
    thread that drains it, and must not raise.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path | None = None,
        stdin: bool = False,
        deadline: float,
        caps: Caps = NO_CAPS,
        inherit: Sequence[int] = (),
        on_stderr: Callable[[bytes], None] | None = None,
    ) -> None:
        self.argv = tuple(argv)
        self._on_stderr = on_stderr
        self._env = dict(env)
        self._deadline = deadline
        self._expired = False
        self._logged = False
        self._lines: deque[bytes] = deque()
        try:
            self._process = subprocess.Popen(
                self.argv,
                env=self._env,
                cwd=cwd,
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                pass_fds=tuple(inherit),
            )
        except OSError as error:
            raise _cannot_start(self.argv[0], cwd, error) from error
        self._cap(resource.RLIMIT_FSIZE, caps.file_size)
        self._cap(resource.RLIMIT_AS, caps.memory)
        self._drain = threading.Thread(target=self._keep_stderr, daemon=True)
        self._drain.start()
        self._timer = threading.Timer(deadline, self._expire)
        self._timer.daemon = True
        self._timer.start()
        _living.add(self)

    @property
    def stdin(self) -> IO[bytes]:
        """The pipe to the process; only if it was asked for."""
        assert self._process.stdin is not None  # noqa: S101 - a wrong call, found by the first test
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        """The pipe from the process."""
        assert self._process.stdout is not None  # noqa: S101 - always asked for
        return self._process.stdout

    @property
    def pid(self) -> int:
        """The process id, which is also that of its group."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """With what it ended, without waiting for that; None while it runs."""
        return self._process.poll()

    def wait(self) -> Finished:
        """Closes stdin and waits for the end; what stdout still holds is dropped."""
        self._close_stdin()
        while self.stdout.read(_CHUNK):
            pass
        code = self._process.wait()
        self._end_of_life(code)
        if self._expired:
            raise DeadlineExceeded(
                f"{self.argv[0]} did not end within {self._deadline:g} s and was stopped",
                hint="look at the network and the load of the other side",
            )
        return Finished(argv=self.argv, code=code, stdout=b"", stderr=self.stderr)

    @property
    def stderr(self) -> bytes:
        """The end of what it wrote to stderr, at most 64 KiB."""
        return b"".join(self._lines)[-_KEPT_STDERR:]

    def stop(self) -> None:
        """Ends the process and its children; no effect on one that was waited for."""
        if self._process.poll() is None:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE)
            # Also when the process itself is gone: its children may not have listened.
            self._signal(signal.SIGKILL)
        code = self._process.wait()
        self._close_stdin()
        self._end_of_life(code)

    def ask_to_end(self) -> None:
        """SIGTERM for the process and its children; whoever reads from it sees the end."""
        if self._process.poll() is None:
            self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends the process and its children at once, with no chance to write anything more."""
        self._signal(signal.SIGKILL)
        self.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _cap(self, kind: int, value: int) -> None:
        # A moment after the start; what could grow comes later, when somebody was talked to.
        with contextlib.suppress(ProcessLookupError):
            if value:
                resource.prlimit(self._process.pid, kind, (value, value))

    def _expire(self) -> None:
        # Whoever is still waiting then waits for a child of it that holds our pipes open.
        self._expired = True
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE)
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _close_stdin(self) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()

    def _keep_stderr(self) -> None:
        pipe = self._process.stderr
        if pipe is None:
            return
        with pipe:
            size = 0
            while chunk := os.read(pipe.fileno(), _CHUNK):
                if self._on_stderr is not None:
                    self._on_stderr(chunk)
                self._lines.append(chunk)
                size += len(chunk)
                while size - len(self._lines[0]) > _KEPT_STDERR:
                    size -= len(self._lines.popleft())

    def _end_of_life(self, code: int) -> None:
        self._timer.cancel()
        self._drain.join(GRACE)
        self.stdout.close()
        if not self._logged:
            self._logged = True
            _log(self.argv, self._env, code)


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    stdin: bytes | None = None,
    deadline: float,
    max_stdout: int | None = None,
    caps: Caps = NO_CAPS,
    inherit: Sequence[int] = (),
) -> Finished:
    """Runs a process to its end; any exit code is a result, not an error.

    With ``max_stdout`` the process is ended once it wrote more bytes than that, and the result
    is marked ``truncated``. Raises DeadlineExceeded, and Refused if the program is not there.
    """
    child = Child(
        argv,
        env=env,
        cwd=cwd,
        stdin=stdin is not None,
        deadline=deadline,
        caps=caps,
        inherit=inherit,
    )
    with child:
        feeder = feed(child.stdin, [stdin]) if stdin is not None else None
        chunks, size = [], 0
        while chunk := child.stdout.read1(_CHUNK):  # type: ignore[attr-defined]
            chunks.append(chunk)
            size += len(chunk)
            if max_stdout is not None and size > max_stdout:
                child.stop()
                break
        if feeder is not None:
            feeder.join()
        if max_stdout is not None and size > max_stdout:
            cut = b"".join(chunks)[:max_stdout]
            return Finished(
                argv=child.argv, code=-1, stdout=cut, stderr=child.stderr, truncated=True
            )
        done = child.wait()
        return Finished(argv=done.argv, code=done.code, stdout=b"".join(chunks), stderr=done.stderr)


def end_all() -> None:
    """Asks every process that still runs to end: for a command that leaves threads behind."""
    for child in tuple(_living):
        child.ask_to_end()


def feed(pipe: IO[bytes], chunks: Iterable[bytes]) -> threading.Thread:
    """Writes chunks to a child's stdin from a thread of its own and closes it; join it."""

    def write() -> None:
        with contextlib.suppress(BrokenPipeError, ValueError), pipe:
            for chunk in chunks:
                pipe.write(chunk)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    return thread


def _cannot_start(program: str, cwd: Path | None, error: OSError) -> Refused:
    if cwd is not None and not cwd.is_dir():
        return Refused(f"cannot run {program} in {cwd}: the folder is not there")
    if isinstance(error, FileNotFoundError):
        return Refused(f"{program} is not installed", hint=f"install {program} and put it on PATH")
    return Refused(f"cannot run {program}: {error.strerror}")


def _log(argv: Sequence[str], env: Mapping[str, str], code: int) -> None:
    path = os.environ.get("BACKSTAY_EXEC_LOG")
    if not path:
        return
    line = json.dumps({"argv": list(argv), "env": sorted(env), "code": code}) + "\n"
    with contextlib.suppress(OSError):
        # One write to a file opened for appending: lines of several processes never mix.
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)
