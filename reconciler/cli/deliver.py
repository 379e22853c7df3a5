"""``backstay deliver``: puts runs on their branches whose manifest store was out of reach."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import click

from reconciler.capture.record import render_time
from reconciler.cli import options, wiring
from reconciler.engine.clusterbranch import open_cluster_branch
from reconciler.engine.delivering import Deliverer, Delivery
from reconciler.engine.patience import Patience
from reconciler.engine.waiting import PolicyBundles, Unasked, find_bundles
from reconciler.model.errors import UsageError

_PATIENCE = timedelta(minutes=2)


@click.command(name="deliver", short_help="Push the runs that wait as bundles.")
@click.argument("policy", required=False, default="")
@click.option("--plan", "only_plan", is_flag=True, help="Show what waits, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.config_option
@options.kubeconfig_option
@options.context_option
@options.output_option
def command(
    policy: str, only_plan: bool, yes: bool, config_file: Path, kubeconfig: Path | None,
    context: str | None, output: str,
) -> int:  # fmt: skip
    """Deliver the runs of POLICY, or of all policies, that wait as bundles in restic.

    A run that can't push until its deadline keeps its commit there, and the next run of its policy
    delivers it. This does it by hand: in order, below what is newer, one push for each policy.
    """
    config = wiring.load_config(config_file)
    client = wiring.cluster(kubeconfig, context)
    resolve, clock, name = wiring.resolver(client), wiring.clock(), config.cluster.name
    identity = client.identity()
    with wiring.manifest_store(config, resolve, writes=True) as store:
        branch = open_cluster_branch(store, name, identity, former=config.cluster.renamed_from)
        asked = list(find_bundles(wiring.keyring(config, resolve), branch, name, policy))
        found = [one for one in asked if isinstance(one, PolicyBundles)]
        unasked = [one for one in asked if isinstance(one, Unasked)]
        if output == "text":
            _show(found, unasked, policy)
        if only_plan or not found:
            return _end(found, unasked, (), output)
        if not yes:
            if output == "json" or not sys.stdin.isatty():
                raise UsageError("nobody can answer here", hint="add --yes, or --plan to look")
            click.confirm("Deliver them?", abort=True, err=True)
        reporter = wiring.reporter(output)
        done = []
        for one in found:
            deliverer = Deliverer(
                store, one.backend, reporter,
                cluster=name, uid=identity.uid, policy=one.policy, now=clock.now,
            )  # fmt: skip
            patience = Patience(
                what=f"delivering {one.policy}", clock=clock, reporter=reporter,
                deadline=clock.now() + _PATIENCE,
            )  # fmt: skip
            done.append(deliverer.deliver(one.waiting, check=lambda: None, patience=patience))
    return _end(found, unasked, done, output)


def _show(found: Sequence[PolicyBundles], unasked: Sequence[Unasked], policy: str) -> None:
    for repository in unasked:
        why = repository.error
        click.echo(f"{repository.url}: what waits there is not known: {why.message}")
        if why.hint:
            click.echo(f"  {why.hint}")
    if not found and not unasked:
        click.echo(f"No run{f' of {policy}' if policy else ''} waits.")
    for one in found:
        click.echo(f"{one.policy}: {len(one.waiting)} waiting in {one.url}")
        for run in one.waiting:
            began = render_time(run.started)
            click.echo(f"  {run.run_id}  began {began}, bundle {run.snapshot[:8]}")


def _end(
    found: Sequence[PolicyBundles],
    unasked: Sequence[Unasked],
    done: Sequence[Delivery],
    output: str,
) -> int:
    kept = {run: why for one in done for run, why in one.kept.items()}
    delivered = [run for one in done for run in one.delivered]
    if output == "json":
        waiting = [
            {
                "run": run.run_id,
                "policy": run.policy,
                "repository": one.url,
                "snapshot": run.snapshot,
            }
            for one in found
            for run in one.waiting
        ]
        document = {
            "formatVersion": 1,
            "waiting": waiting,
            "unasked": {one.url: one.error.message for one in unasked},
            "delivered": delivered,
            "kept": kept,
        }
        click.echo(json.dumps(document))
    else:
        for run in delivered:
            click.echo(f"{run}: on its branch")
        for run, why in kept.items():
            click.echo(f"{run}: not delivered, it goes on waiting: {why}")
    return 3 if kept or unasked else 0
