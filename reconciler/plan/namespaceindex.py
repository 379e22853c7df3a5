"""Namespaces that can be asked for those a selector may mean, without looking at every one.

A thousand policies over five thousand namespaces would be five million comparisons of globs. Most
selectors begin with letters that few namespaces begin with, or want a label that few have.
"""

from __future__ import annotations

import fnmatch
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from reconciler.model.cluster import Namespace
from reconciler.model.policy import NamespaceSelector

WILD = frozenset("*?[")
"""Characters that make a name a glob."""


class NamespaceIndex:
    """All namespaces of a cluster, by name and by label."""

    def __init__(self, namespaces: Iterable[Namespace]) -> None:
        self._by_name = {found.name: found for found in namespaces}
        self._names = sorted(self._by_name)
        self._labelled: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for name in self._names:
            for pair in self._by_name[name].labels.items():
                self._labelled[pair].append(name)

    def candidates(self, selector: NamespaceSelector) -> list[Namespace]:
        """By name: all that a selector selects or passes over, and maybe some others."""
        names: Sequence[str] = self._names
        if selector.match_labels:
            having = (self._labelled.get(pair, []) for pair in selector.match_labels.items())
            names = min(having, key=len)
        elif selector.names:
            names = sorted({name for glob in selector.names for name in self._matching(glob)})
        return [self._by_name[name] for name in names]

    def _matching(self, glob: str) -> Iterator[str]:
        fixed = next((n for n, letter in enumerate(glob) if letter in WILD), len(glob))
        if fixed == len(glob):
            if glob in self._by_name:
                yield glob
            return
        begin = glob[:fixed]
        for number in range(bisect_left(self._names, begin), len(self._names)):
            name = self._names[number]
            if not name.startswith(begin):
                return
            if fnmatch.fnmatchcase(name, glob):
                yield name
