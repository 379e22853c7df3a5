"""A Reporter that keeps what it is told."""

from __future__ import annotations


class FakeReporter:
    """``lines`` are (level, message, fields), in order."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, object]]] = []

    def event(self, message: str, **fields: object) -> None:
        """As the port says."""
        self.lines.append(("info", message, fields))

    def warning(self, message: str, **fields: object) -> None:
        """As the port says."""
        self.lines.append(("warning", message, fields))

    def progress(self, what: str, done: int, total: int) -> None:
        """As the port says."""
        self.lines.append(("progress", what, {"done": done, "total": total}))

    def of(self, message: str) -> list[dict[str, object]]:
        """The fields of every line with this message."""
        return [fields for _, said, fields in self.lines if said == message]

    def text(self) -> str:
        """Everything that was told, as one text to search in."""
        return "\n".join(map(repr, self.lines))
