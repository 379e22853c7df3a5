"""Commands that run in an application's pods around the copy of its data: asked for, recorded.

A command is a program and its arguments. Nothing here or later splits a text into words or gives
it to a shell: what a reviewer read is what is executed. Of a run only how long it took, how it
ended and how many bytes it wrote is kept; what it wrote may be anything.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.model import jsonform
from reconciler.model.durations import render_duration

DEFAULT_TIMEOUT = 60
"""Seconds that a command has where the policy does not say."""


class OnError(enum.StrEnum):
    """What a command that failed or took too long means for its namespace's copy."""

    FAIL = "Fail"
    """The namespace's volumes are not copied; what was started is ended by its post-hooks."""
    CONTINUE = "Continue"
    """They are copied all the same, and the record says so."""


class Phase(enum.StrEnum):
    """On which side of the copy a command runs."""

    PRE = "pre"
    POST = "post"


@dataclass(frozen=True, slots=True)
class HookCommand:
    """A program and its arguments, never empty, and the seconds that it may take."""

    command: tuple[str, ...]
    timeout: int = DEFAULT_TIMEOUT
    on_error: OnError = OnError.FAIL

    @property
    def shown(self) -> str:
        """``["sh", "-c", "sync"]``: all of it, in printable ASCII that reads as no other command.

        JSON; what is not ASCII is escaped, a look-alike or a change of direction among it.
        """
        return json.dumps(list(self.command))

    @property
    def limits(self) -> str:
        """``30s, onError Fail``."""
        return f"{render_duration(self.timeout)}, onError {self.on_error}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """One entry of a policy's ``hooks``; at least one of ``pre`` and ``post`` is there.

    ``pre`` commands run in the order of the policy's list, ``post`` commands in the reverse.
    """

    name: str
    match_labels: Mapping[str, str] = field(default_factory=dict)
    """Labels of its pods, at least one."""
    container: str | None = None
    """None: the pod's first."""
    once: bool = False
    """In one pod for the whole policy, instead of in each."""
    pre: HookCommand | None = None
    post: HookCommand | None = None

    def command(self, phase: Phase) -> HookCommand | None:
        """What it executes on one side of the copy, if anything."""
        return self.pre if phase is Phase.PRE else self.post

    def to_json(self) -> dict[str, Any]:
        """Plain dicts with camelCase names; `from_json` reads them back."""
        data: dict[str, Any] = jsonform.to_json(self)
        return data

    @classmethod
    def from_json(cls, data: object) -> Hook:
        """Raises ValueError with the path of what does not fit."""
        return jsonform.from_json(cls, data)


class HookOutcome(enum.StrEnum):
    """How a command ended."""

    COMPLETED = "Completed"
    FAILED = "Failed"
    """It could not be started, ended with another code than 0, or nobody knows how it ended."""
    TIMED_OUT = "TimedOut"
    SKIPPED = "Skipped"
    """It was meant to run and was never started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRecord:
    """What a run keeps of one command in one pod. Never its output."""

    name: str
    namespace: str
    pod: str = ""
    """Empty where no pod matched."""
    container: str = ""
    phase: Phase
    outcome: HookOutcome
    why: str = ""
    """Of whatever did not complete."""
    exit_code: int | None = None
    """None where nobody knows it: never started, timed out, connection lost."""
    duration: int = 0
    """Seconds."""
    output_bytes: int = 0
    """Of both its outputs together."""

    def to_json(self) -> dict[str, Any]:
        """Plain dicts with camelCase names; `from_json` reads them back."""
        data: dict[str, Any] = jsonform.to_json(self)
        return data

    @classmethod
    def from_json(cls, data: object) -> HookRecord:
        """Raises ValueError with the path of what does not fit."""
        return jsonform.from_json(cls, data)
