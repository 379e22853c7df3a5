"""What every PolicySource keeps, held against the one in memory and the one over Git."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import pytest

from reconciler.adapters.foldersource import FolderPolicySource
from reconciler.adapters.gitcredentials import GitCredentials, parse_credentials
from reconciler.adapters.gitsource import GitPolicySource
from reconciler.adapters.policytree import Limits
from reconciler.model.store import Descends, parse_revision, render_revision
from reconciler.ports import PolicySource
from tests.fakes.policysource import FakePolicySource
from tests.rig.policyfolder import publish, write_files
from tests.rig.policyrepo import PolicyRepository
from tests.rig.servers.githttps import GitHttps, basic

FILES = {"policies/shop.yaml": b"kind: BackupPolicy\n", "policies/team/b.yml": b"kind: Profile\n"}
LIMIT = 50


class World(Protocol):
    """A source and the repository behind it."""

    source: PolicySource
    ref: str
    """As revisions name it."""
    has_history: bool
    """Whether it can tell what descends from what."""

    def push(self, files: dict[str, bytes], *, rewrite: bool = False) -> str:
        """A new commit with exactly these files; returns the revision."""
        ...

    def restart(self) -> None:
        """The source forgets everything that it did not write down."""
        ...


class InMemory:
    """World of the fake."""

    ref = "main"
    has_history = True

    def __init__(self) -> None:
        self.fake = FakePolicySource(limit=LIMIT)
        self.source: PolicySource = self.fake

    def push(self, files: dict[str, bytes], *, rewrite: bool = False) -> str:
        """As the World says."""
        inside = {name: data for name, data in files.items() if name.startswith("policies/")}
        return self.fake.push(inside, rewrite=rewrite, path_found=bool(inside))

    def restart(self) -> None:
        """As the World says."""


class OverGit:
    """World of the real one."""

    ref = "main"
    has_history = True

    def __init__(
        self,
        folder: Path,
        *,
        filters: bool = True,
        url: str = "",
        credentials: GitCredentials | None = None,
    ) -> None:
        self._folder = folder
        self.repository = PolicyRepository(folder / "policies.git", filters=filters)
        self._url = url or self.repository.url
        self._credentials = credentials or GitCredentials()
        self._starts = 0
        self.opened = self._open()
        self.source: PolicySource = self.opened

    def push(self, files: dict[str, bytes], *, rewrite: bool = False) -> str:
        """As the World says."""
        return self.repository.push(files, rewrite=rewrite)

    def restart(self) -> None:
        """As the World says."""
        self.opened.close()
        self._starts += 1
        self.opened = self._open()
        self.source = self.opened

    def _open(self) -> GitPolicySource:
        return GitPolicySource(
            self._url,
            ref="main",
            path="./policies/",
            credentials=self._credentials,
            workdir=self._folder / f"work{self._starts}",
            limits=Limits(history=LIMIT),
            allow_local=True,
        )


class InFolder:
    """World of a folder that somebody writes to in place."""

    ref = "folder"
    has_history = False

    def __init__(self, folder: Path) -> None:
        self._place = folder / "published"
        self._place.mkdir()
        self.restart()

    def push(
        self,
        files: dict[str, bytes],
        *,
        rewrite: bool = False,  # noqa: ARG002 - a folder has no history
    ) -> str:
        """As the World says."""
        shutil.rmtree(self._place)
        write_files(self._place, files)
        return FolderPolicySource(self._place, ref="main", path="policies").fetch(None).revision

    def restart(self) -> None:
        """As the World says."""
        self.source: PolicySource = FolderPolicySource(self._place, ref="main", path="./policies/")


class BehindLink:
    """World of git-sync: a folder for each commit, and a link that is swapped."""

    ref = "main"
    has_history = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pushed = 0
        self.restart()

    def push(
        self,
        files: dict[str, bytes],
        *,
        rewrite: bool = False,  # noqa: ARG002 - neither has a link
    ) -> str:
        """As the World says."""
        self._pushed += 1
        commit = f"{self._pushed:040x}"
        publish(self._folder, commit, files)
        return render_revision("main", commit)

    def restart(self) -> None:
        """As the World says."""
        self.source: PolicySource = FolderPolicySource(
            self._folder / "current", ref="main", path="./policies/"
        )


@contextmanager
def open_world(kind: str, folder: Path) -> Iterator[World]:
    """A source of one kind."""
    if kind == "memory":
        yield InMemory()
        return
    if kind in {"folder", "link"}:
        yield InFolder(folder) if kind == "folder" else BehindLink(folder)
        return
    with ExitStack() as stack:
        if kind == "https":
            server = stack.enter_context(GitHttps(folder, authorization=basic("ann", "secret")))
            data = {"username": b"ann", "password": b"secret", "ca.crt": server.certificate}
            credentials = parse_credentials(data, "Secret git")
            made = OverGit(folder, url=server.url("policies"), credentials=credentials)
        else:
            made = OverGit(folder, filters=kind == "git")
        yield made
        made.opened.close()


@pytest.fixture(
    params=[
        "memory",
        "git",
        pytest.param("git without filters", marks=pytest.mark.one_in(3)),
        pytest.param("https", marks=pytest.mark.one_in(3)),
        "folder",
        "link",
    ]
)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A source of each kind."""
    with open_world(request.param, tmp_path) as made:
        yield made


