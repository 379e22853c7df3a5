"""What the engine needs of the world, as small as its users.

Each port has one contract suite that its fake and its real adapter pass. Comments are promises:
*complete or raises* means that a returned value never silently lacks a part.
All methods may raise `reconciler.model.errors.BackstayError`; no foreign exception passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from reconciler.model.cluster import ClusterIdentity, Discovery
from reconciler.model.objects import ObjectRef, Resource
from reconciler.model.podexec import ExecResult
from reconciler.model.rights import Right, Verdict
from reconciler.model.store import Commit, FileChange, PolicyFiles
from reconciler.model.volumes import (
    Leftover,
    MoveResult,
    MoveTask,
    RepositoryAccess,
    ResticLock,
    ResticSnapshot,
)

KubeObject = Mapping[str, Any]
T = TypeVar("T")


class Clock(Protocol):
    """Time as an argument."""

    def now(self) -> datetime:
        """UTC, with time zone."""
        ...

    def sleep(self, seconds: float) -> None:
        """Returns early only by an exception."""
        ...


class PolicySource(Protocol):
    """Where policies come from. One per installation."""

    def fetch(self, last: str | None) -> PolicyFiles:
        """The newest revision, complete or raises; ``last`` is the remembered revision."""
        ...


class ClusterReader(Protocol):
    """Reads the cluster. Idempotent; retries what is safe to retry by itself."""

    def identity(self) -> ClusterIdentity: ...

    def discover(self) -> Discovery:
        """Every kind that can be listed, with the groups that failed named."""
        ...

    def pages(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
    ) -> Iterator[list[dict[str, Any]]]:
        """The whole list in pages of at most 500 raw objects, each with apiVersion and kind.

        Raises Incomplete when the list can't be read to its end; what came before proves nothing.
        Raises its subclass Expired when the continue token expired half-way (410): the caller
        drops what it has seen of this list and lists again; its subclass NotServed where the
        cluster does not know the kind.
        """
        ...

    def count(self, resource: Resource) -> int | None:
        """How many objects of a kind there are in all namespaces, by one small request.

        None where the API server does not tell. Raises as `pages`; 0 is a whole list.
        """
        ...

    def get(self, resource: Resource, name: str, *, namespace: str = "") -> dict[str, Any] | None:
        """One raw object, or None if there is none."""
        ...

    def logs(self, namespace: str, pod: str, *, container: str = "", tail: int = 50) -> str:
        """The last lines of a container's log."""
        ...


class Happened(NamedTuple):
    """Something about one object: ADDED, MODIFIED, DELETED, or BOOKMARK, which is about none."""

    kind: str
    object: dict[str, Any]


class ClusterWatch(Protocol):
    """Tells soon that something has changed, in all namespaces. What it misses, a list finds."""

    def listing(
        self, resource: Resource, parse: Callable[[dict[str, Any]], T]
    ) -> tuple[list[T], str]:
        """What ``parse`` makes of each object there is, and the version to watch from.

        Complete or raises.
        """
        ...

    def changes(self, resource: Resource, version: str) -> Iterator[Happened]:
        """What happens after ``version``, until the server ends it, which it may at any time.

        Raises Expired where that is too long ago (410): list again.
        """
        ...


class ClusterWriter(Protocol):
    """Changes the cluster, with field manager ``backstay``. Every call can be repeated."""

    def apply(self, obj: KubeObject) -> dict[str, Any]:
        """Server-side apply, never forced; a conflict raises Refused naming field and manager."""
        ...

    def create(self, obj: KubeObject) -> tuple[dict[str, Any], bool]:
        """(object, True) if created now; (the existing object, False) if the name was taken."""
        ...

    def delete(self, ref: ObjectRef, *, uid: str = "", orphan: bool = False) -> bool:
        """False if it was gone or has another uid. ``orphan`` leaves dependents alone."""
        ...

    def patch(
        self, ref: ObjectRef, changes: Mapping[str, Any], *, version: str, status: bool = False
    ) -> dict[str, Any] | None:
        """JSON merge patch (RFC 7386) of the object that still has this resourceVersion.

        Takes fields from whoever set them, so it is for objects that are Backstay's whole.
        ``status`` writes the status subresource, and nothing but it; without, the status stays.
        None, and no effect, if the object is gone, was changed meanwhile, or is not served.
        """
        ...

    def announce(self, event: KubeObject) -> bool:
        """Writes an Event (events.k8s.io/v1); False, and no effect, if one of its name is there."""
        ...

    def acquire_lease(
        self, namespace: str, name: str, holder: str, *, seconds: int, take_from: str = ""
    ) -> str:
        """Takes or renews a Lease; returns who holds it now (``holder`` on success).

        Taken when free, expired, already ours, or held by ``take_from`` (a holder that the caller
        knows to be dead). Compare-and-swap: two callers never both succeed.
        """
        ...

    def release_lease(self, namespace: str, name: str, holder: str) -> None:
        """Frees a Lease that ``holder`` still holds; no effect otherwise."""
        ...


