"""The executor for git: our processes, with an environment we know.

Every command, also one that GitPython starts by itself (`gitpythonrepo`), gets the same fixed
environment, and only the transport that the URL names. The remote is called ``origin`` and its URL
is a variable: no URL and no credential is ever an argument.

A repository of the usual shape is opened without GitPython, any other one by it. Commands are fixed
lists; what varies (refs, ids, paths) is checked by `gitnames` before.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.adapters import giterrors, process
from reconciler.adapters.gitcredentials import Access, GitCredentials
from reconciler.adapters.gitenvironment import PROXIES, make_environment
from reconciler.adapters.gitnames import GitUrl
from reconciler.model.errors import Bug, OverFetched, Refused

if TYPE_CHECKING:
    from reconciler.adapters.gitpythonrepo import Repository

LOCAL_SECONDS = 120.0
NETWORK_SECONDS = 300.0
LARGEST_FETCH = 2 << 30
"""Bytes of one pack: years of history of a large cluster, and less than a pod's disk."""
FETCH_VARIABLE = "BACKSTAY_LARGEST_FETCH"
"""The environment variable that sets another one, in MiB."""
REMOTE = "origin"
_LARGEST_ANSWER = 64 << 20
_LESS_AT_ONCE = (
    "a server that may leave out files sends little: `git config uploadpack.allowFilter true` in"
    f" its repository; or set {FETCH_VARIABLE} to as many MiB as the disk has room for:"
    " docs/manifest-store.md, Bounds"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """Where a repository is and how to get in; ``filter`` is what fetches leave out, or empty."""

    url: GitUrl
    access: Access = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    source: str = "the Secret"
    """Where the credentials came from, as errors name it."""

    @classmethod
    def make(cls, url: GitUrl, credentials: GitCredentials, access: Access) -> Remote:
        """A remote whose errors hide what the credentials hold, and say where they lie."""
        source = credentials.source or "a Secret that Config names (`secretRef`)"
        return cls(url=url, access=access, secrets=credentials.secrets, source=source)


class NotARepository(Refused):
    """There is no Git repository in a folder."""


class GitFolder:
    """One local repository and its remote. One process uses it; threads may.

    ``inherit`` are file descriptors that every child holds open (a lock that must outlive us),
    ``caps`` what a git process may take. ``largest_fetch``: bytes of a file that a process which
    talks to the remote may write, 0 for what ``caps`` say.
    """

    def __init__(
        self,
        path: Path,
        remote: Remote | None,
        *,
        deadline: float,
        inherit: Sequence[int] = (),
        caps: process.Caps = process.NO_CAPS,
        largest_fetch: int = 0,
    ) -> None:
        self._path = path
        self._repo: Repository | None = None
        self.folder = _usual_folder(path) or Path(self._opened().common_dir)
        self.remote = remote
        self.deadline = deadline
        self.spoiled = False
        """Whether git found the repository damaged: it should be made again."""
        self._inherit = tuple(inherit)
        self._caps = caps
        self.largest_fetch = largest_fetch or caps.file_size
        self._network = threading.Lock()
        self._started: weakref.WeakSet[process.Child] = weakref.WeakSet()
        self._filled: process.Finished | None = None
        """The last `talk`, if what it fetched was ended by the cap on files."""
        named = os.environ.get("GIT_PYTHON_GIT_EXECUTABLE", "")
        self._program = named if named and shutil.which(named) else "git"

    def _opened(self) -> Repository:
        """As GitPython opens it; raises NotARepository."""
        from reconciler.adapters import gitpythonrepo  # longer than the whole of a short command

        if self._repo is None:
            try:
                self._repo = gitpythonrepo.Repository(self._path, expand_vars=False)
            except gitpythonrepo.NOT_THERE as error:
                raise NotARepository(
                    f"{self._path} is no Git repository",
                    hint="give the root of a clone of the manifest repository",
                ) from error
        return self._repo

    @classmethod
    def create(
        cls,
        path: Path,
        remote: Remote | None,
        *,
        deadline: float,
        inherit: Sequence[int] = (),
        caps: process.Caps = process.NO_CAPS,
        largest_fetch: int = 0,
    ) -> GitFolder:
        """Makes an empty bare repository at ``path``; what stood there is removed."""
        from reconciler.adapters import gitpythonrepo

        shutil.rmtree(path, ignore_errors=True)
        try:
            gitpythonrepo.Repository.init(path, expand_vars=False, bare=True, quiet=True).close()
        except gitpythonrepo.FAILED as error:
            raise giterrors.explain(
                "make a repository", str(path), str(error.stderr).encode()
            ) from error
        return cls(
            path, remote, deadline=deadline, inherit=inherit, caps=caps, largest_fetch=largest_fetch
        )

    @property
    def largest_commit(self) -> int:
        """Bytes that what is written here, or is fetched for it, may have."""
        return max(self.largest_fetch, LARGEST_FETCH)

    def close(self) -> None:
        """Lets go of what GitPython holds."""
        if self._repo is not None:
            self._repo.close()

    @property
    def shown(self) -> str:
        """The remote's URL, or the folder, as messages name it."""
        return self.remote.url.shown if self.remote else str(self.folder)

    def resolve(self, ref: str) -> str | None:
        """The commit id that a full ref name has here, without a process; None if it has none."""
        from reconciler.adapters import gitpythonrepo

        return gitpythonrepo.resolve(self._opened(), ref)

    def references(self, *prefixes: str) -> dict[str, str]:
        """Full names and ids of all refs below the prefixes. One process."""
        done = self.run(
            "for-each-ref", "--format=%(refname) %(objectname)", *prefixes, what="list branches"
        )
        lines = done.stdout.decode("utf-8", "surrogateescape").splitlines()
        return {name: sha for name, _, sha in (line.partition(" ") for line in lines)}

    def run(
        self,
        *arguments: str,
        what: str,
        stdin: bytes | None = None,
        accept: Sequence[int] = (0,),
        max_stdout: int | None = None,
        configuration: Sequence[tuple[str, str]] = (),
    ) -> process.Finished:
        """A command that needs no network; it never fetches what is missing."""
        done = process.run(
            [self._program, *arguments],
            env=self._local_environment(configuration),
            cwd=self.folder,
            stdin=stdin,
            deadline=LOCAL_SECONDS,
            max_stdout=max_stdout,
            caps=self._caps,
            inherit=self._inherit,
        )
        if done.code not in accept and not done.truncated:
            raise self.failure(what, done)
        return done

    def start(
        self,
        *arguments: str,
        stdin: bool = False,
        deadline: float = 0,
        leave_out: str = "",
        memory: int = 0,
        largest: int = 0,
    ) -> process.Child:
        """The same as a running process; the caller looks at its exit code.

        With ``leave_out`` it may fetch what is missing, as `talk` says. ``memory``: bytes that it
        may have mapped, ``largest``: bytes of a file that it may write, where that is to be less
        than the folder's cap.
        """
        lazy = leave_out and self.remote is not None
        if lazy and not largest:
            # Its child that fetches inherits the cap; what it writes itself is a run's pack.
            largest = self.largest_commit
        child = process.Child(
            [self._program, *arguments],
            env=self._remote_environment(leave_out) if lazy else self._local_environment(),
            cwd=self.folder,
            stdin=stdin,
            deadline=deadline or LOCAL_SECONDS,
            caps=process.Caps(
                file_size=largest or self._caps.file_size, memory=memory or self._caps.memory
            ),
            inherit=self._inherit,
        )
        self._started.add(child)
        return child

    def talk(
        self,
        *arguments: str,
        leave_out: str = "",
        stdin: bytes | None = None,
        deadline: float | None = None,
    ) -> process.Finished:
        """A command that talks to the remote; any exit code is a result.

        ``leave_out`` is the filter of a partial clone, as in ``blob:none``: objects it leaves out
        may be missing here, and commands run by this method may fetch them. What one that failed
        has got until then goes.
        """
        environment = self._remote_environment(leave_out)
        with self._network:
            before = self._halves()
            self._filled = done = None
            try:
                done = process.run(
                    [self._program, *arguments],
                    env=environment,
                    cwd=self.folder,
                    stdin=stdin,
                    deadline=deadline or self.deadline,
                    caps=replace(self._caps, file_size=self.largest_fetch),
                    max_stdout=_LARGEST_ANSWER,
                    inherit=self._inherit,
                )
            except process.DeadlineExceeded as error:
                remove_leftovers(self.folder, packs=False)
                raise process.DeadlineExceeded(
                    f"{self.shown}: git {arguments[0]} took longer than"
                    f" {deadline or self.deadline:g} s and was stopped",
                    hint=error.hint,
                ) from error
            finally:
                if (done is None or done.code != 0) and self._drop_halves(before):
                    self._filled = done
            return done

    def _halves(self) -> frozenset[Path]:
        return frozenset(self.folder.glob("objects/pack/tmp_*"))

    def _drop_halves(self, before: frozenset[Path]) -> bool:
        """Removes what a fetch has left; whether a pack stopped growing at the cap.

        Git says nothing of that, and removes no half pack. One that was there ``before`` is of
        another process, and may well grow; so may one that began meanwhile, if it is not full.
        """
        others = any(child.code is None for child in self._started)
        is_full = False
        for half in self._halves() - before:
            with contextlib.suppress(FileNotFoundError):
                full = 0 < self.largest_fetch <= half.stat().st_size
                is_full |= full
                if full or not others:
                    half.unlink()
        return is_full

    def failure(self, what: str, done: process.Finished) -> Exception:
        """The error for a command that failed."""
        if done is self._filled:
            return OverFetched(
                f"cannot {what}: {self.shown} sends more than {self.largest_fetch >> 20} MiB at"
                " once",
                hint=_LESS_AT_ONCE,
            )
        self.spoiled |= giterrors.shows_damage(done.stderr)
        if self.remote is None:
            return giterrors.explain(what, self.shown, done.stderr)
        secrets, source = self.remote.secrets, self.remote.source
        return giterrors.explain(what, self.shown, done.stderr, secrets, source=source)

    @property
    def filled_cap(self) -> bool:
        """Whether the last `talk` failed since it fetched more than it may."""
        return self._filled is not None

    def _remote_environment(self, leave_out: str) -> dict[str, str]:
        if self.remote is None:
            raise Bug(f"{self.folder} has no remote")
        access = self.remote.access
        configuration = [(f"remote.{REMOTE}.url", self.remote.url.text), *access.configuration]
        if leave_out:
            configuration.append((f"remote.{REMOTE}.promisor", "true"))
            configuration.append((f"remote.{REMOTE}.partialclonefilter", leave_out))
        proxies = {name: os.environ[name] for name in PROXIES if name in os.environ}
        extra = {**proxies, **access.environment, "GIT_DIR": str(self.folder)}
        return make_environment(configuration, extra)

    def _local_environment(self, configuration: Sequence[tuple[str, str]] = ()) -> dict[str, str]:
        # Temporary files too lie where they are swept up.
        extra = {"GIT_DIR": str(self.folder), "GIT_NO_LAZY_FETCH": "1", "TMPDIR": str(self.folder)}
        return make_environment(configuration, extra)


def _usual_folder(path: Path) -> Path | None:
    """Where git keeps its files: in ``path`` itself, or in ``.git``; None where it isn't plain.

    Worktrees, submodules and folders that are no repository are left to GitPython.
    """
    own = path.absolute() / ".git"
    folder = own if own.exists() or own.is_symlink() else path.absolute()
    whole = all((folder / name).is_dir() for name in ("objects", "refs"))
    plain = whole and (folder / "HEAD").is_file() and not (folder / "commondir").exists()
    return folder if plain else None


def remove_leftovers(folder: Path, *, packs: bool) -> None:
    """Removes what killed git processes left: lock files and, with ``packs``, half packs."""
    for lock in (*folder.glob("*.lock"), *folder.glob("refs/**/*.lock")):
        lock.unlink(missing_ok=True)
    patterns = (
        *("fast_import_crash_*", "objects/pack/tmp_*", "objects/??/tmp_obj_*"),
        *("shallow_??????", ".git_vtag_tmp*"),
    )
    for pattern in patterns if packs else ():
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)
    # git moves the pack to its place first and its index last.
    for pack in folder.glob("objects/pack/pack-*.pack") if packs else ():
        if not pack.with_suffix(".idx").exists():
            pack.unlink(missing_ok=True)
