"""YAML text → trees of nodes that know their place; every problem of the text itself.

ruamel.yaml's scanner and parser give events, from which the tree is built here, so that nothing
is constructed, resolved or executed by a YAML library. Bounded by construction: size, documents,
nodes, nesting and the number of problems have caps, and nothing here is worse than linear in
them. Documents are separated before they are parsed (``---`` at the start of a line is a marker
wherever it stands), so a broken one does not take its neighbours with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from reconciler.model.errors import Problem
from reconciler.policy import text as texts
from reconciler.policy.plain import Plain

MAX_BYTES = 256 * 1024
MAX_DOCUMENTS = 500
MAX_NODES = 10_000
MAX_DEPTH = 50
MAX_PROBLEMS = 100


@dataclass(slots=True)
class Scalar:
    """A leaf. ``text`` is as written without quotes, ``value`` what it means."""

    line: int
    column: int
    text: str
    value: Plain
    plain: bool = True


@dataclass(slots=True)
class Sequence:
    """A list."""

    line: int
    column: int
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class Mapping:
    """A mapping with text keys, in the order of the file."""

    line: int
    column: int
    keys: dict[str, Scalar] = field(default_factory=dict)
    values: dict[str, Node] = field(default_factory=dict)


Node = Scalar | Sequence | Mapping
Path = tuple[str | int, ...]


@dataclass(slots=True)
class YamlDocument:
    """One document: its tree as far as it could be read, and where it begins (line from 1)."""

    index: int
    line: int
    root: Node | None = None
    complete: bool = False
    """Whether the tree reaches the document's end; if not, what is missing proves nothing."""
    problems: list[Problem] = field(default_factory=list)
    count: int = 0
    """How many nodes the tree has."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """The text of one document and the number of lines before it."""

    text: str
    before: int


_MARKER = re.compile(r"(?:---|\.\.\.)(?=[ \t\n]|$)")


def is_marker(line: str) -> bool:
    """Whether a line separates documents."""
    return _MARKER.match(line) is not None


def split_documents(text: str) -> Iterator[Chunk]:
    """The documents of a text; pieces of nothing but blanks and harmless comments are left out.

    YAML 1.2.2 chapter 9.1.2: ``---`` and ``...`` at the start of a line always separate.
    """
    start, before, position = 0, 0, 0
    # not splitlines(), which takes more characters for line ends than YAML and editors do
    for number, line in enumerate(re.findall(r"[^\n]*\n|[^\n]+", text)):
        if _MARKER.match(line):
            if has_content(text[start:position]):
                yield Chunk(text[start:position], before)
            ended = line.startswith("...")
            start = position + (len(line) if ended else 0)
            before = number + (1 if ended else 0)
        position += len(line)
    if has_content(text[start:]):
        yield Chunk(text[start:], before)


def has_content(piece: str) -> bool:
    """Whether there is more than blanks and comments; what may not stand in them counts."""
    if texts.FORBIDDEN.search(piece):
        return True
    for number, line in enumerate(piece.split("\n")):
        rest = line[3:] if number == 0 and _MARKER.match(line) else line
        if rest.strip() and not rest.lstrip().startswith("#"):
            return True
    return False


def plain_value(node: Node) -> object:
    """The tree as dicts, lists and scalars; at most `MAX_DEPTH` deep."""
    match node:
        case Scalar():
            return node.value
        case Sequence():
            return [plain_value(item) for item in node.items]
        case Mapping():
            return {key: plain_value(value) for key, value in node.values.items()}


def find(node: Node, path: Path) -> Node | None:
    """The node at a path, or None."""
    current: Node | None = node
    for step in path:
        current = child(current, step) if current is not None else None
    return current


def child(node: Node, step: str | int) -> Node | None:
    """One step down, or None."""
    if isinstance(node, Mapping) and isinstance(step, str):
        return node.values.get(step)
    if isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
        return node.items[step]
    return None


def written(node: Node, path: Path) -> Path:
    """A path of the long form, as far as it stands in the text: short forms have no such keys."""
    steps: list[str | int] = []
    current: Node | None = node
    for step in path:
        if isinstance(current, Scalar):
            break
        if isinstance(current, Sequence) and isinstance(step, str):
            continue
        steps.append(step)
        current = child(current, step) if current is not None else None
    return tuple(steps)


def place(node: Node, path: Path, *, key: bool = False) -> tuple[int, int]:
    """Line and column (from 1) of the value at a path, or of its key; else of the deepest parent.

    A parent stands for what is missing below it: its key where it has one.
    """
    where = (node.line, node.column)
    current: Node = node
    for position, step in enumerate(path):
        below = child(current, step)
        last = position == len(path) - 1
        if isinstance(current, Mapping) and isinstance(step, str) and step in current.keys:
            name = current.keys[step]
            where = (name.line, name.column)
        if below is None:
            break
        leaf = isinstance(below, Scalar | Sequence) and not (last and key)
        if leaf or isinstance(current, Sequence):
            where = (below.line, below.column)
        current = below
    return where


def render_path(path: Path) -> str:
    """``spec.rules[0].copyMethod``."""
    rendered = ""
    for step in path:
        rendered += f"[{step}]" if isinstance(step, int) else f".{texts.clip(step)}"
    return rendered.removeprefix(".")
