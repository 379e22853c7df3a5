"""Texts of users in Markdown that GitHub and GitLab show: as they are, and nothing more.

Anybody may write a policy, a file's name or a reason. None of them becomes a link, an image, a
mention, a reference to an issue, a table's border or HTML. GitHub and GitLab find mentions,
references and addresses in the text *after* Markdown was read, so an escape does not stop them:
an invisible word joiner (U+2060) between the sign and the name does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

_JOINER = "\u2060"
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "`": "&#96;", "\\": "&#92;"}
_MARKUP = frozenset("*_[]~$!")
# What starts a mention or a reference (@team, #12, !12, %3, GH-12), an address or an emoji.
_REFERENCE = re.compile(r"[@#!%&$](?=[\w\"'`(\[])")
_ADDRESS = re.compile(
    r"(?<=:)(?=//)|(?<=[wW]{3})(?=\.)|(?<=\b[gG][hH])(?=-\d)|(?<=mailto)(?=:)|(?<=xmpp)(?=:)"
)
_EMOJI = re.compile(r"(?<=:)(?=[\w+-]+:)")


def escape(text: str) -> str:
    """The text as Markdown that shows exactly it, on one line and in a cell of a table."""
    text = "".join(sign if sign.isprintable() else " " for sign in text)
    text = _REFERENCE.sub(lambda found: found.group() + _JOINER, text)
    text = _EMOJI.sub(_JOINER, _ADDRESS.sub(_JOINER, text))
    return "".join(map(_character, text))


def _character(character: str) -> str:
    if character in _ENTITIES:
        return _ENTITIES[character]
    if character in _MARKUP:
        return f"\\{character}"
    return character


def comment_safe(text: str) -> str:
    """A text inside ``<!-- -->``: letters, digits and a few signs, never two dashes."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", text)[:100]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a table; cells are Markdown already."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)
