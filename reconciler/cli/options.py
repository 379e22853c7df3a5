"""Options that many verbs have. Imports next to nothing: a verb starts as fast as what it needs."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.model.naming import CONFIG_FILE

config_option = click.option(
    "--config", "config_file", type=click.Path(path_type=Path), default=Path(CONFIG_FILE),
    show_default=True, help="The installation's file, kind Config.",
)  # fmt: skip
former_option = click.option(
    "--cluster", default=None,
    help="What the cluster was called then: cluster.name (the default) or cluster.renamedFrom.",
)  # fmt: skip
kubeconfig_option = click.option(
    "--kubeconfig", type=click.Path(path_type=Path), default=None,
    help="The cluster to talk to; default $KUBECONFIG, ~/.kube/config, or the pod's own cluster.",
)  # fmt: skip
context_option = click.option("--context", default=None, help="A context of the kubeconfig.")
output_option = click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True,
    help="For people, or one JSON document.",
)  # fmt: skip
