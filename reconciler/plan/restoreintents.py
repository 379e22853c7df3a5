"""What a Restore in the policy repository would do, and that this version does not do it. Pure.

A Restore that is merged is never silently ignored: the controller's plan has a note of it as long
as it is there, with the command that does the same by hand where there is one; the plan of a change
has a finding, with the recovery point that would be taken as far as an inventory knows.
"""

from __future__ import annotations

import fnmatch
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC

from reconciler.model.errors import BackstayError
from reconciler.model.finding import Finding, Place, Severity
from reconciler.model.inventory import Inventory, PointDigest
from reconciler.model.restoreintent import (
    ExistingPolicy,
    Restore,
    RestoreSource,
    RestoreVolumes,
)
from reconciler.plan.recoverypoints import RecoveryPoint, choose_point, order_points

NOT_EXECUTED = "restore-not-executed"
NO_POINT = "restore-no-point"
_FEW = 8
_RUN = re.compile(r"(?P<began>\d{8}-\d{6})-[0-9a-f]{5}")
"""A run's id behind the name of its policy; the time is UTC."""

Places = Callable[[str, str], Place | None]
"""(name of the Restore, field below ``spec``) → the line that says it at the head."""

_VOLUMES = {
    RestoreVolumes.NEW: "data goes into claims that it creates, never into one that exists",
    RestoreVolumes.IN_PLACE: "data replaces that of claims that exist, whose users are scaled to 0"
    " and back",
    RestoreVolumes.SKIP: "no data of volumes",
}
_EXISTING = {
    ExistingPolicy.KEEP: "objects that exist stay as they are",
    ExistingPolicy.UPDATE: "objects that exist are changed to what was captured",
}


def describe(restore: Restore) -> tuple[str, ...]:
    """What it would do, a line each."""
    return tuple(_lines(restore))


def command(restore: Restore) -> str:
    """The command that does all of it from a terminal; empty where this version has none."""
    source = restore.source
    narrow = restore.match_labels or restore.claims or restore.paths
    other = source.cluster not in ("", restore.cluster)
    plain = restore.volumes is RestoreVolumes.NEW and restore.existing is ExistingPolicy.KEEP
    if narrow or other or not plain:
        return ""
    words = ["backstay", "restore", source.policy, "--at", source.at or source.run or source.commit]
    for namespace in restore.namespaces:
        words += ["--namespace", namespace]
    for name, target in sorted(restore.map_namespaces.items()):
        words += ["--map-namespace", f"{name}={target}"]
    return shlex.join(words)


def restore_notes(restores: Iterable[Restore], cluster: str) -> tuple[str, ...]:
    """One for each Restore that is for this cluster, by name."""
    mine = sorted((one for one in restores if one.cluster == cluster), key=lambda one: one.name)
    return tuple(f"{_not_executed(one)}; {_instead(one)}" for one in mine)


def restore_findings(
    base: Sequence[Restore],
    head: Sequence[Restore],
    inventory: Inventory | None,
    cluster: str,
    places: Places,
) -> tuple[Finding, ...]:
    """For each Restore that the change adds or alters, by name: `NOT_EXECUTED`, `NO_POINT`.

    Those of other clusters are left out; with an empty ``cluster`` all are told.
    """
    before = {restore.name: restore for restore in base}
    found: list[Finding] = []
    for restore in sorted(head, key=lambda one: one.name):
        if before.get(restore.name) == restore or cluster not in ("", restore.cluster):
            continue
        found += _findings(restore, before.get(restore.name), inventory, places)
    return tuple(found)


def _findings(
    restore: Restore, before: Restore | None, inventory: Inventory | None, places: Places
) -> Iterator[Finding]:
    details = list(describe(restore))
    try:
        details[:0] = _point_lines(restore, inventory)
    except BackstayError as error:
        yield Finding(
            id=NO_POINT,
            severity=Severity.ERROR,
            message=f"Restore {restore.name}: {error.message}",
            hint=f"list the recovery points with: backstay log {restore.source.policy}",
            policy=restore.source.policy,
            place=places(restore.name, "from"),
        )
    if before is not None:
        details.append(
            "it stood here with another body before; a name is for one restore: give it a new one"
        )
    yield Finding(
        id=NOT_EXECUTED,
        severity=Severity.WARNING,
        message=_not_executed(restore),
        hint=_instead(restore),
        policy=restore.source.policy,
        place=places(restore.name, ""),
        details=tuple(details),
        facts={"restore": restore.name, "cluster": restore.cluster},
    )


