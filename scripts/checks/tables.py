"""Writes the tables in docs/ that say what the code does, each between two comments of its page.

``python -m scripts.checks.tables`` writes them, with ``--check`` it only compares.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from reconciler.capture import quiet, redactrules, references, rules
from tests.cluster.unequal import UNEQUAL

DOCS = Path(__file__).resolve().parents[2] / "docs"
Row = tuple[str, ...]


def cleaned() -> Iterator[Row]:
    """What is taken away from an object, and what is kept of it elsewhere."""
    return ((line.kind, line.field, line.action, line.why) for line in rules.TABLE)


def left_out() -> Iterator[Row]:
    """Kinds that are not captured."""
    for folder, why in sorted(quiet.KINDS.items()):
        yield f"`{folder}`", why
    for group, why in sorted(quiet.LIVE_GROUPS.items()):
        yield f"everything in `{group}`", why


def unequal() -> Iterator[Row]:
    """What does not come back as it was captured."""
    return ((one.what, one.why) for one in UNEQUAL.values())


def referenced() -> Iterator[Row]:
    """Cluster-scoped kinds that come with a namespace."""
    return ((f"`{folder}`", when) for folder, when in references.TABLE)


def redacted() -> Iterator[Row]:
    """What is taken for a credential outside Secrets."""
    lines = redactrules.TABLE
    return ((f"`{line.rule}`", line.kinds, line.places, line.takes) for line in lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table: between ``<!-- <marker> -->`` and ``<!-- end -->``."""

    page: str
    marker: str
    head: Row
    rows: Callable[[], Iterable[Row]]

    def render(self) -> str:
        """As Markdown, without the comments."""
        lines = [self.head, *self.rows()]
        texts = [f"| {' | '.join(line)} |" for line in lines]
        return "\n".join([texts[0], f"|{'---|' * len(self.head)}", *texts[1:]])


TABLES = (
    Table(
        page="format.md",
        marker="cleaned fields",
        head=("kind", "field", "what is done", "why"),
        rows=cleaned,
    ),
    Table(page="format.md", marker="unequal", head=("what", "why, and what to do"), rows=unequal),
    Table(page="format.md", marker="left out", head=("kind", "why"), rows=left_out),
    Table(
        page="captured.md", marker="referenced kinds", head=("kind", "comes if"), rows=referenced
    ),
    Table(
        page="redaction.md",
        marker="rules",
        head=("rule", "kinds", "places", "what is taken for a credential"),
        rows=redacted,
    ),
)


def filled(page: str, text: str) -> str:
    """The page's text with its tables as the code has them; ValueError where one has no place."""
    for table in TABLES:
        if table.page == page:
            head, begin, rest = text.partition(f"<!-- {table.marker} -->\n")
            _, end, tail = rest.partition("\n<!-- end -->")
            if not end:
                raise ValueError(f"docs/{page} has no <!-- {table.marker} -->")
            text = f"{head}{begin}{table.render()}{end}{tail}"
    return text


def main() -> int:
    """Writes or compares; returns the exit code."""
    stale = False
    for page in sorted({table.page for table in TABLES}):
        path = DOCS / page
        text = path.read_text()
        if (made := filled(page, text)) != text:
            stale = True
            if "--check" not in sys.argv[1:]:
                path.write_text(made)
    return 1 if stale and "--check" in sys.argv[1:] else 0


if __name__ == "__main__":
    sys.exit(main())
