"""Bytes of a file → text that is safe to parse and to show.

Refused: more than `MAX_BYTES`, what is not UTF-8, and characters that make a reviewer see
something else than the parser (BOM, bidirectional controls, control characters, line separators
that only some readers take for a line end).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

# C0 without tab and line feed (CR LF is made LF before), DEL, C1 with NEL, ALM, zero width space,
# LRM, RLM, LS, PS, embeddings, word joiner and invisible operators, isolates and what is deprecated
# after them, interlinear marks, BOM, non-characters, tags (an invisible alphabet).
FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f"
    "\ufff9-\ufffb\ufeff\ufffe\uffff\U000e0000-\U000e007f]"
)


def decode(data: bytes) -> str:
    """UTF-8 with CR LF made LF; raises UnicodeDecodeError."""
    return data.decode("utf-8").replace("\r\n", "\n")


def forbidden(text: str) -> Iterator[tuple[int, int, str]]:
    """Line, column (from 1) and name of each forbidden character."""
    if not FORBIDDEN.search(text):
        return
    for number, line in enumerate(text.split("\n"), start=1):
        for found in FORBIDDEN.finditer(line):
            yield number, found.start() + 1, name_of(found.group())


def name_of(character: str) -> str:
    """``U+202E RIGHT-TO-LEFT OVERRIDE``."""
    name = unicodedata.name(character, "")
    names = {0: "NUL", 0xFEFF: "byte order mark"}
    name = names.get(ord(character), name) or "control character"
    return f"U+{ord(character):04X} {name}"


_USER_INFO = re.compile(r"(?<=//)[^\s/\"'@]+@|[^\s/\"'@:]+:[^\s/\"'@]+@")


def mask(text: str) -> str:
    """The text with what may be a URL's user and password as asterisks, as long as before."""
    return _USER_INFO.sub(lambda found: "*" * (len(found.group()) - 1) + "@", text)


def visible(text: str) -> str:
    """The text with every character that is not printable as a ``�``; as long as before."""
    shown = FORBIDDEN.sub("�", text)
    if shown.isprintable():
        return shown
    return "".join(character if character.isprintable() else "�" for character in shown)


def clip(text: str, limit: int = 60) -> str:
    """A user's text for a message: one line, no control characters, not longer than ``limit``."""
    shown = visible(text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


_COMMAND = re.compile(r"\A(\s*):(?=:)|(##)\[")


def for_log(text: str) -> str:
    """A line of output that no CI system takes for a command of its own; as long as before.

    GitHub's runner acts on ``##[`` anywhere in a line, and on ``::`` at its start.
    """
    return _COMMAND.sub(lambda found: f"{found[1] or found[2] or ''}�", text)
