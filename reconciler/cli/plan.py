"""``backstay plan``: what the controller, or a change of the policies, would do, and why."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource

from reconciler.cli import inventoryinput, options, planchange, planlive, wiring
from reconciler.cli.installation import Installation
from reconciler.model.errors import UsageError
from reconciler.model.plan import Plan


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
@inventoryinput.inventory_option
@click.option("--cluster", help="The cluster of the inventory to plan for, if it holds several.")
@click.option(
    "--fail-on",
    multiple=True,
    metavar="ID,…",
    help="Exit 1 for a finding of these ids or severities, such as coverage-lost or error.",
)
@click.option(
    "--detailed-exitcode",
    is_flag=True,
    help="Exit 0 for nothing to do, 2 for changes, 1 for errors.",
)
@options.config_option
@options.kubeconfig_option
@options.context_option
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "markdown", "json", "github"]),
    default="text",
    show_default=True,
    help="For people, for a pull request's comment, for programs, or as annotations of GitHub.",
)
@click.pass_context
def command(
    ctx: click.Context, base: str | None, head: str | None, merge_base: bool, repository: Path,
    folder: str, inventory_from: str | None, cluster: str | None, fail_on: tuple[str, ...],
    detailed_exitcode: bool, config_file: Path, kubeconfig: Path | None, context: str | None,
    output: str,
) -> int:  # fmt: skip
    """Show what the next cycle of the controller would change, and why; change nothing.

    What must not be missed comes first, the same as with --base. Then, for each policy, the
    namespaces and claims that a run would protect now, with the method and its reason. Problems of
    the policies are listed with file, line and column.

    With --base it needs no cluster: it shows what a change of the policies in a Git repository
    will do to the backups. A Config is then read only where --config names it. Nothing of the
    repository is executed or checked out.

    Exit codes: 0 the plan was made, 4 the policies have problems, 1 failed, or a finding that
    --fail-on names. With --detailed-exitcode: 0 nothing to do, 2 changes, 1 an error, a problem
    or such a finding.
    """
    unwanted = planchange.parse_fail_on(fail_on, live=base is None)
    if base is not None:
        named = ctx.get_parameter_source("config_file") is ParameterSource.COMMANDLINE
        config = wiring.load_config(config_file) if named else None
        inventory = planchange.find_inventory(inventory_from, cluster, config)
        planchange.check_fail_on(unwanted, live=False, inventory=inventory is not None)
        asked = planchange.Asked(
            base=base,
            head=head or "",
            repository=repository,
            path=folder,
            merge_base=merge_base,
            config=config,
            inventory=inventory,
        )
        change = planchange.make_plan(asked)
        planchange.show(change, output)
        return planchange.exit_code(change, unwanted, detailed=detailed_exitcode)
    if head or merge_base or folder or inventory_from or cluster:
        raise UsageError("there is no --base to compare with", hint="such as --base origin/main")
    planchange.check_fail_on(unwanted, live=True, inventory=False)
    with (
        wiring.without_a_cluster("--base REV, to plan a change of the files"),
        Installation(config_file, kubeconfig, context) as home,
    ):
        setting = home.setting(reporter=wiring.reporter())
        led = planlive.make_plan(setting, must_see=bool(unwanted & planlive.NEED_TO_SEE))
    planlive.show(led, output)
    failed = planlive.is_unwanted(led, unwanted)
    return exit_code(led.plan, failed=failed, detailed=detailed_exitcode)


def exit_code(plan: Plan, *, detailed: bool, failed: bool = False) -> int:
    """The two families: ours, and the one that CI users know from Terraform."""
    if plan.problems:
        return 1 if detailed else 4
    if failed:
        return 1
    return 2 if detailed and not plan.empty else 0
