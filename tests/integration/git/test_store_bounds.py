"""A hostile branch: what no run writes is refused with its name, and is not taken into memory."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.adapters import gitobjects, gitwalk
from reconciler.adapters.gitcommit import write_object
from reconciler.adapters.gitcredentials import GitCredentials
from reconciler.adapters.gitlocal import LocalManifests
from reconciler.adapters.gitnames import local_url
from reconciler.adapters.gitprocess import GitFolder
from reconciler.adapters.gitstore import GitManifestStore
from reconciler.model.errors import Incomplete, Refused

PERSON = "x <x@example.org> 1763700000 +0000"
MIB = 1 << 20
LEVELS = 5
"""Of 100 entries each: ten billion files in some twenty kilobytes."""


class Hostile:
    """A repository with one branch for each trick."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        subprocess.run(["git", "init", "--quiet", "--bare", folder], check=True)
        small = self.make("blob", b"kind: ConfigMap\n")
        self.large = self.make("blob", bytes(65 * MIB))
        tree = self.tree("100644 blob", {f"{number}.yaml": small for number in range(100)})
        for _ in range(LEVELS - 1):
            tree = self.tree("040000 tree", dict.fromkeys(map(str, range(100)), tree))
        self.put("bomb", tree, b"bomb")
        base = self.put("base", self.tree("100644 blob", {"a.yaml": small}), b"base")
        self.put("grown", tree, b"bomb", parent=base)
        self.put("large", self.tree("100644 blob", {"a.yaml": small, "b.yaml": self.large}), b"x")
        self.put("long", self.tree("100644 blob", {"a.yaml": small}), b"m" * (3 * MIB))

    def make(self, kind: str, data: bytes) -> str:
        """An object; its id."""
        command = ["git", "-C", str(self.folder), "hash-object", "-t", kind, "-w", "--stdin"]
        done = subprocess.run(command, input=data, capture_output=True, check=True)
        return done.stdout.decode().strip()

    def tree(self, kind: str, entries: dict[str, str]) -> str:
        """A tree; its id."""
        lines = "".join(f"{kind} {sha}\t{name}\n" for name, sha in entries.items())
        command = ["git", "-C", str(self.folder), "mktree"]
        done = subprocess.run(command, input=lines.encode(), capture_output=True, check=True)
        return done.stdout.decode().strip()

    def put(self, branch: str, tree: str, message: bytes, *, parent: str = "") -> str:
        """A branch with one more commit; its id."""
        above = f"parent {parent}\n" if parent else ""
        head = f"tree {tree}\n{above}author {PERSON}\ncommitter {PERSON}\n\n".encode()
        commit = self.make("commit", head + message)
        subprocess.run(
            ["git", "-C", self.folder, "update-ref", f"refs/heads/{branch}", commit], check=True
        )
        return commit


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Hostile:
    return Hostile(tmp_path_factory.mktemp("hostile") / "server.git")


@pytest.fixture(params=["clone", "remote"])
def store(
    hostile: Hostile, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[LocalManifests | GitManifestStore]:
    """As a person reads it, and as a run does."""
    if request.param == "clone":
        with LocalManifests(hostile.folder) as local:
            yield local
        return
    with GitManifestStore(
        local_url(hostile.folder), author_name="B", author_email="b@example.org",
        credentials=GitCredentials(), workdir=tmp_path, allow_local=True,
    ) as remote:  # fmt: skip
        yield remote


def tip(store: LocalManifests | GitManifestStore, branch: str) -> str:
    found = store.tip(branch)
    assert found is not None
    return found


def test_a_tree_that_stands_for_ten_billion_files(store: LocalManifests | GitManifestStore) -> None:
    bomb = tip(store, "bomb")
    with pytest.raises(Refused, match="takes more than 64 MiB, and no run writes so many") as told:
        store.tree(bomb)
    assert bomb in told.value.message
    assert f"git show --no-patch {bomb}" in told.value.hint


def test_a_file_that_is_too_large(
    store: LocalManifests | GitManifestStore, hostile: Hostile
) -> None:
    large = tip(store, "large")
    with pytest.raises(Refused, match="has 68157440 bytes; no run writes more than 64 MiB") as told:
        store.read(large, ["a.yaml", "b.yaml"])
    assert hostile.large in told.value.message
    assert f"--find-object={hostile.large}" in told.value.hint
    assert store.read(large, ["a.yaml"]) == {"a.yaml": b"kind: ConfigMap\n"}, "nothing is spoiled"


def test_an_answer_that_is_cut_off_anywhere_goes_on_with_the_next_process(tmp_path: Path) -> None:
    """Nothing stops a run from writing many files, so no sum of them may stop a restore.

    A head has 48 to 50 bytes: cut in a head, in a file, behind one, and behind one missing.
    """
    subprocess.run(["git", "init", "--quiet", "--bare", tmp_path], check=True)
    repository = GitFolder(tmp_path, None, deadline=60)
    contents = [b"", b"x" * 9, b"x\n" * 20, b"y" * 10]
    made = [write_object(repository, "blob", data) for data in contents]
    wanted = {made[0]: contents[0], "0" * 40: None, **dict(zip(made, contents, strict=True))}
    for at_once in (*range(90, 112), 200, 10_000):
        assert gitobjects.read_blobs(repository, [*wanted, made[0]], at_once=at_once) == wanted
    with pytest.raises(Incomplete, match=f"broke off at {made[2]}"):
        gitobjects.read_blobs(repository, list(wanted), at_once=80)
    repository.close()


def test_a_message_without_an_end(store: LocalManifests | GitManifestStore) -> None:
    long = tip(store, "long")
    bound = f"^commit {long} of .* has a message or a path of more than 1 MiB"
    with pytest.raises(Refused, match=bound):
        list(store.log("long"))
    if isinstance(store, LocalManifests):
        with pytest.raises(Refused, match=bound):
            list(store.changes("long"))
    else:
        with pytest.raises(Refused, match=bound):
            store.reparent(long, None)


@pytest.mark.parametrize(
    ("branch", "where"), [("bomb", "at its first commit"), ("grown", "after commit {}")]
)
def test_a_commit_that_changes_more_files_than_git_has_memory_for(
    hostile: Hostile, branch: str, where: str
) -> None:
    repository = GitFolder(hostile.folder, None, deadline=600)
    told = where.format(repository.resolve("refs/heads/base"))
    bomb = repository.resolve(f"refs/heads/{branch}")
    assert bomb is not None
    with pytest.raises(Refused, match=f"^git ran out of memory {told} of .* may map 256 MiB"):
        list(gitwalk.walk_changes(repository, bomb, (), reverse=True, memory=256 * MIB))
    repository.close()
