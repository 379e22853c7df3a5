"""The project stands alone: no machine's path, no package registry's host name, no stub.

Where packages come from is the machine's own setting (pip's and apt's configuration, GOPROXY), so
that a mirror works without a change here.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from scripts.checks.files import project_files

# Written with [] so that this file does not find itself.
RULES = {
    "a path of one machine": re.compile(
        r"/w[o]rk/|/r[o]ot/|/h[o]me/[a-z]|/[U]sers/|/t[m]p/team|[.][.]/shared"
    ),
    "a registry's host name": re.compile(
        r"\b(?:p[y]pi|files\.python[h]osted|(?:deb|security|snapshot)\.deb[i]an"
        r"|registry\.npm[j]s|(?:proxy|sum)\.gol[a]ng|static\.cr[a]tes)\.(?:org|io|com)\b"
    ),
    "unfinished work": re.compile(r"\b(?:TO[D]O|FIX[M]E|X[X]X|NotImplemented[E]rror)\b"),
}


def problems(path: Path, text: str) -> Iterator[str]:
    """Yield a line of complaint for each match of a rule."""
    for number, line in enumerate(text.splitlines(), 1):
        for title, rule in RULES.items():
            if match := rule.search(line):
                yield f"{path}:{number}: {title}: {match.group()}"


def main() -> int:
    """Print all problems; return the exit code. Files that are no text are left out."""
    found: list[str] = []
    for path in project_files(":!*.sum", ":!LICENSE"):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += problems(path, text)
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
