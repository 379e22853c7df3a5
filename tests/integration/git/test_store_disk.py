"""A remote, or a bundle, that sends without end takes no more of the disk than it may."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.adapters.gitcredentials import GitCredentials
from reconciler.adapters.gitnames import local_url
from reconciler.adapters.gitstore import GitManifestStore
from reconciler.model.errors import OverBound
from reconciler.model.store import Write
from tests.integration.git.conftest import BRANCH, WHEN

MIB = 1 << 20
RECORD = Write("_run.yaml", b"kind: Run\n")

OpenStore = Callable[[str, int], GitManifestStore]


@pytest.fixture
def open_store(tmp_path: Path) -> OpenStore:
    """Opens a store with a working folder of this name; its server sends all, filter or not."""
    server = tmp_path / "server.git"
    subprocess.run(["git", "init", "-q", "--bare", server], check=True)

    def opened(name: str, largest: int) -> GitManifestStore:
        return GitManifestStore(
            local_url(server),
            author_name="Backstay",
            author_email="backstay@example.org",
            credentials=GitCredentials(),
            workdir=tmp_path / name,
            allow_local=True,
            largest_fetch=largest,
        )

    return opened


def noise(number: int) -> Write:
    """A file of 3 MiB that does not get smaller."""
    return Write(f"shop/configmap/{number}.yaml", os.urandom(3 * MIB))


def packs(folder: Path) -> list[Path]:
    """What lies in a working folder's repository."""
    return list(folder.glob("manifests-*/repository.git/objects/pack/*"))


def test_a_fetch_ends_at_its_bound_and_leaves_the_disk_as_it_was(
    open_store: OpenStore, tmp_path: Path
) -> None:
    with open_store("maker", 8 * MIB) as store:
        small = store.commit(BRANCH, None, [RECORD], "one\n", when=WHEN)
        store.push({BRANCH: small})
    with open_store("reader", MIB) as reader:
        assert reader.tip(BRANCH) == small
        with open_store("maker", 8 * MIB) as store:
            large = store.commit(BRANCH, store.tip(BRANCH), [noise(1)], "two\n", when=WHEN)
            store.push({BRANCH: large})
        before = packs(tmp_path / "reader")
        for _ in range(2):
            with pytest.raises(OverBound, match=f"fetch refs/heads/{BRANCH}: .* more than 1 MiB"):
                reader.tip(BRANCH)
            assert packs(tmp_path / "reader") == before
        # A commit that is open meanwhile has no bound, and is none of the fetch's business.
        other = reader.begin("clusters/prod/other", None)
        for number in range(3):
            other.write(f"shop/configmap/{number}.yaml", noise(number).data)
        with pytest.raises(OverBound):
            reader.tip(BRANCH)
        made = other.finish("three\n", when=WHEN)
        assert len(reader.tree(made)) == 3
    with open_store("reader", 8 * MIB) as wide:
        assert wide.tip(BRANCH) == large


def test_a_bundle_ends_at_its_bound(open_store: OpenStore, tmp_path: Path) -> None:
    with open_store("maker", MIB) as store:
        large = store.commit(BRANCH, None, [noise(1)], "one\n", when=WHEN)
        bundle = b"".join(store.bundle(BRANCH, large, None))
    with open_store("reader", MIB) as reader:
        with pytest.raises(OverBound, match="a bundle has more than 1 MiB"):
            reader.unbundle([bundle])
        assert packs(tmp_path / "reader") == []
        assert reader.tip(BRANCH) is None
    with open_store("reader", 8 * MIB) as wide:
        assert wide.unbundle([bundle]) == large
