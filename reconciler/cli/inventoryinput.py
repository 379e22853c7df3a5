"""The inventory for a command that needs no cluster: a folder, a clone, a URL, or Config's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from reconciler.adapters.gitlocal import LocalManifests
from reconciler.cli import wiring
from reconciler.engine import inventory
from reconciler.engine.history import StoreReader
from reconciler.model.config import Config, Credentials, InventoryConfig
from reconciler.model.errors import Refused, UsageError
from reconciler.model.inventory import Inventory
from reconciler.plan.inventoryfiles import (
    HEAD,
    LARGEST,
    MOST_FILES,
    NAMESPACES,
    POINTS,
    parse_inventory,
)

_ENVIRONMENT = "BACKSTAY_INVENTORY_"
_WHAT = "give a clone, a folder with inventory.json in it, or a Git URL"
_KEYS = (
    f"its keys come from the environment: {_ENVIRONMENT}USERNAME and {_ENVIRONMENT}PASSWORD, or"
    f" {_ENVIRONMENT}IDENTITY and {_ENVIRONMENT}KNOWN_HOSTS (docs/inventory.md)"
)

inventory_option = click.option(
    "--inventory", "inventory_from", metavar="PATH|URL", default=None,
    help="The cluster's inventory: a clone, a Git URL, or a folder with the branch's files; default"
    " Config's inventory.url.",
)  # fmt: skip


def read_inventory(
    where: str | None, *, cluster: str | None = None, config: Config | None = None
) -> Inventory:
    """What ``--inventory`` names, else what Config's ``inventory.url`` holds.

    ``cluster`` is by default Config's, else the only one there. Keys for a URL are Config's where
    it is Config's URL, else ``BACKSTAY_INVENTORY_USERNAME`` and so on, with Flux's names of keys.
    A cluster is asked only where Config keeps those keys in a Secret. Raises UsageError, Refused,
    InvalidInput with file and line.
    """
    folder = _folder(where)
    if folder is not None and (folder / HEAD).is_file():
        return _of_cluster(_read_folder(folder), cluster)
    cluster = cluster or (config.cluster.name if config else None)
    with open_store(where, config) as store:
        return inventory.read_inventory(store, cluster or _only_cluster(store, where or ""))


@contextmanager
def open_store(where: str | None, config: Config | None) -> Iterator[StoreReader]:
    """The repository that holds inventories, for whoever wants those of several clusters."""
    folder = _folder(where)
    if folder is not None:
        if not any((folder / name).exists() for name in (".git", "HEAD")):
            raise UsageError(f"--inventory {where}: it holds no inventory", hint=_WHAT)
        with LocalManifests(folder) as local:
            yield local
        return
    found = _address(where, config)
    needs_cluster = bool(found.credentials and found.credentials.secret_ref)
    client = wiring.cluster(None) if needs_cluster else None
    try:
        with wiring.inventory_store(found, wiring.resolver(client)) as store:
            yield store
    except Refused as error:
        if found.credentials is not None:
            raise
        raise Refused(error.message, hint=_KEYS) from error


def _folder(where: str | None) -> Path | None:
    if where is None or ("://" in where and not where.startswith("file://")):
        return None
    folder = Path(where.removeprefix("file://"))
    if folder.is_dir():
        return folder
    if where.startswith("file://") or ":" not in where:
        raise UsageError(
            f"--inventory {where}: there is no such folder",
            hint=_WHAT,
        )
    return None


def _address(where: str | None, config: Config | None) -> InventoryConfig:
    own = config.inventory if config else None
    if where is None:
        if config is None:
            raise UsageError("no inventory is named", hint="give --inventory PATH|URL, or --config")
        return wiring.inventory_of(config)
    if own is not None and own.url == where:
        return own
    given = any(name.startswith(_ENVIRONMENT) for name in os.environ)
    return InventoryConfig(url=where, credentials=Credentials(env=_ENVIRONMENT) if given else None)


def _only_cluster(store: StoreReader, where: str) -> str:
    names = inventory.clusters_with_inventory(store)
    if len(names) == 1:
        return names[0]
    if not names:
        raise UsageError(
            f"{where} has no branch inventory/…: no controller has published one there",
            hint="docs/inventory.md says how; a clone needs all branches: git clone URL",
        )
    raise UsageError(
        f"{where} holds the inventories of {len(names)} clusters: {', '.join(names)}",
        hint="choose one with --cluster",
    )


def _of_cluster(found: Inventory, cluster: str | None) -> Inventory:
    if cluster and found.cluster != cluster:
        raise UsageError(
            f"that inventory is of cluster {found.cluster}, not of {cluster}",
            hint=f"give --cluster {found.cluster}, or another inventory",
        )
    return found


def _read_folder(folder: Path) -> Inventory:
    """A checkout of the branch, or what ``git archive`` gives; links are not followed."""
    for name in (NAMESPACES, POINTS):
        if (folder / name).is_symlink():
            raise UsageError(
                f"{folder / name} is a link, and links are not followed",
                hint="give a checkout of the inventory's branch",
            )
    files: dict[str, bytes] = {}
    for path in sorted((folder / HEAD, *folder.glob("namespaces/*"), *folder.glob("points/*"))):
        if path.is_symlink() or not path.is_file():
            continue
        if len(files) == MOST_FILES:
            raise UsageError(f"{folder} has more than {MOST_FILES} files of an inventory")
        with path.open("rb") as file:
            files[str(path.relative_to(folder))] = file.read(LARGEST + 1)
    return parse_inventory(files, where=f"{folder}/")
