"""What every HistoryReader keeps: in memory, a plain clone, and the store that Config names."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.adapters.gitcredentials import GitCredentials
from reconciler.adapters.githistory import GitHistory
from reconciler.adapters.gitlocal import LocalManifests
from reconciler.adapters.gitnames import local_url
from reconciler.engine.reading import HistoryReader
from reconciler.model.store import Delete, FileChange, FileTouch, Write
from reconciler.ports import ManifestStore
from tests.fakes.gitstore import FakeManifestStore, FakeRemote, blob_id
from tests.integration.git.history_world import open_store

BRANCH = "clusters/prod/shop"
WHEN = datetime(2026, 11, 21, 4, 17, 3, tzinfo=UTC)
A, B, C = b"a\n", b"b\n", b"c\n" * 1000
STEPS: tuple[list[FileChange], ...] = (
    [Write("shop/configmap/a.yaml", A), Write("_run.yaml", A)],
    [Write("shop/configmap/a.yaml", B), Write("shop/configmap/é x.yaml", C)],
    [],
    [Delete("shop/configmap/a.yaml"), Write("shop-2/configmap/a.yaml", A)],
    [Write("shop/configmap/a.yaml", A)],
)


def fill(store: ManifestStore) -> list[str]:
    """One commit per step, oldest first."""
    made: list[str] = []
    for number, changes in enumerate(STEPS):
        when, text = WHEN + timedelta(hours=number), f"{number}\n\nBackstay-Run: r{number}\n"
        made.append(store.commit(BRANCH, made[-1] if made else None, changes, text, when=when))
        store.push({BRANCH: made[-1]})
    return made


@pytest.fixture(
    params=[
        "memory",
        "clone",
        "history",
        pytest.param("history without filters", marks=pytest.mark.one_in(3)),
    ]
)
def readers(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[Callable[[], HistoryReader], list[str]]]:
    """Opens a reader, and the commits that it should find."""
    if request.param == "memory":
        remote = FakeRemote()
        made = fill(FakeManifestStore(remote))
        yield lambda: FakeManifestStore(remote), made
        return
    server, clone = tmp_path / "server.git", tmp_path / "clone"
    subprocess.run(["git", "init", "--quiet", "--bare", server], check=True)
    allowed = "false" if request.param.endswith("filters") else "true"
    subprocess.run(["git", "-C", server, "config", "uploadpack.allowFilter", allowed], check=True)
    with open_store(server, tmp_path / "work") as store:
        made = fill(store)
    subprocess.run(["git", "clone", "--quiet", "--no-checkout", server, clone], check=True)
    opened: list[LocalManifests | GitHistory] = []

    def make() -> HistoryReader:
        if request.param == "clone":
            opened.append(LocalManifests(clone))
        else:
            opened.append(
                GitHistory(
                    local_url(server),
                    author_name="Backstay",
                    author_email="backstay@example.org",
                    credentials=GitCredentials(),
                    workdir=tmp_path / "history",
                    allow_local=True,
                )
            )
        return opened[-1]

    yield make, made
    for reader in opened:
        reader.close()


Readers = tuple[Callable[[], HistoryReader], list[str]]


def test_what_each_commit_changed(readers: Readers) -> None:
    make, made = readers
    found = list(make().changes(BRANCH))
    assert [one.commit.sha for one in found] == made[::-1]
    assert [one.commit.trailers["Backstay-Run"] for one in found] == ["r4", "r3", "r2", "r1", "r0"]
    assert [one.files for one in found][::-1] == [
        (
            FileTouch("_run.yaml", None, blob_id(A)),
            FileTouch("shop/configmap/a.yaml", None, blob_id(A)),
        ),
        (
            FileTouch("shop/configmap/a.yaml", blob_id(A), blob_id(B)),
            FileTouch("shop/configmap/é x.yaml", None, blob_id(C)),
        ),
        (),
        (
            FileTouch("shop-2/configmap/a.yaml", None, blob_id(A)),
            FileTouch("shop/configmap/a.yaml", blob_id(B), None),
        ),
        (FileTouch("shop/configmap/a.yaml", None, blob_id(A)),),
    ]


def test_all_commits_from_the_oldest_on(readers: Readers) -> None:
    make, _ = readers
    reader = make()
    assert list(reader.commits(BRANCH)) == list(reader.changes(BRANCH))[::-1]
    assert list(reader.commits("clusters/prod/nobody")) == []


def test_only_commits_that_touched_a_file_or_a_folder(readers: Readers) -> None:
    make, made = readers
    reader = make()

    def touched(*paths: str) -> list[int]:
        return [made.index(one.commit.sha) for one in reader.changes(BRANCH, paths)]

    assert touched("shop/configmap/a.yaml") == [4, 3, 1, 0]
    assert touched("shop") == [4, 3, 1, 0]
    assert touched("shop-2", "_run.yaml") == [3, 0]
    assert touched("shop/configmap/*") == []
    assert list(reader.changes("clusters/prod/nobody")) == []


def test_blobs_in_the_order_asked_for(readers: Readers) -> None:
    make, _ = readers
    reader = make()
    assert reader.tip(BRANCH)
    asked = [blob_id(C), blob_id(A), blob_id(C), blob_id(B)]
    assert list(reader.blobs(asked)) == list(zip(asked, [C, A, C, B], strict=True))
    assert list(reader.blobs([])) == []


def test_old_trees_are_there_after_the_log(readers: Readers) -> None:
    make, made = readers
    reader = make()
    assert [one.sha for one in reader.log(BRANCH, limit=2)] == made[:-3:-1]
    assert [one.sha for one in reader.log(BRANCH)] == made[::-1]
    assert dict(reader.tree(made[0])) == {
        "_run.yaml": blob_id(A),
        "shop/configmap/a.yaml": blob_id(A),
    }
    assert reader.read(made[1], ["shop/configmap/a.yaml"]) == {"shop/configmap/a.yaml": B}
