"""Bytes of a file → text that is safe to parse and to show.

Refused: more than `MAX_BYTES`, what is not UTF-8, and characters that make a reviewer see
something else than the parser (BOM, bidirectional controls, control characters, line separators
that only some readers take for a line end).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from reconciler.model.texts import FORBIDDEN, for_log, visible

__all__ = ["FORBIDDEN", "clip", "decode", "for_log", "forbidden", "mask", "name_of", "visible"]


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


_WORD = re.compile(r"\S+")
_BEFORE_USER = re.compile(r"[\"'(\[{,]*(?:[A-Za-z0-9+.-]+:){1,2}//")
# A password with a blank: `://user:` without a port behind it, or sftp's form, up to an @.
_WITH_BLANKS = re.compile(
    r"(?:://[^\s/@:]{0,64}:(?!\d{1,5}(?:[/\s\"']|$))|\bsftp:)(?=\S{0,256}\s)[^\n]{0,256}@"
)


def mask(text: str) -> str:
    """The text with what may be a URL's user and password as asterisks, as long as before.

    So is what follows a URL's question mark: tokens are handed over there. It rather hides too much
    than a password that has a slash, an @ or a blank in it, and takes time linear in the text.
    """
    if "@" in text:
        text = _WITH_BLANKS.sub(lambda found: "*" * (len(found.group()) - 1) + "@", text)
    return _WORD.sub(lambda found: _without_credentials(found.group()), text)


def _without_credentials(word: str) -> str:
    at = word.rfind("@")
    if ":" in word[: max(at, 0)]:
        before = _BEFORE_USER.match(word, 0, at)
        quotes = len(word) - len(word.lstrip("\"'"))
        word = _starred(word, before.end() if before else quotes, at)
    mark = word.find("?")
    return _starred(word, mark + 1, len(word)) if ":" in word[: max(mark, 0)] else word


def _starred(word: str, start: int, end: int) -> str:
    return word[:start] + "*" * (end - start) + word[end:]


def clip(text: str, limit: int = 60) -> str:
    """A user's text for a message: one line, no control characters, not longer than ``limit``."""
    shown = visible(text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
