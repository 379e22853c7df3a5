"""Lists and mappings in brackets, on one line; and the order of fields that the language has."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.policy import schema
from reconciler.policy.layout import Mapping, Scalar, Sequence, Value
from reconciler.policy.parts import Part

_HEAD = ("profile", "clusters", "renamedFrom")
"""What a policy is about as a whole; the other fields stand in the order of their definition."""


class Kept(Exception):
    """This can't be moved; the document stays as it is."""


@dataclass(frozen=True, slots=True)
class Form:
    """What the language says of a value: ``marks`` as in `reconciler.policy.schema`."""

    marks: str = ""
    part: type[Part] | None = None

    def order(self, names: Iterable[str]) -> list[int]:
        """Places of the fields in the language's order; unknown ones follow as they stand."""
        found = list(names)
        if self.part is None or self.marks:
            return list(range(len(found)))
        known = [str(info.alias) for info in self.part.model_fields.values()]
        known.sort(key=lambda name: _HEAD.index(name) if name in _HEAD else len(_HEAD))
        ranks = [known.index(name) if name in known else len(known) for name in found]
        return sorted(range(len(found)), key=lambda number: ranks[number])

    def below(self, name: str) -> Form:
        """Of a key's value."""
        if self.marks.startswith("{}"):
            return Form(self.marks[2:], self.part)
        info = schema.field_of(self.part, name) if self.part and not self.marks else None
        return Form(*schema.part_of(info.annotation)) if info else Form()

    def item(self) -> Form:
        """Of a list's items."""
        return Form(self.marks[2:], self.part) if self.marks.startswith("[]") else Form()


def render(value: Value, line: str, form: Form) -> str:
    """The text of a value that stands in this line, whole; as it is where it has other forms."""
    shown = line[value.start[1] : value.end[1]]
    if isinstance(value, Sequence) and value.flow:
        return _list(value, line, form) or shown
    if isinstance(value, Mapping) and value.flow:
        return _mapping(value, line, form) or shown
    if not isinstance(value, Scalar):
        raise Kept
    return shown


def _list(value: Sequence, line: str, form: Form) -> str:
    ends = [(item.start[1], item.end[1]) for item in value.items]
    if not _plain(value, line, ends):
        return ""
    return f"[{', '.join(render(item, line, form.item()) for item in value.items)}]"


def _mapping(value: Mapping, line: str, form: Form) -> str:
    ends = [(key.start[1], max(key.end[1], item.end[1])) for key, item in value.pairs]
    between = [line[key.end[1] : item.start[1]] for key, item in value.pairs]
    colons = all(re.fullmatch(r"[ \t]*:[ \t]*", text) for text in between)
    if not colons or not _plain(value, line, ends):
        return ""
    shown = [
        f"{render(key, line, Form())}: {render(item, line, _below(form, key))}"
        for key, item in value.pairs
    ]
    names = (key.text if isinstance(key, Scalar) else "" for key, _ in value.pairs)
    return f"{{{', '.join(shown[number] for number in form.order(names))}}}"


def _below(form: Form, key: Value) -> Form:
    return form.below(key.text) if isinstance(key, Scalar) else Form()


def _plain(value: Value, line: str, ends: list[tuple[int, int]]) -> bool:
    """Whether there is nothing but brackets, commas and blanks around the items."""
    opening, closing = value.start[1], value.end[1] - 1
    if line[opening] not in "[{" or line[closing] not in "]}" or not ends:
        return False
    places = [opening + 1, *(place for pair in ends for place in pair), closing]
    gaps = zip(places[::2], places[1::2], strict=True)
    return all(re.fullmatch(r"[ \t]*,?[ \t]*", line[start:end]) for start, end in gaps)
