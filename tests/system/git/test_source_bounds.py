"""A hostile or dying server, a killed fetch: bounded bytes, memory and time, and nothing stays."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from hashlib import sha1
from pathlib import Path

import pytest

from reconciler.adapters.gitcredentials import GitCredentials, parse_credentials
from reconciler.adapters.gitsource import GitPolicySource
from reconciler.adapters.policytree import Limits
from reconciler.adapters.process import DeadlineExceeded
from reconciler.model.errors import BackstayError, Refused
from reconciler.model.store import Descends
from tests.rig.policyrepo import PolicyRepository
from tests.rig.servers import githttpsmoods as moods
from tests.rig.servers.githttps import GitHttps

GOOD = {"policies/shop.yaml": b"kind: BackupPolicy\n"}
OpenSource = Callable[..., GitPolicySource]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitHttps]:
    """A server with one repository, which anybody may read."""
    with GitHttps(tmp_path / "web") as running:
        running.create("policies")
        yield running


@pytest.fixture
def repository(server: GitHttps) -> PolicyRepository:
    """The policies on the server, with one commit."""
    made = PolicyRepository(server.path("policies"))
    made.push(GOOD)
    return made


@pytest.fixture
def open_source(server: GitHttps, tmp_path: Path) -> Iterator[OpenSource]:
    """Opens a source on it."""
    opened: list[GitPolicySource] = []

    def start(limits: Limits | None = None) -> GitPolicySource:
        opened.append(
            GitPolicySource(
                server.url("policies"),
                ref="main",
                path="policies",
                credentials=parse_credentials({"ca.crt": server.certificate}, "Secret git"),
                workdir=tmp_path / "work",
                limits=limits,
            )
        )
        return opened[-1]

    yield start
    for source in opened:
        source.close()


def size(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def leftovers(folder: Path) -> list[str]:
    """Half packs, locks and the like."""
    names = [path.name for path in folder.rglob("*")]
    return [n for n in names if "tmp" in n or n.endswith(".lock") or n.startswith("shallow_")]


def test_a_pack_without_end_is_cut_at_the_cap_each_time(
    server: GitHttps, repository: PolicyRepository, open_source: OpenSource, tmp_path: Path
) -> None:
    source = open_source(Limits(fetched=2 << 20))
    for _ in range(3):
        server.misbehave(moods.stream(moods.endless_pack(objects=1000)), on="fetch")
        with pytest.raises(Refused, match="larger than 2 MiB") as caught:
            source.fetch(None)
        assert "repository of their own" in caught.value.hint
        assert size(tmp_path / "work") < 1 << 20
        assert not leftovers(tmp_path / "work")
    server.behave()
    assert dict(source.fetch(None).files) == GOOD


def test_a_pack_that_promises_a_thousand_million_objects(
    server: GitHttps, repository: PolicyRepository, open_source: OpenSource, tmp_path: Path
) -> None:
    server.misbehave(moods.stream(moods.endless_pack(objects=1 << 30)), on="fetch")
    source = open_source(Limits(fetched=2 << 20, memory=256 << 20))
    with pytest.raises(BackstayError) as caught:
        source.fetch(None)
    assert caught.value.hint
    assert not leftovers(tmp_path / "work")
    server.behave()
    assert dict(source.fetch(None).files) == GOOD


def test_a_server_that_only_talks_is_left_at_the_deadline(
    server: GitHttps, repository: PolicyRepository, open_source: OpenSource, tmp_path: Path
) -> None:
    server.misbehave(moods.stream(moods.endless_progress()), on="fetch")
    source = open_source(Limits(deadline=3))
    with pytest.raises(DeadlineExceeded, match="took longer than 3 s"):
        source.fetch(None)
    assert not leftovers(tmp_path / "work")


def nested(repository: PolicyRepository, depth: int) -> str:
    """A tree of a file below so many folders, written without git; its id."""
    kind, name, sha = b"100644", b"a.yaml", bytes.fromhex(repository.blob(b"x"))
    for level in range(depth):
        body = b"%b %b\0%b" % (kind, name, sha)
        raw = b"tree %d\0%b" % (len(body), body)
        sha = sha1(raw, usedforsecurity=False).digest()
        path = repository.path / "objects" / sha.hex()[:2] / sha.hex()[2:]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(zlib.compress(raw))
        kind, name = b"40000", b"policies" if level == depth - 2 else b"d"
    return sha.hex()


@pytest.mark.parametrize(("depth", "says"), [(1000, "folders more than 256 deep"), (30_000, "")])
def test_folders_in_folders_without_end(tmp_path: Path, depth: int, says: str) -> None:
    """git walks trees by recursion: on its side too it must end well, and say so here."""
    repository = PolicyRepository(tmp_path / "policies.git")
    repository.push_tree(nested(repository, depth))
    with (
        GitPolicySource(
            repository.url,
            ref="main",
            path="policies",
            credentials=GitCredentials(),
            workdir=tmp_path / "work",
            limits=Limits(deadline=60 if says else 5),
            allow_local=True,
        ) as source,
        pytest.raises(BackstayError, match=says or None) as caught,
    ):
        source.fetch(None)
    assert caught.value.hint
    assert not leftovers(tmp_path / "work")


def test_a_cache_that_grew_with_each_commit_is_made_again(tmp_path: Path) -> None:
    """As many packs as commits, were it let: most of them are put there by hand."""
    repository = PolicyRepository(tmp_path / "policies.git")
    with GitPolicySource(
        repository.url,
        ref="main",
        path="policies",
        credentials=GitCredentials(),
        workdir=tmp_path / "work",
        allow_local=True,
    ) as source:
        last, counts = None, [0]
        for number in range(4):
            repository.push({"policies/n.yaml": b"%d" % number})
            fetched = source.fetch(last)
            assert fetched.descends is (Descends.YES if last else Descends.UNKNOWN)
            last = fetched.revision
            packs = list((tmp_path / "work").rglob("*.pack"))
            counts.append(len(packs))
        assert counts == sorted(set(counts))
        for number in range(64):
            for file in (packs[0], packs[0].with_suffix(".idx")):
                shutil.copy(file, file.with_stem(f"pack-{number:040x}"))
        repository.push({"policies/n.yaml": b"the last"})
        assert source.fetch(last).descends is Descends.YES
        assert 0 < len(list((tmp_path / "work").rglob("*.pack"))) < 5


KILLED = """
import sys
from pathlib import Path
from reconciler.adapters.gitcredentials import parse_credentials
from reconciler.adapters.gitsource import GitPolicySource
url, work, ca = sys.argv[1:]
credentials = parse_credentials({"ca.crt": Path(ca).read_bytes()}, "Secret git")
GitPolicySource(
    url, ref="main", path="policies", credentials=credentials, workdir=Path(work)
).fetch(None)
"""


def test_a_fetch_that_was_killed_leaves_nothing_that_hinders_or_grows(
    server: GitHttps, repository: PolicyRepository, open_source: OpenSource, tmp_path: Path
) -> None:
    (tmp_path / "ca").write_bytes(server.certificate)
    for _ in range(2):
        begun, over = threading.Event(), threading.Event()
        server.misbehave(moods.half_a_pack(begun, over), on="fetch")
        words = [server.url("policies"), str(tmp_path / "work"), str(tmp_path / "ca")]
        child = subprocess.Popen([sys.executable, "-c", KILLED, *words])
        assert begun.wait(120)
        child.send_signal(signal.SIGKILL)
        child.wait(60)
        server.behave()
        # Its git still lives and holds the folder: this one works beside it.
        source = open_source()
        assert dict(source.fetch(None).files) == GOOD
        source.close()
        over.set()
        wait_for_lock(tmp_path / "work")
    source = open_source()
    assert dict(source.fetch(None).files) == GOOD
    assert not leftovers(tmp_path / "work")
    assert len(list((tmp_path / "work").iterdir())) == 1
    assert len(list((tmp_path / "work").rglob("*.pack"))) == 1


def wait_for_lock(workdir: Path) -> None:
    """Until no process holds the cache any more."""
    (lock,) = workdir.glob("policies-*/lock")
    subprocess.run(["flock", "--timeout", "120", lock, "true"], check=True)


def test_a_branch_that_was_renamed_and_a_repository_without_a_commit(
    server: GitHttps, open_source: OpenSource, repository: PolicyRepository
) -> None:
    source = open_source()
    last = source.fetch(None).revision
    sha = last.rpartition(":")[2]
    repository.git("update-ref", "refs/heads/trunk", sha)
    repository.git("symbolic-ref", "HEAD", "refs/heads/trunk")
    repository.git("update-ref", "-d", "refs/heads/main")
    with pytest.raises(Refused, match=r"has no refs/heads/main; its default branch is trunk"):
        source.fetch(last)
    repository.git("update-ref", "-d", "refs/heads/trunk")
    with pytest.raises(Refused, match=r"has no refs/heads/main; it has no default branch, or is"):
        source.fetch(last)
    repository.git("update-ref", "refs/heads/main", sha)
    assert source.fetch(last).descends is Descends.YES
