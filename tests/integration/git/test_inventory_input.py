"""An inventory over real Git: from a clone on the disk, and from a server with its keys."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.adapters.gitstore import GitManifestStore
from reconciler.cli.inventoryinput import read_inventory
from reconciler.engine.inventory import inventory_branch
from reconciler.model.errors import Refused, UsageError
from reconciler.model.inventory import Inventory
from reconciler.model.store import Write
from reconciler.plan.inventoryfiles import published, render_inventory
from tests.integration.git.conftest import WHEN, MakeStore
from tests.rig.servers.sshd import Sshd
from tests.unit.plan.inventories import small
from tests.unit.plan.test_inventory_files import files_of


def publish(store: GitManifestStore, inventory: Inventory) -> None:
    """A branch with this inventory."""
    branch = inventory_branch(inventory.cluster)
    changes = [Write(path, data) for path, data in files_of(inventory).items()]
    commit = store.commit(branch, store.tip(branch), changes, "Publish", when=WHEN)
    store.push({branch: commit})


def git(*arguments: str, folder: Path) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)


def test_a_clone_of_the_repository_is_read_without_network(
    server: Sshd, make_store: MakeStore, tmp_path: Path
) -> None:
    publish(make_store(), small())
    git("clone", "--no-checkout", str(server.path("manifests")), "clone", folder=tmp_path)
    clone = tmp_path / "clone"
    assert read_inventory(str(clone)) == published(small())
    with pytest.raises(Refused, match="no branch inventory/prod-us"):
        read_inventory(str(clone), cluster="prod-us")
    publish(make_store(), replace(small(), cluster="prod-us", points=()))
    git("fetch", folder=clone)
    with pytest.raises(UsageError, match="inventories of 2 clusters: prod-eu, prod-us"):
        read_inventory(str(clone))
    assert read_inventory(str(clone), cluster="prod-us").cluster == "prod-us"


def test_a_url_is_read_with_keys_from_the_environment(
    server: Sshd, make_store: MakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(make_store(), small())
    monkeypatch.setenv("BACKSTAY_CACHE_DIR", str(tmp_path / "cache"))
    keys = server.secret()
    monkeypatch.setenv("BACKSTAY_INVENTORY_IDENTITY", keys["identity"].decode())
    monkeypatch.setenv("BACKSTAY_INVENTORY_KNOWN_HOSTS", keys["known_hosts"].decode())
    found = read_inventory(server.url("manifests"))
    assert render_inventory(found) == render_inventory(small())


def test_a_url_without_keys_is_refused_by_the_server_and_told(
    server: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKSTAY_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(Refused):
        read_inventory(server.url("manifests"))
