"""Opens every restic repository of the policies and of the cluster's branch, without a lock.

What is read: its id, its locks, its list of snapshots. Whether the storage can be written is not
asked: that would be a write.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.engine import bundling
from reconciler.engine.doctor import Task
from reconciler.engine.doctorfacts import Facts, failed_with
from reconciler.engine.history import read_record
from reconciler.model.doctor import Finding, Level
from reconciler.model.errors import BackstayError, RepositoryMissing, WrongPassword
from reconciler.model.policy import CLUSTER_NAMESPACE
from reconciler.model.run import Outcome, RepositoryEntry, RunRecord
from reconciler.model.volumes import RepositoryAccess, ResticLock, ResticSnapshot

STALE = timedelta(minutes=30)
"""restic's own limit: a lock that nobody has renewed for so long is nobody's."""
_RUN = "run:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One restic repository as a run would open it; ``known`` once a run has made it."""

    name: str
    namespace: str
    url: str
    secret: str
    known: RepositoryEntry | None = None

    @property
    def place(self) -> str:
        """``main/shop``."""
        return f"{self.name}/{self.namespace}"


def targets(facts: Facts) -> tuple[Target, ...]:
    """Those of the policies, and every one that a run ever made."""
    cluster = facts.config.cluster.name
    if facts.found_branch is None:
        _ = facts.desired  # neither list could be read: this raises, and says which check tells why
    found: dict[tuple[str, str], Target] = {}
    desired = facts.found_desired
    in_git = {one.name: one for one in desired.parsed.repositories} if desired else {}
    names = {one.name for one in facts.repositories} if facts.policy and desired else None
    entries = facts.found_branch.entries if facts.found_branch else ()
    for entry in entries:
        if names is not None and entry.repository not in names:
            continue
        now = in_git.get(entry.repository)
        found[entry.repository, entry.namespace] = Target(
            name=entry.repository,
            namespace=entry.namespace,
            url=now.url_for(cluster, entry.namespace) if now else entry.url,
            secret=now.secret_ref if now else entry.secret,
            known=entry,
        )
    for repository in facts.repositories if desired else ():
        found.setdefault(
            (repository.name, CLUSTER_NAMESPACE),
            Target(
                name=repository.name,
                namespace=CLUSTER_NAMESPACE,
                url=repository.url_for(cluster, CLUSTER_NAMESPACE),
                secret=repository.secret_ref,
            ),
        )
    return tuple(found[key] for key in sorted(found))


def ask_secrets(facts: Facts) -> Iterator[Finding]:
    """Each Secret once, and each reason once that it can't be used for a URL."""
    keyring = facts.ports.keyring()
    told: set[tuple[str, str]] = set()
    good: dict[str, int] = {}
    for target in targets(facts):
        where = f"Secret {target.secret}"
        try:
            keyring.access(
                name=target.name,
                secret=target.secret,
                url=target.url,
                namespace=target.namespace,
            )
        except BackstayError as error:
            if (where, error.message) not in told:
                told.add((where, error.message))
                keys = facts.config.credentials_of(target.secret)
                yield failed_with(facts, "repositories/secret", error, where, keys)
        else:
            good[where] = good.get(where, 0) + 1
    for where, count in good.items():
        many = "1 repository" if count == 1 else f"{count} repositories"
        yield Finding(
            id="repositories/secret", level=Level.OK, where=where, message=f"usable for {many}"
        )
    if not told and not good:
        yield Finding(
            id="repositories/secret", level=Level.OK, message="no policy names a Repository"
        )


def split_repositories(facts: Facts) -> Sequence[tuple[str, Task]]:
    """One task for each repository."""
    found = targets(facts)
    if not found:
        return [("", _none)]
    return [(f"{one.place} at {one.url}", _task(one)) for one in found]


def _none(_: Facts) -> Iterator[Finding]:
    yield Finding(id="repositories/open", level=Level.OK, message="no policy names a Repository")


