"""``backstay deliver``: puts runs on their branches whose manifest store was out of reach."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import click

from reconciler import ports
from reconciler.capture.record import render_time
from reconciler.cli import options, wiring
from reconciler.engine.clusterbranch import open_cluster_branch
from reconciler.engine.context import policy_branch
from reconciler.engine.delivering import Deliverer, Delivery
from reconciler.engine.patience import Patience
from reconciler.engine.waiting import PolicyBundles, Unasked, find_bundles
from reconciler.model.cluster import ClusterIdentity
from reconciler.model.config import ClusterConfig
from reconciler.model.errors import (
    BackstayError,
    Interrupted,
    PushRejected,
    Stalled,
    Transient,
    UsageError,
)

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
    delivers it. This does it by hand: in order, below what is newer, one push for each policy. A
    branch that takes no push is in no other's way. Exit code 3 if something goes on waiting.
    """
    config = wiring.load_config(config_file)
    client = wiring.cluster(kubeconfig, context)
    resolve = wiring.resolver(client)
    identity = client.identity()
    with wiring.manifest_store(config, resolve, writes=True) as store:
        tools = Tools(
            store=store,
            keyring=wiring.keyring(config, resolve),
            reporter=wiring.reporter(output),
            clock=wiring.clock(),
        )
        delivering = Delivering(tools, config.cluster, identity, output)
        return delivering.deliver(policy, only_plan=only_plan, yes=yes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a delivery works with."""

    store: ports.ManifestStore
    keyring: ports.Keyring
    reporter: ports.Reporter
    clock: ports.Clock


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """What became of a policy's bundles; ``error``: why its branch could not be moved."""

    bundles: PolicyBundles
    delivered: tuple[str, ...]
    kept: Mapping[str, str]
    error: str = ""


class Delivering:
    """One command, once it knows its cluster. ``output``: text or json."""

    def __init__(
        self, tools: Tools, cluster: ClusterConfig, identity: ClusterIdentity, output: str
    ) -> None:
        self._tools = tools
        self._cluster = cluster
        self._identity = identity
        self._output = output

    def deliver(self, policy: str, *, only_plan: bool, yes: bool) -> int:
        """Shows what waits, asks, delivers; returns the exit code."""
        name, tools = self._cluster.name, self._tools
        branch = open_cluster_branch(
            tools.store, name, self._identity, former=self._cluster.renamed_from
        )
        asked = list(find_bundles(tools.keyring, branch, name, policy))
        found = [one for one in asked if isinstance(one, PolicyBundles)]
        unasked = [one for one in asked if isinstance(one, Unasked)]
        if self._output == "text":
            _show(found, unasked, policy)
        done: list[PolicyResult] = []
        if found and not only_plan:
            if not yes:
                _ask(self._output)
            done = self._deliver_all(found)
        return _end(found, unasked, done, self._output)

    def _deliver_all(self, found: Sequence[PolicyBundles]) -> list[PolicyResult]:
        """One branch that can't be moved is in no other's way: a rule may be of that one alone."""
        done: list[PolicyResult] = []
        away, doubt = "", False
        for one in found:
            if doubt and not away:
                # What one branch failed with may be of that one alone: so the next one is asked.
                away = self._away(one.policy)
            if away:
                done.append(_undelivered(one, f"not tried, the manifest store is away: {away}"))
                continue
            try:
                made = self._deliver(one)
            except Interrupted:
                raise
            except BackstayError as error:
                why = f"{error.message}; {error.hint}" if error.hint else error.message
                doubt = isinstance(error, Transient) and not isinstance(error, PushRejected)
                self._tools.reporter.warning("bundles not delivered", policy=one.policy, why=why)
                done.append(_undelivered(one, why))
            else:
                doubt = False
                done.append(PolicyResult(one, made.delivered, made.kept))
        return done

    def _away(self, policy: str) -> str:
        """Why a branch can't be fetched now, if that may pass; else empty."""
        try:
            self._tools.store.tip(policy_branch(self._cluster.name, policy))
        except Transient as error:
            return error.message
        except Stalled:
            return ""  # the delivery tells what is wrong
        return ""

    def _deliver(self, one: PolicyBundles) -> Delivery:
        tools = self._tools
        deliverer = Deliverer(
            tools.store, one.backend, tools.reporter,
            cluster=self._cluster.name, uid=self._identity.uid, policy=one.policy,
            now=tools.clock.now,
        )  # fmt: skip
        patience = Patience(
            what=f"delivering {one.policy}", clock=tools.clock, reporter=tools.reporter,
            deadline=tools.clock.now() + _PATIENCE,
        )  # fmt: skip
        return deliverer.deliver(one.waiting, check=lambda: None, patience=patience)


def _ask(output: str) -> None:
    if output == "json" or not sys.stdin.isatty():
        raise UsageError("nobody can answer here", hint="add --yes, or --plan to look")
    click.confirm("Deliver them?", abort=True, err=True)


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
    done: Sequence[PolicyResult],
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
            "policies": [_as_json(one) for one in done],
        }
        click.echo(json.dumps(document))
    else:
        for run in delivered:
            click.echo(f"{run}: on its branch")
        for run, why in kept.items():
            click.echo(f"{run}: not delivered, it goes on waiting: {why}")
    return 3 if kept or unasked else 0


def _undelivered(one: PolicyBundles, why: str) -> PolicyResult:
    return PolicyResult(one, (), {run.run_id: why for run in one.waiting}, why)


def _as_json(one: PolicyResult) -> dict[str, object]:
    return {
        "policy": one.bundles.policy,
        "repository": one.bundles.url,
        "delivered": list(one.delivered),
        "kept": dict(one.kept),
        "error": one.error,
    }
