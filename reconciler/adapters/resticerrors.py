"""What a failed restic means for us: exit code and text → one of our errors.

restic has exit codes for the three commonest reasons (10, 11, 12); everything else is 1 with an
English sentence, and a storage that fails is retried for 15 minutes before that. So the sentences
of the storage are sorted here, by what happens next: it exists not, it says no, it is away.
A sentence that nobody knows is a plain failure, never a success.
"""

from __future__ import annotations

import re
from enum import Enum

from reconciler.model.errors import (
    BackstayError,
    Interrupted,
    Refused,
    RepositoryLocked,
    RepositoryMissing,
    Transient,
    WrongPassword,
)

LOCK_RETRY = 300.0
"""Seconds until a locked repository is worth another look; restic refreshes locks every 5 min."""


class Cause(Enum):
    """Kinds of failure that a sentence of restic or of its storage can name."""

    NO_BUCKET = "the bucket does not exist"
    DENIED = "the storage refuses the credentials"
    BAD_URL = "the URL is not one that restic understands"
    TAKEN = "there is a repository already"
    HALF_MADE = "whoever began to make the repository did not end it"
    NO_SNAPSHOT = "no such snapshot or path"
    DISK_FULL = "a disk is full"
    AWAY = "the storage does not answer"
    UNKNOWN = "unknown"


_DENIED = (
    r"access ?denied|access key id you provided|signature we calculated|InvalidAccessKeyId"
    r"|SignatureDoesNotMatch|no credentials found|ExpiredToken|invalid token|40[13] "
    r"|\bforbidden\b|\bunauthorized\b|unable to authenticate|handshake failed: ssh"
)
_BAD_URL = (
    r"parsing repository location|bucket name (cannot|can not|contains)|invalid backend"
    r"|invalid format"
)
# rest-server and others say 507; MinIO and Ceph say it in words of their own, or by a code alone.
_FULL = (
    r"no space left on device|quota ?exceeded|insufficient ?storage|StorageFull"
    r"|minimum free (drive|disk|storage)"
)
_AWAY = (
    r"connection refused|no such host|i/o timeout|connection reset|broken pipe|\bEOF\b"
    r"|network is unreachable|no route to host|TLS handshake|server misbehaving|timed? ?out"
    r"|temporarily unavailable|SlowDown|ServiceUnavailable|InternalError|50[0234] |deadline"
)
# First match wins. The sentences come from restic 0.18 and 0.19, minio-go and SeaweedFS.
_SENTENCES: tuple[tuple[Cause, str], ...] = (
    (Cause.NO_BUCKET, r"bucket does not exist|NoSuchBucket"),
    (Cause.DENIED, _DENIED),
    (Cause.BAD_URL, _BAD_URL),
    (Cause.HALF_MADE, r"already contains keys"),
    (Cause.TAKEN, r"config file already exists|already initialized"),
    (
        Cause.NO_SNAPSHOT,
        r"failed to (find|load) snapshot|no matching ID|path .* not found|: not found",
    ),
    (Cause.DISK_FULL, _FULL),
    (Cause.AWAY, _AWAY),
    (Cause.DENIED, r"permission denied"),
)
_COMPILED = tuple((cause, re.compile(pattern, re.IGNORECASE)) for cause, pattern in _SENTENCES)
PERMANENT = frozenset({Cause.NO_BUCKET, Cause.DENIED, Cause.BAD_URL, Cause.DISK_FULL})
"""Trying again can't help, whatever restic believes."""


def find_cause(text: str) -> Cause:
    """The kind of failure that a sentence names."""
    return next((cause for cause, pattern in _COMPILED if pattern.search(text)), Cause.UNKNOWN)


def make_error(code: int, text: str, *, where: str, keys: str = "its Secret") -> BackstayError:
    """The error for a restic that ended with ``code``; ``where`` names repository and URL.

    ``keys`` is where its password was read. ``text`` must be masked already. A negative code is the
    signal that ended restic.
    """
    said = shorten(text)
    match code:
        case 10:
            return RepositoryMissing(
                f"no restic repository at {where}",
                hint="check the URL; a repository that a record names was lost or moved",
            )
        case 11:
            return RepositoryLocked(
                f"restic repository {where} is locked: {said}",
                hint="somebody prunes or checks it; see 'restic list locks' and wait",
                retry_after=LOCK_RETRY,
            )
        case 12:
            return WrongPassword(
                f"wrong password for restic repository {where}",
                hint=f"RESTIC_PASSWORD of {keys}, or the cluster's name, changed since it began",
            )
        case 130:
            return Interrupted(f"restic on {where} was interrupted")
    if code < 0:
        return Transient(
            f"restic on {where} was killed by signal {-code}",
            hint="signal 9 is most often the memory limit",
        )
    return _by_cause(find_cause(text), f"restic repository {where}", said, code)


def _by_cause(cause: Cause, where: str, said: str, code: int) -> BackstayError:
    match cause:
        case Cause.NO_BUCKET:
            return RepositoryMissing(
                f"{where}: {said}", hint="create the bucket, or correct the repository's URL"
            )
        case Cause.DENIED:
            return Refused(
                f"{where}: {said}",
                hint="check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and what they may do",
            )
        case Cause.BAD_URL:
            return Refused(f"{where}: {said}", hint="correct the repository's URL")
        case Cause.TAKEN:
            return Refused(f"{where}: {said}", hint="open it; a repository is made only once")
        case Cause.HALF_MADE:
            return Refused(
                f"{where} has keys and no config: {said}",
                hint="a process that made it was killed half-way, or its file 'config' was lost. If"
                " it holds nothing else (no file below data/ or snapshots/), remove its folder"
                " keys/ and run again",
            )
        case Cause.NO_SNAPSHOT:
            return Refused(f"{where}: {said}", hint="list what is there with 'restic snapshots'")
        case Cause.DISK_FULL:
            return Refused(
                f"{where}: {said}", hint="give the storage, the volume or the cache more room"
            )
        case Cause.AWAY:
            return Transient(f"{where}: {said}", hint="is the storage up, and reachable from here?")
        case Cause.UNKNOWN:
            return BackstayError(
                f"{where}: restic ended with exit code {code}: {said}",
                hint="restic's exit codes are in its manual, under scripting",
            )


def shorten(text: str, limit: int = 500) -> str:
    """One line of at most ``limit`` characters; the end says more than the middle."""
    line = " ".join(text.removeprefix("Fatal: ").split()) or "no message"
    return line if len(line) <= limit else f"{line[: limit // 2]} … {line[-limit // 2 :]}"
