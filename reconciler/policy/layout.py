"""Where each key and each value of a YAML document stands, for moving them about as they are.

ruamel.yaml's parser says where things begin and end. Its own way of keeping comments through an
edit hangs a comment on the value *before* it, so that a key that moves leaves its comment behind
and takes its neighbour's along; here the text between two keys is told apart by its place.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ruamel.yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from reconciler.policy.reading import parse_events

Place = tuple[int, int]
"""Line and column, both from 0."""


@dataclass(slots=True)
class Value:
    """A value or a key. ``end`` is behind its last character; ``last`` is the line of that."""

    start: Place
    end: Place
    last: int


@dataclass(slots=True)
class Scalar(Value):
    """``style`` is empty for a plain one, else the character that begins it."""

    text: str
    style: str

    @property
    def empty(self) -> bool:
        """Whether nothing is written there."""
        return self.start == self.end

    @property
    def block(self) -> bool:
        """Whether its indentation is a part of it: ``|`` and ``>``."""
        return self.style in ("|", ">")


@dataclass(slots=True)
class Sequence(Value):
    """``flow`` is true in brackets."""

    flow: bool
    items: list[Value] = field(default_factory=list)


@dataclass(slots=True)
class Mapping(Value):
    """``flow`` is true in braces."""

    flow: bool
    pairs: list[tuple[Value, Value]] = field(default_factory=list)

    def text_of(self, name: str) -> str:
        """A key's scalar; empty if there is none."""
        for key, value in self.pairs:
            if isinstance(key, Scalar) and key.text == name and isinstance(value, Scalar):
                return value.text
        return ""


Collection = Sequence | Mapping


def read_layout(lines: list[str]) -> Value | None:
    """The root of one document, whose lines these are; None if there is nothing.

    For texts that `reconciler.policy.reading.read_file` has no problem with.
    """
    root: Value | None = None
    parents: list[Collection] = []
    keys: list[Value | None] = []
    for event in parse_events("\n".join(lines) + "\n"):
        if isinstance(event, SequenceEndEvent | MappingEndEvent):
            _close(parents.pop(), (event.end_mark.line, event.end_mark.column))
            keys.pop()
            continue
        if isinstance(event, AliasEvent) or not isinstance(
            event, ScalarEvent | SequenceStartEvent | MappingStartEvent
        ):
            continue
        value = _value(event, lines)
        if not parents:
            root = value
        elif isinstance(parent := parents[-1], Sequence):
            parent.items.append(value)
        elif (key := keys[-1]) is None:
            keys[-1] = value
        else:
            parent.pairs.append((key, value))
            keys[-1] = None
        if isinstance(value, Sequence | Mapping):
            parents.append(value)
            keys.append(None)
    return root


def _value(event: ScalarEvent | SequenceStartEvent | MappingStartEvent, lines: list[str]) -> Value:
    start = (event.start_mark.line, event.start_mark.column)
    end = (event.end_mark.line, event.end_mark.column)
    if isinstance(event, ScalarEvent):
        scalar = Scalar(start, end, end[0], event.value, event.style or "")
        if scalar.block:
            scalar.last = _last_of_block(scalar, lines)
        return scalar
    kind = Sequence if isinstance(event, SequenceStartEvent) else Mapping
    return kind(start, end, end[0], bool(event.flow_style))


def _last_of_block(scalar: Scalar, lines: list[str]) -> int:
    """Blank lines below a block scalar are its own only where it says so, with ``+``."""
    last = min(scalar.end[0] - (scalar.end[1] == 0), len(lines) - 1)
    header = lines[scalar.start[0]][scalar.start[1] :].partition("#")[0]
    while "+" not in header and last > scalar.start[0] and not lines[last].strip():
        last -= 1
    return last


def _close(value: Collection, end: Place) -> None:
    """A collection in brackets ends where they do, another with what is last in it."""
    if value.flow:
        value.end, value.last = end, end[0]
        return
    inner = (
        value.items if isinstance(value, Sequence) else [v for pair in value.pairs for v in pair]
    )
    filled = [item for item in inner if not (isinstance(item, Scalar) and item.empty)]
    if filled:
        value.end, value.last = filled[-1].end, max(item.last for item in filled)
