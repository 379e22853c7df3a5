"""What `backstay doctor` finds: each check's answer, with the place and the next step.

Ids are stable: people put them into alerts and runbooks. All of them stand in
`reconciler.plan.doctor`, and docs/doctor.md lists them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Level(enum.StrEnum):
    """How an answer is meant, mildest first."""

    OK = "ok"
    INFO = "info"
    """Worth knowing; nothing to do, or it goes by itself."""
    WARNING = "warning"
    """Backups go on; somebody should look."""
    UNKNOWN = "unknown"
    """It could not be asked. This is never a yes."""
    PROBLEM = "problem"
    """A run or a restore fails, or loses something, as long as it stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One answer. ``where`` is the object or place, ``hint`` the next step (a command, mostly)."""

    id: str
    level: Level
    message: str
    where: str = ""
    hint: str = ""

    @property
    def group(self) -> str:
        """The part before the first slash: what ``--only`` names."""
        return self.id.partition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkup:
    """Everything that was asked, in the order of asking."""

    cluster: str
    uid: str = ""
    server: str = ""
    """The API server's address; empty where none was reached."""
    who: str = ""
    """The user that asked, as the API server sees it."""
    findings: tuple[Finding, ...] = ()

    def count(self, level: Level) -> int:
        """How many findings are of this level."""
        return sum(found.level is level for found in self.findings)

    @property
    def exit_code(self) -> int:
        """1 with a problem, 3 if something could not be asked, else 0: warnings don't fail it."""
        if self.count(Level.PROBLEM):
            return 1
        return 3 if self.count(Level.UNKNOWN) else 0
