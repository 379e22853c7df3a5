"""What `log` and `show` share: a clone on this disk, or the manifest store of Config."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from reconciler.adapters.gitlocal import LocalManifests
from reconciler.cli import wiring
from reconciler.engine.context import policy_branch
from reconciler.engine.history import StoreReader
from reconciler.model.errors import UsageError

clone_option = click.option(
    "--clone", type=click.Path(path_type=Path, exists=True, file_okay=False), default=None,
    help="Read this clone of the manifest repository; no network, no Config.",
)  # fmt: skip
cluster_option = click.option(
    "--cluster", default=None, help="The cluster's name; default Config's, or the clone's only one."
)


@dataclass(frozen=True, slots=True)
class History:
    """A store to read, and which cluster's branches."""

    store: StoreReader
    cluster: str

    def branch(self, policy: str) -> str:
        """The policy's branch."""
        return policy_branch(self.cluster, policy)


@contextmanager
def open_history(clone: Path | None, cluster: str | None, config_file: Path) -> Iterator[History]:
    """The clone if one is given, else the manifest store that Config names."""
    if clone is not None:
        with LocalManifests(clone) as local:
            yield History(local, cluster or _only_cluster(local, clone))
        return
    config = wiring.load_config(config_file)
    # On a laptop without a cluster Config names folders or variables; only secretRef needs one.
    needs_cluster = bool(
        config.manifest_store.credentials and config.manifest_store.credentials.secret_ref
    )
    client = wiring.cluster(None) if needs_cluster else None
    with wiring.manifest_store(config, wiring.resolver(client)) as store:
        yield History(store, cluster or config.cluster.name)


def _only_cluster(store: StoreReader, clone: Path) -> str:
    names = {branch.split("/")[1] for branch in store.branches("clusters/")}
    if len(names) == 1:
        return names.pop()
    if not names:
        raise UsageError(
            f"{clone} has no branch clusters/…: it is no clone of a manifest repository",
            hint="clone it with all its branches: git clone URL",
        )
    raise UsageError(
        f"{clone} holds {len(names)} clusters: {', '.join(sorted(names))}",
        hint="choose one with --cluster",
    )
