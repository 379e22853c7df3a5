"""``backstay password``: what plain restic needs to open a repository without us."""

from __future__ import annotations

import json
from pathlib import Path

import click

from reconciler.cli import options, wiring
from reconciler.engine.clusterbranch import load_cluster_branch
from reconciler.model.config import Config
from reconciler.model.errors import Refused


@click.command(name="password", short_help="Print a repository's own restic password.")
@click.argument("namespace")
@click.option("--repository", default=None, help="The Repository; default the only one.")
@options.former_option
@options.config_option
@options.kubeconfig_option
@options.output_option
def command(
    namespace: str, repository: str | None, cluster: str | None, config_file: Path,
    kubeconfig: Path | None, output: str,
) -> None:  # fmt: skip
    """Print the restic password of NAMESPACE's repository (`_cluster` for the one of Secrets).

    It is derived from the master password, cluster and namespace; `restic -r URL snapshots` opens
    the repository with it. The URL goes to stderr.
    """
    config = wiring.under_former_name(wiring.load_config(config_file), cluster)
    resolve = wiring.resolver(wiring.cluster(kubeconfig) if needs_cluster(config) else None)
    with wiring.manifest_store(config, resolve) as store:
        entries = load_cluster_branch(store, config.cluster.name).entries
    found = [
        entry
        for entry in entries
        if entry.namespace == namespace and repository in (None, entry.repository)
    ]
    if len(found) != 1:
        known = ", ".join(f"{entry.repository}/{entry.namespace}" for entry in entries) or "none"
        raise Refused(
            f"{len(found)} repositories are recorded for namespace {namespace}",
            hint=f"recorded are: {known}",
        )
    entry = found[0]
    access = wiring.keyring(config, resolve).access(
        name=entry.repository, secret=entry.secret, url=entry.url, namespace=namespace
    )
    password = access.environment["RESTIC_PASSWORD"]
    if output == "json":
        click.echo(json.dumps({"formatVersion": 1, "url": entry.url, "password": password}))
        return
    click.echo(entry.url, err=True)
    click.echo(password)


def needs_cluster(config: Config) -> bool:
    """Whether a Secret must be read. Config that says where their keys are needs no cluster."""
    store = config.manifest_store.credentials
    return not config.secrets or bool(store and store.secret_ref)
