"""What differs between two recovery points: for a terminal, for a comment, for programs.

Written object by object, so that a difference of any size needs little memory. A text of many
lines is shown as changed lines. Values of Secrets never come this far.
"""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler.capture import emitter
from reconciler.model.errors import PartialFailure
from reconciler.model.texts import for_log, visible
from reconciler.plan.diff import HIDDEN, FieldChange, Kind, ObjectChange
from reconciler.report.markdown import escape

FORMAT_VERSION = 1
_SIGNS = {Kind.ADDED: "+", Kind.REMOVED: "-", Kind.CHANGED: "~", Kind.REORDERED: "~"}
_LONGEST = 160
_AROUND = 2
_BEFORE = 20
"""Characters of a cell before what differs."""
_MOST_LINES = 2000
_MOST_SHOWN = 200
"""Lines of one field; more of them say nothing to a person."""

Paint = Callable[[str, str], str]
"""(what, text) → the text with colours; what is ``added``, ``removed``, ``changed`` or ``dim``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two states: ``name`` of a run, or of a live cluster; ``gaps`` it does not know."""

    name: str
    commit: str = ""
    time: str = ""
    outcome: str = ""
    gaps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def told(self) -> tuple[str, ...]:
        """What a reader must know before the differences."""
        gaps = (f"{self.name} could not read {gap}: nothing is known" for gap in self.gaps)
        return (*gaps, *self.notes)

    def __str__(self) -> str:
        told = ", ".join(part for part in (self.time, self.outcome, self.commit[:10]) if part)
        return f"{self.name} ({told})" if told else self.name


@dataclass(slots=True)
class Counted:
    """How many objects were added, removed and changed so far."""

    counts: Counter[Kind] = field(default_factory=Counter)

    def over(self, changes: Iterable[ObjectChange]) -> Iterator[ObjectChange]:
        """The same changes, counted as they pass."""
        for change in changes:
            self.counts[change.kind] += 1
            yield change

    @property
    def total(self) -> int:
        """All of them."""
        return self.counts.total()

    def __str__(self) -> str:
        kinds = (Kind.ADDED, Kind.REMOVED, Kind.CHANGED)
        return ", ".join(f"{self.counts[kind]} {kind}" for kind in kinds)


def exit_code(old: Side, new: Side, counted: Counted) -> int:
    """0 where nothing differs, 1 where something does, 3 where nothing was found in a part only."""
    if counted.total:
        return 1
    return PartialFailure.exit_code if old.told or new.told else 0


def _nothing(old: Side, new: Side) -> str:
    return f"no differences{' in what could be read' if old.told or new.told else ''}"


def plain(what: str, text: str) -> str:
    """No colours."""
    del what
    return text


def text_lines(
    old: Side, new: Side, changes: Iterable[ObjectChange], paint: Paint = plain
) -> Iterator[str]:
    """Lines with their ends; the last one counts."""
    yield _line(f"from {visible(str(old))}")
    yield _line(f"to   {visible(str(new))}")
    for side in (old, new):
        for note in side.told:
            yield _line(paint("dim", f"note: {visible(note)}"))
    yield "\n"
    counted = Counted()
    for change in counted.over(changes):
        yield _line(paint(str(change.kind), visible(f"{_SIGNS[change.kind]} {change}")))
        if change.note:
            yield _line(f"    {visible(change.note)}")
        for found in change.fields:
            yield from (_line(line) for line in field_lines(found, paint, "    "))
    yield f"\n{counted}\n" if counted.total else f"{_nothing(old, new)}\n"


def _line(text: str) -> str:
    return for_log(text) + "\n"


def field_lines(found: FieldChange, paint: Paint, indent: str) -> Iterator[str]:
    """One field: on one line where it fits, else as the lines that changed."""
    name = visible(found.field)
    if found.kind is Kind.REORDERED:
        told = f"order {', '.join(found.old)} → {', '.join(found.new)}"
        yield f"{indent}{name}: {visible(told)}"
    elif found.hidden and found.old == found.new:
        yield f"{indent}{name}: {_hidden(found)}"
    elif found.kind is Kind.CHANGED:
        yield from _changed(found, name, paint, indent)
    else:
        sign, value = ("+", found.new) if found.kind is Kind.ADDED else ("-", found.old)
        yield from _whole(sign, name, value, paint, indent, str(found.kind))


def _hidden(found: FieldChange) -> str:
    return "changed (Git has a fingerprint of the value only)" if found.old else str(found.kind)


def _changed(found: FieldChange, name: str, paint: Paint, indent: str) -> Iterator[str]:
    old, new = found.old, found.new
    if isinstance(old, str) and isinstance(new, str) and ("\n" in old or "\n" in new):
        yield f"{indent}{name}:"
        yield from _changed_lines(old, new, paint, f"{indent}  ")
        return
    line = f"{indent}{name}: {show(old)} → {show(new)}"
    if len(line) <= _LONGEST or not isinstance(old, (dict, list, str)):
        before, after = paint("removed", show(old)), paint("added", show(new))
        yield f"{indent}{name}: {before} → {after}"
        return
    yield f"{indent}{name}:"
    if isinstance(old, list) and isinstance(new, list) and max(len(old), len(new)) > _MOST_SHOWN:
        yield from _changed_lines(_text(old), _text(new), paint, f"{indent}  ")
        return
    for sign, value, what in (("-", old, "removed"), ("+", new, "added")):
        for text in _yaml(value):
            yield paint(what, f"{indent}  {sign} {text}")


