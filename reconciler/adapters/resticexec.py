"""Runs restic for resticpy's command builders: with an environment, a folder, a limit, a progress.

resticpy builds argument lists well and runs them badly: its settings are module globals, it reads
everything into memory, and a partial backup's snapshot id is thrown away. So `execute` here takes
the place of ``restic.internal.command_executor.execute``, once, at import, and finds what it needs
in a ContextVar that `invoke` sets around one call; threads and repositories never meet.

Promises: nothing secret is in argv; memory does not grow with the number of files or of errors;
a storage that says no ends restic at once, and one that is away ends it after ``patience``
seconds, where restic alone would try both for 15 minutes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from restic.internal import command_executor

from reconciler.adapters import process, resticerrors, resticjson

KEPT_ERRORS = 10
"""Errors of single files that are kept; all of them are counted."""
_MAX_TEXT = 64 << 20
_LONGEST_LINE = 16 << 10
_NOISE = (b"repo already locked", b"using parent snapshot", b"no parent snapshot")


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """How one restic is run; ``deadline`` and ``patience`` in seconds.

    ``opening_patience`` stands in for ``patience`` until restic has opened the repository.
    """

    env: Mapping[str, str] = field(repr=False)
    deadline: float
    patience: float
    opening_patience: float | None = None
    cwd: Path | None = None
    stdin: Iterable[bytes] | None = None
    progress: Callable[[int, int], None] | None = None


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of it. ``fatal`` is restic's last sentence, or the storage's that ended it."""

    code: int = 0
    fatal: str = ""
    errors: list[str] = field(default_factory=list)
    error_count: int = 0
    summary: resticjson.Summary | None = None

    def add(self, error: str) -> None:
        """Counts the error of one file, and keeps it while there is room."""
        self.error_count += 1
        if len(self.errors) < KEPT_ERRORS:
            self.errors.append(error)


class ResticFailed(Exception):
    """restic ended with a code that gives no result; ends in `resticrepo`."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.fatal)
        self.outcome = outcome


_current: ContextVar[tuple[Invocation, Outcome]] = ContextVar("restic")


@contextlib.contextmanager
def invoke(invocation: Invocation) -> Iterator[Outcome]:
    """Sets how resticpy's next call runs; the outcome is filled when the call has returned."""
    outcome = Outcome()
    token = _current.set((invocation, outcome))
    try:
        yield outcome
    finally:
        _current.reset(token)


def execute(argv: list[str]) -> str:
    """Runs restic and returns its stdout without status lines; resticpy calls this.

    Raises ResticFailed for any exit code but 0 and 3 (a backup with unreadable files, which has
    a result), and for a stream that ended early, after restic was killed before it saw the end.
    """
    invocation, outcome = _current.get()
    text = bytearray()
    for line in stream(argv, invocation, outcome):
        message = resticjson.parse_message(line)
        if message is None:
            if not line.startswith(_NOISE):
                text += line
        elif message["message_type"] == "status":
            if invocation.progress is not None:
                invocation.progress(*resticjson.parse_progress(message))
        elif message["message_type"] == "verbose_status":
            continue
        else:
            if message["message_type"] == "summary":
                outcome.summary = resticjson.parse_summary(message)
            text += line
        if len(text) > _MAX_TEXT:
            raise ResticFailed(Outcome(code=1, fatal="restic wrote more than 64 MiB of results"))
    return text.decode(errors="replace")


def stream(
    argv: list[str], invocation: Invocation, outcome: Outcome, *, chunk: int = 0
) -> Iterator[bytes]:
    """Runs restic and yields stdout, by line or in pieces of at most ``chunk`` bytes.

    Fills ``outcome`` and raises ResticFailed at the end.
    """
    watch = _Watch(outcome, invocation)
    child = process.Child(
        argv,
        env=invocation.env,
        cwd=invocation.cwd,
        stdin=invocation.stdin is not None,
        deadline=invocation.deadline,
        on_stderr=watch.feed,
    )
    with child:
        watch.pid = child.pid
        if invocation.stdin is not None:
            _feed(child, invocation.stdin)
        yield from iter(lambda: child.stdout.read(chunk), b"") if chunk else child.stdout
        try:
            outcome.code = child.wait().code
        except process.DeadlineExceeded as error:
            outcome.code = 1
            outcome.fatal = watch.last_retry or f"{error.message} (deadline)"
        watch.close()
    if outcome.code not in (0, 3):
        raise ResticFailed(outcome)


