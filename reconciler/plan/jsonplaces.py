"""JSON that somebody else may have written: what is wrong in it is said with its line. Pure.

`load` takes what the standard library takes, but for what two readers read differently: keys that
are there twice, NaN, text that is not UTF-8. `Node` reads the values, each by its type, and knows
the way to each, so that a message names file, line and column without a slow reader for the rest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, NoReturn, TypeVar

from reconciler.model.errors import InvalidInput, Problem

T = TypeVar("T")
Path = tuple[str | int, ...]

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_BLANK = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()
TIME = "%Y-%m-%dT%H:%M:%SZ"


class Wrong(Exception):
    """What is wrong, and the way to it; never leaves `reading`."""

    def __init__(self, path: Path, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.path = path
        self.message = message
        self.hint = hint


class Node:
    """One object of a document; reading counts what was asked for, so that `end` finds the rest."""

    __slots__ = ("_asked", "_fields", "_path")

    def __init__(self, value: object, path: Path = ()) -> None:
        if not isinstance(value, dict):
            raise Wrong(path, "must be an object")
        self._fields: dict[str, Any] = value
        self._path = path
        self._asked = 0

    def fail(self, key: str | None, message: str, hint: str = "") -> NoReturn:
        """Raises `Wrong` at a field, whose name begins the message, or at this object."""
        if key is None:
            raise Wrong(self._path, message, hint)
        raise Wrong((*self._path, key), f"{key} {message}", hint)

    def has(self, key: str) -> bool:
        """Whether the field is there."""
        return key in self._fields

    def text(self, key: str, form: re.Pattern[str], default: str | None = None) -> str:
        """A string of this form."""
        found = self._get(key, default)
        if not isinstance(found, str) or (found != default and not form.fullmatch(found)):
            self.fail(key, f"must be {_FORMS[form]}")
        return found

    def number(self, key: str, default: int | None = None) -> int:
        """A whole number from 0 to 2^63-1."""
        found = self._get(key, default)
        if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found < 2**63:
            self.fail(key, "must be a whole number that is not negative")
        return found

    def flag(self, key: str) -> bool:
        """True or false; false where it is not there."""
        found = self._get(key, False)
        if not isinstance(found, bool):
            self.fail(key, "must be true or false")
        return found

    def time(self, key: str) -> datetime:
        """A moment in UTC, ``2026-11-21T04:17:03Z``."""
        found = self._get(key, None)
        good = isinstance(found, str) and _TIME.fullmatch(found)
        try:
            # Ten times as fast as strptime, and laxer: hence the form.
            return datetime.fromisoformat(found if good else "")
        except ValueError:
            self.fail(key, "must be a time such as 2026-11-21T04:17:03Z")

    def texts(self, key: str, form: re.Pattern[str]) -> tuple[str, ...]:
        """A list of strings; empty where it is not there."""
        found = self._list(key)
        for index, one in enumerate(found):
            if not isinstance(one, str) or not form.fullmatch(one):
                raise Wrong((*self._path, key, index), f"must be {_FORMS[form]}")
        return tuple(found)

    def mapping(self, key: str, keys: re.Pattern[str], values: re.Pattern[str]) -> dict[str, str]:
        """Text → text; empty where it is not there."""
        found = self._get(key, {})
        if not isinstance(found, dict):
            self.fail(key, "must be an object")
        for name, value in found.items():
            if not keys.fullmatch(name):
                self.fail(key, f"has a key that is not {_FORMS[keys]}")
            if not isinstance(value, str) or not values.fullmatch(value):
                raise Wrong((*self._path, key, name), f"{name} must be {_FORMS[values]}")
        return found

    def each(self, key: str, read: Callable[[Node], T]) -> tuple[T, ...]:
        """A list of objects; empty where it is not there. Nothing may be left of each."""
        found = []
        for index, value in enumerate(self._list(key)):
            node = Node(value, (*self._path, key, index))
            found.append(read(node))
            node.end()
        return tuple(found)

    def named(self, keys: re.Pattern[str]) -> Iterator[tuple[str, Node]]:
        """Every field, each an object, by name; nothing is left then."""
        for name, value in self._fields.items():
            if not keys.fullmatch(name):
                self.fail(None, f"a key here must be {_FORMS[keys]}")
            yield name, Node(value, (*self._path, name))
        self._asked = len(self._fields)

    def end(self) -> None:
        """Raises for a field that nobody has asked for."""
        if self._asked != len(self._fields):
            self.fail(None, "has a field that this version does not know", _NEWER)

    def _list(self, key: str) -> list[Any]:
        found = self._get(key, [])
        if not isinstance(found, list):
            self.fail(key, "must be a list")
        return found

    def _get(self, key: str, default: Any) -> Any:
        if key in self._fields:
            self._asked += 1
            return self._fields[key]
        if default is None:
            self.fail(None, f"{key} is missing")
        return default


_NEWER = "a newer Backstay has written it; read it with that version"


def _form(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)


_WORD = "[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
NAME = _form("(?=.{1,253}$)[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?")
NAMESPACE = _form("[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
OWN_WORD = _form("[A-Za-z]{1,40}")
LABEL_KEY = _form(f"(?:[a-z0-9](?:[-a-z0-9.]{{0,251}}[a-z0-9])?/)?{_WORD}")
LABEL_VALUE = _form(f"(?:{_WORD})?")
WORKLOAD = _form("[A-Z][A-Za-z0-9]{0,62}/[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")
DRIVER = _form("[A-Za-z0-9](?:[-A-Za-z0-9_./]{0,251}[A-Za-z0-9])?")
REVISION = _form("(?:[A-Za-z0-9._/-]{1,255}@sha1:[0-9a-f]{40,64})?")
SHA = _form("(?:[0-9a-f]{40}|[0-9a-f]{64})?")
UID = _form("[A-Za-z0-9-]{1,64}")
_FORMS = {
    NAME: "a name of an object",
    NAMESPACE: "a name of a namespace",
    OWN_WORD: "one word",
    LABEL_KEY: "a key of a label",
    LABEL_VALUE: "a value of a label",
    WORKLOAD: "a kind and a name, such as StatefulSet/db",
    DRIVER: "a name of a driver",
    REVISION: "a revision, such as main@sha1:…",
    SHA: "a commit's id",
    UID: "a uid",
}


def reading(file: str, data: bytes, read: Callable[[Node], T]) -> T:
    """What ``read`` makes of the document in a file; raises InvalidInput with file and line."""
    try:
        text = data.decode()
        document = _STRICT.decode(text)
        root = Node(document)
        found = read(root)
        root.end()
    except Wrong as wrong:
        line, column = _locate(text, wrong.path)
        raise _invalid(file, line, column, wrong.message, wrong.hint) from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _invalid(file, line, 1, "is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise _invalid(file, error.lineno, error.colno, f"is not JSON: {error.msg}") from None
    except (_Twice, ValueError) as error:
        raise _invalid(file, *_position(text, _misfit(text)), str(error)) from None
    except RecursionError:
        raise _invalid(file, 1, 1, "is nested too deeply") from None
    return found


def _invalid(file: str, line: int, column: int, message: str, hint: str = "") -> InvalidInput:
    problem = Problem(file=file, line=line, column=column, message=message, hint=hint or _BY_HAND)
    return InvalidInput([problem], hint=problem.hint)


_BY_HAND = "the controller writes these files; look who else did with git log, and revert that"


class _Twice(Exception):
    """A key that is there twice."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen = set[str]()
        for key, _ in pairs:
            if key in seen:
                raise _Twice(f"the key {key!r} is there twice in one object")
            seen.add(key)
    return found


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _no_float(text: str) -> NoReturn:
    raise ValueError(f"{text[:40]} is no whole number")


