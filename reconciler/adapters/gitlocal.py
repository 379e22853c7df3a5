"""The manifest store as a clone on somebody's disk has it: read, never written, no network.

What `backstay log` and `backstay show` need the day after a cluster died. The clone's hooks,
helpers and transports are switched off; branches are those of its remote ``origin``, then its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from reconciler.adapters import gitobjects, gitwalk
from reconciler.adapters.closing import Closing
from reconciler.adapters.gitnames import check_ref, check_sha
from reconciler.adapters.gitprocess import LOCAL_SECONDS, GitFolder
from reconciler.model.errors import Refused, one_line
from reconciler.model.store import Commit, FileChange, TouchedFiles

if TYPE_CHECKING:
    from reconciler.ports import OpenCommit

_LONGEST_REPORT = 1 << 16
_KEPT_TREES = 2
_PLACES = ("refs/remotes/origin/", "refs/heads/")


class LocalManifests(Closing):
    """ManifestStore whose writing half is refused; ``path`` is a clone, bare or not.

    Branches are those of the moment when the first one was asked for: a fetch in the meantime is
    not half seen.
    """

    def __init__(self, path: Path) -> None:
        self._git = GitFolder(path, None, deadline=LOCAL_SECONDS)
        self._tips: dict[str, str] | None = None
        self._trees: dict[tuple[str, str], Mapping[str, str]] = {}
        """The trees that were listed last: a difference asks for each of two, and again."""
        self._logs: dict[str, tuple[Commit, ...]] = {}
        """The branch that was read last, whole: a verb asks for its points, and for their heirs."""

    def close(self) -> None:
        """Lets go of the clone."""
        self._git.close()

    @property
    def shallow(self) -> bool:
        """Whether the clone's history is cut off, so that `log` ends early."""
        return (self._git.folder / "shallow").exists()

    def branches(self, prefix: str) -> Mapping[str, str]:
        """Branches below ``prefix`` and their tips, as the clone last saw them."""
        folder = prefix.rstrip("/")
        below = f"{check_ref(folder)}/" if folder else ""
        return {name: sha for name, sha in self._branches().items() if name.startswith(below)}

    def tip(self, branch: str) -> str | None:
        """The branch's tip as the clone last saw it."""
        return self._branches().get(check_ref(branch))

    def _branches(self) -> Mapping[str, str]:
        if self._tips is None:
            references = self._git.references(*_PLACES)
            found: dict[str, str] = {}
            for place in reversed(_PLACES):
                mine = {name: sha for name, sha in references.items() if name.startswith(place)}
                found |= {name.removeprefix(place): sha for name, sha in mine.items()}
            found.pop("HEAD", None)
            self._tips = found
        return self._tips

    def tree(self, commit: str, prefix: str = "") -> Mapping[str, str]:
        """path → blob id of every file of a commit below ``prefix``."""
        key = (commit, prefix)
        if key not in self._trees:
            found = gitobjects.list_tree(self._git, check_sha(commit), prefix)
            newest = list(self._trees.items())[1 - _KEPT_TREES :]
            self._trees = {**dict(newest), key: found}
        return self._trees[key]

    def read(self, commit: str, paths: Sequence[str]) -> Mapping[str, bytes]:
        """The files' bytes; raises Refused if the clone was made without them."""
        shas = self._files(commit, paths)
        blobs = gitobjects.read_blobs(self._git, list(dict.fromkeys(shas.values())))
        files = {path: blobs[sha] for path, sha in shas.items()}
        if None in files.values():
            raise gitobjects.lacks_objects(self._git, "read files")
        return {path: data for path, data in files.items() if data is not None}

    def _files(self, commit: str, paths: Sequence[str]) -> Mapping[str, str]:
        if (commit, "") not in self._trees:
            return gitobjects.list_files(self._git, check_sha(commit), paths)
        tree = self._trees[commit, ""]
        return {path: tree[path] for path in paths if path in tree}

    def log(self, branch: str, *, limit: int = 0) -> Iterator[Commit]:
        """Commits of a branch, newest first, as far as the clone has them."""
        tip = self.tip(branch)
        if tip is None:
            return
        if tip in self._logs:
            yield from self._logs[tip][: limit or None]
            return
        read = []
        for commit in gitobjects.walk_log(self._git, tip, limit):
            if not limit:
                read.append(commit)
            yield commit
        if not limit:
            self._logs = {tip: tuple(read)}

    def changes(self, branch: str, paths: Sequence[str] = ()) -> Iterator[TouchedFiles]:
        """As `gitwalk.walk_changes` says, as far as the clone goes."""
        tip = self.tip(branch)
        if tip is not None:
            yield from gitwalk.walk_changes(self._git, tip, paths)

    def commits(self, branch: str) -> Iterator[TouchedFiles]:
        """As `gitwalk.walk_commits` says, as far as the clone goes."""
        tip = self.tip(branch)
        if tip is not None:
            yield from gitwalk.walk_commits(self._git, tip)

    def blobs(self, ids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """As `gitwalk.iter_blobs` says; raises Refused if the clone was made without them."""
        yield from gitwalk.iter_blobs(self._git, ids, gitobjects.blob_sizes(self._git, ids))

    def signatures(self, ids: Sequence[str], signers: Path) -> Iterator[tuple[str, str]]:
        """As `gitwalk.check_signatures` says."""
        yield from gitwalk.check_signatures(self._git, ids, signers)

    def check_objects(self) -> str:
        """What `git fsck` finds wrong in the clone's objects; an empty text where nothing is."""
        with self._git.start(
            "fsck", "--full", "--no-dangling", "--no-progress", deadline=gitwalk.HISTORY_SECONDS
        ) as child:
            told = child.stdout.read(_LONGEST_REPORT)
            while child.stdout.read(1 << 16):
                pass
            done = child.wait()
        if done.code == 0:
            return ""
        lines = (told + done.stderr).decode("utf-8", "replace").splitlines()
        return one_line(" | ".join(lines[:10])) or f"git fsck ended with {done.code}"

    def begin(self, branch: str, parent: str | None) -> OpenCommit:
        """Refused."""
        self._refuse(branch, parent)

    def commit(
        self,
        branch: str,
        parent: str | None,
        changes: Iterable[FileChange],
        message: str,
        *,
        when: datetime,
    ) -> str:
        """Refused."""
        self._refuse(branch, parent, changes, message, when)

    def reparent(self, commit: str, parent: str | None, *, text: str = "") -> str:
        """Refused."""
        self._refuse(commit, parent, text)

    def bundle(self, branch: str, commit: str, parent: str | None) -> Iterator[bytes]:
        """Refused."""
        self._refuse(branch, commit, parent)

    def unbundle(self, chunks: Iterable[bytes]) -> str:
        """Refused."""
        self._refuse("a bundle", chunks)

    def complete(self, commits: Sequence[str], tip: str | None) -> tuple[str, ...]:
        """Refused."""
        self._refuse(", ".join(commits), tip)

    def push(self, tips: Mapping[str, str]) -> None:
        """Refused."""
        self._refuse(", ".join(tips), *tips.values())

    def _refuse(self, what: str, *unused: object) -> NoReturn:
        del unused  # the port's arguments, which nothing is done with
        raise Refused(
            f"cannot write {what}: {self._git.folder} is opened for reading",
            hint="name the manifest store's URL in Config to write to it",
        )