class PodExec(Protocol):
    """Executes programs in containers: no shell, no input, no terminal."""

    def run(
        self,
        namespace: str,
        pod: str,
        container: str,
        command: Sequence[str],
        *,
        timeout: float,
        on_output: Callable[[bytes], object],
        stopped: Callable[[], bool] = lambda: False,
    ) -> ExecResult:
        """Waits until the program has ended, at most ``timeout`` seconds.

        ``on_output`` gets what it writes, of both outputs, in pieces. Never tried again here. What
        it raises, `reconciler.model.podexec` lists by whether the program was started; Interrupted
        when ``stopped`` turned true meanwhile: the program goes on.
        """
        ...


class VolumeMover(Protocol):
    """One Job beside one volume: begins or continues, never twice for the same task."""

    def ensure(self, task: MoveTask) -> MoveResult:
        """Begins the copy or looks at it: RUNNING until it ended, then always the same result."""
        ...

    def cleanup(self, task: MoveTask) -> None:
        """Removes the Job and its credentials; no effect if they are gone."""
        ...

    def leftovers(self, policy: str) -> tuple[Leftover, ...]:
        """Every mover of a policy that is there now, of all runs and kinds, in all namespaces.

        Complete or raises. Whose they are, the caller must know: some may be at work for a run
        or a restore that lives. What only looks like a mover of ours is not among them.
        """
        ...

    def remove(self, left: Leftover) -> bool:
        """Removes this very mover and its credentials; False, and no effect, if it is gone."""
        ...


