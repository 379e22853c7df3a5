"""Long output of the verbs that read the past: in a pager on a terminal, as git does it.

With ``PAGER`` and ``LESS`` as everybody has them; ``NO_PAGER``, or ``PAGER=cat``, leaves the pager
out. Elsewhere nothing is paged and nothing has colours; ``NO_COLOR`` says so for terminals too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice

import click

_COLOURS = {"added": "green", "removed": "red", "changed": "yellow"}


def show(chunks: Iterable[str]) -> None:
    """Prints what comes, as it comes; in a pager where it does not fit on the terminal."""
    if not wants_pager(sys.stdout.isatty(), os.environ):
        for chunk in chunks:
            click.echo(chunk, nl=False)
        return
    first, rest = split_page(chunks, os.get_terminal_size().lines)
    if rest is None:
        click.echo("".join(first), nl=False)
        return
    # As git sets it: colours, leave what fits, and what was read stays on the screen.
    os.environ.setdefault("LESS", "FRX")
    click.echo_via_pager(chain(first, rest), color=True)


def wants_pager(terminal: bool, environment: Mapping[str, str]) -> bool:
    """Whether a pager is wanted at all."""
    asked = environment.get("PAGER", "less")
    return terminal and "NO_PAGER" not in environment and asked not in ("", "cat")


def split_page(chunks: Iterable[str], lines: int) -> tuple[list[str], Iterator[str] | None]:
    """What fits on a page, and the rest; None where all of it fits."""
    found: list[str] = []
    waiting = iter(chunks)
    for chunk in waiting:
        found.append(chunk)
        if sum(part.count("\n") for part in found) >= lines or len(found) >= lines:
            return found, islice(waiting, None)
    return found, None


def painter() -> Callable[[str, str], str]:
    """Puts colours on a terminal's texts, and nowhere else."""
    coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    return _paint if coloured else _plain


def _paint(what: str, text: str) -> str:
    return click.style(text, fg=_COLOURS.get(what), dim=what == "dim")


def _plain(what: str, text: str) -> str:
    del what
    return text