_STRICT = json.JSONDecoder(
    object_pairs_hook=_once, parse_constant=_no_constant, parse_float=_no_float
)
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')
_PLAIN = re.compile(r"-?[0-9]+|true|false|null")


def _misfit(text: str) -> int:
    """Where the first key that is there twice stands, or the first number that is no whole one."""
    keys: list[set[str]] = []
    before = (0, "")
    for token in _TOKEN.finditer(text):
        word = token[0]
        if word == "{":
            keys.append(set())
        elif word == "}":
            keys.pop()
        elif word == ":":
            if before[1] in keys[-1]:
                return before[0]
            keys[-1].add(before[1])
        elif word[0] not in '"[],' and not _PLAIN.fullmatch(word):
            return token.start()
        before = (token.start(), word)
    return 0


def _locate(text: str, path: Path) -> tuple[int, int]:
    """Line and column of the value that a path leads to, both from 1, in a good document."""
    place = _skip(text, 0)
    for step in path:
        place = _enter(text, place, step)
    return _position(text, place)


def _position(text: str, place: int) -> tuple[int, int]:
    """Line and column, both from 1."""
    return text.count("\n", 0, place) + 1, place - text.rfind("\n", 0, place)


def _enter(text: str, place: int, step: str | int) -> int:
    """Where the value of a key, or the item of a list, begins; the whole where there is none."""
    inside = _skip(text, place + 1)
    index = 0
    while text[inside] not in "]}":
        key: object = index
        if isinstance(step, str):
            key, inside = _DECODER.raw_decode(text, inside)
            inside = _skip(text, _skip(text, inside) + 1)
        if key == step:
            return inside
        _, inside = _DECODER.raw_decode(text, inside)
        inside = _skip(text, inside)
        inside = _skip(text, inside + 1) if text[inside] == "," else inside
        index += 1
    return place


def _skip(text: str, place: int) -> int:
    found = _BLANK.match(text, place)
    return found.end() if found else place


def render(fields: Mapping[str, object]) -> bytes:
    """An object as such a file has it: a line per field, and per item of its lists.

    What is empty, false or None is left out; the order is that of ``fields``. ASCII, LF.
    """
    lines = []
    for key, value in fields.items():
        if value is None or value is False or value == "" or value == {} or value == []:
            continue
        if isinstance(value, list) and isinstance(value[0], dict):
            items = ",\n".join(f"  {json.dumps(item)}" for item in value)
            lines.append(f" {json.dumps(key)}: [\n{items}\n ]")
        else:
            lines.append(f" {json.dumps(key)}: {json.dumps(value)}")
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()
