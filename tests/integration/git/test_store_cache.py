"""The manifest store's working folder: killed owners, second users, processes, speed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.adapters.gitcredentials import GitCredentials
from reconciler.adapters.gitlocal import LocalManifests
from reconciler.adapters.gitstore import GitManifestStore
from reconciler.model.errors import BackstayError, Refused
from reconciler.model.store import Write
from tests.integration.git.conftest import BRANCH, WHEN, Executed, push_one


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A bare repository on this machine."""
    path = tmp_path / "server.git"
    subprocess.run(["git", "init", "-q", "--bare", path], check=True)
    subprocess.run(["git", "-C", path, "config", "uploadpack.allowFilter", "true"], check=True)
    return path


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    """A working folder."""
    return tmp_path / "work"


def open_store(bare: Path, workdir: Path) -> GitManifestStore:
    """A store without a server in between."""
    return GitManifestStore(
        f"file://{bare}",
        author_name="Backstay",
        author_email="backstay@example.org",
        credentials=GitCredentials(),
        workdir=workdir,
        allow_local=True,
    )


def cache_of(workdir: Path) -> Path:
    """The repository in a working folder."""
    (found,) = workdir.glob("manifests-*/repository.git")
    return found


VICTIM = """
import sys
from pathlib import Path
from tests.integration.git.test_store_cache import open_store
store = open_store(Path(sys.argv[1]), Path(sys.argv[2]))
tip = store.tip("clusters/prod/shop")
commit = store.begin("clusters/prod/shop", tip)
for number in range(2000):
    commit.write(f"shop/{number}", b"x" * 1000)
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_store_killed_in_the_middle_of_a_commit_left_nothing(bare: Path, workdir: Path) -> None:
    with open_store(bare, workdir) as store:
        first = push_one(store)
    victim = subprocess.Popen(
        [sys.executable, "-c", VICTIM, bare, workdir],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with victim:
        assert victim.stdout is not None
        assert victim.stdout.readline() == b"ready\n"
        victim.send_signal(signal.SIGKILL)
    wait_until_unlocked(workdir)
    with open_store(bare, workdir) as store:
        assert store.tip(BRANCH) == first
        second = push_one(store, "b")
        assert not list(cache_of(workdir).glob("objects/pack/tmp_*"))
        assert not list(cache_of(workdir).glob("fast_import_crash_*"))
    with open_store(bare, workdir) as store:
        assert store.tip(BRANCH) == second


def wait_until_unlocked(workdir: Path) -> None:
    """The victim's git ends as soon as it notices that nobody writes to it any more."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        lock = next(workdir.glob("manifests-*/lock"))
        if subprocess.run(["flock", "-n", lock, "true"], check=False).returncode == 0:
            return
        time.sleep(0.02)


def test_a_cache_that_is_no_repository_any_more_is_made_again(bare: Path, workdir: Path) -> None:
    with open_store(bare, workdir) as store:
        first = push_one(store)
    (cache_of(workdir) / "HEAD").unlink()
    with open_store(bare, workdir) as store:
        assert store.tip(BRANCH) == first


def test_a_damaged_cache_is_noticed_and_made_again(bare: Path, workdir: Path) -> None:
    with open_store(bare, workdir) as store:
        first = push_one(store)
    with open_store(bare, workdir) as store:
        store.tip(BRANCH)
    for pack in cache_of(workdir).glob("objects/pack/*.pack"):
        pack.chmod(0o600)
        pack.write_bytes(pack.read_bytes()[:40] + b"rotten" * 20)
    with open_store(bare, workdir) as store, pytest.raises(BackstayError):
        store.tree(str(store.tip(BRANCH)))
    with open_store(bare, workdir) as store:
        assert store.tip(BRANCH) == first
        assert set(store.tree(first)) == {"shop/a"}


@pytest.mark.parametrize("in_order", [True, False])
def test_stale_locks_and_half_packs_do_no_harm(bare: Path, workdir: Path, in_order: bool) -> None:
    with open_store(bare, workdir) as store:
        first = push_one(store)
        assert store.tip(BRANCH) == first
    cache = cache_of(workdir)
    refs = next((cache / "refs" / "backstay" / "remote").iterdir())
    for name in ("shallow.lock", "packed-refs.lock", "config.lock", "objects/pack/tmp_pack_x"):
        (cache / name).write_bytes(b"")
    refs.with_name(f"{refs.name}.lock").write_bytes(b"")
    if not in_order:
        (cache.parent / "in-use").touch()
        for pack in cache.glob("objects/pack/*.pack"):
            pack.chmod(0o600)
            pack.write_bytes(b"half")
    with open_store(bare, workdir) as store:
        assert store.tip(BRANCH) == first
        assert len(list(store.log(BRANCH))) == 1
        push_one(store, "b")


def test_two_at_once_do_not_meet_and_the_second_leaves_nothing(bare: Path, workdir: Path) -> None:
    with open_store(bare, workdir) as one, open_store(bare, workdir) as two:
        first = push_one(one)
        assert two.tip(BRANCH) == first
        assert len(list(workdir.iterdir())) == 2
        second = push_one(two, "b")
        assert one.tip(BRANCH) == second
    assert [path.name.partition("-")[0] for path in workdir.iterdir()] == ["manifests"]


