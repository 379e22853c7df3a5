"""A folder for one remote's bare repository, which may be thrown away at any time.

Nothing in it is worth keeping: what matters is on the remote. So a cache that was not closed in
order (killed, power lost) is not repaired but made again, and one that another process uses is
left to it: the second process works in a private one and removes it. The lock is inherited by
every git process, so a folder whose owner was killed stays locked until its children are gone too.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from reconciler.adapters import process
from reconciler.adapters.gitcredentials import GitCredentials, make_access
from reconciler.adapters.gitnames import GitUrl
from reconciler.adapters.gitprocess import GitFolder, NotARepository, Remote, remove_leftovers
from reconciler.model.errors import Refused

_MAX_PACKS = 64
_PRIVATE = "private-"


class GitCache:
    """Opens, makes or makes again the repository for a remote; `close` it in the end."""

    def __init__(
        self,
        workdir: Path,
        kind: str,
        url: GitUrl,
        credentials: GitCredentials,
        *,
        deadline: float,
        caps: process.Caps = process.NO_CAPS,
        largest_fetch: int = 0,
        stalled: int = 0,
    ) -> None:
        self._private = False
        # Each fetch may bring a pack of the cap's size.
        self._largest_fetch = largest_fetch or caps.file_size
        self._most_bytes = 2 * self._largest_fetch
        self._stalled = stalled
        self._workdir = workdir
        with _may_fail(workdir):
            workdir.mkdir(mode=0o700, parents=True, exist_ok=True)
            name = hashlib.sha256(url.text.encode()).hexdigest()[:16]
            self._home, self._lock = self._claim(workdir / f"{kind}-{name}")
            try:
                self.repository = self._open(url, credentials, deadline, caps)
            except BaseException:
                self._release()
                raise

    @property
    def access(self) -> Path:
        """A folder for keys, which only we can enter; it is gone when this is closed."""
        return self._home / "access"

    def renew(self) -> None:
        """Makes the repository again; everything in it is gone."""
        self.repository.close()
        self.repository = self._make()

    def is_full(self) -> bool:
        """Whether so much was fetched, bit by bit, that it is better made again."""
        return self._holds_much(self.repository.folder)

    def _holds_much(self, folder: Path) -> bool:
        sizes = _pack_sizes(folder)
        return len(sizes) > _MAX_PACKS or 0 < self._most_bytes < sum(sizes)

    def close(self) -> None:
        """Closes it in order: keys are removed, and the next process may use it as it is."""
        if self._lock < 0:
            return
        self.repository.close()
        shutil.rmtree(self.access, ignore_errors=True)
        halves = any(self.repository.folder.glob("objects/pack/tmp_*"))
        if not halves and not self.repository.spoiled:
            (self._home / "in-use").unlink(missing_ok=True)
        self._release()

    def _claim(self, home: Path) -> tuple[Path, int]:
        lock = _try_lock(home)
        if lock is not None:
            _sweep_private(self._workdir)
            return home, lock
        self._private = True
        home = Path(tempfile.mkdtemp(prefix=_PRIVATE, dir=self._workdir))
        lock = _try_lock(home)
        if lock is None:
            raise Refused(f"{home} was taken by another process", hint="use another working folder")
        return home, lock

    def _open(
        self, url: GitUrl, credentials: GitCredentials, deadline: float, caps: process.Caps
    ) -> GitFolder:
        used = self._home / "in-use"
        folder = self._home / "repository.git"
        shutil.rmtree(self.access, ignore_errors=True)
        usable = folder.is_dir() and not used.exists() and not self._holds_much(folder)
        if usable:
            remove_leftovers(folder, packs=True)
        used.touch(mode=0o600)
        access = make_access(url, credentials, self.access, stalled=self._stalled)
        remote = Remote.make(url, credentials, access)
        lock = (self._lock,)
        largest = self._largest_fetch
        self._make = partial(
            GitFolder.create,
            folder, remote, deadline=deadline, inherit=lock, caps=caps, largest_fetch=largest,
        )  # fmt: skip
        if usable:
            with contextlib.suppress(NotARepository):
                return GitFolder(
                    folder, remote,
                    deadline=deadline, inherit=lock, caps=caps, largest_fetch=largest,
                )  # fmt: skip
        return self._make()

    def _release(self) -> None:
        if self._private:
            shutil.rmtree(self._home, ignore_errors=True)
        os.close(self._lock)
        self._lock = -1


def _pack_sizes(folder: Path) -> list[int]:
    return [pack.stat().st_size for pack in folder.glob("objects/pack/*.pack")]


def _try_lock(home: Path) -> int | None:
    home.mkdir(mode=0o700, exist_ok=True)
    handle = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def _sweep_private(workdir: Path) -> None:
    for home in workdir.glob(f"{_PRIVATE}*"):
        lock = _try_lock(home)
        if lock is not None:
            shutil.rmtree(home, ignore_errors=True)
            os.close(lock)


@contextlib.contextmanager
def _may_fail(workdir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refused(
            f"cannot use {workdir} for Git: {error.strerror}",
            hint="give a working folder that this user may write to, with some space",
        ) from error
