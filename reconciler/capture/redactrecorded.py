"""What is hidden of a live object that is shown beside its text in Git. Pure.

A person may be shown only what the run that wrote the text would have written in clear. Its rules
are not at hand, what they did is: a fingerprint marks a place that they redact, whichever item of
a list it is in. And a policy with rules of its own may redact what was not there yet; so then
(``doubtful``) a value is shown only where the text has one in clear at the same place, or the very
same one under the same names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.capture import fingerprints, loading, redactrules
from reconciler.model.errors import Stalled
from reconciler.model.objects import Resource
from reconciler.model.redaction import ANNOTATIONS_ONLY

RULE = "as-recorded"
"""The rule of what is hidden here, besides what the default rules find."""
_ANNOTATIONS = ("metadata", "annotations")
_KEPT = ("apiVersion", "kind", "metadata")
_ITEM = -1
_ABSENT = object()

Keys = tuple[str | int, ...]
Names = tuple[str | int | tuple[str], ...]
"""As keys, with an item's name in place of its number."""


class RecordedRules(redactrules.Rules):
    """The default rules, and what one text in Git says about its object."""

    def __init__(self, text: bytes, *, doubtful: bool) -> None:
        self._text = text
        self._doubtful = doubtful

    def find(self, found: Mapping[str, Any], resource: Resource) -> redactrules.Hits:
        """As `Rules.find`."""
        hits = super().find(found, resource)
        try:
            recorded = _Recorded(loading.read_manifest(self._text))
        except Stalled:
            # Somebody else's text: nothing is compared with it field by field.
            return hits
        only = resource.folder in ANNOTATIONS_ONLY
        for keys, names, value in _leaves(found, (), ()):
            doubted = self._doubtful and _may_be_redacted(keys, annotations_only=only)
            if recorded.redacts(keys) or (doubted and not recorded.shows(keys, names, value)):
                hits.setdefault(keys, RULE)
        return hits


class _Recorded:
    """Places of one text."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._redacted: dict[str | int | None, Any] = {}
        """Places of fingerprints as a tree, items as `_ITEM`; None is where one ends."""
        self._clear: set[tuple[Keys, Names]] = set()
        self._values: dict[Names, Any] = {}
        for keys, names, value in _leaves(document, (), ()):
            if isinstance(value, str) and value.startswith(fingerprints.PREFIX):
                at = self._redacted
                for part in _shape(keys):
                    at = at.setdefault(part, {})
                at[None] = True
            else:
                self._clear.add((keys, names))
                self._values[names] = value

    def redacts(self, keys: Keys) -> bool:
        """Whether a fingerprint is at this place or above it, in any item of its lists."""
        at = self._redacted
        for part in _shape(keys):
            if part not in at:
                return False
            at = at[part]
            if None in at:
                return True
        return False

    def shows(self, keys: Keys, names: Names, value: object) -> bool:
        """Whether a rule that redacts this would have redacted what the text has in clear."""
        return (keys, names) in self._clear or self._values.get(names, _ABSENT) == value


def _shape(keys: Keys) -> Keys:
    return tuple(_ITEM if isinstance(part, int) else part for part in keys)


def _may_be_redacted(keys: Keys, *, annotations_only: bool) -> bool:
    """As `reconciler.capture.redactpaths` has it: names and labels are nobody's to redact."""
    return keys[:2] == _ANNOTATIONS or not (annotations_only or keys[0] in _KEPT)


def _leaves(value: Any, keys: Keys, names: Names) -> Iterator[tuple[Keys, Names, Any]]:
    """Scalars; null is none."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(part, (*keys, key), (*names, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            name = item.get("name") if isinstance(item, dict) else None
            shown = (name,) if name and isinstance(name, str) else index
            yield from _leaves(item, (*keys, index), (*names, shown))
    elif value is not None:
        yield keys, names, value
