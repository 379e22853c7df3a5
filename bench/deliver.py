"""Many runs that wait as bundles: how long a delivery takes, and how much memory.

    .venv/bin/python -m bench.deliver --runs 50 --objects 50000 --changed 25

A branch with so many objects, so many runs that stored a bundle each and changed some, and one run
that was pushed meanwhile: what waits goes below it. The Git server is a folder on this machine, and
bundles are files, read bit by bit as restic gives them: what is measured is ours and git's. Half
the runs is measured first: twice the time says that it grows with their number, and the same memory
that one bundle is looked at at a time.
"""

from __future__ import annotations

import argparse
import re
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reconciler.adapters.gitcredentials import GitCredentials
from reconciler.adapters.gitnames import local_url
from reconciler.adapters.gitstore import GitManifestStore
from reconciler.engine import bundling
from reconciler.engine.delivering import Deliverer
from reconciler.engine.patience import Patience
from reconciler.model.run import RunRecord
from reconciler.model.store import FileChange, Write
from reconciler.model.volumes import RepositoryAccess
from tests.fakes.volumebackend import FakeStorage, FakeVolumeBackend
from tests.integration.git.late_runs import HOST, later, put_run, vault_access
from tests.unit.engine.run_world import BRANCH, CLUSTER, RunWorld

_FOLDERS = 500


class _Vault(FakeVolumeBackend):
    """Bundles are files, so that none of them is in this process's memory."""

    def __init__(self, access: RepositoryAccess, storage: FakeStorage, folder: Path) -> None:
        super().__init__(access, storage)
        self._folder = folder

    def keep(self, bundle: Iterator[bytes], tags: tuple[str, ...]) -> int:
        """Stores a bundle; its bytes."""
        stored = self.backup_stream(
            iter([b"kept beside"]), host=HOST, path=bundling.BUNDLE_PATH, tags=tags
        )
        with (self._folder / stored.id).open("wb") as file:
            return sum(map(file.write, bundle))

    def read_file(self, snapshot: str, path: str) -> Iterator[bytes]:
        """Some kilobytes at a time, as restic does."""
        assert path == bundling.BUNDLE_PATH
        with (self._folder / snapshot).open("rb") as file:
            while chunk := file.read(1 << 16):
                yield chunk


def _peak() -> int:
    """MiB of memory that this process had at most, since that was forgotten."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) >> 10


@dataclass(frozen=True, slots=True)
class Bench:
    """What is measured, and where."""

    folder: Path
    objects: int
    changed: int

    def store(self, name: str) -> GitManifestStore:
        """A process of its own."""
        return GitManifestStore(
            local_url(self.folder / "server.git"),
            author_name="Backstay",
            author_email="backstay@example.org",
            credentials=GitCredentials(),
            workdir=self.folder / name,
            allow_local=True,
        )

    def files(self, number: int) -> Iterator[FileChange]:
        """What a run writes; the 0th one everything."""
        count = self.changed if number else self.objects
        for found in range(count):
            path = f"ns-{found % _FOLDERS}/configmap/o-{found}.yaml"
            yield Write(path, b"kind: ConfigMap\ndata:\n  a: '%d/%d'\n" % (found, number))

    def measure(self, runs: int) -> None:
        """Makes it, delivers it, and prints a line."""
        server = self.folder / "server.git"
        subprocess.run(["git", "init", "--quiet", "--bare", server], check=True)
        command = ["git", "-C", str(server), "config", "uploadpack.allowFilter", "true"]
        subprocess.run(command, check=True)
        world = RunWorld()
        like = world.run().record
        vault = _Vault(vault_access(world), world.storage, self.folder)
        began = time.monotonic()
        stored = self._keep(runs, like, vault)
        made = time.monotonic()
        Path("/proc/self/clear_refs").write_text("5")  # forgets the peak: proc(5)
        with self.store("deliver") as store:
            deliverer = Deliverer(
                store, vault, world.log,
                cluster=CLUSTER, uid=like.cluster.uid, policy="shop", now=world.clock.now,
            )  # fmt: skip
            patience = Patience(
                what="delivering", clock=world.clock, reporter=world.log,
                deadline=world.clock.now(),
            )  # fmt: skip
            done = deliverer.deliver(
                bundling.waiting_in(vault, CLUSTER, "shop"), check=lambda: None, patience=patience
            )
        took = time.monotonic() - made
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
        ours = _peak()
        print(
            f"{runs} runs of {self.objects} objects, {self.changed} changed: delivered"
            f" {len(done.delivered)} in {took:.1f} s, {took / runs:.2f} s each; bundles"
            f" {stored / runs / 1024:.0f} KiB each, made in {made - began:.1f} s;"
            f" largest child {peak} MiB, this process {ours} MiB"
        )

    def _keep(self, runs: int, like: RunRecord, vault: _Vault) -> int:
        """The base, a bundle for each run, and a newer run on the branch; bytes of all bundles."""
        size = 0
        with self.store("base") as store:
            start = put_run(store, None, like, self.files(0))
            store.push({BRANCH: start})
        with self.store("runs") as store:
            store.tip(BRANCH)
            for number in range(1, runs + 1):
                made = later(like, number)
                commit = put_run(store, start, made, self.files(number))
                tags = (bundling.TAG, "policy:shop", f"run:{made.name}")
                size += vault.keep(store.bundle(BRANCH, commit, start), tags)
        with self.store("newer") as store:
            newer = later(like, runs + 1)
            files = self.files(runs + 1)
            store.push({BRANCH: put_run(store, store.tip(BRANCH), newer, files)})
        return size


def main() -> None:
    """Measures half of the runs, then all of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--objects", type=int, default=50_000)
    parser.add_argument("--changed", type=int, default=25)
    asked = parser.parse_args()
    for runs in (asked.runs // 2, asked.runs):
        with tempfile.TemporaryDirectory() as folder:
            Bench(Path(folder), asked.objects, asked.changed).measure(runs)


if __name__ == "__main__":
    main()
