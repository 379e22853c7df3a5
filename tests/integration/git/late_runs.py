"""Runs that come one after the other, made by hand: what waits as bundles is made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from reconciler.adapters.gitstore import GitManifestStore
from reconciler.capture import message, record
from reconciler.model.run import RunRecord
from reconciler.model.store import FileChange, Write
from reconciler.model.volumes import RepositoryAccess
from tests.unit.engine.run_world import BRANCH, CLUSTER, RunWorld

HOST = f"{CLUSTER}/_cluster"


def later(like: RunRecord, number: int) -> RunRecord:
    """A run like this one, so many hours after it."""
    began = like.started + timedelta(hours=number)
    return replace(
        like,
        name=message.make_run_id("shop", began, "0000a"),
        started=began,
        finished=began + timedelta(minutes=5),
    )


def put_run(
    store: GitManifestStore, parent: str | None, made: RunRecord, files: Iterable[FileChange]
) -> str:
    """The commit of a run, not pushed."""
    changes = [*files, Write("_run.yaml", record.render_record(made))]
    return store.commit(BRANCH, parent, changes, message.render_message(made), when=made.finished)


def vault_access(world: RunWorld) -> RepositoryAccess:
    """The keys of the repository of `_cluster`."""
    url = f"s3:https://s3.example.org/backups/{HOST}"
    return world.keyring.access(name="main", secret="restic-main", namespace="_cluster", url=url)
