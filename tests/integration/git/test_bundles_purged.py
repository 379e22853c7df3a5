"""Bundles that wait while their branch's history is thrown away: each is told, none is pushed."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

from reconciler.adapters.gitcredentials import GitCredentials
from reconciler.adapters.gitnames import local_url
from reconciler.adapters.gitstore import GitManifestStore
from reconciler.model.store import Write

BRANCH = "clusters/prod-eu/shop"
WHEN = datetime(2026, 11, 21, tzinfo=UTC)


def test_every_bundle_that_needs_a_lost_file_is_named(tmp_path: Path) -> None:
    server = tmp_path / "server.git"

    def git(*arguments: str) -> None:
        command = ["git", "-C", str(server), *arguments]
        subprocess.run(command, check=True, capture_output=True)

    def open_store(name: str) -> GitManifestStore:
        return GitManifestStore(
            local_url(server), author_name="B", author_email="b@example.org",
            credentials=GitCredentials(), workdir=tmp_path / name, allow_local=True,
        )  # fmt: skip

    subprocess.run(["git", "init", "--quiet", "--bare", server], check=True)
    git("config", "uploadpack.allowFilter", "true")
    with open_store("runs") as runs:
        base = runs.commit(BRANCH, None, [Write("old", b"leak"), Write("a", b"0")], "x", when=WHEN)
        runs.push({BRANCH: base})
        late = [runs.commit(BRANCH, base, [Write("a", b"%d" % n)], "x", when=WHEN) for n in (1, 2)]
        bundles = [b"".join(runs.bundle(BRANCH, commit, base)) for commit in late]
        whole = runs.commit(BRANCH, None, [Write("new", b"new")], "x", when=WHEN)
        bundles.append(b"".join(runs.bundle(BRANCH, whole, None)))
    git("update-ref", "-d", f"refs/heads/{BRANCH}")
    git("gc", "--quiet", "--prune=now")
    with open_store("anew") as anew:
        tip = anew.commit(BRANCH, None, [Write("b", b"0")], "x", when=WHEN)
        anew.push({BRANCH: tip})
    with open_store("deliver") as store:
        assert store.tip(BRANCH) == tip
        assert [store.unbundle(iter([data])) for data in bundles] == [*late, whole]
        assert store.complete([*late, whole], tip) == tuple(late)
        assert store.complete([whole], tip) == ()
        assert store.complete(late, None) == tuple(late)
