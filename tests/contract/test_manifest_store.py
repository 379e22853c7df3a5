"""What every ManifestStore keeps, held against the one in memory and the one over Git."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import pytest

from reconciler.adapters.gitcredentials import parse_credentials
from reconciler.adapters.gitnames import local_url
from reconciler.adapters.gitstore import GitManifestStore
from reconciler.model.errors import Bug, PushRejected, Refused
from reconciler.model.store import Delete, FileChange, Write
from reconciler.ports import ManifestStore, PushProbe
from tests.fakes.gitstore import FakeManifestStore, FakeRemote, blob_id
from tests.rig.servers.githttps import GitHttps, basic

BRANCH = "clusters/prod/shop"
OTHER = "clusters/prod/_cluster"
WHEN = datetime(2026, 11, 21, 4, 17, 3, tzinfo=UTC)


class Store(ManifestStore, PushProbe, Protocol):
    """Both ports, as both implementations are."""


@dataclass(frozen=True, slots=True)
class Stores:
    """Makes stores that share one remote; ``drop`` deletes a branch there."""

    make: Callable[[], Store]
    drop: Callable[[str], None]
    purge: Callable[[], None]
    """Removes what no branch has."""


@pytest.fixture(
    params=[
        "memory",
        "git",
        pytest.param("git without filters", marks=pytest.mark.one_in(5)),
        pytest.param("https", marks=pytest.mark.one_in(3)),
    ]
)
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stores]:
    """One remote of each kind."""
    if request.param == "memory":
        remote = FakeRemote()
        yield Stores(
            lambda: FakeManifestStore(remote),
            lambda branch: _pop(remote, branch),
            remote.commits.clear,
        )
        return
    web = GitHttps(tmp_path / "web", authorization=basic("ann", "secret"))
    server = web.path("server")
    https = web.create("server")
    allowed = "false" if request.param == "git without filters" else "true"
    subprocess.run(["git", "-C", server, "config", "uploadpack.allowFilter", allowed], check=True)
    data = {"username": b"ann", "password": b"secret", "ca.crt": web.certificate}
    credentials = parse_credentials(data if request.param == "https" else {}, "Secret git")
    url = https if request.param == "https" else local_url(server)
    opened: list[GitManifestStore] = []

    def make() -> Store:
        opened.append(
            GitManifestStore(
                url,
                author_name="Backstay",
                author_email="backstay@example.org",
                credentials=credentials,
                workdir=tmp_path / f"work{len(opened)}",
                allow_local=True,
            )
        )
        return opened[-1]

    def drop(branch: str) -> None:
        subprocess.run(
            ["git", "-C", server, "update-ref", "-d", f"refs/heads/{branch}"], check=True
        )

    def purge() -> None:
        subprocess.run(["git", "-C", server, "prune", "--expire=now"], check=True)

    with web:
        yield Stores(make, drop, purge)
        for store in opened:
            store.close()


def _pop(remote: FakeRemote, branch: str) -> None:
    del remote.heads[branch]


def _first(store: ManifestStore, branch: str = BRANCH) -> str:
    sha = store.commit(
        branch,
        None,
        [
            Write("shop/configmap/a.yaml", b"a: 1\n"),
            Write("shop/deployment.apps/b.yaml", b"b: 1\n"),
        ],
        "Back up shop\n\nBackstay-Policy: shop\nBackstay-Run: shop-20261121-041703-0a1b2\n",
        when=WHEN,
    )
    store.push({branch: sha})
    return sha


def test_an_empty_remote_has_no_branch_and_no_log(stores: Stores) -> None:
    store = stores.make()
    assert store.tip(BRANCH) is None
    assert dict(store.branches("clusters")) == {}
    assert list(store.log(BRANCH)) == []


def test_asking_whether_a_push_would_be_taken_pushes_nothing(stores: Stores) -> None:
    store = stores.make()
    store.check_push("clusters/prod/_doctor")
    assert dict(store.branches("")) == {}
    sha = _first(store)
    for branch in ("clusters/prod/_doctor", "clusters/prod/mail"):
        store.check_push(branch)
    assert dict(stores.make().branches("")) == {BRANCH: sha}


def test_what_one_store_pushed_another_one_reads(stores: Stores) -> None:
    sha = _first(stores.make())
    store = stores.make()
    assert store.tip(BRANCH) == sha
    assert dict(store.branches("clusters/prod")) == {BRANCH: sha}
    assert dict(store.tree(sha)) == {
        "shop/configmap/a.yaml": blob_id(b"a: 1\n"),
        "shop/deployment.apps/b.yaml": blob_id(b"b: 1\n"),
    }
    assert dict(store.read(sha, ["shop/configmap/a.yaml", "shop/none.yaml"])) == {
        "shop/configmap/a.yaml": b"a: 1\n"
    }


def test_a_prefix_is_a_folder_and_not_the_beginning_of_a_name(stores: Stores) -> None:
    store = stores.make()
    sha = store.commit(
        BRANCH, None, [Write("shop/a", b""), Write("shopping/b", b""), Write("x/shop/c", b"")],
        "m", when=WHEN,
    )  # fmt: skip
    assert set(store.tree(sha, "shop")) == {"shop/a"}
    assert set(store.tree(sha, "shop/")) == {"shop/a"}
    assert dict(store.tree(sha, "sho")) == {}
    store.push({BRANCH: sha, "clusters/production/x": sha})
    assert set(store.branches("clusters/prod")) == {BRANCH}
    assert set(store.branches("clusters/")) == {BRANCH, "clusters/production/x"}
    assert set(store.branches("")) == {BRANCH, "clusters/production/x"}


def test_a_commit_keeps_what_it_does_not_change(stores: Stores) -> None:
    first = _first(stores.make())
    store = stores.make()
    assert store.tip(BRANCH) == first
    second = store.commit(
        BRANCH, first, [Write("shop/secret/c.yaml", b"c"), Delete("shop/configmap/a.yaml")],
        "second", when=WHEN + timedelta(hours=1),
    )  # fmt: skip
    assert dict(store.tree(second)) == {
        "shop/deployment.apps/b.yaml": blob_id(b"b: 1\n"),
        "shop/secret/c.yaml": blob_id(b"c"),
    }
    store.push({BRANCH: second})
    again = stores.make()
    assert again.tip(BRANCH) == second
    assert dict(again.read(second, ["shop/deployment.apps/b.yaml"])) == {
        "shop/deployment.apps/b.yaml": b"b: 1\n"
    }
    # An older commit is read as well as the tip.
    assert set(again.tree(first)) == {"shop/configmap/a.yaml", "shop/deployment.apps/b.yaml"}
    assert dict(again.read(first, ["shop/configmap/a.yaml"])) == {
        "shop/configmap/a.yaml": b"a: 1\n"
    }


def test_log_is_newest_first_with_trailers_and_whole(stores: Stores) -> None:
    store = stores.make()
    shas = [_first(store)]
    for number in range(1, 4):
        message = f"run {number}\n\nA body with: a colon.\n\nBackstay-Run: r{number}\nX-Y: a: b\n"
        when = WHEN + timedelta(hours=number)
        shas.append(store.commit(BRANCH, shas[-1], [], message, when=when))
        store.push({BRANCH: shas[-1]})
    reader = stores.make()
    commits = list(reader.log(BRANCH))
    assert [commit.sha for commit in commits] == shas[::-1]
    assert commits[0].parents == (shas[2],)
    assert commits[0].trailers == {"Backstay-Run": "r3", "X-Y": "a: b"}
    assert commits[0].subject == "run 3"
    assert commits[0].time == WHEN + timedelta(hours=3)
    assert commits[-1].parents == ()
    assert commits[-1].trailers["Backstay-Policy"] == "shop"
    newest = list(reader.log(BRANCH, limit=2))
    assert newest == commits[:2]
    # Looking at the log takes nothing from the newest tree.
    assert reader.tip(BRANCH) == shas[-1]
    assert set(reader.tree(shas[-1])) == {"shop/configmap/a.yaml", "shop/deployment.apps/b.yaml"}


def test_after_the_log_a_commit_goes_on_top(stores: Stores) -> None:
    first = _first(stores.make())
    store = stores.make()
    assert [commit.sha for commit in store.log(BRANCH)] == [first]
    second = store.commit(BRANCH, first, [Write("shop/n", b"n")], "m", when=WHEN)
    store.push({BRANCH: second})
    assert [commit.sha for commit in stores.make().log(BRANCH)] == [second, first]


def test_the_same_commit_twice_has_the_same_id(stores: Stores) -> None:
    changes = [Write("shop/b", b"2"), Write("shop/a", b"1")]
    one = stores.make().commit(BRANCH, None, changes, "m", when=WHEN)
    two = stores.make().commit(BRANCH, None, changes[::-1], "m", when=WHEN)
    assert one == two


def test_the_last_change_of_a_path_counts_and_files_may_become_folders(stores: Stores) -> None:
    store = stores.make()
    first = store.commit(BRANCH, None, [Write("a", b"1"), Write("b/c", b"1")], "m", when=WHEN)
    changes: list[FileChange] = [Write("x", b"1"), Write("x", b"2"), Write("y", b"1"), Delete("y")]
    changes += [Write("a/z", b"3"), Delete("a"), Delete("b/c"), Write("b", b"4"), Delete("never")]
    second = store.commit(BRANCH, first, changes, "m", when=WHEN)
    assert dict(store.tree(second)) == {
        "a/z": blob_id(b"3"),
        "b": blob_id(b"4"),
        "x": blob_id(b"2"),
    }


@pytest.mark.parametrize(
    "path",
    [
        "ns/with space",
        'ns/"quoted"',
        "ns/tab\tand\nline",
        "ns/käse",
        "ns/back\\slash",
        "-x/--y",
        "*",
    ],
)
def test_odd_names_survive(stores: Stores, path: str) -> None:
    store = stores.make()
    sha = store.commit(BRANCH, None, [Write(path, b"\0\xff\n")], "m", when=WHEN)
    assert dict(store.tree(sha)) == {path: blob_id(b"\0\xff\n")}
    assert dict(store.read(sha, [path])) == {path: b"\0\xff\n"}
    emptied = store.commit(BRANCH, sha, [Delete(path)], "m", when=WHEN)
    assert dict(store.tree(emptied)) == {}


@pytest.mark.parametrize(
    "path", ["", "/a", "a//b", "../a", "a/.", "a/..", ".git/config", "a/.GIT/b"]
)
def test_paths_that_would_hurt_a_checkout_are_refused(stores: Stores, path: str) -> None:
    commit = stores.make().begin(BRANCH, None)
    with pytest.raises(Refused):
        commit.write(path, b"")
    with pytest.raises(Refused):
        commit.delete(path)
    commit.abort()


@pytest.mark.parametrize("branch", ["", "-x", "a..b", "a b", "a~1", "a/.b", "x.lock", "a@{b", "a/"])
def test_branch_names_that_git_would_not_take_are_refused(stores: Stores, branch: str) -> None:
    store = stores.make()
    with pytest.raises(Refused, match="branch"):
        store.tip(branch)
    with pytest.raises(Refused, match="branch"):
        store.begin(branch, None)
    with pytest.raises(Refused):
        store.push({branch: "1" * 40})


def test_a_commit_streams_and_ends_once(stores: Stores) -> None:
    store = stores.make()
    commit = store.begin(BRANCH, None)
    for number in range(100):
        commit.write(f"ns/{number}", b"%d" % number)
    sha = commit.finish("streamed", when=WHEN)
    commit.abort()
    assert len(store.tree(sha)) == 100
    with pytest.raises(Bug):
        commit.write("late", b"")
    with pytest.raises(Bug):
        commit.finish("again", when=WHEN)


def test_an_aborted_commit_leaves_nothing_behind(stores: Stores) -> None:
    store = stores.make()
    commit = store.begin(BRANCH, None)
    commit.write("a", b"1")
    commit.abort()
    commit.abort()
    with pytest.raises(Bug):
        commit.finish("m", when=WHEN)
    assert store.tip(BRANCH) is None
    assert dict(store.branches("")) == {}


def test_a_commit_whose_changes_break_off_is_none(stores: Stores) -> None:
    def changes() -> Iterator[Write]:
        yield Write("a", b"1")
        raise RuntimeError("listing broke off")

    store = stores.make()
    with pytest.raises(RuntimeError, match="broke off"):
        store.commit(BRANCH, None, changes(), "m", when=WHEN)
    assert dict(store.branches("")) == {}
    sha = store.commit(BRANCH, None, [Write("b", b"2")], "m", when=WHEN)
    assert set(store.tree(sha)) == {"b"}


def test_a_push_on_a_branch_that_moved_is_rejected_and_changes_nothing(stores: Stores) -> None:
    first = _first(stores.make())
    late, quick = stores.make(), stores.make()
    assert late.tip(BRANCH) == quick.tip(BRANCH) == first
    mine = late.commit(BRANCH, first, [Write("late", b"")], "late", when=WHEN)
    theirs = quick.commit(BRANCH, first, [Write("quick", b"")], "quick", when=WHEN)
    quick.push({BRANCH: theirs})
    with pytest.raises(PushRejected, match=BRANCH):
        late.push({BRANCH: mine})
    assert late.tip(BRANCH) == theirs
    on_top = late.reparent(mine, theirs)
    late.push({BRANCH: on_top})
    commits = list(stores.make().log(BRANCH))
    assert [commit.sha for commit in commits] == [on_top, theirs, first]
    assert set(late.tree(on_top)) == set(late.tree(mine))
    assert (commits[0].subject, commits[0].time) == ("late", WHEN)


def test_a_first_push_never_replaces_a_branch_that_appeared(stores: Stores) -> None:
    store = stores.make()
    assert store.tip(BRANCH) is None
    mine = store.commit(BRANCH, None, [Write("mine", b"")], "mine", when=WHEN)
    theirs = _first(stores.make())
    with pytest.raises(PushRejected):
        store.push({BRANCH: mine})
    assert stores.make().tip(BRANCH) == theirs


def test_a_push_to_a_branch_that_was_deleted_is_rejected(stores: Stores) -> None:
    first = _first(stores.make())
    store = stores.make()
    assert store.tip(BRANCH) == first
    second = store.commit(BRANCH, first, [], "second", when=WHEN)
    stores.drop(BRANCH)
    with pytest.raises(PushRejected):
        store.push({BRANCH: second})
    assert store.tip(BRANCH) is None


def test_several_branches_are_pushed_all_or_none(stores: Stores) -> None:
    store = stores.make()
    first = _first(store)
    theirs = stores.make()
    assert theirs.tip(BRANCH) == first
    theirs.push({BRANCH: theirs.commit(BRANCH, first, [], "theirs", when=WHEN)})
    mine = store.commit(BRANCH, first, [], "mine", when=WHEN)
    other = store.commit(OTHER, None, [Write("_cluster.yaml", b"uid")], "mark", when=WHEN)
    with pytest.raises(PushRejected, match=BRANCH):
        store.push({OTHER: other, BRANCH: mine})
    assert set(store.branches("")) == {BRANCH}
    tip = store.tip(BRANCH)
    store.push({OTHER: other, BRANCH: store.reparent(mine, tip)})
    assert set(store.branches("clusters/prod/")) == {BRANCH, OTHER}


def test_pushing_again_what_is_there_is_a_success(stores: Stores) -> None:
    store = stores.make()
    sha = _first(store)
    store.push({BRANCH: sha})
    store.push({})
    assert store.tip(BRANCH) == sha


def test_what_is_no_commit_id_is_refused(stores: Stores) -> None:
    store = stores.make()
    for text in ("--output=/tmp/x", "main", "0" * 39, "0" * 40, "HEAD"):
        with pytest.raises(Refused):
            store.tree(text)
        with pytest.raises(Refused):
            store.push({BRANCH: text})


def _late(store: ManifestStore, parent: str | None) -> tuple[str, bytes]:
    """A commit that its store could not push, and its bundle."""
    late = store.commit(
        BRANCH, parent,
        [Write("shop/configmap/c.yaml", b"c: 1\n"), Delete("shop/deployment.apps/b.yaml")],
        "Late\n", when=WHEN,
    )  # fmt: skip
    return late, b"".join(store.bundle(BRANCH, late, parent))


def test_a_bundle_brings_a_commit_to_another_store_below_what_is_newer(stores: Stores) -> None:
    first = _first(stores.make())
    away = stores.make()
    assert away.tip(BRANCH) == first
    late, data = _late(away, first)
    newer = stores.make()
    changes: list[FileChange] = [Write("shop/configmap/a.yaml", b"a: 2\n")]
    second = newer.commit(BRANCH, newer.tip(BRANCH), changes, "Newer\n", when=WHEN)
    newer.push({BRANCH: second})
    store = stores.make()
    assert store.tip(BRANCH) == second
    assert store.unbundle([data[:7], data[7:]]) == late
    assert store.complete([late], second) == ()
    below = store.reparent(late, second, text="Late, told again\n")
    again = store.reparent(second, below)
    store.push({BRANCH: again})
    reader = stores.make()
    assert reader.tip(BRANCH) == again
    assert [found.subject for found in reader.log(BRANCH)][:3] == [
        "Newer", "Late, told again", "Newer",
    ]  # fmt: skip
    assert dict(reader.tree(again)) == dict(reader.tree(second))
    assert dict(reader.read(below, ["shop/configmap/a.yaml", "shop/configmap/c.yaml"])) == {
        "shop/configmap/a.yaml": b"a: 1\n",
        "shop/configmap/c.yaml": b"c: 1\n",
    }


def test_a_bundle_of_a_first_commit_needs_nothing(stores: Stores) -> None:
    away = stores.make()
    sha = away.commit(BRANCH, None, [Write("shop/a", b"a")], "First\n", when=WHEN)
    data = b"".join(away.bundle(BRANCH, sha, None))
    store = stores.make()
    assert store.unbundle([data]) == sha
    assert store.complete([sha], None) == ()
    store.push({BRANCH: sha})
    assert stores.make().tip(BRANCH) == sha


def test_a_damaged_bundle_is_refused_and_the_store_goes_on(stores: Stores) -> None:
    first = _first(stores.make())
    store = stores.make()
    assert store.tip(BRANCH) == first
    _, data = _late(store, first)
    other = stores.make()
    for bad in (b"", b"no bundle", data[:-3], data[: len(data) // 3]):
        with pytest.raises(Refused, match="no Git bundle that can be read"):
            other.unbundle([bad])
    assert other.tip(BRANCH) == first
    again = other.commit(BRANCH, first, [Write("shop/z", b"z")], "Next\n", when=WHEN)
    other.push({BRANCH: again})


def test_files_that_neither_bundle_nor_remote_has_are_told(stores: Stores) -> None:
    away = stores.make()
    first = _first(away)
    late, data = _late(away, first)
    whole = away.commit(BRANCH, None, [Write("shop/w", b"w")], "Whole\n", when=WHEN)
    other = b"".join(away.bundle(BRANCH, whole, None))
    # The branch was made anew from other files: what the bundle builds on is nowhere.
    stores.drop(BRANCH)
    stores.purge()
    fresh = away.commit(BRANCH, None, [Write("shop/n", b"n")], "New\n", when=WHEN)
    away.push({BRANCH: fresh})
    store = stores.make()
    assert store.tip(BRANCH) == fresh
    assert (store.unbundle([data]), store.unbundle([other])) == (late, whole)
    assert store.complete([late, whole], fresh) == (late,)
    assert store.complete([whole], fresh) == ()
