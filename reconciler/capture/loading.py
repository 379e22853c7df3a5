"""Text of a manifest → plain values, as fast as libyaml's parser allows.

libyaml gives events, and values are made from those here: PyYAML's composer and constructor take
half of the time of a load, for aliases, tags and kinds of values that no manifest has. What
`emitter` writes plain becomes a number, a boolean or null, and every other plain scalar a string:
so a text that a person touched has no surprises either. Aliases and tags are refused: a few bytes
of aliases stand for gigabytes.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from reconciler.model.errors import Stalled

_WORDS = {"null": None, "true": True, "false": False}
_INTEGER = re.compile("-?(?:0|[1-9][0-9]*)")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+(?:e[-+][0-9]+)?")
_DIGITS = frozenset("-0123456789")
_DEEPEST = 1000
"""Levels; more than `emitter` writes, and few enough to be walked by whoever gets them."""
_NO_KEY = object()
_VALUES = {yaml.ScalarEvent, yaml.MappingStartEvent, yaml.SequenceStartEvent, yaml.AliasEvent}
_ENDS = {yaml.MappingEndEvent, yaml.SequenceEndEvent}


class Unreadable(ValueError):
    """What stands in the text is YAML, and none that a manifest has; the message says what."""


def load_document(text: bytes) -> Any:
    """The one document in a text, None where there is none.

    Raises yaml.YAMLError for what is no YAML, Unreadable or another ValueError for what is none of
    ours. Of two equal keys the last one counts.
    """
    outermost: list[Any] = []
    here: Any = outermost
    key: Any = _NO_KEY
    around: list[Any] = []
    for event in yaml.parse(text, yaml.CSafeLoader):
        kind = type(event)
        if kind in _ENDS:
            here = around.pop()
            continue
        if kind not in _VALUES:
            continue
        value = _value(event)
        if type(here) is list:
            here.append(value)
        elif key is not _NO_KEY:
            here[key] = value
            key = _NO_KEY
        else:
            key = _key(value)
            continue
        if kind is not yaml.ScalarEvent:
            around.append(here)
            here = value
            if len(around) > _DEEPEST:
                raise Unreadable("it is nested too deeply")
    if len(outermost) > 1:
        raise Unreadable("more than one document")
    return outermost[0] if outermost else None


def _value(event: yaml.Event) -> Any:
    """A scalar's value, or the empty list or mapping that begins."""
    if isinstance(event, yaml.AliasEvent):
        raise Unreadable("aliases are not read")
    if getattr(event, "tag", None) is not None:
        raise Unreadable("tags are not read")
    if isinstance(event, yaml.ScalarEvent):
        text = event.value
        if event.implicit[0] and (text in _WORDS or text[:1] in _DIGITS):
            return _plain(text)
        return text
    return {} if isinstance(event, yaml.MappingStartEvent) else []


def _key(value: Any) -> str:
    # Also `8080:` and `true:`, which are a number and a boolean: what we write has them in quotes.
    if not isinstance(value, str):
        raise Unreadable("a key is no text")
    return value


def _plain(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


def read_manifest(text: bytes, *, where: str = "manifest") -> dict[str, Any]:
    """The object in a text of ours; ``where`` (a path) is for the error's message.

    Only what `emitter` writes plain becomes a number, a boolean or null; every other plain scalar
    is a string, so a text that a person touched has no surprises either. Raises Stalled when the
    text is not one YAML mapping, or has aliases or tags.
    """
    try:
        found = load_document(text)
    except Unreadable as error:
        raise _unreadable(where, str(error)) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # Only the place is told: the text may be of somebody else's making, with values in it.
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        raise _unreadable(f"{where}{line}", "no YAML that can be read") from None
    if not isinstance(found, dict):
        raise _unreadable(where, "not a mapping")
    return found


def _unreadable(where: str, what: str) -> Stalled:
    return Stalled(
        f"{where}: {what}",
        hint="captured manifests are written by runs only; look for a commit by somebody else",
    )
