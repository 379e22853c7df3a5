"""``backstay log``: recovery points of a policy, newest first."""

from __future__ import annotations

import json
from pathlib import Path

import click

from reconciler.cli import history, wiring
from reconciler.engine.history import doubt_newest, read_points
from reconciler.report import history as report


@click.command(name="log", short_help="List a policy's recovery points.")
@click.argument("policy")
@click.option(
    "-n", "--number", type=click.IntRange(min=0), default=0, help="At most so many; 0 is all."
)
@history.clone_option
@history.cluster_option
@wiring.config_option
@wiring.output_option
def command(
    policy: str, number: int, clone: Path | None, cluster: str | None, config_file: Path,
    output: str,
) -> None:  # fmt: skip
    """List the recovery points of POLICY, newest first.

    With --clone it reads a clone of the manifest repository, and needs nothing else.
    """
    with history.open_history(clone, cluster, config_file) as found:
        points = read_points(found.store, found.branch(policy))
        doubt = doubt_newest(found.store, found.branch(policy))
    if doubt:
        wiring.reporter(output).warning("the newest commit is no run's", why=doubt)
    points = points[:number] if number else points
    if output == "json":
        click.echo(json.dumps(report.log_document(policy, points)))
    else:
        click.echo(report.render_log(points), nl=False)
