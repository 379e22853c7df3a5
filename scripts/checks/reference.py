"""Writes docs/cli.md: every command's help and the exit codes, from the code itself.

``python -m scripts.checks.reference`` writes it, with ``--check`` it only compares.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from reconciler.cli.main import VERBS, cli
from reconciler.model import errors

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cli.md"
HEAD = """# Commands and exit codes

Generated from the program by `python -m scripts.checks.reference`; `scripts/lint` fails when it is
out of date.

Data goes to stdout, everything else to stderr. With `-o json` a command prints one JSON document
with `formatVersion` on stdout when it ends, and stderr is a stream of JSON lines: one object each,
with `event`, `level` and `time` (what goes on) or `"type": "error"` (why it failed). Without, both
are text. `backstay run` follows the log of the run's pods: as text it is on stdout, as JSON lines
on stderr. What runs in pods (`controller`, `mover`, `run --compiled`) logs JSON lines always.

"""


def exit_codes() -> Iterator[str]:
    """The table, by code and then by class."""
    yield "| code | error | what it means |"
    yield "|---|---|---|"
    yield "| 0 | | done, or rightly skipped |"
    classes = [
        found
        for _, found in inspect.getmembers(errors, inspect.isclass)
        if issubclass(found, errors.BackstayError) and found is not errors.BackstayError
    ]
    for found in sorted(classes, key=lambda item: (item.exit_code, item.__name__)):
        first = (inspect.getdoc(found) or "").splitlines()[0]
        yield f"| {found.exit_code} | {found.reason} | {first} |"


def commands() -> Iterator[str]:
    """Help of every verb and of what lies below it."""
    context = click.Context(cli, info_name="backstay", max_content_width=100)
    for verb in sorted(VERBS):
        command = cli.get_command(context, verb)
        if command is not None:
            yield from _help(command, context, verb)


def _help(command: click.Command, parent: click.Context, name: str) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=parent, max_content_width=100)
    yield f"## {context.command_path}\n\n```\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            if found is not None:
                yield from _help(found, context, below)


def render() -> str:
    """The whole page."""
    table = "\n".join(exit_codes())
    return f"{HEAD}## Exit codes\n\n{table}\n\n" + "\n".join(commands())


def main() -> int:
    """Writes or compares; returns the exit code."""
    text = render()
    if "--check" in sys.argv[1:]:
        return 0 if PAGE.exists() and PAGE.read_text() == text else 1
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
