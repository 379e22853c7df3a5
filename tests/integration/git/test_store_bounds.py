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
from reconciler.model.errors import Incomplete, OverBound, Refused

PERSON = "x <x@example.org> 1763700000 +0000"
MIB = 1 << 20
WIDE = 708
"""So many folders of so many files are half a million."""
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
        self.tips: dict[str, str] = {}
        self.put("bomb", tree, b"bomb")
        plain = self.tree("100644 blob", {"a.yaml": small})
        more = self.tree("100644 blob", {"a.yaml": small, "b.yaml": small})
        self.mended: list[str] = []
        for made, text in ((plain, b"base"), (tree, b"bomb"), (plain, b"mend"), (more, b"go on")):
            above = self.mended[-1] if self.mended else ""
            self.mended.append(self.put("mended", made, text, parent=above))
        folder_of_many = self.tree("100644 blob", dict.fromkeys(map(str, range(WIDE)), small))
        many = self.tree("040000 tree", dict.fromkeys(map(str, range(WIDE)), folder_of_many))
        self.put("wide", many, b"wide")
        self.put("path", self.tree("100644 blob", {"p" * (2 * MIB): small}), b"path")
        self.put("large", self.tree("100644 blob", {"a.yaml": small, "b.yaml": self.large}), b"x")
        run = self.put("long", plain, b"one\n\nBackstay-Run: a\n")
        self.put("long", plain, b"m" * (3 * MIB) + b"\n\nBackstay-Run: b\n", parent=run)

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
        self.tips[branch] = commit
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


def test_a_message_without_an_end_is_passed_over(store: LocalManifests | GitManifestStore) -> None:
    long = tip(store, "long")
    before, found = list(store.log("long"))[::-1]
    assert (found.sha, found.parents, found.trailers) == (long, (before.sha,), {})
    assert found.subject == "(more than 1 MiB; no run makes such a message)"
    assert before.trailers == {"Backstay-Run": "a"}
    if isinstance(store, LocalManifests):
        assert [one.commit for one in store.commits("long")] == [before, found]
        assert [one.commit for one in store.changes("long")] == [found, before]
    else:
        with pytest.raises(OverBound, match=f"^commit {long} of .* has more than 1 MiB; no run"):
            store.reparent(long, None)


def test_a_commit_that_changes_more_files_than_git_has_memory_for(hostile: Hostile) -> None:
    """The walk goes on behind it, and where it took away what was too large as well."""
    repository = GitFolder(hostile.folder, None, deadline=600)
    found = list(gitwalk.walk_commits(repository, hostile.tips["mended"], memory=256 * MIB))
    assert [one.commit.sha for one in found] == hostile.mended
    why = "changes more than git can compare: it may map 256 MiB"
    assert [one.unread for one in found] == ["", why, why, ""]
    assert [[file.path for file in one.files] for one in found] == [["a.yaml"], [], [], ["b.yaml"]]
    (alone,) = gitwalk.walk_commits(repository, hostile.tips["bomb"], memory=256 * MIB)
    assert alone.unread == why
    repository.close()


def test_a_commit_that_changes_more_files_than_a_run_does(hostile: Hostile) -> None:
    repository = GitFolder(hostile.folder, None, deadline=600)
    wide, why = hostile.tips["wide"], "changes more than 500000 files"
    (found,) = gitwalk.walk_commits(repository, wide)
    assert (found.commit.sha, found.unread, found.files) == (wide, why, ())
    endless, why = hostile.tips["path"], "changes a file whose path is without an end"
    (found,) = gitwalk.walk_commits(repository, endless)
    assert (found.commit.sha, found.unread, found.files) == (endless, why, ())
    with pytest.raises(OverBound, match=f"^commit {endless} of .* {why}$") as told:
        list(gitwalk.walk_changes(repository, endless, ()))
    assert "no run makes one" in told.value.hint
    repository.close()
