"""What a new pod brings over before it reads a file: one commit, its trees, and nothing else."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import pytest

from reconciler.adapters.gitcredentials import GitCredentials
from reconciler.adapters.gitnames import local_url
from reconciler.adapters.gitstore import GitManifestStore
from reconciler.model.store import Write
from tests.integration.git.conftest import BRANCH, WHEN

RUNS = 4
FILES = 30


def open_store(server: Path, workdir: Path) -> GitManifestStore:
    """A pod of its own."""
    return GitManifestStore(
        local_url(server), author_name="B", author_email="b@example.org",
        credentials=GitCredentials(), workdir=workdir, allow_local=True,
    )  # fmt: skip


def held(workdir: Path) -> Counter[str]:
    """Objects of a pod's clone by kind."""
    (folder,) = workdir.glob("manifests-*/repository.git")
    command = ["git", "-C", str(folder), "cat-file", "--batch-all-objects", "--batch-check"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Counter(line.split()[1] for line in done.stdout.splitlines())


@pytest.mark.parametrize("filters", ["true", "false"])
def test_one_commit_comes_over_and_of_its_files_those_that_are_read(
    tmp_path: Path, filters: str
) -> None:
    """A server that can't leave files out sends those of this one commit; nothing else changes."""
    server = tmp_path / "server.git"
    subprocess.run(["git", "init", "-q", "--bare", server], check=True)
    subprocess.run(["git", "-C", server, "config", "uploadpack.allowFilter", filters], check=True)
    with open_store(server, tmp_path / "maker") as maker:
        tip: str | None = None
        for run in range(RUNS):
            changes = [Write(f"shop/configmap/{n}.yaml", b"%d/%d" % (n, run)) for n in range(FILES)]
            tip = maker.commit(BRANCH, tip, changes, f"{run}\n", when=WHEN)
            maker.push({BRANCH: tip})
    workdir = tmp_path / "pod"
    with open_store(server, workdir) as pod:
        assert pod.tip(BRANCH) == tip
        assert len(pod.tree(str(tip))) == FILES
        files = {"blob": FILES} if filters == "false" else {}
        assert held(workdir) == {"commit": 1, "tree": 3, **files}
        paths = ["shop/configmap/1.yaml", "shop/configmap/2.yaml"]
        assert len(pod.read(str(tip), paths)) == len(paths)
        assert held(workdir)["blob"] == (len(paths) if filters == "true" else FILES)
        assert held(workdir)["commit"] == 1
