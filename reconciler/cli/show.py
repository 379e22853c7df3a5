"""``backstay show``: one run's record, one policy with all that it comes to."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click
import yaml

from reconciler.capture import message, record
from reconciler.cli import history, policyinput, wiring
from reconciler.engine.history import read_points, read_record
from reconciler.model.config import DEFAULT_FILE
from reconciler.model.errors import InvalidInput, UsageError
from reconciler.plan.recoverypoints import find_point
from reconciler.policy.effective import effective_policy
from reconciler.report import effective
from reconciler.report import history as report


class _ShowGroup(click.Group):
    """Tells who writes `backstay show <run id>` what is meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does; raises UsageError with the right command where there is none."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise UsageError(
                f"backstay show has no command {args[0]}",
                hint=f"a run's record: backstay show run {args[0]};"
                f" a policy: backstay show policy {args[0]}",
            )
        return super().resolve_command(ctx, args)


@click.group(name="show", cls=_ShowGroup, short_help="Show a run's record, or a whole policy.")
def command() -> None:
    """Show what was recorded, and what a policy comes to."""


@command.command(name="run")
@click.argument("run_id", metavar="ID")
@click.option("--policy", default=None, help="Whose run it is, where ID is a commit.")
@history.clone_option
@history.cluster_option
@wiring.config_option
@wiring.output_option
def show_run(
    run_id: str, policy: str | None, clone: Path | None, cluster: str | None, config_file: Path,
    output: str,
) -> None:  # fmt: skip
    """Show the record of the run ID: outcome, namespaces, volumes and their snapshots."""
    with history.open_history(clone, cluster, config_file) as found:
        whose = policy or _policy_of(run_id)
        point = find_point(read_points(found.store, found.branch(whose)), run_id, policy=whose)
        made = read_record(found.store, point.commit)
    if output == "json":
        document = yaml.load(record.render_record(made), yaml.CSafeLoader)
        click.echo(
            json.dumps(
                {"formatVersion": 1, "type": "run", "commit": point.commit, "record": document}
            )
        )
    else:
        click.echo(report.render_run(made, point.commit), nl=False)


def _policy_of(run_id: str) -> str:
    try:
        return message.parse_run_id(run_id)[0]
    except ValueError as error:
        raise UsageError(
            f"{run_id} is not a run's name",
            hint="a name looks like shop-20261121-041703-7c1e9; a commit needs --policy",
        ) from error


@command.command(name="policy")
@click.argument("name")
@click.argument("paths", nargs=-1, type=click.Path(exists=True))
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path), default=None,
    help=f"The installation's file; default {DEFAULT_FILE} where no PATHS are given.",
)  # fmt: skip
@click.option(
    "--cluster", default="", help="The cluster that H is worked out for; default Config's."
)
@click.option(
    "-o", "--output", type=click.Choice(["text", "json", "yaml"]), default="text",
    show_default=True, help="For people, one JSON document, or the policy written out in full.",
)  # fmt: skip
def show_policy(
    name: str, paths: tuple[str, ...], config_file: Path | None, cluster: str, output: str
) -> None:
    """Show the policy NAME with what its profile and the defaults add, and where each is from.

    Policies are read from PATHS, files or folders, or without any from the Git repository that
    Config names. No cluster is asked, unless Config keeps the repository's keys in a Secret.
    """
    config = policyinput.load_config(config_file, paths)
    read = policyinput.read_policies(paths, config)
    try:
        found = effective_policy(read.files, name, config, cluster=cluster)
    except InvalidInput as error:
        raise InvalidInput([*read.problems, *error.problems], hint=error.hint) from error
    found = replace(found, revision=read.revision)
    if output == "json":
        click.echo(json.dumps(effective.to_json(found), indent=2, ensure_ascii=False))
    elif output == "yaml":
        click.echo(effective.render_yaml(found), nl=False)
    else:
        click.echo(effective.render_text(found), nl=False)
