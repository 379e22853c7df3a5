"""What verbs that read the past share: a clone on this disk, or the manifest store of Config.

A clone needs nothing of Kubernetes or of policies, so those are imported where Config is read only:
most of the time of a short command is its imports.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.adapters.gitlocal import LocalManifests
from reconciler.capture.paths import policy_branch
from reconciler.engine.expiries import Expiries
from reconciler.engine.history import StoreReader
from reconciler.model.errors import UsageError

if TYPE_CHECKING:
    from reconciler.adapters.githistory import GitHistory
    from reconciler.adapters.kube import KubeClient
    from reconciler.model.config import Config

clone_option = click.option(
    "--clone", type=click.Path(path_type=Path, exists=True, file_okay=False), default=None,
    help="Read this clone of the manifest repository; no network, no Config.",
)  # fmt: skip
cluster_option = click.option(
    "--cluster", default=None, help="The cluster's name; default Config's, or the clone's only one."
)
json_option = click.option("--json", "as_json", is_flag=True, help="The same as -o json.")


@dataclass(frozen=True, slots=True)
class History:
    """A store to read, and which cluster's branches."""

    store: LocalManifests | GitHistory
    cluster: str
    shallow: bool = False
    """Whether it is a clone whose history is cut off."""

    def branch(self, policy: str) -> str:
        """The policy's branch."""
        return policy_branch(self.cluster, policy)


@contextmanager
def open_history(
    clone: Path | None,
    cluster: str | None,
    config_file: Path,
    client: KubeClient | None = None,
) -> Iterator[History]:
    """The clone if one is given, else the manifest store that Config names.

    Its key may be in the cluster ``client``, or else in the one that kubectl would find.
    """
    if clone is not None:
        with LocalManifests(clone) as local:
            yield History(local, cluster or _only_cluster(local, clone), local.shallow)
        return
    from reconciler.cli import wiring

    config = wiring.load_config(config_file)
    with _open_store(config, client) as store:
        yield History(store, cluster or config.cluster.name)


def _open_store(config: Config, client: KubeClient | None) -> GitHistory:
    """The manifest store, to be read as a history: its folder is of its own."""
    from reconciler.adapters.gitcredentials import GitCredentials, parse_credentials
    from reconciler.adapters.githistory import GitHistory
    from reconciler.cli import wiring

    where = config.manifest_store
    credentials = GitCredentials()
    if where.credentials is not None:
        found = wiring.resolver(client or store_cluster(config)).resolve(where.credentials)
        credentials = parse_credentials(found.data, found.source)
    return GitHistory(
        where.url,
        author_name=where.author.name,
        author_email=where.author.email,
        credentials=credentials,
        workdir=wiring.cache_folder() / "history",
    )


def store_cluster(config: Config) -> KubeClient | None:
    """The cluster, where the manifest store's key is a Secret in it.

    On a laptop without a cluster Config names folders or variables; only secretRef needs one.
    """
    from reconciler.cli import wiring

    credentials = config.manifest_store.credentials
    if credentials is None or not credentials.secret_ref:
        return None
    other = f"file or env for secrets.{credentials.secret_ref} in Config"
    with wiring.without_a_cluster(f"--clone PATH; or {other}"):
        return wiring.cluster(None)


def tell_doubts(expiries: Expiries, output: str) -> None:
    """Warns of what could not be read of what expired."""
    for told in expiries.doubts:
        from reconciler.cli import wiring

        wiring.reporter(output).warning("some of what is shown may have expired", why=told)


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
