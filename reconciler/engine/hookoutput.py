"""What a hook's command writes goes into the run's log: bounded, and without what looks secret.

It is never kept anywhere else. Nobody can know every secret that a program prints: the first lines
are shown, with what follows words such as ``password`` and what stands in URLs before ``@`` blotted
out, and keys and tokens that are known by their form, all by `reconciler.capture.redactwords`. A
line in which that still finds a credential afterwards is not shown at all. A command that prints
secrets in other ways should be silenced in its image.
"""

from __future__ import annotations

import itertools
import re

from reconciler import ports
from reconciler.capture import redactwords
from reconciler.policy import text

LONGEST = 16 * 1024
"""Bytes of one command's output that are shown."""
_LINES = 50
_LONGEST_LINE = 500
_WORDS = rf"(?:{redactwords.STRONG}|{redactwords.WEAK}|pass\b|pwd|authorization)[\w.-]{{0,40}}"
_VALUE = r"(?:bearer\s{1,8}|basic\s{1,8})?(?:\"[^\"]*\"|'[^']*'|\"[^\"\n]*|'[^'\n]*|\S+)"
# Repetitions are bounded and nothing unbounded stands in front of a word: a pod chooses the text,
# and the time of each pattern must grow with its length only.
_SECRET = re.compile(rf"(?i)({_WORDS}[\"']?\s{{0,8}}(?:[=:]|\bis\b)\s{{0,8}}){_VALUE}")
_OPTION = re.compile(
    rf"(?i)((?<![\w-])--[\w-]{{0,40}}?{_WORDS}\s{{1,8}}|(?<!\S)-p[ \t]{{0,8}}(?=\S)"
    rf"|\bredis-cli\b[^\n]{{0,80}}?\s-a[ \t]{{1,8}}){_VALUE}"
)
_BESIDE = re.compile(r"(?i)(\bpass(?:word|wd)[ \t]{1,8})(?![=:*]|is\b)\S+")
"""As in a .netrc, where its words stand below each other."""
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s{1,8}[A-Za-z0-9+/=._~-]{8,}")
_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*)?")


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
        kept = self._kept.decode("utf-8", "replace")
        if self.count > len(self._kept):
            kept = _without_last_word(kept)
        lines = [line for line in redact(kept).split("\n") if line.strip()]
        for line in lines[:_LINES]:
            reporter.event("hook says", **where, line=text.clip(line, _LONGEST_LINE))
        if len(lines) > _LINES or self.count > LONGEST:
            reporter.event("hook says more", **where, bytes=self.count)


def redact(output: str) -> str:
    """Without what looks like a secret; lines are cut before that, and end with ``\\n``."""
    lines = redactwords.blot_out(output).splitlines()
    output = "\n".join(
        line if len(line) <= _LONGEST_LINE else _without_last_word(line[:_LONGEST_LINE])
        for line in lines
    )
    output = _SECRET.sub(r"\1***", output)
    output = _OPTION.sub(r"\1***", output)
    output = _BESIDE.sub(r"\1***", output)
    output = _BEARER.sub(r"\1 ***", output)
    return _without_lines(text.mask(_JWT.sub("***", output)))


def _without_lines(output: str) -> str:
    """What is a credential by its surroundings, which may be the line before: both are dropped."""
    lines = output.split("\n")
    for number, line in enumerate(lines):
        if redactwords.holds_credential(line):
            lines[number] = "***"
    shown = [number for number, line in enumerate(lines) if line.strip()]
    for one, other in itertools.pairwise(shown):
        if redactwords.holds_credential(f"{lines[one]}\n{lines[other]}"):
            lines[one] = lines[other] = "***"
    return "\n".join(lines)


def _without_last_word(output: str) -> str:
    """Half a word may be half a secret, and nothing recognises it."""
    return output[: max(output.rfind(space) for space in " \t\n") + 1] + "…"
