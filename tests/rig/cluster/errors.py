"""The one error the rig raises: what happened, and what to do next."""

from __future__ import annotations


class RigError(Exception):
    """The rig could not do its work; `hint` says what the reader can do about it."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        """Keep the hint apart, so that a caller can print it on its own line."""
        super().__init__(f"{message}\n  {hint}" if hint else message)
        self.message = message
        self.hint = hint
