"""An exception that nobody raises on purpose, told without its text.

What a foreign exception says may quote what it was working on: a Secret, a line of a manifest. So
its class and the places in the code are told, and nothing else; they are enough to find the fault.
"""

from __future__ import annotations

import traceback
from pathlib import PurePath

from reconciler import ports
from reconciler.model.errors import Bug

_PACKAGE = "reconciler"


def explain_unexpected(
    error: Exception, reporter: ports.Reporter, *, ended: str = "the run"
) -> Bug:
    """The error to end with; logs where ``error`` came from, innermost place last.

    It has no cause: whoever prints one prints its text.
    """
    frames = traceback.extract_tb(error.__traceback__)
    kind = type(error).__name__
    places = [f"{_shown(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]
    reporter.warning("unexpected error", kind=kind, places=places)
    where = f" in {places[-1]}" if places else ""
    return Bug(
        f"an unexpected error ended {ended}: {kind}{where}",
        hint="this is a fault of Backstay: report it with the line 'unexpected error' of the log",
    )


def _shown(file: str) -> str:
    """Without the folders that lead to a package."""
    parts = PurePath(file).parts
    if _PACKAGE in parts:
        return "/".join(parts[parts.index(_PACKAGE) :])
    return "/".join(parts[-2:])
