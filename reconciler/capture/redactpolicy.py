"""What a policy adds to the default rules and takes from them: ``manifests.redact``.

Its own rules redact whatever stands at their paths, or below them. What ``keep`` names stays in
clear though a default rule finds it: exactly that field, never what a rule of the policy's own
redacts, never a Secret's values, and never a text that is formed like a fingerprint. What is
Backstay's to read (names, labels, claims, Namespaces, definitions) is nobody's to redact.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.capture import redactpaths, redactrules
from reconciler.model import fieldpaths
from reconciler.model.objects import Resource
from reconciler.model.redaction import ANNOTATIONS_ONLY, KeepRule, Redact, RedactRule

PREFIX = "policy/"
"""Before the name of a policy's own rule, in a record."""
FIELD = "manifests.redact"
_TOLD = 20


@dataclass(frozen=True, slots=True)
class _Entry:
    """One path of one rule."""

    rule: int
    path: fieldpaths.Path


@dataclass(frozen=True, slots=True)
class _Kind:
    """What is asked of one kind's objects."""

    own: redactpaths.Machine | None
    keep: redactpaths.Machine | None


class PolicyRules(redactrules.Rules):
    """For one run: it also remembers which rules found something.

    Without ``may_keep`` nothing is kept in clear, whatever the policy says; ``only_namespaced``
    nothing of what has no namespace, which a policy takes along though it is another's.
    """

    def __init__(
        self, given: Redact, *, may_keep: bool = True, only_namespaced: bool = False
    ) -> None:
        self._own = _entries(given.rules)
        self._keep = _entries(given.keep) if may_keep else ()
        self._rules: tuple[RedactRule, ...] = given.rules
        self._kept: tuple[KeepRule, ...] = given.keep
        self._kinds: dict[Resource, _Kind] = {}
        self._saved: set[int] = set()
        """Entries of ``keep`` that kept something."""
        self._only_namespaced = only_namespaced
        self._beyond: set[int] = set()
        """Entries of ``keep`` that would have kept something that has no namespace."""

    def find(self, found: Mapping[str, Any], resource: Resource) -> redactrules.Hits:
        """As `Rules.find`, with the policy's own rules under their names."""
        hits = super().find(found, resource)
        kind = self._kinds.get(resource)
        if kind is None:
            kind = self._kinds[resource] = self._of_kind(resource)
        if hits and kind.keep is not None:
            hits = self._without_kept(found, hits, kind.keep, resource)
        if kind.own is not None:
            only = resource.folder in ANNOTATIONS_ONLY
            for keys, number in kind.own.find(found, annotations_only=only).items():
                hits[keys] = f"{PREFIX}{self._rules[self._own[number].rule].name}"
        return hits

    def unmatched(self) -> Iterator[str]:
        """What did not do what it says so far, for people: each path, the first twenty."""
        hit = {number for kind in self._kinds.values() if kind.own for number in kind.own.hit}
        told = [
            *_unmatched("rules", self._rules, self._own, hit),
            *self._not_kept(),
            *_unmatched("keep", self._kept, self._keep, self._saved | self._beyond),
        ]
        yield from told[:_TOLD]
        if (more := len(told) - _TOLD) > 0:
            yield f"{FIELD}: {more} more paths match or keep nothing"

    def _not_kept(self) -> Iterator[str]:
        for number in sorted(self._beyond):
            one = self._keep[number]
            yield (
                f"{FIELD}.keep: {self._kept[one.rule].name}: {fieldpaths.render(one.path)} keeps"
                " nothing of what has no namespace: the grant of its file would have to give"
                ' namespaces ["*"]'
            )

    def _of_kind(self, resource: Resource) -> _Kind:
        own = _matching(self._rules, self._own, resource)
        keep = _matching(self._kept, self._keep, resource)
        return _Kind(
            redactpaths.Machine(own) if own else None,
            redactpaths.Machine(keep) if keep else None,
        )

    def _without_kept(
        self,
        found: Mapping[str, Any],
        hits: redactrules.Hits,
        machine: redactpaths.Machine,
        resource: Resource,
    ) -> redactrules.Hits:
        may_keep = resource.namespaced or not self._only_namespaced
        asked: dict[int, bool] = {}
        left: redactrules.Hits = {}
        name = str(found["metadata"].get("name", ""))
        for keys, rule in hits.items():
            saving = [
                number
                for number in machine.ends_at(found, keys)
                if self._is_named(self._keep[number].rule, name, asked)
            ]
            (self._saved if may_keep else self._beyond).update(saving)
            if not (saving and may_keep):
                left[keys] = rule
        return left

    def _is_named(self, rule: int, name: str, asked: dict[int, bool]) -> bool:
        if rule not in asked:
            globs = self._kept[rule].names
            asked[rule] = not globs or any(fnmatch.fnmatchcase(name, glob) for glob in globs)
        return asked[rule]


def _entries(rules: Sequence[RedactRule | KeepRule]) -> tuple[_Entry, ...]:
    return tuple(
        _Entry(number, fieldpaths.parse(path))
        for number, rule in enumerate(rules)
        for path in rule.paths
    )


def _matching(
    rules: Sequence[RedactRule | KeepRule], entries: Sequence[_Entry], resource: Resource
) -> dict[int, fieldpaths.Path]:
    """Paths by number, of the rules that are for a kind."""
    chosen = {
        number
        for number, rule in enumerate(rules)
        if any(fnmatch.fnmatchcase(name, glob) for glob in rule.kinds for name in resource.names)
    }
    return {number: one.path for number, one in enumerate(entries) if one.rule in chosen}


def _unmatched(
    field: str,
    rules: Sequence[RedactRule | KeepRule],
    entries: Sequence[_Entry],
    hit: set[int],
) -> Iterator[str]:
    does = (
        "keeps nothing: no default rule finds a credential there"
        if field == "keep"
        else ("matches nothing")
    )
    for number, one in enumerate(entries):
        if number not in hit:
            name = rules[one.rule].name
            yield f"{FIELD}.{field}: {name}: {fieldpaths.render(one.path)} {does}"
