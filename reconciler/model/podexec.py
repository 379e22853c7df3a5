"""A program that was executed in a container: how it ended, and what may go wrong.

::

    BackstayError
    ├── Stalled
    │   ├── NotExecutable      never started, and never will be: no such container or program
    │   └── Refused            never started: this account may not execute in pods
    ├── PodGone                never started: the pod is gone or has ended
    ├── Transient              never started: API server or kubelet away, container not running
    ├── ExecTimedOut           started; it was left alone and goes on in its container
    └── ExecLost               nobody knows: an answer was lost, of its start or of its end
"""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.errors import BackstayError, Stalled


@dataclass(frozen=True, slots=True)
class ExecResult:
    """Its exit code, and how many bytes it wrote to both outputs together."""

    exit_code: int
    output_bytes: int = 0


class NotExecutable(Stalled):
    """The container or the program is not there; nothing was started."""

    reason = "NotExecutable"


class PodGone(BackstayError):
    """There is no such pod, or its containers have ended; nothing was started."""

    reason = "PodGone"


class ExecTimedOut(BackstayError):
    """It had not ended in time. Nobody can end it from outside: its process goes on."""

    reason = "TimedOut"


class ExecLost(BackstayError):
    """An answer was lost: it may never have been started, may have ended, or go on."""

    reason = "ConnectionLost"
