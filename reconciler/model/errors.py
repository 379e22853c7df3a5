"""The errors of Backstay, sorted by what happens next.

::

    BackstayError
    ├── Stalled                    somebody must change something; no retry until then      1
    │   ├── UsageError             the command line is wrong                                2
    │   ├── InvalidInput           policies or Config have problems                         4
    │   ├── ForeignCluster         another cluster wrote this branch; `backstay adopt`      4
    │   ├── ClusterRenamed         the cluster had another name; `cluster.renamedFrom`      4
    │   ├── RepositoryMissing      no restic repository at the URL                         10
    │   ├── RepositoryLost         a repository that a record names is gone or another     10
    │   ├── WrongPassword          the repository does not open with this password         12
    │   ├── Refused                the other side says no: rights, host key, credentials    1
    │   │   └── OverBound          Git holds what no run writes: too large to be read       1
    │   │       └── OverFetched    a Git server sends more than there may be on the disk    1
    │   └── NotSupported           understood, and not executed by this version             4
    ├── Waiting                    try again after `retry_after` seconds                    1
    │   └── RepositoryLocked       somebody else holds the restic lock                     11
    ├── Transient                  try again with backoff: network, time-out, conflict      1
    │   ├── PushRejected           the branch moved between fetch and push                  1
    │   └── Incomplete             a listing or a discovery did not reach its end           1
    │       └── Expired            the continue token expired half-way; list again          1
    ├── PartialFailure             it ended, and a part of it is missing                    3
    ├── Interrupted                a signal ended it                                      130
    └── Bug                        should not be possible; shown with its traceback         1

The number is the exit code. Messages say what happened and where; ``hint`` says what to do
next. Neither ever holds a secret: adapters mask foreign texts before they raise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class BackstayError(Exception):
    """Base of all errors that Backstay raises on purpose."""

    exit_code: ClassVar[int] = 1
    reason: ClassVar[str] = "Failed"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Stalled(BackstayError):
    """Somebody must change something; trying again does not help."""

    reason = "Stalled"


class UsageError(Stalled):
    """The command line asks for something that makes no sense."""

    exit_code = 2
    reason = "Usage"


LONGEST_TEXT = 1024


def one_line(text: str) -> str:
    """What is not printable in a text as ``\\n``, ``\\x1b``, ``\\u202e``; cut where it is long."""
    if len(text) > LONGEST_TEXT:
        text = text[: LONGEST_TEXT - 1] + "…"
    if text.isprintable():
        return text
    shown = (
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )
    return "".join(shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong in a file a person wrote; lines and columns count from 1.

    Its texts are one printable line each, whatever they were made from.
    """

    file: str
    line: int
    column: int
    message: str
    hint: str = ""
    path: str = ""
    """Dotted path in the document, such as ``spec.retention.keepDaily``."""
    document: int = 0
    """Index of the YAML document in its file."""

    def __post_init__(self) -> None:
        """Makes every text one line that no terminal acts on: anybody may name a file."""
        for name in ("file", "message", "hint", "path"):
            object.__setattr__(self, name, one_line(getattr(self, name)))

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: error: {self.message}"


class InvalidInput(Stalled):
    """Policies or Config have problems; all of them are listed."""

    exit_code = 4
    reason = "InvalidInput"

    def __init__(self, problems: Sequence[Problem], *, hint: str = "") -> None:
        self.problems = tuple(problems)
        first = f": {self.problems[0]}" if self.problems else ""
        super().__init__(f"{self.counted}{first}", hint=hint)

    @property
    def counted(self) -> str:
        """How many problems, for where all of them are shown."""
        count = len(self.problems)
        return "1 problem" if count == 1 else f"{count} problems"


class ForeignCluster(Stalled):
    """The manifest store was written by a cluster with another uid."""

    exit_code = 4
    reason = "ForeignCluster"


class ClusterRenamed(Stalled):
    """Config gives the cluster another name than it had, and does not say that it is renamed."""

    exit_code = 4
    reason = "ClusterRenamed"


class NotSupported(Stalled):
    """The input is understood, and this version does not execute it."""

    exit_code = 4
    reason = "NotSupported"


class RepositoryMissing(Stalled):
    """There is no restic repository at the URL."""

    exit_code = 10
    reason = "RepositoryMissing"


class RepositoryLost(RepositoryMissing):
    """A repository that a record names is gone, or another one stands in its place."""

    reason = "RepositoryLost"


class WrongPassword(Stalled):
    """The restic repository does not open with this password."""

    exit_code = 12
    reason = "WrongPassword"


class Refused(Stalled):
    """The other side said no: missing rights, unknown host key, bad credentials."""

    reason = "Refused"


class OverBound(Refused):
    """A branch holds what is larger than anything that a run writes, and it is not read."""

    reason = "OverBound"


class OverFetched(OverBound):
    """A Git server sends more for one question than there may be on the disk."""

    reason = "OverFetched"


class Waiting(BackstayError):
    """Nothing to do now; try again after ``retry_after`` seconds."""

    reason = "Waiting"

    def __init__(self, message: str, *, hint: str = "", retry_after: float = 30.0) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class RepositoryLocked(Waiting):
    """Somebody else holds the lock of the restic repository."""

    exit_code = 11
    reason = "RepositoryLocked"


class Transient(BackstayError):
    """The world is in the way: network, time-out, conflict. Try again with backoff."""

    reason = "Transient"


class PushRejected(Transient):
    """The branch moved between fetch and push."""

    reason = "PushRejected"


class Incomplete(Transient):
    """A listing or a discovery did not reach its end, so absence proves nothing."""

    reason = "Incomplete"


class Expired(Incomplete):
    """The continue token of a list expired half-way (410); list again from the first page."""

    reason = "Expired"


class NotServed(Incomplete):
    """The cluster does not serve the kind (404): its CustomResourceDefinition is not there."""

    reason = "NotServed"


class PartialFailure(BackstayError):
    """It ended, and a part of it is missing; the record says which."""

    exit_code = 3
    reason = "PartiallyFailed"


class Interrupted(BackstayError):
    """A signal ended it."""

    exit_code = 130
    reason = "Interrupted"


class Bug(BackstayError):
    """A promise inside Backstay was broken."""

    reason = "Bug"