def _task(target: Target) -> Task:
    def ask(facts: Facts) -> Iterator[Finding]:
        where = f"{target.place} at {target.url}"
        keyring = facts.ports.keyring()
        try:
            access = keyring.access(
                name=target.name,
                secret=target.secret,
                url=target.url,
                namespace=target.namespace,
            )
        except BackstayError as error:
            facts.unopened.append(where)
            yield Finding(
                id="repositories/open",
                level=Level.UNKNOWN,
                where=where,
                message=f"not opened: {error.message}",
                hint="see repositories/secret",
            )
            return
        yield from _open(facts, target, where, access)

    return ask


def _open(facts: Facts, target: Target, where: str, access: RepositoryAccess) -> Iterator[Finding]:
    backend = facts.ports.keyring().backend(access)
    facts.unopened.append(where)
    try:
        identity = backend.open()
    except BackstayError as error:
        found = _unopened(facts, target, where, error)
        if found.level is Level.OK:
            facts.unopened.remove(where)
        yield found
        return
    if target.known is not None and target.known.id != identity:
        yield Finding(
            id="repositories/open",
            level=Level.PROBLEM,
            where=where,
            message=f"is another one than {target.known.first_run} recorded: id {identity[:10]},"
            f" not {target.known.id[:10]}",
            hint="find out who replaced it; what it held before is not there",
        )
        return
    locks = backend.locks()
    snapshots = backend.snapshots()
    facts.snapshots[identity] = (where, snapshots)
    facts.unopened.remove(where)
    facts.locks += [(where, lock) for lock in locks]
    held = _held(locks, facts.ports.clock.now())
    count = "1 snapshot" if len(snapshots) == 1 else f"{len(snapshots)} snapshots"
    yield Finding(
        id="repositories/open",
        level=Level.INFO if held else Level.OK,
        where=where,
        message=f"opens, {count}{held}",
        hint="wait: copies wait for it too" if held else "",
    )


def _held(locks: Sequence[ResticLock], now: datetime) -> str:
    """Who holds it for himself alone, if somebody does."""
    for lock in locks:
        if lock.exclusive and now - lock.time < STALE:
            return f"; {holder(lock)} holds it exclusively since {_text(lock.time)} or longer"
    return ""


def holder(lock: ResticLock) -> str:
    """``root@host, process 17``."""
    who = f"{lock.user}@{lock.host}" if lock.user else lock.host or "somebody"
    return f"{who}, process {lock.pid}" if lock.pid else who


def _unopened(facts: Facts, target: Target, where: str, error: BackstayError) -> Finding:
    if isinstance(error, RepositoryMissing):
        if facts.found_branch is None:
            return Finding(
                id="repositories/open",
                level=Level.UNKNOWN,
                where=where,
                message="is not there, and whether a run ever made it is not known",
                hint="see git/cluster",
            )
        if target.known is None:
            return Finding(
                id="repositories/open",
                level=Level.OK,
                where=where,
                message="not there yet: the first run makes it",
            )
        return Finding(
            id="repositories/open",
            level=Level.PROBLEM,
            where=where,
            message=f"is gone; {target.known.first_run} set it up with id {target.known.id[:10]}"
            f" at {target.known.url} (exit code 10 of a run)",
            hint="bring it back, or point the Repository to where it is now; runs do not make a"
            " new one in its place",
        )
    hint = error.hint or "look at the storage, then: backstay doctor --only repositories"
    if isinstance(error, WrongPassword):
        kept = facts.config.credentials_of(target.secret)
        hint = (
            f"put the master password that made it back into {kept}, key"
            " RESTIC_PASSWORD; the cluster's name in Config is a part of it too"
        )
    return Finding(
        id="repositories/open",
        level=Level.PROBLEM,
        where=where,
        message=f"{error.message} (exit code {error.exit_code} of a run)",
        hint=hint,
    )


