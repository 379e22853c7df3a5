"""Policy files in their usual form: what ``backstay fmt`` writes.

Two blanks per level, lists below their key, the fields in the order of the language, no blanks at
the ends of lines. Everything else stays as its author wrote it: comments move with the key that
they stand above or beside, quotes and short forms stay. What was read before and after is compared:
where it is not equal, or a printed character would be lost, the file is left alone.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from reconciler.model.config import KIND as CONFIG_KIND
from reconciler.model.errors import Problem
from reconciler.model.policy import API_VERSION
from reconciler.policy import layout, nodes, text
from reconciler.policy.blocks import format_mapping
from reconciler.policy.configlanguage import ConfigDocument
from reconciler.policy.flows import Form, Kept
from reconciler.policy.language import KINDS
from reconciler.policy.reading import read_file


@dataclass(frozen=True, slots=True)
class Formatted:
    """``data`` is the file as it was where it has problems, or a reason to be left alone."""

    data: bytes
    problems: tuple[Problem, ...] = ()
    kept: str = ""
    """Why it was left alone, where it was."""


def format_file(file: str, data: bytes) -> Formatted:
    """The file in its usual form. Never raises; bounded like `read_file`.

    Documents of other tools, and what is written in a way that can't be moved, stay as they are.
    """
    before = read_file(file, data)
    problems = tuple(problem for document in before for problem in document.problems)
    if problems:
        return Formatted(data, problems=problems)
    parts = _parts(text.decode(data).removesuffix("\n").split("\n") if data else [])
    new = "".join(f"{line}\n" for part in parts for line in _format_part(part)).encode()
    if new == data:
        return Formatted(data)
    if not _same(before, read_file(file, new)) or _printed(new) != _printed(data):
        return Formatted(data, kept="it can't be formatted without changing what it says")
    return Formatted(new)


@dataclass(slots=True)
class _Part:
    """A marker line, if one begins it, and the lines up to the next."""

    marker: str
    lines: list[str]


def _parts(lines: list[str]) -> list[_Part]:
    parts = [_Part("", [])]
    for line in lines:
        if nodes.is_marker(line):
            parts.append(_Part(line, []))
        else:
            parts[-1].lines.append(line)
    return parts


def _format_part(part: _Part) -> list[str]:
    head = [part.marker.rstrip()] if part.marker else []
    beside = part.marker[3:].strip()
    if beside and not beside.startswith("#"):
        return [part.marker, *part.lines]  # the document begins in the marker's line
    if not nodes.has_content("\n".join(part.lines)):
        return head + [line.rstrip() for line in _without_blank_ends(part.lines)]
    root = layout.read_layout(part.lines)
    form = _form(root)
    if form is None or not isinstance(root, layout.Mapping):
        return [part.marker, *part.lines] if part.marker else part.lines
    try:
        return head + format_mapping(root, part.lines, form)
    except Kept:
        return [part.marker, *part.lines] if part.marker else part.lines


def _form(root: layout.Value | None) -> Form | None:
    """What the language says of a document; None if it is none of ours."""
    if not isinstance(root, layout.Mapping) or root.flow:
        return None
    if root.text_of("apiVersion") != API_VERSION:
        return None
    kind = root.text_of("kind")
    part = ConfigDocument if kind == CONFIG_KIND else KINDS.get(kind)
    return Form("", part) if part else None


def _without_blank_ends(lines: list[str]) -> list[str]:
    filled = [number for number, line in enumerate(lines) if line.strip()]
    return lines[filled[0] : filled[-1] + 1] if filled else []


def _printed(data: bytes) -> Counter[str]:
    """Every character but blanks, and commas, which may stand behind the last item."""
    return Counter(character for character in data.decode() if character not in " \t\r\n,")


def _same(before: list[nodes.YamlDocument], after: list[nodes.YamlDocument]) -> bool:
    if len(before) != len(after) or any(document.problems for document in after):
        return False
    pairs = zip(before, after, strict=True)
    return all(_equal(old.root, new.root) for old, new in pairs)


def _equal(old: nodes.Node | None, new: nodes.Node | None) -> bool:
    """The same texts in the same places, mappings in any order; at most `nodes.MAX_DEPTH` deep."""
    match old, new:
        case nodes.Scalar(), nodes.Scalar():
            return (old.text, old.plain) == (new.text, new.plain)
        case nodes.Sequence(), nodes.Sequence():
            return len(old.items) == len(new.items) and all(map(_equal, old.items, new.items))
        case nodes.Mapping(), nodes.Mapping():
            return old.values.keys() == new.values.keys() and all(
                _equal(value, new.values[key]) for key, value in old.values.items()
            )
    return old is new
