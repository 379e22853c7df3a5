"""Folders of a tree with more files than forges show well.

GitHub recommends at most 3,000 entries in a folder; its pages show the first 1,000. Git itself and
Backstay take any number: docs/manifest-store.md says why folders are not split.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

MOST_FILES = 3_000


def crowded(paths: Collection[str]) -> Iterator[tuple[str, int]]:
    """Each folder with more files than that and their number, sorted."""
    if len(paths) > MOST_FILES:
        counted = Counter(path.rpartition("/")[0] for path in paths)
        for folder in sorted(folder for folder, files in counted.items() if files > MOST_FILES):
            yield folder, counted[folder]


def warnings(paths: Collection[str]) -> Iterator[str]:
    """One for each, for a run's record."""
    for folder, files in crowded(paths):
        yield (
            f"{folder}: {files} files in one folder, more than the {MOST_FILES} that forges show"
            " well; leave out what no person wrote (selector.objects)"
        )
