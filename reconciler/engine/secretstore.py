"""The values of a run's Secrets: one restic snapshot in the repository of `_cluster`.

They go from memory into restic's standard input, never onto a disk. A run that goes on after a
lost pod takes the snapshot of its predecessor if it holds the very same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.engine.context import RunPorts, RunRequest
from reconciler.engine.repositories import OpenRepository
from reconciler.engine.sealing import Sealed
from reconciler.engine.unrecorded import Stored, stored_by_run
from reconciler.model.errors import Stalled
from reconciler.model.policy import CLUSTER_NAMESPACE, SecretsMode
from reconciler.model.run import SecretsRecord

SECRETS_PATH = "/secrets.jsonl"
"""Where the snapshot has them: one JSON object per line, sorted."""


@dataclass(frozen=True, slots=True)
class StoredSecrets:
    """The record's part, and what the repository holds of which run of the policy."""

    record: SecretsRecord
    by_run: Stored
    unasked: tuple[str, ...] = ()
    """`_cluster` where there was nothing to store, and restic was not asked."""


def secret_tags(policy: str, run_id: str) -> tuple[str, ...]:
    """Tags of the snapshot with a run's Secrets."""
    return (f"policy:{policy}", f"run:{run_id}")


def store_secrets(
    request: RunRequest,
    run: RunPorts,
    repository: OpenRepository,
    secrets: Sequence[bytes],
    omitted: Sequence[str] = (),
    sealed: Sealed | None = None,
) -> StoredSecrets:
    """Stores JSON lines, proves that restic lists the snapshot, and says where it is.

    Without a line there is no snapshot; the record names the repository all the same, but where
    Secrets are kept nowhere. ``omitted`` are those, as ``<namespace>/<name>``; ``sealed`` are
    those that Git has, encrypted.
    """
    mode = request.compiled.policy.manifests.secrets
    sealed = sealed or Sealed()
    host = f"{request.cluster}/{CLUSTER_NAMESPACE}"
    tags = secret_tags(request.policy.name, request.run_id)
    lines = sorted(secrets)
    if not lines:
        # restic has no way to store an empty file from a stream, and there is nothing to keep.
        ref = None if mode is SecretsMode.OMIT else repository.ref
        nothing = SecretsRecord(
            mode=str(mode),
            repository=ref,
            omitted=tuple(omitted),
            sealed=sealed.count,
            recipients=sealed.recipients,
        )
        return StoredSecrets(nothing, {}, (CLUSTER_NAMESPACE,))
    backend = repository.backend
    before = backend.snapshots(tags=tags[:1], host=host)
    found = ""
    for snapshot in before:
        own = tags[1] in snapshot.tags and snapshot.paths == (SECRETS_PATH,)
        if own and b"".join(backend.read_file(snapshot.id, SECRETS_PATH)) == b"".join(lines):
            run.reporter.event("Secrets are stored already", snapshot=snapshot.id)
            found = snapshot.id
    if not found:
        found = backend.backup_stream(iter(lines), host=host, path=SECRETS_PATH, tags=tags).id
        listed = {snapshot.id for snapshot in backend.snapshots(tags=tags, host=host)}
        if found not in listed:
            raise Stalled(
                f"restic reported snapshot {found} of the Secrets and does not list it in"
                f" {repository.ref.url}",
                hint="look at the storage: something removes what restic writes",
            )
    # Secrets, and whatever else has values that Git does not.
    run.reporter.event("values stored", snapshot=found, objects=len(lines))
    made = SecretsRecord(
        mode=str(mode),
        repository=repository.ref,
        snapshot=found,
        count=len(lines),
        omitted=tuple(omitted),
        sealed=sealed.count,
        recipients=sealed.recipients,
    )
    return StoredSecrets(made, stored_by_run(CLUSTER_NAMESPACE, before))
