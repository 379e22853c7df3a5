"""A remote, or a bundle, that sends without end takes no more of the disk than it may."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.adapters.gitcredentials import Access, GitCredentials
from reconciler.adapters.gitnames import local_url, parse_url
from reconciler.adapters.gitprocess import FETCH_VARIABLE, LARGEST_FETCH, GitFolder, Remote
from reconciler.adapters.gitstore import GitManifestStore
from reconciler.model.errors import BackstayError, OverBound, OverFetched, Transient
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
            too_much = f"fetch refs/heads/{BRANCH}: .* more than 1 MiB"
            with pytest.raises(OverFetched, match=too_much) as told:
                reader.tip(BRANCH)
            assert "uploadpack.allowFilter true" in told.value.hint
            assert FETCH_VARIABLE in told.value.hint
            assert packs(tmp_path / "reader") == before
        # An error of another command is its own.
        with pytest.raises(BackstayError) as other_error:
            reader.tree("1" * 40)
        assert not isinstance(other_error.value, OverBound)
        # A commit that is open meanwhile is none of the fetch's business.
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


def test_a_fetch_that_is_cut_leaves_the_disk_as_it_was(
    open_store: OpenStore, tmp_path: Path
) -> None:
    server = tmp_path / "server.git"
    with open_store("maker", 8 * MIB) as store:
        commit = store.commit(BRANCH, None, [RECORD, noise(1), noise(2)], "one\n", when=WHEN)
        store.push({BRANCH: commit})
        last = store.tree(commit)[noise(2).path]
    # The server dies as it gets there, with the first file on its way; it looks for no deltas.
    subprocess.run(["git", "-C", server, "config", "pack.window", "0"], check=True)
    broken = server / "objects" / last[:2] / last[2:]
    broken.chmod(0o600)
    os.truncate(broken, 2 * MIB)
    with open_store("reader", 64 * MIB) as reader:
        before = packs(tmp_path / "reader")
        for _ in range(2):
            with pytest.raises(BackstayError, match=f"fetch refs/heads/{BRANCH}") as told:
                reader.tip(BRANCH)
            assert not isinstance(told.value, OverBound)
            assert packs(tmp_path / "reader") == before


def _remote(folder: Path) -> Remote:
    url = parse_url(local_url(folder), allow_local=True)
    return Remote(url=url, access=Access(environment={}, configuration=()))


def test_a_fetch_that_hangs_leaves_the_disk_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs = tmp_path / "git"
    hangs.write_text('#!/bin/sh\necho half > "$GIT_DIR/objects/pack/tmp_pack_h"\nexec sleep 600\n')
    hangs.chmod(0o755)
    folder = GitFolder.create(tmp_path / "clone", None, deadline=60)
    folder.close()
    monkeypatch.setenv("GIT_PYTHON_GIT_EXECUTABLE", str(hangs))
    remote = _remote(tmp_path)
    hanging = GitFolder(tmp_path / "clone", remote, deadline=60)
    with pytest.raises(Transient, match="git fetch took longer than 1 s"):
        hanging.talk("fetch", deadline=1)
    assert list(hanging.folder.glob("objects/pack/*")) == []
    hanging.close()


@pytest.mark.parametrize("largest", [MIB, 2 * LARGEST_FETCH])
def test_what_fetches_for_an_open_commit_has_a_bound(tmp_path: Path, largest: int) -> None:
    remote = _remote(tmp_path)
    folder = GitFolder.create(tmp_path / "clone", remote, deadline=60, largest_fetch=largest)
    with folder.start("fast-import", stdin=True, leave_out="blob:none") as child:
        bound, _ = resource.prlimit(child.pid, resource.RLIMIT_FSIZE)
    assert bound == max(largest, LARGEST_FETCH)
    folder.close()