def _whole(sign: str, name: str, value: Any, paint: Paint, indent: str, what: str) -> Iterator[str]:
    shown = show(value)
    if len(shown) <= 80 and "\n" not in shown:
        yield paint(what, f"{indent}{sign} {name}: {shown}")
        return
    yield paint(what, f"{indent}{sign} {name}:")
    for text in _yaml(value):
        yield paint(what, f"{indent}{sign}   {text}")


def _yaml(value: Any) -> Iterator[str]:
    """A value as lines of YAML, as manifests have it."""
    lines = (value if isinstance(value, str) else _text(value)).split("\n")
    yield from (visible(line) for line in lines[:_MOST_SHOWN])
    if len(lines) > _MOST_SHOWN:
        yield f"… and {len(lines) - _MOST_SHOWN} lines more"


def _text(value: Any) -> str:
    lines = emitter.emit_in_order({"x": value}).decode().split("\n")[:-1]
    return "\n".join(lines[1:] if isinstance(value, (dict, list)) and value else [lines[0][3:]])


def _changed_lines(old: str, new: str, paint: Paint, indent: str) -> Iterator[str]:
    """The lines that changed, with some around them; most of a long text is the same."""
    first, second = old.split("\n"), new.split("\n")
    head = _same(first, second)
    tail = _same(first[head:][::-1], second[head:][::-1])
    begin = max(0, head - _AROUND)
    before = first[begin : len(first) - max(0, tail - _AROUND)]
    after = second[begin : len(second) - max(0, tail - _AROUND)]
    if max(len(before), len(after)) > _MOST_LINES:
        yield f"{indent}{len(first)} lines → {len(second)} lines"
        return
    lines = list(difflib.unified_diff(before, after, n=_AROUND, lineterm=""))[2:]
    for line in lines[:_MOST_SHOWN]:
        if line.startswith("@@"):
            at = begin + int(line.split("+")[1].partition(",")[0].split()[0])
            yield paint("dim", f"{indent}@@ line {max(1, at)} @@")
            continue
        what = {"+": "added", "-": "removed"}.get(line[0], "dim")
        yield paint(what, f"{indent}{visible(line)}".rstrip())
    if len(lines) > _MOST_SHOWN:
        yield f"{indent}… and {len(lines) - _MOST_SHOWN} lines more"


def _same(first: Sequence[str], second: Sequence[str]) -> int:
    """How many lines are equal from the begin on."""
    pairs = zip(first, second, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))


def show(value: Any) -> str:
    """A value on one line: texts as they are where they can't be taken for anything else."""
    if value == HIDDEN:
        return HIDDEN
    if isinstance(value, str) and emitter.emit_in_order({"x": value}) == f"x: {value}\n".encode():
        return visible(value)
    return visible(json.dumps(value, ensure_ascii=False))


def markdown_lines(old: Side, new: Side, changes: Iterable[ObjectChange]) -> Iterator[str]:
    """A comment: one table of objects and fields, then the counts."""
    yield f"**Backstay diff** from {escape(str(old))} to {escape(str(new))}\n"
    for side in (old, new):
        for note in side.told:
            yield f"\nnote: {escape(note)}\n"
    counted = Counted()
    for number, change in enumerate(counted.over(changes)):
        if not number:
            yield "\n| object | field | old | new |\n|---|---|---|---|\n"
        name = escape(str(change))
        if not change.fields:
            yield f"| {name} | {escape(change.note) or f'**{change.kind}**'} | | |\n"
        for found in change.fields:
            cells = (name, escape(found.field), *_cells(found))
            yield f"| {' | '.join(cells)} |\n"
    yield f"\n{counted}\n" if counted.total else f"\n{_nothing(old, new)}\n"


def _cells(found: FieldChange) -> tuple[str, str]:
    old = "" if found.kind is Kind.ADDED else show(found.old)
    new = "" if found.kind is Kind.REMOVED else show(found.new)
    # Two long values that differ far behind would be cut to the same text.
    begin = _same(old, new) - _BEFORE if max(len(old), len(new)) > _LONGEST else 0
    return _cell(old, begin), _cell(new, begin)


def _cell(text: str, begin: int) -> str:
    text = f"…{text[begin:]}" if begin > 0 else text
    return escape(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…")


def json_chunks(
    old: Side, new: Side, changes: Iterable[ObjectChange], *, kind: str = "diff"
) -> Iterator[str]:
    """One JSON document in pieces; ``objects`` may be many."""
    head = {"formatVersion": FORMAT_VERSION, "type": kind, "from": _side(old), "to": _side(new)}
    yield json.dumps(head)[:-1] + ', "objects": ['
    counted = Counted()
    for number, change in enumerate(counted.over(changes)):
        yield (",\n" if number else "\n") + json.dumps(object_json(change))
    summary = {str(kind): counted.counts[kind] for kind in (Kind.ADDED, Kind.REMOVED, Kind.CHANGED)}
    yield f'\n], "summary": {json.dumps(summary)}}}\n'


def _side(side: Side) -> dict[str, Any]:
    return {
        "run": side.name,
        "commit": side.commit,
        "time": side.time,
        "outcome": side.outcome,
        "gaps": list(side.gaps),
        "notes": list(side.notes),
    }


def object_json(change: ObjectChange) -> dict[str, Any]:
    """An object of the JSON form."""
    return {
        "namespace": change.namespace,
        "kind": change.folder,
        "name": change.name,
        "path": change.path,
        "change": str(change.kind),
        "note": change.note,
        "fields": fields_json(change.fields),
    }


def fields_json(fields: Sequence[FieldChange]) -> list[dict[str, Any]]:
    """Fields of the JSON form; a value that is hidden is no value."""
    return [
        {
            "field": found.field,
            "change": str(found.kind),
            "old": found.old,
            "new": found.new,
            "hidden": found.hidden,
        }
        for found in fields
    ]
