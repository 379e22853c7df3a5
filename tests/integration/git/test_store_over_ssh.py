"""The manifest store against a real sshd: what works, and what each way of failing is called."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from reconciler.adapters.process import DeadlineExceeded
from reconciler.model.errors import PushRejected, Refused, Transient
from reconciler.model.store import Write
from tests.integration.git.conftest import (
    BRANCH,
    WHEN,
    Executed,
    MakeStore,
    install_hook,
    push_one,
)
from tests.rig.servers.sshd import Sshd


def test_a_commit_goes_over_ssh_and_comes_back(make_store: MakeStore) -> None:
    sha = push_one(make_store())
    store = make_store()
    assert store.tip(BRANCH) == sha
    assert dict(store.read(sha, ["shop/a"])) == {"shop/a": b"a"}
    assert [commit.sha for commit in store.log(BRANCH)] == [sha]


def test_a_server_of_the_old_protocol_serves_too(tmp_path: Path, make_store: MakeStore) -> None:
    with Sshd(tmp_path / "old", modern=False) as old:
        old.create("manifests")
        url, secret = old.url("manifests"), old.secret()
        first = push_one(make_store(url=url, secret=secret), "first")
        second = push_one(make_store(url=url, secret=secret), "second")
        store = make_store(url=url, secret=secret)
        assert store.tip(BRANCH) == second
        assert dict(store.read(second, ["shop/first"])) == {"shop/first": b"first"}
        assert [commit.sha for commit in store.log(BRANCH)] == [second, first]


def test_another_host_key_is_refused(tmp_path: Path, server: Sshd, make_store: MakeStore) -> None:
    other = Sshd(tmp_path / "other", port=server.port)
    secret = server.secret() | {"known_hosts": other.known_hosts().encode()}
    with pytest.raises(Refused, match="host key") as caught:
        make_store(secret=secret).tip(BRANCH)
    assert server.url("manifests") in caught.value.message
    assert "known_hosts" in caught.value.hint


def test_another_client_key_is_refused(tmp_path: Path, server: Sshd, make_store: MakeStore) -> None:
    other = Sshd(tmp_path / "other").secret()
    secret = server.secret() | {"identity": other["identity"]}
    with pytest.raises(Refused, match="refused the SSH key") as caught:
        make_store(secret=secret).tip(BRANCH)
    assert "deploy key" in caught.value.hint


def test_a_repository_that_is_not_there_is_refused(server: Sshd, make_store: MakeStore) -> None:
    with pytest.raises(Refused, match="no such repository"):
        make_store(url=server.url("nowhere")).tip(BRANCH)


def test_a_server_that_is_down_is_tried_again(server: Sshd, make_store: MakeStore) -> None:
    store = make_store()
    sha = push_one(store)
    server.stop()
    with pytest.raises(Transient, match="could not be reached") as caught:
        store.tip(BRANCH)
    assert "127.0.0.1" in caught.value.message
    assert caught.value.hint
    with pytest.raises(Transient, match="could not be reached"):
        store.push({BRANCH: sha})
    server.start()
    assert store.tip(BRANCH) == sha


def test_a_server_that_says_nothing_is_given_up(server: Sshd, make_store: MakeStore) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        store = make_store(url=f"ssh://git@127.0.0.1:{port}/x.git", deadline=1)
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded, match="longer than 1 s"):
            store.tip(BRANCH)
        assert time.monotonic() - started < 100


def test_a_server_killed_during_a_push_has_all_or_nothing(
    server: Sshd, make_store: MakeStore, tmp_path: Path
) -> None:
    store = make_store()
    first = push_one(store)
    begun = tmp_path / "begun"
    repository = server.path("manifests")
    install_hook(repository, f"touch {begun}; sleep 60")
    second = store.commit(BRANCH, first, [Write("shop/b", b"b")], "b", when=WHEN)

    def kill_when_begun() -> None:
        while not begun.exists():
            time.sleep(0.01)
        server.stop()

    killer = threading.Thread(target=kill_when_begun)
    killer.start()
    with pytest.raises(Transient):
        store.push({BRANCH: second})
    killer.join()
    shutil.rmtree(repository / "hooks")
    server.start()
    assert store.tip(BRANCH) == first
    store.push({BRANCH: second})
    assert make_store().tip(BRANCH) == second


def test_a_branch_that_moved_between_fetch_and_push_is_rejected(make_store: MakeStore) -> None:
    store, other = make_store(), make_store()
    first = push_one(store)
    mine = store.commit(BRANCH, first, [Write("shop/mine", b"")], "mine", when=WHEN)
    theirs = push_one(other, "theirs")
    with pytest.raises(PushRejected, match=BRANCH):
        store.push({BRANCH: mine})
    tip = store.tip(BRANCH)
    assert tip == theirs
    store.push({BRANCH: store.reparent(mine, tip)})
    assert [commit.subject for commit in other.log(BRANCH)] == ["mine", "theirs", "a"]


def test_a_branch_deleted_on_the_server_is_rejected_and_gone(
    server: Sshd, make_store: MakeStore
) -> None:
    store = make_store()
    first = push_one(make_store())
    assert store.tip(BRANCH) == first
    second = store.commit(BRANCH, first, [], "second", when=WHEN)
    repository = server.path("manifests")
    subprocess.run(["git", "-C", repository, "branch", "-qD", BRANCH], check=True)
    with pytest.raises(PushRejected):
        store.push({BRANCH: second})
    assert store.tip(BRANCH) is None


def test_a_hook_that_declines_is_quoted(server: Sshd, make_store: MakeStore) -> None:
    install_hook(server.path("manifests"), "echo 'commits must be signed' >&2; exit 1")
    with pytest.raises(Refused, match="commits must be signed") as caught:
        push_one(make_store())
    assert BRANCH in caught.value.message


def test_a_push_that_does_not_stay_is_no_success(server: Sshd, make_store: MakeStore) -> None:
    script = f"git update-ref -d refs/heads/{BRANCH}"
    install_hook(server.path("manifests"), script, "post-receive")
    with pytest.raises(PushRejected, match="after the push"):
        push_one(make_store())


def test_a_push_that_somebody_builds_on_at_once_is_a_success(
    server: Sshd, make_store: MakeStore
) -> None:
    script = (
        "while read old new ref; do"
        " next=$(git -c user.name=x -c user.email=x commit-tree -p $new -m next $new^{tree});"
        " git update-ref $ref $next; done"
    )
    install_hook(server.path("manifests"), script, "post-receive")
    store = make_store()
    sha = push_one(store)
    assert [commit.sha for commit in store.log(BRANCH)][1] == sha


def test_a_commit_goes_on_a_parent_that_was_never_fetched(make_store: MakeStore) -> None:
    first = push_one(make_store())
    store = make_store()
    second = store.commit(BRANCH, first, [Write("shop/b", b"b")], "b", when=WHEN)
    store.push({BRANCH: second})
    assert set(make_store().tree(second)) == {"shop/a", "shop/b"}


def test_a_server_that_cannot_store_the_pack_is_quoted(server: Sshd, make_store: MakeStore) -> None:
    repository = server.path("manifests")
    subprocess.run(["git", "-C", repository, "config", "receive.maxInputSize", "10"], check=True)
    with pytest.raises(Transient, match="pack exceeds maximum allowed size"):
        push_one(make_store())


def test_the_key_and_the_url_are_in_no_argument(
    server: Sshd, make_store: MakeStore, executed: Executed
) -> None:
    store = make_store()
    sha = push_one(store)
    dict(store.read(sha, ["shop/a"]))
    list(store.log(BRANCH))
    text = "\n".join(" ".join(argv) for argv in executed())
    assert "fast-import" in text
    secret_lines = server.secret()["identity"].decode().splitlines()[1:-1]
    assert not [line for line in secret_lines if line in text]
    assert "ssh://" not in text
    assert "identity" not in text