def ask_named_snapshots(facts: Facts) -> Iterator[Finding]:
    """Does restic still list what the newest good record of each policy names?"""
    _ = facts.branches  # raises where nobody could ask for them: no record is then known
    asked = False
    for branch, points in sorted(facts.points.items()):
        good = [p for p in points if p.outcome in (Outcome.COMPLETED, Outcome.PARTIALLY_FAILED)]
        if not good or facts.policy not in ("", branch.rpartition("/")[2]):
            continue
        asked = True
        try:
            record = read_record(facts.store, good[0].commit)
        except BackstayError as error:
            yield Finding(
                id="repositories/snapshots",
                level=Level.UNKNOWN,
                where=f"branch {branch}",
                message=error.message,
                hint=error.hint or "see git/branches",
            )
            continue
        named = _named(record)
        closed = sorted({key for key in named if key[0] not in facts.snapshots})
        lost = [
            what
            for (repository, snapshot), what in named.items()
            if repository in facts.snapshots
            and snapshot not in {one.id for one in facts.snapshots[repository][1]}
        ]
        if lost:
            level, message = Level.PROBLEM, f"restic does not list {', '.join(lost[:5])}"
            hint = "that recovery point is incomplete: find out who removed them; run the policy"
        elif closed:
            level, message = Level.UNKNOWN, "not all of its repositories could be opened"
            hint = "see repositories/open"
        else:
            level, message, hint = Level.OK, f"all {len(named)} snapshots are there", ""
        yield Finding(
            id="repositories/snapshots",
            level=level,
            where=f"run {record.name}",
            message=message,
            hint=hint,
        )
    if not asked and not facts.failed_branches:
        yield Finding(
            id="repositories/snapshots", level=Level.OK, message="there is no recovery point yet"
        )


def ask_writer(facts: Facts) -> Iterator[Finding]:
    """What runs in the cluster wrote the newest record; without one, any version will do."""
    newest = [points[0] for _, points in sorted(facts.points.items()) if points]
    last = max(newest, key=lambda point: point.started, default=None)
    writer = read_record(facts.store, last.commit).writer if last else ""
    if last is None or not writer or writer == facts.writer:
        yield Finding(id="versions/backstay", level=Level.OK, message=facts.writer)
        return
    yield Finding(
        id="versions/backstay",
        level=Level.WARNING,
        where=f"run {last.run_id}",
        message=f"was written by {writer}, and this is {facts.writer}",
        hint="use the same version here as in the cluster: both have to read what the other wrote",
    )


def _named(record: RunRecord) -> Mapping[tuple[str, str], str]:
    """(restic's id of the repository, snapshot) → what it is of."""
    found: dict[tuple[str, str], str] = {}
    for part in record.namespaces:
        for volume in part.volumes:
            if volume.repository is not None and volume.snapshot:
                what = f"{volume.snapshot[:8]} of claim {part.name}/{volume.claim}"
                found[volume.repository.id, volume.snapshot] = what
    secrets = record.secrets
    if secrets is not None and secrets.repository is not None and secrets.snapshot:
        what = f"{secrets.snapshot[:8]} with the Secrets"
        found[secrets.repository.id, secrets.snapshot] = what
    return found


