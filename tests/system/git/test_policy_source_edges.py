"""The policy source against hostile and odd repositories, and what a cycle costs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.adapters.gitcredentials import GitCredentials, parse_credentials
from reconciler.adapters.gitsource import GitPolicySource
from reconciler.adapters.policytree import Limits
from reconciler.model.errors import Refused, Transient
from reconciler.model.store import Descends
from tests.integration.git.conftest import Executed
from tests.integration.git.test_store_cache import commands
from tests.rig.policyrepo import PolicyRepository
from tests.rig.servers.sshd import Sshd

GOOD = {"policies/shop.yaml": b"kind: BackupPolicy\n"}
OpenSource = Callable[..., GitPolicySource]


@pytest.fixture(params=[True, False], ids=["filters", "no filters"])
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> PolicyRepository:
    """A policy repository, on a server with and without partial clone."""
    return PolicyRepository(tmp_path / "policies.git", filters=request.param)


@pytest.fixture
def open_source(repository: PolicyRepository, tmp_path: Path) -> Iterator[OpenSource]:
    """Opens sources on it, each with a cache of its own."""
    opened: list[GitPolicySource] = []

    def start(
        *, ref: str = "main", path: str = "policies", limits: Limits | None = None
    ) -> GitPolicySource:
        opened.append(
            GitPolicySource(
                repository.url,
                ref=ref,
                path=path,
                credentials=GitCredentials(),
                workdir=tmp_path / f"work{len(opened)}",
                limits=limits,
                allow_local=True,
            )
        )
        return opened[-1]

    yield start
    for source in opened:
        source.close()


def blob_entry(repository: PolicyRepository, data: bytes, mode: str = "100644") -> str:
    """An index entry for a file with these bytes."""
    return f"{mode} blob {repository.blob(data)}"


def test_links_and_submodules_are_problems_and_never_read(
    repository: PolicyRepository, open_source: OpenSource
) -> None:
    repository.push_entries(
        [
            (blob_entry(repository, b"/etc/passwd", "120000"), "policies/link.yaml"),
            (blob_entry(repository, b"../..", "120000"), "policies/folder"),
            (f"160000 commit {'1' * 40}", "policies/module"),
            (blob_entry(repository, b"fine", "100755"), "policies/run.yaml"),
            (blob_entry(repository, b"/", "120000"), "elsewhere/link.yaml"),
        ]
    )
    fetched = open_source().fetch(None)
    assert dict(fetched.files) == {"policies/run.yaml": b"fine"}
    said = {problem.file: problem.message for problem in fetched.problems}
    assert said == {
        "policies/link.yaml": "a symbolic link is not followed",
        "policies/folder": "a symbolic link is not followed",
        "policies/module": "a submodule is not followed",
    }


def test_a_file_over_the_cap_is_a_problem_and_the_others_are_read(
    repository: PolicyRepository, open_source: OpenSource
) -> None:
    full, over = b"x" * (256 << 10), b"y" * ((256 << 10) + 1)
    repository.push(GOOD | {"policies/full.yaml": full, "policies/over.yaml": over})
    fetched = open_source().fetch(None)
    assert set(fetched.files) == {"policies/shop.yaml", "policies/full.yaml"}
    assert fetched.files["policies/full.yaml"] == full
    assert [(p.file, p.message) for p in fetched.problems] == [
        ("policies/over.yaml", "larger than 256 KiB and not read")
    ]


def test_a_file_of_hundreds_of_megabytes_costs_neither_memory_nor_disk(
    repository: PolicyRepository, open_source: OpenSource, tmp_path: Path
) -> None:
    """A few kilobytes on the wire; git would hold the whole file in memory if it were let."""
    # The server is a child here and has the same cap; it is not what is tried.
    repository.git("config", "core.bigFileThreshold", "1m")
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(300 << 20)
    entry = f"100644 blob {repository.git('hash-object', '-w', str(huge))}"
    repository.push_entries(
        [(entry, "policies/huge.yaml"), (blob_entry(repository, b"fine"), "policies/a.yaml")]
    )
    fetched = open_source(limits=Limits(memory=128 << 20)).fetch(None)
    assert dict(fetched.files) == {"policies/a.yaml": b"fine"}
    assert [problem.file for problem in fetched.problems] == ["policies/huge.yaml"]


def test_a_repository_that_changes_much_again_and_again_fills_no_disk(
    repository: PolicyRepository, open_source: OpenSource, tmp_path: Path
) -> None:
    source = open_source(limits=Limits(fetched=1 << 20))
    for _ in range(8):
        files = {f"policies/{name}.yaml": os.urandom(200 << 10) for name in "abc"}
        repository.push(files)
        assert dict(source.fetch(None).files) == files
        packs = [file.stat().st_size for file in tmp_path.glob("work0/*/*/objects/pack/*.pack")]
        assert 600 << 10 <= sum(packs) <= 3 << 20


@pytest.mark.parametrize("path", ["policies", "policies/"])
@pytest.mark.parametrize("mode", ["100644", "120000"])
def test_a_file_or_link_in_place_of_the_folder_is_no_folder(
    repository: PolicyRepository, open_source: OpenSource, mode: str, path: str
) -> None:
    repository.push_entries([(blob_entry(repository, b"elsewhere", mode), "policies")])
    fetched = open_source(path=path).fetch(None)
    assert not fetched.path_found
    assert dict(fetched.files) == {}


def test_the_root_of_the_repository_is_a_folder_too(
    repository: PolicyRepository, open_source: OpenSource
) -> None:
    repository.push({"a.yaml": b"1", "b/c.yml": b"2", "d.txt": b"3", "e.yaml/f": b"4"})
    for path in ("", ".", "./"):
        fetched = open_source(path=path).fetch(None)
        assert set(fetched.files) == {"a.yaml", "b/c.yml"}
        assert fetched.path_found


@pytest.mark.parametrize("path", ["/etc", "../x", "a/../../b", "a\nb"])
def test_a_folder_outside_is_refused(open_source: OpenSource, path: str) -> None:
    with pytest.raises(Refused, match="no folder"):
        open_source(path=path)


def test_a_folder_named_like_an_option_or_a_pattern_is_a_folder(
    repository: PolicyRepository, open_source: OpenSource
) -> None:
    repository.push({"--name-only/a.yaml": b"1", "*/b.yaml": b"2", ":(top)/c.yaml": b"3"})
    assert set(open_source(path="--name-only").fetch(None).files) == {"--name-only/a.yaml"}
    assert set(open_source(path="*").fetch(None).files) == {"*/b.yaml"}
    assert set(open_source(path=":(top)").fetch(None).files) == {":(top)/c.yaml"}


def test_a_tree_that_unfolds_without_end_costs_little(
    repository: PolicyRepository, open_source: OpenSource
) -> None:
    """A few kilobytes that stand for ten thousand million files."""
    tree = repository.git("mktree", stdin=f"100644 blob {repository.blob(b'x')}\ta.yaml\n".encode())
    for _ in range(10):
        lines = "".join(f"040000 tree {tree}\t{name}\n" for name in range(10))
        tree = repository.git("mktree", stdin=lines.encode())
    top = repository.git("mktree", stdin=f"040000 tree {tree}\tpolicies\n".encode())
    repository.push_tree(top)
    started = time.monotonic()
    with pytest.raises(Refused, match="more than 100000 entries"):
        open_source().fetch(None)
    assert time.monotonic() - started < 100


def test_a_repository_over_the_cap_is_refused(
    repository: PolicyRepository, open_source: OpenSource
) -> None:
    noise = {f"docs/{number}": os.urandom(200_000) for number in range(20)}
    repository.push(GOOD | noise)
    with pytest.raises(Refused, match="larger than 1 MiB") as caught:
        open_source(limits=Limits(fetched=1 << 20)).fetch(None)
    assert caught.value.hint
    assert set(open_source().fetch(None).files) == set(GOOD)


def test_too_many_files_and_too_many_bytes_are_refused(
    repository: PolicyRepository, open_source: OpenSource
) -> None:
    repository.push({f"policies/{n}.yaml": b"%d" % n * 1000 for n in range(30)})
    with pytest.raises(Refused, match="30 policy files"):
        open_source(limits=Limits(files=29)).fetch(None)
    with pytest.raises(Refused, match="more than 0 MiB of policies"):
        open_source(limits=Limits(total_size=10_000)).fetch(None)


def test_a_branch_that_is_not_there_is_refused_before_and_after(
    repository: PolicyRepository, open_source: OpenSource
) -> None:
    with pytest.raises(Refused, match="has no refs/heads/main"):
        open_source().fetch(None)
    revision = repository.push(GOOD)
    source = open_source()
    source.fetch(None)
    repository.git("update-ref", "-d", "refs/heads/main")
    with pytest.raises(Refused, match="has no refs/heads/main"):
        source.fetch(revision)


def test_a_tag_may_be_followed(repository: PolicyRepository, open_source: OpenSource) -> None:
    sha = repository.push(GOOD).rpartition(":")[2]
    repository.git("update-ref", "refs/tags/v1", sha)
    fetched = open_source(ref="refs/tags/v1").fetch(None)
    assert fetched.revision == f"refs/tags/v1@sha1:{sha}"
    assert set(fetched.files) == set(GOOD)


def test_a_name_that_is_no_utf8_is_still_a_name(
    repository: PolicyRepository, open_source: OpenSource
) -> None:
    index = f"100644 {repository.blob(b'x')}\tpolicies/".encode() + b"\xff.yaml\n"
    env = {"GIT_INDEX_FILE": str(repository.path / "odd-index")}
    repository.git("update-index", "--add", "--index-info", stdin=index, env=env)
    repository.push_tree(repository.git("write-tree", env=env))
    fetched = open_source().fetch(None)
    assert dict(fetched.files) == {"policies/\\xff.yaml": b"x"}


def test_processes_of_a_cycle(
    repository: PolicyRepository, open_source: OpenSource, executed: Executed
) -> None:
    first = repository.push(GOOD)
    source = open_source()
    executed()
    source.fetch(None)
    # The second cat-file has the commit's message: what it approves.
    assert commands(executed) == ["fetch", "ls-tree", "cat-file", "cat-file"]
    for _ in range(3):
        assert source.fetch(first).descends is Descends.YES
        assert commands(executed) == ["ls-remote"]
    second = repository.push(GOOD | {"policies/new.yaml": b"1"})
    assert source.fetch(first).descends is Descends.YES
    assert commands(executed) == [
        "ls-remote", "fetch", "ls-tree", "cat-file", "cat-file", "fetch", "rev-list",
    ]  # fmt: skip
    # Asked again about the same two revisions it remembers the answer.
    assert source.fetch(first).descends is Descends.YES
    assert source.fetch(second).descends is Descends.YES
    assert commands(executed) == ["ls-remote", "ls-remote"]


def test_a_remembered_text_that_is_no_revision_is_unknown(
    repository: PolicyRepository, open_source: OpenSource
) -> None:
    repository.push(GOOD)
    source = open_source()
    for nonsense in ("nonsense", "main@sha1:xyz", "main@sha1:"):
        assert source.fetch(nonsense).descends is Descends.UNKNOWN
    assert source.fetch(f"main@sha1:{'1' * 40}").descends is Descends.NO


def test_a_merge_descends_from_both_sides(
    repository: PolicyRepository, open_source: OpenSource
) -> None:
    base = repository.push(GOOD).rpartition(":")[2]
    tree = repository.git("rev-parse", f"{base}^{{tree}}")
    side = repository.git("commit-tree", "-p", base, "-m", "side", tree)
    main = repository.push(GOOD | {"policies/x.yaml": b"1"}).rpartition(":")[2]
    merge = repository.git("commit-tree", "-p", main, "-p", side, "-m", "merge", tree)
    repository.git("update-ref", "refs/heads/main", merge)
    source = open_source()
    for sha in (base, side, main):
        assert source.fetch(f"main@sha1:{sha}").descends is Descends.YES


def test_a_plain_shallow_clone_would_answer_wrongly(
    repository: PolicyRepository, open_source: OpenSource
) -> None:
    """The trap that the search avoids: after a shallow fetch the ancestor is just not there."""
    old = repository.push(GOOD)
    repository.push(GOOD | {"policies/b.yaml": b""})
    repository.push(GOOD | {"policies/c.yaml": b""})
    source = open_source()
    source.fetch(None)
    folder = source._cache.repository.folder
    history = repository.git("rev-list", "--all", cwd=folder).split()
    assert len(history) == 1
    assert source.fetch(old).descends is Descends.YES


def test_over_ssh_a_lost_server_leaves_the_source_usable(tmp_path: Path) -> None:
    with Sshd(tmp_path / "sshd") as server:
        server.create("policies")
        repository = PolicyRepository(server.path("policies"))
        revision = repository.push(GOOD)
        with GitPolicySource(
            server.url("policies"),
            ref="main",
            path="policies",
            credentials=parse_credentials(server.secret(), "Secret git"),
            workdir=tmp_path / "work",
        ) as source:
            assert dict(source.fetch(None).files) == GOOD
            server.stop()
            with pytest.raises(Transient, match="could not be reached"):
                source.fetch(revision)
            server.start()
            assert source.fetch(revision).descends is Descends.YES
