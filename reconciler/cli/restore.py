"""``backstay restore``: the plan, a question, the deed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from reconciler import ports
from reconciler.adapters.agekeys import AgeOpener
from reconciler.adapters.movers import JobMover
from reconciler.cli import holders, options, wiring
from reconciler.engine.restore import Restore, RestorePorts, RestoreRequest, RestoreResult
from reconciler.model.errors import Interrupted, PartialFailure, Refused, UsageError
from reconciler.model.restore import RestoreAction, RestorePlan
from reconciler.model.run import Outcome
from reconciler.plan.mappingnames import parse_mapping
from reconciler.plan.moverjob import MoverSettings
from reconciler.report import restore as report
from reconciler.report.amounts import render_count

_HOURS = 12


@click.command(name="restore", short_help="Bring back objects and volumes.")
@click.argument("policy")
@click.option(
    "--at", default="latest", show_default=True,
    help="latest; a time (2026-11-21T02:00:00Z): the newest run of which all was copied by then;"
    " a date (its end, UTC); a run; or a commit (7 digits or more).",
)  # fmt: skip
@click.option(
    "--namespace", "only", multiple=True, metavar="NAME",
    help="Restore this captured namespace and what it needs, not all. May be repeated.",
)  # fmt: skip
@click.option(
    "--map-namespace", "mapped", multiple=True, metavar="FROM=TO",
    help="Restore namespace FROM as TO, beside the original. May be repeated.",
)  # fmt: skip
@click.option("--allow-partial", is_flag=True, help="Take a recovery point with missing parts.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--plan", "plan_only", is_flag=True, help="Print the plan and stop.")
@options.former_option
@options.config_option
@options.kubeconfig_option
@options.context_option
@options.output_option
def command(
    policy: str, at: str, only: tuple[str, ...], mapped: tuple[str, ...], allow_partial: bool,
    yes: bool, plan_only: bool, cluster: str | None, config_file: Path, kubeconfig: Path | None,
    context: str | None, output: str,
) -> int:  # fmt: skip
    """Restore what POLICY protects to the state of a recovery point.

    What exists is never changed: objects and claims that are there are kept as they are. Claims
    come back with their data before any workload starts. Doing it twice changes nothing.

    With --map-namespace copies are made beside the originals; docs/mapping.md says what follows
    the new name and what the plan only warns of.

    Exit codes: 0 done, or planned and nothing is in its way; 1 failed, or --plan names what blocks
    it; 2 wrong usage; 3 a part did not come back.
    """
    names = parse_mapping(mapped)
    config = wiring.under_former_name(wiring.load_config(config_file), cluster)
    client = wiring.cluster(kubeconfig, context)
    resolve = wiring.resolver(client)
    clock, reporter = wiring.clock(), wiring.reporter(output)
    with wiring.manifest_store(config, resolve, restores=True) as store:
        world = RestorePorts(
            reader=client,
            writer=client,
            store=store,
            mover=JobMover(client, client, MoverSettings.of(config)),
            keyring=wiring.keyring(config, resolve),
            reporter=reporter,
            clock=clock,
            vouch=store.vouch,
            opener=AgeOpener(os.environ),
        )
        request = RestoreRequest(
            config=config,
            policy=policy,
            at=at,
            allow_partial=allow_partial,
            map_namespaces=names,
            only_namespaces=only,
            deadline=clock.now() + timedelta(hours=_HOURS),
            namespace=wiring.own_namespace(),
            holder=holders.this_process(),
            is_dead=holders.is_dead,
        )
        restore = Restore(request, world)
        if not plan_only:
            restore.check_alone()
        plan = restore.plan()
        show_plan(plan, output, reporter, plan_only=plan_only)
        if plan_only:
            return plan_code(plan)
        result = None
        if not plan.empty:
            ask(yes=yes, output=output)
            result = execute(restore, plan, only=only)
    tell(plan, result, output)
    return PartialFailure.exit_code if plan.lacking else 0


def show_plan(plan: RestorePlan, output: str, reporter: ports.Reporter, *, plan_only: bool) -> None:
    """Stdout gets one JSON document: the plan alone, or with its result, when that is known."""
    if output != "json":
        click.echo(report.render_plan(plan), nl=False)
    elif plan_only:
        click.echo(json.dumps(report.plan_document(plan)))
    else:
        reporter.event(
            "restore planned",
            run=plan.run_id,
            create=plan.count(RestoreAction.CREATE),
            keep=plan.count(RestoreAction.KEEP),
            skip=plan.count(RestoreAction.SKIP),
            fill=len([fill for fill in plan.fills if fill.action is RestoreAction.CREATE]),
        )


def plan_code(plan: RestorePlan) -> int:
    """Of ``--plan``: what the restore itself would end with as long as something blocks it."""
    return Refused.exit_code if plan.blocked else 0


def ask(*, yes: bool, output: str) -> None:
    """Raises UsageError where nobody can answer, Interrupted where somebody says no."""
    if yes:
        return
    if output == "json":
        raise UsageError(
            "with -o json nobody is asked",
            hint="look at the plan first: --plan; add --yes once it is what you want",
        )
    if not sys.stdin.isatty():
        raise UsageError("nobody can answer here", hint="add --yes once the plan is what you want")
    if not click.confirm("Proceed?", err=True):
        raise Interrupted("not restored")


def execute(restore: Restore, plan: RestorePlan, *, only: Sequence[str] = ()) -> RestoreResult:
    """Does it. An interrupt (Ctrl-C) becomes Interrupted that says what goes on without us."""
    try:
        return restore.execute(plan)
    except KeyboardInterrupt:
        filling = [fill for fill in plan.fills if fill.action is RestoreAction.CREATE]
        where = ", ".join(sorted({fill.namespace for fill in filling}))
        movers = f"; movers may still be at work in {where}, with their keys" if where else ""
        options = "" if plan.outcome == Outcome.COMPLETED else " --allow-partial"
        for name in only:
            options += f" --namespace {name}"
        for source, target in sorted(plan.mapping.items()):
            options += f" --map-namespace {source}={target}"
        raise Interrupted(
            f"interrupted; what was created stays{movers}",
            hint="this goes on from there, and cleans up behind the movers:"
            f" backstay restore {plan.policy} --at {plan.run_id}{options}",
        ) from None


def restore_document(plan: RestorePlan, result: RestoreResult | None) -> dict[str, Any]:
    """A plan and what came of it; ``result`` is null where there was nothing to do."""
    return {
        "formatVersion": 1,
        "type": "restore",
        "plan": report.plan_document(plan),
        "result": {
            "created": result.created,
            "kept": result.kept,
            "skipped": result.skipped,
            "filled": result.filled,
            "differing": list(result.differing),
        }
        if result
        else None,
    }


def tell(plan: RestorePlan, result: RestoreResult | None, output: str) -> None:
    """What came of it; one document, or text."""
    if output == "json":
        click.echo(json.dumps(restore_document(plan, result)))
        return
    if result is None:
        click.echo("Nothing to do.")
    else:
        click.echo(
            f"Restored: {render_count(result.created, 'object')} created,"
            f" {render_count(result.filled, 'volume')} filled,"
            f" {result.kept} kept, {result.skipped} skipped."
        )
        for name in result.differing:
            click.echo(f"  {name} is there, and a controller changed it meanwhile")
    for fill in plan.fills:
        if fill.action is RestoreAction.SKIP:
            click.echo(f"  {fill.namespace}/{fill.claim} did not come back: {fill.why}")
