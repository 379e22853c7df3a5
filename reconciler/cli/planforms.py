"""The forms of a plan, between two revisions or against a cluster: one place chooses among them."""

from __future__ import annotations

import json
from collections.abc import Callable

import click


def show(
    output: str,
    document: Callable[[], object],
    *,
    text: Callable[[], str],
    markdown: Callable[[], str],
    github: Callable[[], str],
) -> None:
    """Prints what ``-o`` asks for; only that form is made."""
    if output == "json":
        click.echo(json.dumps(document(), indent=2))
        return
    click.echo({"text": text, "markdown": markdown, "github": github}[output](), nl=False)
