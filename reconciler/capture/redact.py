"""Credentials outside Secrets: found by rule, replaced by fingerprints, kept whole for restic.

An object holds credentials where nobody should put them: in ``env``, in arguments, in ConfigMaps,
in custom resources, in annotations. A *rule* names kinds and places and says what it takes for one.
What it matches is replaced, in the text for Git, by the same kind of fingerprint as a Secret's
values: ``hmac-sha256:`` and, under the same key, the HMAC-SHA256 (hex) of::

    <namespace> NUL <kind>[.<group>] NUL <name> NUL <path> NUL <value>

with a string's UTF-8 bytes, or NUL and the JSON of any other scalar. The path is as a person writes
it, ``spec.template.spec.containers[web].env[TOKEN].value``: items go by their name where they have
one that stands in Git, so that a new neighbour changes nobody's fingerprint.

Promises. Pure; the object is never changed. Equal values give equal texts. A fingerprint in a text
of ours always stands for a value that Git does not hold: a live string that is formed like one is
replaced as well. So the text alone says what is redacted, and the way back (`fill`, `like`) needs
no rules: they may change from run to run.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from reconciler.capture import fingerprints, redactplaces, redactrules
from reconciler.model import fieldpaths

OMITTED = fingerprints.PREFIX + "omitted"
"""In place of a value that is kept nowhere."""
FORMED = "formed-like-one"
"""The rule for a live string that would pass for a fingerprint."""
_ABSENT = object()
_NOTHING: Mapping[str | int, Any] = {}
_MARK = fingerprints.PREFIX.encode()
_FORMED = re.compile(rf"{fingerprints.PREFIX}(?:[0-9a-f]{{64}}|omitted)")

Keys = redactplaces.Keys


@dataclass(frozen=True, slots=True)
class Redaction:
    """One value that Git does not hold: where it stands in its object, and which rule said so."""

    path: str
    rule: str


@dataclass(frozen=True, slots=True)
class Redacted:
    """An object for Git, and what was taken out of it; ``document`` is the given one if nothing."""

    document: dict[str, Any] = field(repr=False)
    findings: tuple[Redaction, ...] = ()


def redact(found: dict[str, Any], hits: Mapping[Keys, str], key: bytes | None) -> Redacted:
    """The cleaned object as Git may have it; ``hits`` as `redactrules.Rules.find` gives them.

    Without a key, values are marked as omitted. Raises TooMany.
    """
    if not hits:
        return Redacted(found)
    place = _place(found, None)
    paths = _Paths(found, hits)
    texts: dict[Keys, str] = {}
    findings = []
    for keys, rule in hits.items():
        path = paths.show(keys)
        texts[keys] = _fingerprint(key, place, path, _get(found, keys))
        findings.append(Redaction(path, rule))
    findings.sort(key=lambda one: (one.path, one.rule))
    return Redacted(_with(found, texts), tuple(findings))


def with_formed(found: Mapping[str, Any], hits: redactrules.Hits) -> redactrules.Hits:
    """``hits`` and every string of a live object that would pass for a fingerprint.

    Raises TooMany.
    """
    both: redactplaces.Places[str] = redactplaces.Places()
    for keys, _ in _formed(found, ()):
        both[keys] = FORMED
    for keys, rule in hits.items():
        both[keys] = rule
    return both


def holds_fingerprints(text: bytes) -> bool:
    """Whether a text of Git may stand for an object with values that Git does not have."""
    return _MARK in text


def redact_like(
    found: dict[str, Any],
    stored: Mapping[str, Any],
    key: bytes | None,
    captured: tuple[str, str] | None = None,
    hits: Mapping[Keys, str] | None = None,
) -> dict[str, Any]:
    """A live, cleaned object with fingerprints where ``stored``, read from Git, has them.

    ``captured`` is its namespace and name as it was captured, where they are others now. What was
    omitted counts as equal, and so does everything without a key: nobody can tell. ``hits`` are
    redacted as well, but where Git has the very same value in clear. Raises TooMany.
    """
    place = _place(found, captured)
    said = dict(_formed(stored, ()))
    paths = _Paths(found, said)
    texts: dict[Keys, str] = {}
    for keys in (*said, *(keys for keys in hits or () if keys not in said)):
        value = _get(found, keys)
        if value is _ABSENT or (isinstance(value, str) and _FORMED.fullmatch(value)):
            continue
        text = said.get(keys, OMITTED)
        if keys not in said and _get(stored, keys) == value:
            continue
        if key is not None and (text != OMITTED or keys not in said):
            text = _fingerprint(key, place, paths.show(keys), value)
        texts[keys] = text
    return _with(found, texts)


class Unproven(Exception):
    """A kept value is not the one that the fingerprint in Git was made of."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A document with its values; ``lacking``: paths of those that are not known.

    What is ``lost`` are annotations that went with their values; an object that lacks another value
    must not be created.
    """

    document: dict[str, Any] = field(repr=False)
    lacking: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Values:
    """What fingerprints of one text stand for."""

    known: Mapping[str, Any] = field(repr=False)
    """Fingerprint → value."""

    def fill(self, document: Mapping[str, Any]) -> Filled:
        """The document with values; what is not known keeps its fingerprint."""
        values: dict[Keys, Any] = {}
        lacking, lost = [], []
        for keys, said in _formed(document, ()):
            if said in self.known:
                values[keys] = self.known[said]
            elif keys[:2] == ("metadata", "annotations"):
                values[keys] = _ABSENT
                lost.append(show_path(document, keys))
            else:
                lacking.append(show_path(document, keys))
        return Filled(_with(document, values), tuple(lacking), tuple(lost))


def prove(stored: Mapping[str, Any], whole: Mapping[str, Any], key: bytes) -> Values:
    """Values of a whole object for the text that was captured from it.

    Raises Unproven, with the path, where a value is not the one of the fingerprint.
    """
    place = _place(stored, None)
    known = {}
    for keys, said in _formed(stored, ()):
        value = _get(whole, keys)
        path = show_path(stored, keys)
        if value is _ABSENT or _fingerprint(key, place, path, value) != said:
            raise Unproven(path)
        known[said] = value
    return Values(known)


def show_path(
    document: Mapping[str, Any], keys: Keys, hidden: Mapping[str | int, Any] = _NOTHING
) -> str:
    """The way to a value, as a person writes it: records and logs have it.

    An item whose name is redacted, or is going to be (``hidden``, as `_hidden_names` gives them),
    goes by its number.
    """
    shown: list[str] = []
    at: Any = document
    for part in keys:
        at = at[part]
        hidden = hidden.get(part, _NOTHING)
        if isinstance(part, int):
            name = at.get("name") if isinstance(at, dict) else None
            known = isinstance(name, str) and name and not _FORMED.fullmatch(name)
            shown.append(f"[{name}]" if known and "name" not in hidden else f"[{part}]")
        elif fieldpaths.PLAIN_KEY.fullmatch(part):
            shown.append(f".{part}" if shown else part)
        else:
            shown.append(f"['{part}']")
    return "".join(shown)


def _hidden_names(places: Iterable[Keys]) -> dict[str | int, Any]:
    """The places that are names of items, as a tree: to follow it costs one question per step."""
    tree: dict[str | int, Any] = {}
    for keys in places:
        if len(keys) > 1 and keys[-1] == "name" and isinstance(keys[-2], int):
            at = tree
            for part in keys:
                at = at.setdefault(part, {})
    return tree


class _Paths:
    """Paths of one object, as long as they are not too much text."""

    def __init__(self, document: Mapping[str, Any], hidden: Iterable[Keys]) -> None:
        self._document = document
        self._hidden = _hidden_names(hidden)
        self._text = 0

    def show(self, keys: Keys) -> str:
        """As `show_path`; raises TooMany."""
        path = show_path(self._document, keys, self._hidden)
        self._text += len(path)
        if self._text > redactplaces.MOST_TEXT:
            raise redactplaces.TooMany
        return path


def _place(document: Mapping[str, Any], captured: tuple[str, str] | None) -> tuple[str, str, str]:
    metadata = document.get("metadata") or {}
    group, _, _ = str(document.get("apiVersion", "")).rpartition("/")
    kind = str(document.get("kind", ""))
    own = str(metadata.get("namespace") or ""), str(metadata.get("name") or "")
    namespace, name = own if captured is None else captured
    return namespace, f"{kind}.{group}" if group else kind, name


def _fingerprint(key: bytes | None, place: tuple[str, ...], path: str, value: object) -> str:
    if key is None:
        return OMITTED
    data = value.encode() if isinstance(value, str) else b"\0" + orjson.dumps(value)
    return fingerprints.fingerprint(key, (*place, path), data)


def _formed(value: Any, keys: Keys) -> Iterator[tuple[Keys, str]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _formed(part, (*keys, name))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _formed(part, (*keys, index))
    elif isinstance(value, str) and _FORMED.fullmatch(value):
        yield keys, value


def _get(value: Any, keys: Keys) -> Any:
    for part in keys:
        if isinstance(part, int):
            if not isinstance(value, list) or part >= len(value):
                return _ABSENT
        elif not isinstance(value, dict) or part not in value:
            return _ABSENT
        value = value[part]
    return _ABSENT if isinstance(value, dict | list) else value


def _with(document: Mapping[str, Any], values: Mapping[Keys, Any]) -> dict[str, Any]:
    """A copy in which these places are others; `_ABSENT` takes one away.

    Places are of scalars, so none is inside another. Whatever the number of places, nothing is
    copied twice, since tenants decide on it; what is beside the ways is shared.
    """
    whole = dict(document)
    own: dict[int, Any] = {id(whole): whole}
    for keys, value in values.items():
        at: Any = whole
        for name in keys[:-1]:
            if id(at[name]) not in own:
                at[name] = copy.copy(at[name])
                own[id(at[name])] = at[name]
            at = at[name]
        if value is _ABSENT:
            del at[keys[-1]]
        else:
            at[keys[-1]] = value
    return whole
