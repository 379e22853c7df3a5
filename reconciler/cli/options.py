"""Options that many verbs have. Imports next to nothing: a verb starts as fast as what it needs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import click

from reconciler.model.errors import UsageError
from reconciler.model.naming import CONFIG_FILE


class CommitId(click.ParamType[str]):
    """A commit's whole id: whoever may push can make a commit whose id begins as one likes."""

    name = "commit"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The id, as it was given."""
        if not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", value):
            self.fail(f"{value} is no whole commit id: give all 40 (or 64) digits", param, ctx)
        return value


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


def fail_on_words(given: Iterable[str]) -> frozenset[str]:
    """What ``--fail-on`` lists, apart by commas; raises UsageError for a list that names nothing.

    A variable of CI that is not set would make a gate that is always open.
    """
    found: set[str] = set()
    for text in given:
        words = {word.strip() for word in text.split(",")} - {""}
        if not words:
            raise UsageError(
                "--fail-on names nothing",
                hint="leave it out for no gate; is a variable empty that should hold the list?",
            )
        found |= words
    return frozenset(found)
