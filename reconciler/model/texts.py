"""Texts of strangers as they may be shown: on one line, and no command to a terminal or to CI."""

from __future__ import annotations

import re

# C0 without tab and line feed (CR LF is made LF before), DEL, C1 with NEL, ALM, zero width space,
# LRM, RLM, LS, PS, embeddings, word joiner and invisible operators, isolates and what is deprecated
# after them, interlinear marks, BOM, non-characters, tags (an invisible alphabet).
FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f"
    "\ufff9-\ufffb\ufeff\ufffe\uffff\U000e0000-\U000e007f]"
)
_COMMAND = re.compile(r"(?:\A|(?<=[\n\r]))(\s*):(?=:)|(##)\[")


def visible(text: str) -> str:
    """The text with every character that is not printable as a ``�``; as long as before."""
    shown = FORBIDDEN.sub("�", text)
    if shown.isprintable():
        return shown
    return "".join(character if character.isprintable() else "�" for character in shown)


def for_log(text: str) -> str:
    """Lines of output that no CI system takes for commands of its own; as long as before.

    GitHub's runner acts on ``##[`` anywhere in a line, and on ``::`` at its start.
    """
    return _COMMAND.sub(lambda found: f"{found[1] or found[2] or ''}�", text)
