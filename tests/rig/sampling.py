"""Samples of tests that try one thing at every place where it can happen, or on one more server.

``@pytest.mark.one_in(5)`` says that one in five of a file's tests marked so is enough with
``--sample``, which `scripts/test -m "not cluster"` gives: an answer soon. Without it, as in a whole
`scripts/test`, or when a file is named, every place is tried. The same ones are chosen each time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest


def sampled(items: list[pytest.Item]) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """What is tried, and what is left out."""
    chosen = list(choose((item.path, _one_in(item)) for item in items))
    return (
        [item for item, kept in zip(items, chosen, strict=True) if kept],
        [item for item, kept in zip(items, chosen, strict=True) if not kept],
    )


def choose(tests: Iterable[tuple[Path, int]]) -> Iterator[bool]:
    """Whether each is tried: of those with the same file and ``n`` the first of each ``n``."""
    seen: Counter[tuple[Path, int]] = Counter()
    for path, among in tests:
        yield seen[path, among] % among == 0
        seen[path, among] += 1


def _one_in(item: pytest.Item) -> int:
    marker = item.get_closest_marker("one_in")
    return 1 if marker is None else int(marker.args[0])