class VolumeBackend(Protocol):
    """One restic repository, used from this process."""

    def open(self) -> str:
        """The repository's id. Raises RepositoryMissing, WrongPassword, RepositoryLocked."""
        ...

    def initialise(self) -> str:
        """Makes the repository and returns its id; raises Refused if one is there already."""
        ...

    def backup_stream(
        self, chunks: Iterable[bytes], *, host: str, path: str, tags: Sequence[str]
    ) -> ResticSnapshot:
        """Stores a stream as one file; nothing is stored if the iterable raises or is empty."""
        ...

    def backup_folder(
        self,
        folder: Path,
        *,
        host: str,
        tags: Sequence[str],
        exclude: Sequence[str] = (),
        progress: Callable[[int, int], None] | None = None,
    ) -> MoveResult:
        """Stores the folder as ``/<name>``, with its own mode; progress: (done, total) bytes."""
        ...

    def restore_folder(
        self,
        snapshot: str,
        source: str,
        folder: Path,
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> MoveResult:
        """Puts ``<snapshot>:<source>`` into ``folder``, with modes, owners, links and holes."""
        ...

    def snapshots(self, *, tags: Sequence[str] = (), host: str = "") -> tuple[ResticSnapshot, ...]:
        """Those that carry all ``tags``, oldest first; complete or raises."""
        ...

    def read_file(self, snapshot: str, path: str) -> Iterator[bytes]:
        """The bytes of one file in a snapshot; raises at the end if they were not all."""
        ...

    def locks(self) -> tuple[ResticLock, ...]:
        """Every lock that is there now, also one that is in the way; takes none itself."""
        ...


class RepositoryUpkeep(VolumeBackend, Protocol):
    """One restic repository, for maintenance: nobody else removes anything.

    Each takes restic's exclusive lock, and raises RepositoryLocked where somebody has another.
    """

    def forget(self, snapshots: Sequence[str]) -> None:
        """Removes exactly the snapshots with these full ids; those that are gone are passed over.

        Their data stays until `prune`. Raises Refused where one is still there afterwards: then
        some may be gone. Cut short it may be done again.
        """
        ...

    def prune(self) -> None:
        """Frees what no snapshot needs; cut short it may be done again."""
        ...

    def check(self, *, part: int = 1, parts: int = 1, read_data: bool = True) -> tuple[str, ...]:
        """What is damaged, a sentence each, the first ten: of the structure, and of one part of
        the data (1 to ``parts``) where it is read. Raises where that could not be found out."""
        ...


class Keyring(Protocol):
    """Opens restic repositories; the only port that sees a master password."""

    def access(self, *, name: str, secret: str, url: str, namespace: str) -> RepositoryAccess:
        """Keys for the Repository ``name``'s part for ``namespace``, password derived.

        ``url`` is already that part's own. Raises Refused where the Secret is missing, holds no
        usable master password, or may not be used for this URL.
        """
        ...

    def fingerprint_key(self, *, secret: str, url: str) -> bytes:
        """The key of the fingerprints of Secrets (32 bytes), from the same master password."""
        ...

    def backend(self, access: RepositoryAccess) -> VolumeBackend:
        """The repository, not opened yet."""
        ...


class Sealer(Protocol):
    """Encrypts for recipients; holds no key that opens anything."""

    def random(self, size: int) -> bytes:
        """Bytes that nobody can guess."""
        ...

    def wrap(self, key: bytes, recipient: str) -> str:
        """A key as an age file in armour, for a public key ``age1…``. Raises Stalled."""
        ...


class Opener(Protocol):
    """The private keys of whoever restores."""

    def unwrap(self, wrapped: Mapping[str, str]) -> bytes:
        """The key in one of the armoured files, by recipient. Raises Refused, saying what to do."""
        ...


class OpenCommit(Protocol):
    """A commit in the making: streams to Git while the caller goes on reading."""

    def write(self, path: str, data: bytes) -> None: ...

    def delete(self, path: str) -> None: ...

    def finish(self, message: str, *, when: datetime) -> str:
        """Closes it and returns the commit's id; local until pushed."""
        ...

    def abort(self) -> None:
        """Leaves no trace; no effect after `finish`."""
        ...


class ManifestStore(Protocol):
    """The Git repository that captures go to; branches are ``clusters/<cluster>/<policy>``."""

    def branches(self, prefix: str) -> Mapping[str, str]:
        """The remote's branches below ``prefix`` and their tips, asked now."""
        ...

    def tip(self, branch: str) -> str | None:
        """Fetches the branch (no blobs) and returns its tip, or None if there is none."""
        ...

    def tree(self, commit: str, prefix: str = "") -> Mapping[str, str]:
        """path → blob id of every file of a commit below ``prefix``."""
        ...

    def read(self, commit: str, paths: Sequence[str]) -> Mapping[str, bytes]:
        """The files' bytes; a path that is not there is left out."""
        ...

    def log(self, branch: str, *, limit: int = 0) -> Iterator[Commit]:
        """Commits of a branch, newest first, with their trailers; 0 is all."""
        ...

    def begin(self, branch: str, parent: str | None) -> OpenCommit:
        """Starts a commit on top of ``parent`` with the parent's tree."""
        ...

    def commit(
        self,
        branch: str,
        parent: str | None,
        changes: Iterable[FileChange],
        message: str,
        *,
        when: datetime,
    ) -> str:
        """A whole commit at once; local until pushed."""
        ...

    def reparent(self, commit: str, parent: str | None, *, text: str = "") -> str:
        """A commit with the same tree and time on another parent; ``text``: another message."""
        ...

    def bundle(self, branch: str, commit: str, parent: str | None) -> Iterator[bytes]:
        """What brings ``commit`` to who can reach its parent; asks nothing of the remote."""
        ...

    def unbundle(self, chunks: Iterable[bytes]) -> str:
        """Takes over what `bundle` gave, and returns the commit; raises Refused for damage."""
        ...

    def complete(self, commits: Sequence[str], tip: str | None) -> tuple[str, ...]:
        """Brings what a push of ``commits`` on ``tip`` needs; returns those that lack files."""
        ...

    def push(self, tips: Mapping[str, str]) -> None:
        """Pushes branch → commit, all or none, fast-forward only, then asks the remote for proof.

        Raises PushRejected when a branch moved, Transient when the remote is away.
        """
        ...


class Reporter(Protocol):
    """Tells people and machines what goes on. Never raises."""

    def event(self, message: str, **fields: object) -> None: ...

    def warning(self, message: str, **fields: object) -> None: ...

    def progress(self, what: str, done: int, total: int) -> None: ...


class ClusterProbe(Protocol):
    """Asks the API server about itself and about rights; nothing is stored there."""

    def may(self, right: Right, *, subject: str = "") -> Verdict:
        """Whether ``subject`` (a user's name; empty: this client's own) has the right.

        Raises Refused where this client may not ask in the name of another.
        """
        ...

    def whoami(self) -> str:
        """This client's user name, or empty where the API server does not tell."""
        ...

    def server_time(self) -> datetime:
        """The API server's clock, UTC, to the second."""
        ...


class PushProbe(Protocol):
    """Asks a Git server whether it would take a push; nothing is sent."""

    def check_push(self, branch: str) -> None:
        """No effect. Raises Refused where this key may not push, Transient where it is away."""
        ...
