"""The lines of a block mapping, moved to where they belong.

A comment belongs to the key below it, or, where it is indented deeper than that key, to what is
above. Blank lines stay, one at a time. Lines of a text that goes over several lines are shifted
together with their key and not touched otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.policy import flows
from reconciler.policy.flows import Form, Kept
from reconciler.policy.layout import Mapping, Scalar, Sequence, Value

STEP = 2


@dataclass(frozen=True, slots=True)
class _Gap:
    """Comments and blank lines between two entries."""

    tail: list[str]
    """Those that belong to the upper entry."""
    lead: list[str]
    """Those of the lower one; at the end of a collection, its foot."""


def format_mapping(root: Mapping, lines: list[str], form: Form) -> list[str]:
    """A document whose root is a block mapping; raises `Kept` for what can't be moved.

    Comments above its first key are about the document and stay where they are.
    """
    writer = _Writer(lines)
    first = root.pairs[0][0].start[0] if root.pairs else 0
    head = _comments(lines[:first], 0, first=True)
    return head + writer.mapping(root, 0, range(first, len(lines)), form)


def _comments(lines: Iterable[str], column: int, *, first: bool = False) -> list[str]:
    """Comments at a column; blank lines one at a time, and none before the ``first`` line."""
    found: list[str] = []
    for line in lines:
        shown = line.strip()
        if shown or (found[-1] if found else not first):
            found.append(" " * column + shown if shown else "")
    return found


def _foot(lines: Iterable[str], column: int) -> list[str]:
    """Comments at the end of a collection, without blank lines behind them."""
    found = _comments(lines, column)
    while found and not found[-1]:
        found.pop()
    return found


def _column(line: str) -> int:
    return len(line) - len(line.lstrip())


def _prefixed(body: list[str], column: int) -> list[str]:
    """An item: its first line of content gets the dash, comments above it stand above the dash."""
    done: list[str] = []
    for number, line in enumerate(body):
        if line.strip() and not line.lstrip().startswith("#"):
            dashed = f"{' ' * column}- {line[column + STEP :]}"
            return [*done, dashed, *body[number + 1 :]]
        done.append(" " * column + line.strip() if line.strip() else "")
    raise Kept


class _Writer:
    """Writes collections of one document; all places are those of its old lines."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._range = range(len(lines))

    def mapping(self, value: Mapping, column: int, region: range, form: Form) -> list[str]:
        """A block mapping with its keys at ``column``; ``region`` has its lines and comments."""
        pairs = value.pairs
        starts = [key.start[0] for key, _ in pairs]
        lasts = [max(key.last, _last(key, item)) for key, item in pairs]
        old = pairs[0][0].start[1]
        gaps = self._gaps(starts, lasts, old, region, [item for _, item in pairs])
        leads = [self._between(region.start, starts[0]), *(gap.lead for gap in gaps[:-1])]
        written: list[str] = []
        for number in form.order(key.text if isinstance(key, Scalar) else "" for key, _ in pairs):
            key, item = pairs[number]
            written += _comments(leads[number], column, first=not written)
            inside = range(starts[number] + 1, lasts[number] + 1 + len(gaps[number].tail))
            below = form.below(key.text) if isinstance(key, Scalar) else Form()
            written += self._entry(key, item, column, inside, below)
        return written + _foot(gaps[-1].lead, column)

    def sequence(self, value: Sequence, column: int, region: range, form: Form) -> list[str]:
        """A block list with its dashes at ``column``."""
        old = value.start[1]
        starts: list[int] = []
        for item in value.items:
            if isinstance(item, Scalar) and item.empty:
                raise Kept
            starts.append(self._dash(item, old, after=starts[-1] if starts else region.start - 1))
        lasts = [item.last for item in value.items]
        gaps = self._gaps(starts, lasts, old, region, value.items)
        written = _comments(self._between(region.start, starts[0]), column, first=True)
        for number, item in enumerate(value.items):
            inside = range(starts[number], lasts[number] + 1 + len(gaps[number].tail))
            written += self._item(item, column, inside, form.item())
            if number + 1 < len(value.items):
                written += _comments(gaps[number].lead, column)
        return written + _foot(gaps[-1].lead, column)

    def _gaps(
        self, starts: list[int], lasts: list[int], column: int, region: range, values: list[Value]
    ) -> list[_Gap]:
        """What stands below each entry."""
        ends = [*starts[1:], region.stop]
        return [
            self._gap(last, end, column, value)
            for last, end, value in zip(lasts, ends, values, strict=True)
        ]

    def _gap(self, last: int, end: int, column: int, value: Value) -> _Gap:
        lines = self._between(last + 1, end)
        deep = 0
        for number, line in enumerate(lines, start=1):
            if line.strip() and _column(line) <= column:
                break
            deep = number if line.strip() else deep
        if isinstance(value, Scalar) and value.block:
            deep = 0  # deeper, it might become a part of the text
        return _Gap(lines[:deep], lines[deep:])

    def _between(self, first: int, end: int) -> list[str]:
        lines = self._lines[first:end]
        if any(line.strip() and not line.lstrip().startswith("#") for line in lines):
            raise Kept
        return lines

    def _dash(self, item: Value, column: int, *, after: int) -> int:
        """The line of an item's dash."""
        for number in range(item.start[0], after, -1):
            rest = self._lines[number][column:]
            if rest.startswith("- ") or rest == "-":
                return number
        raise Kept

    def _entry(self, key: Value, item: Value, column: int, inside: range, form: Form) -> list[str]:
        line, start = key.start
        before = self._lines[line][:start].replace("-", " ")
        colon = re.match(r"[ \t]*:", self._lines[line][key.end[1] :])
        if key.last != line or before.strip() or colon is None:
            raise Kept
        head = f"{' ' * column}{self._lines[line][start : key.end[1]]}:"
        behind = key.end[1] + colon.end()
        if _last(key, item) == line:
            return self._single(head, item, behind, line, form) + _comments(
                self._between(line + 1, inside.stop), column + STEP
            )
        if item.start[0] == line:
            return self._several(f"{head} ", item, column - start, inside)
        first = [self._beside(head, line, behind)]
        if isinstance(item, Mapping) and not item.flow:
            return first + self.mapping(item, column + STEP, inside, form)
        if isinstance(item, Sequence) and not item.flow:
            return first + self.sequence(item, column + STEP, inside, form)
        raise Kept

    def _item(self, item: Value, column: int, inside: range, form: Form) -> list[str]:
        line, start = item.start
        above: list[str] = []
        if line != inside.start:
            above = _comments([self._lines[inside.start].replace("-", " ", 1)], column, first=True)
            inside = range(inside.start + 1, inside.stop)
        if isinstance(item, Mapping) and not item.flow:
            body = self.mapping(item, column + STEP, inside, form)
        elif isinstance(item, Sequence) and not item.flow:
            body = self.sequence(item, column + STEP, inside, form)
        elif above or line != inside.start:
            raise Kept
        elif item.last == line:
            head = " " * (column + 1)
            body = self._single(head, item, start, line, form)
            body += _comments(self._between(line + 1, inside.stop), column + STEP)
        else:
            body = self._several(" " * (column + STEP), item, column + STEP - start, inside)
        return above + _prefixed(body, column)

    def _single(self, head: str, item: Value, behind: int, line: int, form: Form) -> list[str]:
        """What stands in one line."""
        if isinstance(item, Scalar) and item.empty:
            return [self._beside(head, line, behind)]
        shown = flows.render(item, self._lines[line], form)
        return [self._beside(f"{head} {shown}", line, item.end[1])]

    def _several(self, head: str, item: Value, shift: int, inside: range) -> list[str]:
        """What begins in a key's line and goes on below it."""
        line, start = item.start
        body = [head + self._lines[line][start:].rstrip()]
        keep = isinstance(item, Scalar)
        body += [_shifted(old, shift, keep=keep) for old in self._lines[line + 1 : item.last + 1]]
        return body + _comments(self._between(item.last + 1, inside.stop), _column(head) + STEP)

    def _beside(self, head: str, line: int, behind: int) -> str:
        """A line with the comment that stands behind a column of an old one.

        At its old distance, or its old column if the next comment above or below has the same.
        """
        old = self._lines[line]
        rest = old[behind:].strip()
        if not rest:
            return head
        if not rest.startswith("#"):
            raise Kept
        at = old.index("#", behind)
        distance = at - len(old[:at].rstrip())
        near = (self._lines[number] for number in (line - 1, line + 1) if number in self._range)
        if any(other[at - 1 : at + 1] == " #" and other[:at].strip() for other in near):
            distance = max(at - len(head), 1)
        return f"{head}{' ' * distance}{rest}"


def _last(key: Value, item: Value) -> int:
    """The last line of an entry."""
    return key.last if isinstance(item, Scalar) and item.empty else item.last


def _shifted(line: str, shift: int, *, keep: bool) -> str:
    """``keep`` keeps blanks at a line's end, which may be a part of a text."""
    shown = line if keep else line.rstrip()
    if not shown.strip():
        return shown[:shift] if shift < 0 else ""
    if shift < 0 and line[:-shift].strip():
        raise Kept
    return " " * shift + shown if shift >= 0 else shown[-shift:]
