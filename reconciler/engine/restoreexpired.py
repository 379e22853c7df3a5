"""A point that was named and has expired: is its data there still? Asked before anything is made.

Maintenance says what expired before it removes it, so the repositories are what answers. After a
purge nobody knows what expired: that alone is in no restore's way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from reconciler import ports
from reconciler.engine.restoresource import PointContent, open_repository
from reconciler.model.errors import Refused
from reconciler.model.policy import CLUSTER_NAMESPACE
from reconciler.model.run import RepositoryRef
from reconciler.plan.expiry import Promise


def check_expired(keyring: ports.Keyring, content: PointContent) -> tuple[str, ...]:
    """A note where something asked for has expired, or may have; raises Refused where it is gone.

    One listing for each repository that it would come from.
    """
    if not content.expired:
        return ()
    wanted: defaultdict[tuple[RepositoryRef, str], set[str]] = defaultdict(set)
    for ref, namespace, snapshot in _named(content):
        wanted[ref, namespace].add(snapshot)
    gone = 0
    for (ref, namespace), snapshots in wanted.items():
        backend = keyring.backend(open_repository(keyring, ref, namespace))
        gone += len(snapshots - {found.id for found in backend.snapshots()})
    run, names = content.record.name, ", ".join(sorted(content.expired))
    sure = Promise.EXPIRED in content.expired.values()
    told = f"run {run} has {'' if sure else 'perhaps '}expired for {names}"
    if gone:
        raise Refused(
            f"{told}, and {gone} snapshots of restic that it needs are gone; nothing was changed",
            hint=f"what is held: backstay log {content.record.policy.name}; a manifest of this run:"
            f" backstay show run {run} NAMESPACE/KIND/NAME",
        )
    if not wanted:
        return (f"{told}; all that is asked for is in Git",)
    return (f"{told}; its data is still there, until the next maintenance",)


def _named(content: PointContent) -> Iterator[tuple[RepositoryRef, str, str]]:
    """(repository, namespace of its key, snapshot) of what expired."""
    record = content.record
    for part in record.namespaces:
        for volume in part.volumes if part.name in content.expired else ():
            if volume.repository is not None and volume.snapshot:
                yield volume.repository, part.name, volume.snapshot
    secrets = record.secrets
    # They stay as long as one namespace of the run does.
    if content.point.promise() is Promise.HELD or secrets is None:
        return
    if secrets.repository is not None and secrets.snapshot:
        yield secrets.repository, CLUSTER_NAMESPACE, secrets.snapshot
