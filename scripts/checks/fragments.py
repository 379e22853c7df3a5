"""Change fragments are well-formed: a known kind, a sane name, one paragraph of sentences."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from scripts.checks.files import project_files

LONGEST = 600
NAME = re.compile(r"(?P<what>[a-z0-9]+(?:-[a-z0-9]+)*)\.(?P<kind>[a-z]+)\.md")
NOT_FRAGMENTS = {"README.md", "_template.md"}


def kinds() -> set[str]:
    """Return the kinds of change that pyproject.toml declares."""
    config = tomllib.loads(Path("pyproject.toml").read_text())
    return {kind["directory"] for kind in config["tool"]["towncrier"]["type"]}


def problems(path: Path, text: str, known: set[str]) -> Iterator[str]:
    """Yield a line of complaint for everything that is wrong with one fragment."""
    match = NAME.fullmatch(path.name)
    if match is None:
        yield f"{path}: name it <what>.<kind>.md, lower case with dashes"
    elif match["kind"] not in known:
        yield f"{path}: kind {match['kind']} is not one of {', '.join(sorted(known))}"
    body = text.strip()
    if not body:
        yield f"{path}: empty"
    elif "\n\n" in body or len(body) > LONGEST:
        yield f"{path}: one paragraph of at most {LONGEST} characters"
    elif body.startswith(("#", "-", "*")):
        yield f"{path}: plain sentences; headings and bullets are added when the changelog is made"
    elif not body.endswith((".", "`")):
        yield f"{path}: end with a full stop"


def main() -> int:
    """Print all problems; return the exit code."""
    known = kinds()
    found = [
        line
        for path in project_files("changelog.d/*")
        if path.name not in NOT_FRAGMENTS
        for line in problems(path, path.read_text(), known)
    ]
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
