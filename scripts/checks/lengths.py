"""No file of code over 500 lines, no function over 70: what is longer does more than one thing."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from scripts.checks.files import project_files

FILE_LINES = 500
FUNCTION_LINES = 70
CODE = ("*.py", "*.go", "*.sh", "scripts/*", "Dockerfile")


def long_functions(path: Path, source: str) -> Iterator[str]:
    """Yield a line of complaint for each function in `source` that is too long."""
    for node in ast.walk(ast.parse(source, str(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            lines = node.end_lineno - node.lineno + 1
            if lines > FUNCTION_LINES:
                place = f"{path}:{node.lineno}: {node.name}"
                yield f"{place} has {lines} lines, {FUNCTION_LINES} allowed"


def problems(path: Path, source: str) -> Iterator[str]:
    """Yield a line of complaint for everything in the file that is too long."""
    lines = source.count("\n")
    if lines > FILE_LINES:
        yield f"{path}: {lines} lines, {FILE_LINES} allowed"
    if path.suffix == ".py":
        yield from long_functions(path, source)


def main() -> int:
    """Print all problems; return the exit code."""
    found = [line for path in project_files(*CODE) for line in problems(path, path.read_text())]
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
