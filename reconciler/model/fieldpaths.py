"""Places in objects as a person writes them: ``spec.users[*].pin``, ``data['app.ini']``.

The same form in which a record shows what was redacted, and two wildcards: ``*`` for any key of a
map and ``[*]`` for any item of a list. A wildcard stands for exactly one step, so to follow a path
costs no more than to read what is below it. Parsed once, at the edge.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST = 512
"""Characters of a path."""
DEEPEST = 24
"""Steps of a path."""
PLAIN_KEY = re.compile(r"[A-Za-z_][\w-]*")
"""A key that stands in a path without quotes."""

_QUOTED = re.compile(r"\['(.+?)'\](?=[.\[]|$)", re.DOTALL)
_ITEM = re.compile(r"\[([^\[\]'\"]+)\]")
_KEY = re.compile(rf"\.?({PLAIN_KEY.pattern}|\*)")


class Malformed(ValueError):
    """A text that is no path; ``hint`` says what to write."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Into(enum.Enum):
    """What a step goes into."""

    MAP = "map"
    LIST = "list"


@dataclass(frozen=True, slots=True)
class Step:
    """A key of a map, or an item of a list by its name or number; ``name`` is None for any."""

    into: Into
    name: str | None

    def __str__(self) -> str:
        if self.into is Into.LIST:
            return f"[{'*' if self.name is None else self.name}]"
        if self.name is None:
            return ".*"
        return f".{self.name}" if PLAIN_KEY.fullmatch(self.name) else f"['{self.name}']"


Path = tuple[Step, ...]


def parse(text: str) -> Path:
    """The steps of a path; raises Malformed."""
    if len(text) > LONGEST:
        raise Malformed(f"is longer than {LONGEST} characters")
    if not text.isprintable():
        raise Malformed("has a character that can't be seen")
    steps = tuple(_steps(text))
    if not steps:
        raise Malformed("is empty", "such as spec.users[*].pin")
    if len(steps) > DEEPEST:
        raise Malformed(f"has more than {DEEPEST} steps")
    if steps[0].into is Into.LIST:
        raise Malformed("begins in a list", "an object begins with a field, such as spec")
    return steps


def render(path: Path) -> str:
    """The text of a path."""
    return "".join(map(str, path)).removeprefix(".")


def _steps(text: str) -> Iterator[Step]:
    at = 0
    while at < len(text):
        if found := _QUOTED.match(text, at):
            yield Step(Into.MAP, found[1])
        elif found := _ITEM.match(text, at):
            yield Step(Into.LIST, None if found[1] == "*" else found[1])
        elif (found := _KEY.match(text, at)) and (at == 0) != found[0].startswith("."):
            yield Step(Into.MAP, None if found[1] == "*" else found[1])
        else:
            raise _malformed(text, at)
        at = found.end()


def _malformed(text: str, at: int) -> Malformed:
    where = f"can't be read from character {at + 1} on"
    if text.startswith("$", at) or text.startswith(".", 0):
        return Malformed(where, "it begins with a field of the object, such as spec")
    if text.startswith(("*", ".."), at):
        return Malformed(where, "a wildcard stands for one step: * for a key, [*] for an item")
    if text.startswith("[", at):
        return Malformed(where, "[*], [name] or [0] for an item, ['a.b'] for a key with dots")
    return Malformed(where, "a key with other characters than letters, digits, - and _: ['a.b/c']")