def test_an_unusable_working_folder_is_refused(bare: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match="cannot use") as caught:
        open_store(bare, tmp_path / "file" / "work")
    assert caught.value.hint


def test_processes_per_call(bare: Path, workdir: Path, executed: Executed) -> None:
    with open_store(bare, workdir) as store:
        assert commands(executed) == ["init"]
        store.tip(BRANCH)
        assert commands(executed) == ["fetch"]
        sha = store.commit(BRANCH, None, [Write("shop/a", b"a")], "m", when=WHEN)
        assert commands(executed) == ["fast-import"]
        store.push({BRANCH: sha})
        assert commands(executed) == ["push", "ls-remote"]
        store.branches("clusters")
        assert commands(executed) == ["ls-remote"]
        store.tree(sha)
        assert commands(executed) == ["ls-tree"]
        store.read(sha, ["shop/a"])
        assert commands(executed) == ["ls-tree", "cat-file"]
        list(store.log(BRANCH))
        assert commands(executed) == ["fetch", "fetch", "log"]
        store.reparent(sha, None)
        assert commands(executed) == ["cat-file", "hash-object"]
    with open_store(bare, workdir) as store:
        assert commands(executed) == []


def commands(executed: Executed) -> list[str]:
    """The git commands since the last call."""
    return [
        next(word for word in argv[1:] if word[0] != "-" and "=" not in word) for argv in executed()
    ]


def test_files_come_over_in_one_connection_however_many(
    bare: Path, tmp_path: Path, executed: Executed
) -> None:
    with open_store(bare, tmp_path / "one") as store:
        files = [Write(f"shop/{number}", b"%d" % number) for number in range(300)]
        sha = store.commit(BRANCH, None, files, "m", when=WHEN)
        store.push({BRANCH: sha})
    with open_store(bare, tmp_path / "two") as store:
        store.tip(BRANCH)
        executed()
        found = store.read(sha, [file.path for file in files])
        assert found == {file.path: file.data for file in files}
        assert commands(executed) == ["ls-tree", "cat-file", "fetch", "cat-file"]


def test_twenty_thousand_files_in_one_process(
    bare: Path, workdir: Path, executed: Executed
) -> None:
    body = b"data:\n" + b"  key: value\n" * 90

    def files() -> Iterator[Write]:
        for number in range(20_000):
            path = f"ns{number % 50}/configmap/object-{number}.yaml"
            yield Write(path, b"n: %d\n%b" % (number, body))

    with open_store(bare, workdir) as store:
        executed()
        sha = store.commit(BRANCH, None, files(), "all", when=WHEN)
        changed = [Write(f"ns{n % 50}/configmap/object-{n}.yaml", b"new") for n in range(100)]
        second = store.commit(BRANCH, sha, changed, "some", when=WHEN)
        assert commands(executed) == ["fast-import", "fast-import"]
        assert len(store.tree(second)) == 20_000


def test_the_callers_git_settings_change_nothing(
    bare: Path, workdir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    hooks = home / "hooks"
    hooks.mkdir()
    hook = hooks / "pre-push"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\nexit 1\n")
    hook.chmod(0o755)
    (home / ".gitconfig").write_text(
        f'[core]\n\thooksPath = {hooks}\n[url "file:///nowhere"]\n\tinsteadOf = file://{bare}\n'
    )
    monkeypatch.setenv("HOME", str(home))
    for name in ("GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_SSH_COMMAND", f"touch {tmp_path}/ssh")
    monkeypatch.setenv("GIT_TRACE", str(tmp_path / "trace"))
    with open_store(bare, workdir) as store:
        assert push_one(store)
    left = {"hooked", "ssh", "trace", "elsewhere"} & {path.name for path in tmp_path.iterdir()}
    assert left == set()


@pytest.mark.parametrize("kind", [["--bare"], [], ["--mirror"], ["--filter=blob:none", "--bare"]])
def test_a_clone_alone_shows_branches_log_and_files(
    bare: Path, workdir: Path, tmp_path: Path, kind: list[str], executed: Executed
) -> None:
    with open_store(bare, workdir) as store:
        first = push_one(store)
        second = push_one(store, "b")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", *kind, f"file://{bare}", clone], check=True)
    with LocalManifests(clone) as local:
        assert dict(local.branches("clusters/prod")) == {BRANCH: second}
        assert dict(local.branches("clusters/pro")) == {}
        assert local.tip(BRANCH) == second
        assert local.tip("clusters/prod/none") is None
        assert [commit.sha for commit in local.log(BRANCH)] == [second, first]
        assert set(local.tree(first)) == {"shop/a"}
        if "--filter=blob:none" in kind:
            with pytest.raises(Refused, match="lacks some") as caught:
                local.read(second, ["shop/a"])
            assert "git fetch" in caught.value.hint
        else:
            assert dict(local.read(second, ["shop/a", "no"])) == {"shop/a": b"a"}
        executed()
        for write in (
            lambda: local.begin(BRANCH, None),
            lambda: local.push({BRANCH: first}),
            lambda: local.reparent(first, None),
            lambda: local.commit(BRANCH, None, [], "m", when=WHEN),
        ):
            with pytest.raises(Refused, match="opened for reading"):
                write()
        assert executed() == []


def test_what_is_no_clone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no Git repository"):
        LocalManifests(tmp_path)
    with pytest.raises(Refused, match="no Git repository"):
        LocalManifests(tmp_path / "nowhere")