def _feed(child: process.Child, chunks: Iterable[bytes]) -> None:
    """Writes the stream. If its source raises, restic must die before it sees an end of input.

    The end of input means "that was all" to restic, which would store half a file as a whole one.
    """
    try:
        for chunk in chunks:
            # Only here: a broken pipe of the source itself is an error like any other.
            with contextlib.suppress(BrokenPipeError):
                child.stdin.write(chunk)
                continue
            return  # restic ended first; its exit code says why
    except BaseException:
        child.stop()
        raise
    with contextlib.suppress(BrokenPipeError):
        child.stdin.close()


class _Watch:
    """Reads stderr while restic runs: counts errors, ends what can't succeed."""

    def __init__(self, outcome: Outcome, invocation: Invocation) -> None:
        self.pid = 0
        self.last_retry = ""
        self._outcome = outcome
        self._patience = invocation.patience
        first = invocation.opening_patience
        self._opening_patience = self._patience if first is None else first
        self._rest = b""
        self._retrying: dict[str, float] = {}
        self._ended = ""
        self._plain = ""
        self._killer: threading.Timer | None = None

    def feed(self, chunk: bytes) -> None:
        """Takes the next bytes; called from the thread that drains stderr."""
        *lines, rest = (self._rest + chunk).split(b"\n")
        self._rest = rest[-_LONGEST_LINE:]
        for line in lines:
            self._line(line[-_LONGEST_LINE:])

    def close(self) -> None:
        """The end: what restic died of is what we ended it for, else its own last words."""
        if self._killer is not None:
            self._killer.cancel()
        if self._rest:
            self._line(self._rest)
        if self._ended:
            self._outcome.code = 1
            self._outcome.fatal = self._ended
        elif not self._outcome.fatal:
            self._outcome.fatal = self.last_retry or self._plain

    def _line(self, line: bytes) -> None:
        message = resticjson.parse_message(line)
        if message is not None:
            self._message(message)
            return
        text = line.decode(errors="backslashreplace").strip().removeprefix("\x1b[2K")
        if retry := resticjson.parse_retry(text):
            self._retry(retry)
        elif recovered := resticjson.parse_recovered(text):
            self._retrying.pop(recovered, None)
            self.last_retry = ""
        elif text:
            self._plain = text

    def _message(self, message: Mapping[str, Any]) -> None:
        kind = message["message_type"]
        if kind == "exit_error":
            self._outcome.fatal = str(message.get("message") or "")
        elif kind == "error" and message.get("during") != "scan":
            # What the scan could not read, the backup can't either, and says so again.
            self._outcome.add(resticjson.parse_error(message))

    def _retry(self, retry: resticjson.Retry) -> None:
        now = time.monotonic()
        since = self._retrying.setdefault(retry.what, now)
        self.last_retry = retry.why
        permanent = resticerrors.find_cause(retry.why) in resticerrors.PERMANENT
        patience = self._opening_patience if retry.is_opening else self._patience
        if permanent or now + retry.delay - since > patience:
            self._end(retry.why)

    def _end(self, why: str) -> None:
        if self._ended or not self.pid:
            return
        self._ended = why
        _signal(self.pid, signal.SIGTERM)
        # restic removes its lock first; that too may need the storage that is away.
        self._killer = threading.Timer(process.GRACE, _signal, (self.pid, signal.SIGKILL))
        self._killer.daemon = True
        self._killer.start()


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


command_executor.execute = execute
