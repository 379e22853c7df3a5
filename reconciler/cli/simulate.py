"""``backstay simulate``: when policies would run, from files or from Git, without a cluster."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from reconciler import policy
from reconciler.cli import policyinput, wiring
from reconciler.cli.validate import in_repository
from reconciler.model.config import DEFAULT_FILE
from reconciler.model.cronhash import uses_hash
from reconciler.model.durations import parse_duration
from reconciler.model.errors import InvalidInput, UsageError, one_line
from reconciler.model.finding import Place
from reconciler.model.policy import Kind, ParsedFiles
from reconciler.plan.simulation import Simulation, simulate
from reconciler.report import simulate as report

_MOST_DAYS = 3660


@click.command(name="simulate", short_help="Show when policies would run, and what piles up.")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, allow_dash=True))
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help=f"The installation's file; default {DEFAULT_FILE} where no PATHS are given.",
)
@click.option("--cluster", "cluster_name", help="The cluster's name, which `H` depends on.")
@click.option(
    "--days", type=click.IntRange(1, _MOST_DAYS), default=30, show_default=True, help="How long."
)
@click.option(
    "--from", "since", metavar="TIME", help="Begin, such as 2026-11-21T18:00:00Z or a date."
)
@click.option(
    "--within", default="15m", show_default=True, help="Starts that are as close collide."
)
@click.option(
    "-o", "--output", type=click.Choice(["text", "markdown", "json", "github"]), default="text",
    show_default=True, help="For people, for a comment, for programs, or as annotations of GitHub.",
)  # fmt: skip
def command(
    paths: tuple[str, ...], config_file: Path | None, cluster_name: str | None, days: int,
    since: str | None, within: str, output: str,
) -> int:  # fmt: skip
    """Show when the policies of PATHS would run, hour for hour as Kubernetes would start them.

    Each policy's runs on a time line, the longest time without one in a year (clock changes
    included) against its objectives.rpo, the load per repository and hour, and policies that start
    close to each other on one repository. Needs no cluster. PATHS are files or folders; without
    any, policies are read from the Git repository that Config names.

    Exit codes: 0 done, 1 the policies can't be read, 2 wrong usage, 4 they have problems (the good
    ones were shown).
    """
    begin = _moment(since) if since is not None else wiring.clock().now()
    try:
        seconds = parse_duration(within)
    except ValueError as error:
        raise UsageError(f"--within {within} {error}") from error
    policyinput.check_cluster(cluster_name or "")
    config = policyinput.load_config(config_file, paths, verb="simulate")
    read = policyinput.read_policies(paths, config)
    if paths and not read.files and not read.problems:
        raise UsageError(
            f"there is no *.yaml or *.yml file in {one_line(', '.join(paths))}",
            hint="name the folder with the policies",
        )
    parsed = policy.parse_files(read.files, config)
    problems = (*read.problems, *parsed.problems)
    name = cluster_name or (config.cluster.name if config is not None else "")
    _need_cluster(parsed, name)
    found = simulate(
        parsed.policies,
        cluster=name,
        since=begin,
        until=begin + timedelta(days=days),
        within=seconds,
    )
    _show(found, output, _places(parsed, in_files=bool(paths)))
    if problems:
        raise InvalidInput(problems)
    return 0


def _need_cluster(parsed: ParsedFiles, name: str) -> None:
    hashed = [one.name for one in parsed.policies if uses_hash(one.schedule.cron)]
    if hashed and not name:
        raise UsageError(
            f"the schedule of {hashed[0]} has `H`, which depends on the cluster",
            hint="give --cluster NAME, or --config",
        )


def _moment(text: str) -> datetime:
    """A date means its begin; without an offset, UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"--from {text} is no time", hint="such as 2026-11-21T18:00:00Z, or 2026-11-21"
        ) from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if not 1970 <= moment.year <= 2100:
        raise UsageError(f"--from {text} is not between 1970 and 2100")
    return moment.astimezone(UTC)


def _places(parsed: ParsedFiles, *, in_files: bool) -> dict[str, Place]:
    """Policy → its line; files of this disk are named from the root of the checkout."""
    named = in_repository if in_files else str
    return {
        one.name: Place(named(one.file), one.line)
        for one in parsed.documents
        if one.kind == Kind.BACKUP_POLICY and one.value is not None
    }


def _show(found: Simulation, output: str, places: Mapping[str, Place]) -> None:
    if output == "json":
        click.echo(json.dumps(report.to_json(found), indent=2))
    elif output == "markdown":
        click.echo(report.render_markdown(found), nl=False)
    elif output == "github":
        click.echo(report.render_github(found, places), nl=False)
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else report.WIDTH
        click.echo(report.render_text(found, width=width), nl=False)