def _not_executed(restore: Restore) -> str:
    return f"Restore {restore.name} is not executed by this version: merged, it does nothing"


def _instead(restore: Restore) -> str:
    by_hand = command(restore)
    return f"by hand: {by_hand}" if by_hand else "no command does all of what it asks for yet"


def _lines(restore: Restore) -> Iterator[str]:
    names = [_renamed(restore, name) for name in restore.namespaces]
    names += [
        f"{name} as {target}"
        for name, target in sorted(restore.map_namespaces.items())
        if name not in restore.namespaces
    ]
    only = "" if restore.namespaces else "every namespace of the recovery point"
    mapped = f", {_list(names)}" if only and names else _list(names)
    yield f"from {restore.source}, in cluster {restore.cluster}: {only}{mapped}"
    if restore.match_labels:
        labels = (f"{key}={value}" for key, value in sorted(restore.match_labels.items()))
        yield f"only objects with {', '.join(labels)}"
    if restore.volumes is not RestoreVolumes.SKIP:
        if restore.claims:
            yield f"only data of claims {_list(restore.claims)}"
        if restore.paths:
            yield f"only these files: {_list(restore.paths)}"
    yield _VOLUMES[restore.volumes]
    yield _EXISTING[restore.existing]


def _renamed(restore: Restore, name: str) -> str:
    target = restore.map_namespaces.get(name)
    return f"{name} as {target}" if target else name


def _point_lines(restore: Restore, inventory: Inventory | None) -> Iterator[str]:
    """Which recovery point it would take; raises Refused where there is none."""
    source = restore.source
    if inventory is None:
        return
    of = source.cluster or restore.cluster
    if of != inventory.cluster:
        yield f"which recovery points cluster {of} has, this inventory does not say"
        return
    if source.commit:
        yield f"an inventory does not say which run wrote commit {source.commit}"
        return
    digests = inventory.points_of(source.policy)
    points = order_points(map(_recovery_point, digests))
    older = inventory.older_points.get(source.policy, 0)
    try:
        chosen = choose_point(
            points,
            source.at or source.run,
            policy=source.policy,
            allow_partial=False,
            copied=lambda point: point.started,
        )
    except BackstayError:
        if _is_newer(source, inventory):
            yield f"run {source.run} is newer than the inventory, which does not know it"
            return
        if not older:
            raise
        yield f"it may be one of {older} older recovery points that are not in the inventory"
        return
    digest = next(one for one in digests if one.run == chosen.run_id)
    yield from _chosen(restore, digest)


def _is_newer(source: RestoreSource, inventory: Inventory) -> bool:
    """Whether a run of the policy itself began after the last look at the recovery points."""
    found = _RUN.fullmatch(source.run.removeprefix(f"{source.policy}-"))
    taken = inventory.taken
    return bool(found and taken and found["began"] > f"{taken.astimezone(UTC):%Y%m%d-%H%M%S}")


def _recovery_point(digest: PointDigest) -> RecoveryPoint:
    return RecoveryPoint(
        run_id=digest.run, commit="", started=digest.started, outcome=digest.outcome
    )


def _chosen(restore: Restore, digest: PointDigest) -> Iterator[str]:
    yield (
        f"recovery point {digest.run}, begun {digest.started:%Y-%m-%dT%H:%M:%SZ}, {digest.outcome}"
    )
    missing = [name for name in restore.namespaces if name not in digest.namespaces]
    if missing:
        yield f"it does not hold {_list(missing)}"
    if restore.volumes is RestoreVolumes.SKIP:
        return
    claims = [
        f"{namespace}/{claim}"
        for namespace, held in sorted(digest.claims.items())
        if not restore.namespaces or namespace in restore.namespaces
        for claim in held
        if not restore.claims or any(fnmatch.fnmatchcase(claim, glob) for glob in restore.claims)
    ]
    yield f"data of {_list(claims)}" if claims else "no data of volumes is in it"


def _list(names: Sequence[str]) -> str:
    more = len(names) - _FEW
    return ", ".join(names[:_FEW]) + (f" and {more} more" if more > 0 else "")
