"""The restic repositories of a run: opened, or initialised once, or lost.

A repository is initialised only if no record ever named one for this (Repository, namespace).
Afterwards "does not exist" and "has another id" mean that it was lost or replaced, and a run that
made a new one in silence would hide that.

Several policies begin in the same second of their first night, and share the repository of
`_cluster`. restic does not notice that two make one at the same place of an S3 storage, and what
comes of it opens with neither's keys: so it is made under a Lease.

A storage that is away is waited for: until the run's deadline for `_cluster`, without which nothing
is backed up, and for a while for the others, whose volumes fail by themselves. What waiting can't
mend (a wrong password, a repository that is gone or locked) is said at once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from reconciler import ports
from reconciler.engine.clusterbranch import ClusterBranch
from reconciler.engine.context import RunPorts, RunRequest
from reconciler.engine.patience import Patience, insist
from reconciler.engine.runlease import acquire, holder_of
from reconciler.model.errors import (
    BackstayError,
    Interrupted,
    RepositoryLost,
    RepositoryMissing,
    Transient,
    Waiting,
)
from reconciler.model.policy import CLUSTER_NAMESPACE
from reconciler.model.run import RepositoryEntry, RepositoryRef
from reconciler.model.volumes import RepositoryAccess

LEASE = "backstay-repositories"
_LEASE_SECONDS = 420
"""Longer than restic may take to look for a repository and to make it: 195 s each."""
_POLL = 2.0
PATIENCE = timedelta(minutes=10)
"""How long all repositories but `_cluster` are waited for together: the other volumes wait, too.
As long again once the copies are there, and are to be proven."""
ENOUGH = 2
"""Repositories in a row that do not answer mean the storage, not one of them."""

Stopped = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class OpenRepository:
    """A repository that answered with the id that it should have."""

    ref: RepositoryRef
    access: RepositoryAccess
    backend: ports.VolumeBackend


@dataclass(frozen=True, slots=True)
class Repositories:
    """What could be opened, by namespace, and what could not, with the error."""

    opened: dict[str, OpenRepository]
    failed: dict[str, BackstayError]
    entries: tuple[RepositoryEntry, ...]
    """All of `opened`, as ``_repositories.yaml`` names them."""


def open_repositories(
    request: RunRequest,
    run: RunPorts,
    branch: ClusterBranch,
    namespaces: Iterable[str],
    *,
    stopped: Stopped = lambda: False,
) -> Repositories:
    """Opens the policy's repository for each namespace; one that fails does not stop the others.

    Except that of `_cluster`: nothing is backed up without it. A storage that was waited for in
    vain, and then did not answer for the next one either, is not asked for the rest: it takes its
    time with each question.
    """
    opened: dict[str, OpenRepository] = {}
    failed: dict[str, BackstayError] = {}
    away: list[Transient] = []
    until = request.deadline
    for namespace in namespaces:
        try:
            if len(away) >= ENOUGH:
                raise away[-1]
            patience = Patience(
                what=f"opening the repository of {namespace}",
                clock=run.clock,
                reporter=run.reporter,
                deadline=until,
                stopped=stopped,
            )
            found = insist(
                functools.partial(_open, request, run, branch, namespace, stopped), patience
            )
        except Interrupted:
            raise
        except BackstayError as error:
            failed[namespace] = error
            away = [*away, error] if isinstance(error, Transient) else []
            run.reporter.warning(
                "repository can't be used", namespace=namespace, why=error.message, hint=error.hint
            )
            if namespace == CLUSTER_NAMESPACE:
                break
        else:
            opened[namespace] = found
            away = []
        if namespace == CLUSTER_NAMESPACE:
            until = min(request.deadline, run.clock.now() + PATIENCE)
    entries = tuple(_entry(request, namespace, found) for namespace, found in opened.items())
    return Repositories(opened, failed, entries)


def _entry(request: RunRequest, namespace: str, found: OpenRepository) -> RepositoryEntry:
    return RepositoryEntry(
        repository=found.ref.name,
        namespace=namespace,
        url=found.ref.url,
        id=found.ref.id,
        secret=found.ref.secret,
        first_run=request.run_id,
    )


def _open(
    request: RunRequest, run: RunPorts, branch: ClusterBranch, namespace: str, stopped: Stopped
) -> OpenRepository:
    repository = request.compiled.repository
    url = repository.url_for(request.cluster, namespace)
    access = run.keyring.access(
        name=repository.name, secret=repository.secret_ref, url=url, namespace=namespace
    )
    backend = run.keyring.backend(access)
    known = branch.entry(repository.name, namespace)
    identifier = _identify(request, run, backend, access, known, stopped)
    ref = RepositoryRef(name=repository.name, url=url, id=identifier, secret=repository.secret_ref)
    return OpenRepository(ref, access, backend)


def _identify(
    request: RunRequest,
    run: RunPorts,
    backend: ports.VolumeBackend,
    access: RepositoryAccess,
    known: RepositoryEntry | None,
    stopped: Stopped,
) -> str:
    try:
        identifier = backend.open()
    except RepositoryMissing as error:
        if known is not None:
            raise RepositoryLost(
                f"repository {access.name} at {access.url} is gone; {known.first_run} set it up"
                f" with id {known.id}",
                hint="bring it back, or point the Repository to where it is now; Backstay does not"
                " make a new one in its place",
            ) from error
        return _initialise_once(request, run, backend, access, stopped)
    if known is not None and known.id != identifier:
        raise RepositoryLost(
            f"repository {access.name} at {access.url} has id {identifier}, and"
            f" {known.first_run} recorded {known.id}: it was replaced",
            hint="find out who replaced it; what it held before is not there",
        )
    return identifier


def _initialise_once(
    request: RunRequest,
    run: RunPorts,
    backend: ports.VolumeBackend,
    access: RepositoryAccess,
    stopped: Stopped,
) -> str:
    """Makes the repository, unless another run has done so while this one waited for its turn."""
    with _alone(request, run, stopped):
        try:
            return backend.open()
        except RepositoryMissing:
            run.reporter.event("initialising repository", repository=access.name, url=access.url)
            return backend.initialise()


@contextmanager
def _alone(request: RunRequest, run: RunPorts, stopped: Stopped) -> Iterator[None]:
    """While no other run of this cluster makes a repository; raises Waiting at the deadline."""
    holder = holder_of(request)
    while True:
        # One pod that is only gone may still be at it: two restics would spoil the repository.
        held_by, _ = insist(
            lambda: acquire(request, run, LEASE, seconds=_LEASE_SECONDS, proven=True),
            Patience(
                what=f"taking the Lease {LEASE}",
                clock=run.clock,
                reporter=run.reporter,
                deadline=request.deadline,
                stopped=stopped,
            ),
        )
        if held_by == holder:
            break
        if stopped():
            raise Interrupted(f"stopped while {held_by} holds the Lease {LEASE}")
        if run.clock.now() >= request.deadline:
            raise Waiting(
                f"{held_by} holds the Lease {LEASE} until now: it makes a restic repository",
                hint="look at that run's log",
            )
        run.clock.sleep(_POLL)
    try:
        yield
    finally:
        try:
            run.writer.release_lease(request.namespace, LEASE, holder)
        except BackstayError as error:
            # It ends by itself.
            run.reporter.warning("lease not released", lease=LEASE, why=error.message)
