"""``backstay plan``: what the controller would do next, and what policies would protect now."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click

from reconciler.cli import wiring
from reconciler.cli.controller import Installation
from reconciler.engine.controller import Cycle, Setting, make_plan
from reconciler.engine.coverage import observe_coverage
from reconciler.model.errors import Bug, Refused
from reconciler.model.plan import Plan
from reconciler.report import plan as report


@click.command(name="plan", short_help="Show what the controller would change, and why.")
@click.option(
    "--detailed-exitcode",
    is_flag=True,
    help="Exit 0 for nothing to do, 2 for changes, 1 for errors.",
)
@wiring.config_option
@wiring.kubeconfig_option
@wiring.context_option
@wiring.output_option
def command(
    detailed_exitcode: bool, config_file: Path, kubeconfig: Path | None, context: str | None,
    output: str,
) -> int:  # fmt: skip
    """Show what the next cycle of the controller would change, and why; change nothing.

    Also shows, for each policy, the namespaces and claims that a run would protect now, with the
    method and its reason. Problems of the policies are listed with file, line and column.

    Exit codes: 0 the plan was made, 4 the policies have problems, 1 failed. With
    --detailed-exitcode: 0 nothing to do, 2 changes, 1 an error or a problem.
    """
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
