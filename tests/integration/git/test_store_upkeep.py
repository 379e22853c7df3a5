"""The upkeep of a Git server that docs/manifest-store.md tells, typed: nothing is lost."""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.adapters.gitcredentials import GitCredentials
from reconciler.adapters.gitnames import local_url
from reconciler.adapters.gitstore import GitManifestStore
from reconciler.model.store import Write

PAGE = (Path(__file__).parents[3] / "docs" / "manifest-store.md").read_text()
(BLOCK,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [*BLOCK.splitlines(), *re.findall(r"`(git -C captures\.git gc[^`]*)`", PAGE)]
BRANCH = "clusters/prod-eu/shop"
WHEN = datetime(2026, 11, 21, tzinfo=UTC)
RUNS = 6


def test_the_commands_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    server = tmp_path / "captures.git"
    subprocess.run(["git", "init", "--quiet", "--bare", server], check=True)
    # Or pushed packs are taken apart: a run of more than a hundred objects is kept as it came.
    settings = ["git", "-C", str(server), "config", "receive.unpackLimit", "1"]
    subprocess.run(settings, check=True)
    with GitManifestStore(
        local_url(server), author_name="B", author_email="b@example.org",
        credentials=GitCredentials(), workdir=tmp_path / "work", allow_local=True,
    ) as store:  # fmt: skip
        tip: str | None = None
        for number in range(RUNS):
            changes = [Write(f"shop/configmap/{number}.yaml", b"%d\n" % number)]
            tip = store.commit(BRANCH, tip, changes, f"{number}\n", when=WHEN)
            store.push({BRANCH: tip})
        assert len(list(server.glob("objects/pack/*.pack"))) == RUNS
        assert len(COMMANDS) == 4
        for command in COMMANDS:
            subprocess.run(["sh", "-c", command], check=True)
        assert len(list(server.glob("objects/pack/*.pack"))) == 1
        subprocess.run(["git", "-C", str(server), "fsck", "--full", "--strict"], check=True)
        assert (store.tip(BRANCH), len(list(store.log(BRANCH)))) == (tip, RUNS)
    with GitManifestStore(
        local_url(server), author_name="B", author_email="b@example.org",
        credentials=GitCredentials(), workdir=tmp_path / "fresh", allow_local=True,
    ) as fresh:  # fmt: skip
        assert fresh.tip(BRANCH) == tip
        paths = [f"shop/configmap/{number}.yaml" for number in range(RUNS)]
        assert fresh.read(str(tip), paths) == {
            path: b"%d\n" % number for number, path in enumerate(paths)
        }
