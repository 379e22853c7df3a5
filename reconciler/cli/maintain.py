"""``backstay maintain``: what the retention keeps and removes of a Repository's snapshots."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import click

from reconciler.adapters.keyring import SecretKeyring
from reconciler.adapters.kube import KubeClient
from reconciler.cli import history, options, paging, wiring
from reconciler.cli.password import needs_cluster
from reconciler.engine.clusterbranch import check_cluster_uid, load_cluster_branch
from reconciler.engine.maintainfacts import branch_policies, read_facts, read_intent, recall
from reconciler.model.config import Config
from reconciler.model.errors import NotSupported, PartialFailure
from reconciler.plan.keptpoints import Memory
from reconciler.plan.maintenance import plan_maintenance
from reconciler.report import maintain as report


@click.command(name="maintain", short_help="Show which restic snapshots expire, and why.")
@click.argument("repository", metavar="NAME")
@click.option("--dry-run", is_flag=True, help="Show the plan, and change nothing.")
@options.config_option
@options.kubeconfig_option
@options.context_option
@options.output_option
def command(
    repository: str, dry_run: bool, config_file: Path, kubeconfig: Path | None,
    context: str | None, output: str,
) -> int:  # fmt: skip
    """Show, for each restic snapshot of the Repository NAME, whether it is kept, and by which rule.

    Reads every record of the manifest store, the policies and the list of snapshots of every restic
    repository; takes no lock, changes nothing, and can be run at any time. This version removes
    nothing: it needs --dry-run.

    Exit codes: 0 all is known, 3 something could not be read, or a brake holds everything.
    """
    if not dry_run:
        raise NotSupported(
            "removing snapshots is not supported yet",
            hint=f"see what would be removed: backstay maintain {repository} --dry-run",
        )
    config = wiring.load_config(config_file)
    client = _cluster(config, kubeconfig, context)
    resolve = wiring.resolver(client)
    with wiring.policy_source(config, resolve) as source:
        intent = read_intent(source.fetch(None), config)
    cluster = config.cluster.name
    with history.open_history(None, None, config_file, client) as found:
        branch = load_cluster_branch(found.store, cluster)
        if client is not None:
            check_cluster_uid(branch, cluster, client.identity())
        policies = {*branch_policies(found.store, cluster), *intent.retentions}
        memories: Mapping[str, Memory] = {}
        if client is not None:
            memories = recall(client, wiring.own_namespace(), cluster, policies)
        cache = wiring.cache_folder() / "restic"
        keyring = SecretKeyring(config, resolve, cache=cache, read_only=True)
        read = read_facts(
            found.store, keyring, branch, repository, intent, memories, cluster=cluster
        )
    plan = plan_maintenance(read.facts, repository, wiring.clock().now())
    if output == "json":
        click.echo(json.dumps(report.to_json(plan, read.unlisted)))
    else:
        paging.show(report.text_lines(plan, read.unlisted))
    return PartialFailure.exit_code if plan.brakes or read.unlisted else 0


def _cluster(config: Config, kubeconfig: Path | None, context: str | None) -> KubeClient | None:
    """The cluster, which remembers where its branches were; none where Config needs none.

    Then less is known, and less would go.
    """
    try:
        return wiring.cluster(kubeconfig, context)
    except wiring.NoCluster:
        if kubeconfig is not None or needs_cluster(config):
            raise
        return None
