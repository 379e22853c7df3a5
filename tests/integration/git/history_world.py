"""A manifest repository with a small history, made by runs' own records; and a plain clone of it.

Six runs of `shop`, an hour apart: 1 all is made, 2 nothing, 3 the image and a port, 4 a Secret's
value and a new ConfigMap, 5 Failed, 6 the ConfigMap is gone and two containers changed places.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from reconciler.adapters.gitcredentials import GitCredentials
from reconciler.adapters.gitnames import local_url
from reconciler.adapters.gitstore import GitManifestStore
from reconciler.capture import emitter, message, record
from reconciler.model.objects import Gap
from reconciler.model.run import (
    ClusterRef,
    ClusterScopedRecord,
    Counts,
    LeftOutCount,
    NamespaceRecord,
    Outcome,
    PolicyRef,
    RunRecord,
    Trigger,
)
from reconciler.model.store import Delete, FileChange, Write
from reconciler.ports import ManifestStore

CLUSTER = "prod-eu"
BRANCH = f"clusters/{CLUSTER}/shop"
FIRST = datetime(2026, 11, 20, 1, 17, 3, tzinfo=UTC)
RUNS = tuple(f"shop-20261120-0{hour}1703-0000{hour}" for hour in range(1, 7))
REVISION = "main@sha1:" + "4" * 40

Files = dict[str, dict[str, Any]]


def container(name: str, image: str, port: int) -> dict[str, Any]:
    """A container with a port."""
    return {"image": image, "name": name, "ports": [{"containerPort": port, "name": "http"}]}


def manifest(kind: str, name: str, **fields: Any) -> dict[str, Any]:
    """An object of the namespace shop."""
    api, _, kind = kind.rpartition("/")
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": api or "v1", "kind": kind, "metadata": metadata, **fields}


def _deployment(*containers: dict[str, Any]) -> dict[str, Any]:
    return manifest("apps/v1/Deployment", "web", spec={"template": {"spec": {
        "containers": list(containers)}}})  # fmt: skip


def _secret(digit: str) -> dict[str, Any]:
    return manifest("Secret", "db", data={"password": f"hmac-sha256:{digit * 64}"}, type="Opaque")


NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
WEB = "shop/deployment.apps/web.yaml"
DB = "shop/secret/db.yaml"
EXTRA = "shop/configmap/extra.yaml"
SIDE = container("side", "side:1", 9000)
STEPS: tuple[Files | None, ...] = (
    {
        "_cluster/namespace/shop.yaml": NAMESPACE,
        WEB: _deployment(container("web", "web:1", 80), SIDE),
        DB: _secret("a"),
        "shop/configmap/nginx.yaml": manifest("ConfigMap", "nginx", data={"x": "a\nb\n"}),
    },
    {},
    {WEB: _deployment(container("web", "web:2", 8080), SIDE)},
    {DB: _secret("b"), EXTRA: manifest("ConfigMap", "extra", data={"a": "1"})},
    None,
    {WEB: _deployment(SIDE, container("web", "web:2", 8080)), EXTRA: {}},
)
"""What each run writes; an empty object is deleted, None is a Failed run."""


def make_record(number: int, created: int, changed: int, deleted: int, held: int) -> RunRecord:
    """The record of the run with this index."""
    failed = STEPS[number] is None
    started = FIRST + timedelta(hours=number)
    cluster = 1 if number == 0 else 0
    inside = Counts(
        captured=held, created=created - cluster, changed=changed, deleted=deleted, left_out=2
    )
    return RunRecord(
        name=RUNS[number],
        policy=PolicyRef(name="shop", revision=REVISION, digest="sha256:" + "5" * 64),
        cluster=ClusterRef(name=CLUSTER, uid="5b0c7a2e-6c1e-4a55-b3ab-5c8d3a3c9f10", version="v1"),
        trigger=Trigger.SCHEDULE,
        started=started,
        finished=started + timedelta(seconds=5),
        outcome=Outcome.FAILED if failed else Outcome.COMPLETED,
        namespaces=(
            NamespaceRecord(
                name="shop",
                outcome=Outcome.FAILED if failed else Outcome.COMPLETED,
                captured=started + timedelta(seconds=1),
                objects=Counts() if failed else inside,
                left_out=(LeftOutCount(kind="pod", reason="made by its owner", count=2),),
            ),
        ),
        cluster_scoped=None if failed else ClusterScopedRecord(
            objects=Counts(captured=1, created=cluster)
        ),
        gaps=(Gap(group="", plural="podtemplates", reason="403 forbidden"),) if number == 3 else (),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class HistoryWorld:
    """``server`` is bare, ``clone`` a plain clone of it as a person makes it."""

    folder: Path
    server: Path
    clone: Path
    commits: tuple[str, ...]
    """One per run, oldest first."""

    def git(self, *arguments: str, where: Path | None = None) -> str:
        """git on the server, or in a clone."""
        command = ["git", "-C", str(where or self.server), *arguments]
        done = subprocess.run(command, check=True, capture_output=True)
        return done.stdout.decode()


def open_store(server: Path, workdir: Path) -> GitManifestStore:
    """The store that runs write to."""
    return GitManifestStore(
        local_url(server),
        author_name="Backstay",
        author_email="backstay@example.org",
        credentials=GitCredentials(),
        workdir=workdir,
        allow_local=True,
    )


def make_history(folder: Path) -> HistoryWorld:
    """The repository, with one push for all runs."""
    server, clone = folder / "server.git", folder / "captures"
    subprocess.run(["git", "init", "--quiet", "--bare", server], check=True)
    with open_store(server, folder / "work") as store:
        commits = write_history(store)
        store.push({BRANCH: commits[-1]})
    subprocess.run(["git", "clone", "--quiet", "--no-checkout", server, clone], check=True)
    return HistoryWorld(folder, server, clone, tuple(commits))


def write_history(store: ManifestStore) -> list[str]:
    """A commit per run, oldest first, none of them pushed."""
    commits: list[str] = []
    tree: set[str] = set()
    for number, step in enumerate(STEPS):
        made, changes = _commit(number, step, tree)
        text, parent = message.render_message(made), commits[-1] if commits else None
        commits.append(store.commit(BRANCH, parent, changes, text, when=made.finished))
    return commits


def _commit(number: int, step: Files | None, tree: set[str]) -> tuple[RunRecord, list[FileChange]]:
    files = step or {}
    gone = {path for path, body in files.items() if not body}
    created = {path for path in files if path not in tree}
    tree.update(files)
    tree.difference_update(gone)
    held = sum(path.startswith("shop/") for path in tree)
    made = make_record(
        number, len(created), len(files) - len(created) - len(gone), len(gone), held
    )  # fmt: skip
    changes: list[FileChange] = [
        Delete(path) if path in gone else Write(path, emitter.emit(body))
        for path, body in files.items()
    ]
    return made, [*changes, Write("_run.yaml", record.render_record(made))]
