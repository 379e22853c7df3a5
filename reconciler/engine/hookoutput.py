"""What a hook's command writes goes into the run's log: bounded, and without what looks secret.

It is never kept anywhere else. Nobody can know every secret that a program prints: the first lines
are shown, with what follows words such as ``password`` and what stands in URLs before ``@`` blotted
out. A command that prints secrets in other ways should be silenced in its image.
"""

from __future__ import annotations

import re

from reconciler import ports
from reconciler.policy import text

LONGEST = 16 * 1024
"""Bytes of one command's output that are shown."""
_LINES = 50
_LONGEST_LINE = 500
_SECRET = re.compile(
    r"(?i)([\w.-]*(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|credential"
    r"|authorization|private[_-]?key)[\w.-]*[\"']?\s*(?:[=:]|\bis\b)\s*)(?:bearer\s+|basic\s+)?"
    r"(?:\"[^\"]*\"|'[^']*'|\S+)"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9+/=._~-]{8,}")
_TOKEN = re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*)?")
_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*-----|\Z)")


class Output:
    """Takes the pieces of one command's output and counts all of them."""

    def __init__(self) -> None:
        self.count = 0
        self._kept = b""

    def take(self, piece: bytes) -> None:
        """As `reconciler.ports.PodExec` gives them."""
        self.count += len(piece)
        self._kept += piece[: LONGEST - len(self._kept)]

    def tell(self, reporter: ports.Reporter, **where: object) -> None:
        """Writes the lines into the log."""
        shown = redact(self._kept.decode("utf-8", "replace")).splitlines()
        lines = [line for line in shown if line.strip()]
        for line in lines[:_LINES]:
            reporter.event("hook says", **where, line=text.clip(line, _LONGEST_LINE))
        if len(lines) > _LINES or self.count > LONGEST:
            reporter.event("hook says more", **where, bytes=self.count)


def redact(output: str) -> str:
    """Without what looks like a secret."""
    output = _KEY.sub("***", output)
    output = _SECRET.sub(r"\1***", output)
    output = _BEARER.sub(r"\1 ***", output)
    return text.mask(_TOKEN.sub("***", output))
