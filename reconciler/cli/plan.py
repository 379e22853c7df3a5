"""``backstay plan``: what the controller, or a change of the policies, would do, and why."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click
from click.core import ParameterSource

from reconciler.cli import wiring
from reconciler.cli.controller import Installation
from reconciler.engine.controller import Cycle, Setting, make_plan
from reconciler.engine.coverage import observe_coverage
from reconciler.model.errors import Bug, Refused, UsageError
from reconciler.model.plan import Plan
from reconciler.report import plan as report


@click.command(name="plan", short_help="Show what the controller, or a change, would do, and why.")
@click.option(
    "--base",
    metavar="REV",
    help="Plan the change from this Git revision, such as origin/main, without a cluster.",
)
@click.option(
    "--head", metavar="REV", help="The revision to plan; without it the files of the work tree."
)
@click.option("--merge-base", is_flag=True, help="Begin where the head left the base's branch.")
@click.option(
    "--repository",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path(),
    help="The clone with both revisions; default the one around this folder.",
)
@click.option(
    "--path",
    "folder",
    default="",
    help="The folder with the policies; default Config's, or all of the repository.",
)
@click.option(
    "--detailed-exitcode",
    is_flag=True,
    help="Exit 0 for nothing to do, 2 for changes, 1 for errors.",
)
@wiring.config_option
@wiring.kubeconfig_option
@wiring.context_option
@wiring.output_option
@click.pass_context
def command(
    ctx: click.Context, base: str | None, head: str | None, merge_base: bool, repository: Path,
    folder: str, detailed_exitcode: bool, config_file: Path, kubeconfig: Path | None,
    context: str | None, output: str,
) -> int:  # fmt: skip
    """Show what the next cycle of the controller would change, and why; change nothing.

    Also shows, for each policy, the namespaces and claims that a run would protect now, with the
    method and its reason. Problems of the policies are listed with file, line and column.

    With --base it needs no cluster: it shows what a change of the policies in a Git repository
    will do, findings first. A Config is then read only where --config names it. Nothing of the
    repository is executed or checked out.

    Exit codes: 0 the plan was made, 4 the policies have problems, 1 failed. With
    --detailed-exitcode: 0 nothing to do, 2 changes, 1 an error or a problem.
    """
    if base is not None:
        from reconciler.cli import planchange

        named = ctx.get_parameter_source("config_file") is ParameterSource.COMMANDLINE
        asked = planchange.Asked(
            base=base,
            head=head or "",
            repository=repository,
            path=folder,
            merge_base=merge_base,
            config=wiring.load_config(config_file) if named else None,
        )
        change = planchange.make_plan(asked)
        planchange.show(change, output)
        return planchange.exit_code(change, (), detailed=detailed_exitcode)
    if head or merge_base or folder:
        raise UsageError("there is no --base to compare with", hint="such as --base origin/main")
    with Installation(config_file, kubeconfig, context) as home:
        setting = home.setting(reporter=wiring.reporter())
        plan = with_coverage(make_plan(setting), setting)
    if output == "json":
        click.echo(json.dumps(report.to_json(plan), indent=2))
    else:
        click.echo(report.render_text(plan), nl=False)
    return exit_code(plan, detailed=detailed_exitcode)


def with_coverage(cycle: Cycle, setting: Setting) -> Plan:
    """The cycle's plan and what policies protect; a note where the account may not look."""
    plan = cycle.plan
    if plan is None:
        raise Bug("the steps of a plan made none")
    try:
        coverage = observe_coverage(
            setting.reader,
            cycle.policies,
            setting.config,
            own_namespace=setting.place.namespace,
        )
    except Refused as error:
        note = f"what policies protect is not shown: {error.message}"
        return replace(plan, notes=(*plan.notes, note))
    return replace(plan, coverage=coverage)


def exit_code(plan: Plan, *, detailed: bool) -> int:
    """The two families: ours, and the one that CI users know from Terraform."""
    if plan.problems:
        return 1 if detailed else 4
    return 2 if detailed and not plan.empty else 0