def ask_stale(facts: Facts) -> Iterator[Finding]:
    """Locks of the dead, and snapshots that no record speaks of."""
    now = facts.ports.clock.now()
    stale = [(where, lock) for where, lock in facts.locks if now - lock.time >= STALE]
    for where, lock in sorted(stale, key=lambda one: (one[0], one[1].time, one[1].id)):
        # restic never passes over a lock by itself, however old it is.
        effect = (
            "every copy fails while it is there (exit code 11)"
            if lock.exclusive
            else "copies go on beside it, prune and check do not"
        )
        yield Finding(
            id="leftovers/restic-lock",
            level=Level.PROBLEM if lock.exclusive else Level.WARNING,
            where=where,
            message=f"lock {lock.id[:8]} of {holder(lock)}, last renewed {_text(lock.time)}:"
            f" {effect}",
            hint="once that process is gone: restic unlock, with what `backstay password"
            f" {where.partition(' ')[0].partition('/')[2]}` prints",
        )
    if facts.unopened:
        yield _not_opened(facts, "leftovers/restic-lock")
    elif not stale:
        yield Finding(id="leftovers/restic-lock", level=Level.OK, message="none")
    waiting: set[str] = set()
    for where, snapshots in sorted(facts.snapshots.values(), key=lambda one: one[0]):
        own = [one for one in snapshots if _is_ours(one, facts) or bundling.TAG in one.tags]
        found = [one for one in bundling.waiting_of(own) if facts.policy in ("", one.policy)]
        waiting.update(one.run_id for one in found)
        yield from _bundles(where, found)
    if facts.unopened:
        yield _not_opened(facts, "leftovers/bundles")
    elif not waiting:
        yield Finding(id="leftovers/bundles", level=Level.OK, message="none")
    yield from _orphans(facts, waiting)


def _bundles(where: str, found: Sequence[bundling.Waiting]) -> Iterator[Finding]:
    for one in found:
        yield Finding(
            id="leftovers/bundles",
            level=Level.WARNING,
            where=where,
            message=f"run {one.run_id} waits as a bundle (snapshot {one.snapshot[:8]}) since"
            f" {_text(one.stored)}: the manifest store was out of its reach",
            hint=f"the policy's next run tries to deliver it; at once:"
            f" backstay deliver {one.policy}; if nobody needs it: restic forget {one.snapshot[:8]}",
        )


def _not_opened(facts: Facts, identifier: str) -> Finding:
    count = len(facts.unopened)
    return Finding(
        id=identifier,
        level=Level.UNKNOWN,
        where=facts.unopened[0] if count == 1 else f"{count} repositories",
        message="not opened",
        hint="see repositories/open",
    )


def _orphans(facts: Facts, waiting: AbstractSet[str]) -> Iterator[Finding]:
    _ = facts.branches
    if facts.failed_branches:
        yield Finding(
            id="leftovers/snapshots",
            level=Level.UNKNOWN,
            message=f"the history of {facts.failed_branches[0]} could not be read",
            hint="see git/branches",
        )
        return
    known = {point.run_id for points in facts.points.values() for point in points}
    known |= facts.scene.alive | facts.at_work | waiting
    seen = False
    for where, snapshots in sorted(facts.snapshots.values(), key=lambda one: one[0]):
        lost = [one for one in snapshots if _is_ours(one, facts) and _run_of(one) not in known]
        if facts.policy:
            lost = [one for one in lost if f"policy:{facts.policy}" in one.tags]
        if not lost:
            continue
        seen = True
        runs = sorted({_run_of(one) for one in lost})
        count = "1 snapshot" if len(lost) == 1 else f"{len(lost)} snapshots"
        yield Finding(
            id="leftovers/snapshots",
            level=Level.INFO,
            where=where,
            message=f"{count} that added {sum(max(one.added, 0) for one in lost)} bytes, of runs"
            f" without a record: {', '.join(runs[:3])}{' …' if len(runs) > 3 else ''}",
            hint="nothing: they are normal after a run that was killed, and take room only",
        )
    if facts.unopened:
        yield _not_opened(facts, "leftovers/snapshots")
    elif not seen:
        yield Finding(id="leftovers/snapshots", level=Level.OK, message="none")


def _is_ours(snapshot: ResticSnapshot, facts: Facts) -> bool:
    """Whether a run of this cluster made it; others may share the repository."""
    own = snapshot.host.startswith(f"{facts.config.cluster.name}/")
    return own and bool(_run_of(snapshot))


def _run_of(snapshot: ResticSnapshot) -> str:
    return next((tag.removeprefix(_RUN) for tag in snapshot.tags if tag.startswith(_RUN)), "")


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