def told(world: World, answer: Descends) -> Descends:
    """What a source says whose answer to this is known: without a history nobody knows."""
    return answer if world.has_history else Descends.UNKNOWN


def test_the_newest_revision_with_its_files(world: World) -> None:
    revision = world.push(FILES | {"README.md": b"no policy", "other/x.yaml": b"elsewhere"})
    fetched = world.source.fetch(None)
    assert fetched.revision == revision
    assert parse_revision(revision)[0] == world.ref
    assert dict(fetched.files) == FILES
    assert fetched.problems == ()
    assert fetched.path_found
    assert fetched.descends is Descends.UNKNOWN


def test_nothing_new_is_its_own_descendant_with_the_same_files(world: World) -> None:
    revision = world.push(FILES)
    first = world.source.fetch(None)
    second = world.source.fetch(revision)
    assert second.descends is Descends.YES
    assert second.files is first.files


def test_a_new_commit_descends_from_the_remembered_one(world: World) -> None:
    old = world.push(FILES)
    world.source.fetch(None)
    new = world.push({"policies/only.yaml": b"x"})
    fetched = world.source.fetch(old)
    assert (fetched.revision, fetched.descends) == (new, told(world, Descends.YES))
    assert set(fetched.files) == {"policies/only.yaml"}


@pytest.mark.parametrize("commits", [1, 5, 45])
def test_ancestry_is_found_from_a_fresh_start_across_many_commits(
    world: World, commits: int
) -> None:
    old = world.push(FILES)
    for number in range(commits):
        world.push(FILES | {"policies/n.yaml": b"%d" % number})
    world.restart()
    assert world.source.fetch(old).descends is told(world, Descends.YES)


def test_a_rewritten_history_does_not_descend(world: World) -> None:
    world.push(FILES)
    old = world.push(FILES | {"policies/x.yaml": b"1"})
    assert world.source.fetch(None).revision == old
    world.push({"policies/x.yaml": b"2"}, rewrite=True)
    world.push({"policies/x.yaml": b"3"})
    assert world.source.fetch(old).descends is told(world, Descends.NO)
    world.restart()
    assert world.source.fetch(old).descends is told(world, Descends.NO)


def test_beyond_the_limit_ancestry_is_unknown(world: World) -> None:
    old = world.push(FILES)
    for number in range(LIMIT + 1):
        world.push(FILES | {"policies/n.yaml": b"%d" % number})
    world.restart()
    assert world.source.fetch(old).descends is Descends.UNKNOWN


def test_a_missing_folder_is_not_an_empty_one(world: World) -> None:
    world.push({"README.md": b"gone"})
    fetched = world.source.fetch(None)
    assert not fetched.path_found
    assert dict(fetched.files) == {}
    world.push(FILES)
    assert world.source.fetch(fetched.revision).path_found


def test_the_message_of_the_newest_commit_comes_with_it(world: World) -> None:
    world.push(FILES)
    expected = None if isinstance(world, InFolder | BehindLink) else "Change policies\n"
    assert world.source.fetch(None).message == expected
