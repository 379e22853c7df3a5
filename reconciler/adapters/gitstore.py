"""The manifest store: a Git repository that runs push their commits to.

Works in a bare, shallow clone without blobs (`GitCache`): one connection brings a branch's newest
tree, and only files that are read come over, all of them in one more connection. Servers without
partial clone send everything; nothing else changes.

A push is fast-forward only, never forced, all branches or none, and counts when the server named
the new tips afterwards. Until then a commit is known here only.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from reconciler.adapters import gitbundle, giterrors, gitobjects
from reconciler.adapters.closing import Closing
from reconciler.adapters.gitcache import GitCache
from reconciler.adapters.gitcommit import FastImport, make_author, write_object
from reconciler.adapters.gitcredentials import GitCredentials
from reconciler.adapters.gitnames import check_ref, check_sha, parse_url
from reconciler.adapters.gitprocess import (
    LARGEST_FETCH,
    NETWORK_SECONDS,
    REMOTE,
    GitFolder,
    remove_leftovers,
)
from reconciler.adapters.gitsignature import AllowedSigners, SignatureCheck
from reconciler.adapters.gitsigning import CommitSigner, SigningKey
from reconciler.model.errors import BackstayError, Bug, PushRejected, Transient
from reconciler.model.store import Commit, Delete, FileChange

_NO_BLOBS = "blob:none"
_NO_TREES = "tree:0"
_EVERYTHING = 2147483647  # what git takes as an infinite depth (Documentation/shallow.txt)
_NOBODY = "author B <b@localhost> 0 +0000\ncommitter B <b@localhost> 0 +0000"
_NO_SUCH_BRANCH = b"couldn't find remote ref"


class GitManifestStore(Closing):
    """ManifestStore over git. A context manager; one thread uses it, beside one open commit.

    With a ``signing_key`` every commit that is made here is signed with it. What the remote sends
    for one question, ``largest_fetch`` bytes at most, is what it can take of the disk.
    """

    def __init__(
        self,
        url: str,
        *,
        author_name: str,
        author_email: str,
        credentials: GitCredentials,
        workdir: Path,
        allow_local: bool = False,
        deadline: float = NETWORK_SECONDS,
        largest_fetch: int = LARGEST_FETCH,
        signing_key: SigningKey | None = None,
        trusted: AllowedSigners | None = None,
    ) -> None:
        self._author = make_author(author_name, author_email)
        address = parse_url(url, allow_local=allow_local)
        self._cache = GitCache(
            workdir,
            "manifests",
            address,
            credentials,
            deadline=deadline,
            largest_fetch=largest_fetch,
        )
        self._open: set[FastImport] = set()
        self._signer: CommitSigner | None = None
        if signing_key is not None:
            self._signer = CommitSigner(signing_key, self._cache.access / "signing-key")
        self._trusted = trusted

    def close(self) -> None:
        """Drops open commits and leaves the cache in order."""
        for commit in tuple(self._open):
            commit.abort()
        self._cache.close()

    def branches(self, prefix: str) -> Mapping[str, str]:
        """The remote's branches below ``prefix`` and their tips, asked now. One connection."""
        folder = prefix.rstrip("/")
        pattern = f"refs/heads/{check_ref(folder)}/*" if folder else "refs/heads/*"
        return self._ask([pattern], f"list branches below {folder or '/'}")

    def tip(self, branch: str) -> str | None:
        """Fetches the branch (no blobs) and returns its tip. One connection."""
        name = f"refs/heads/{check_ref(branch)}"
        ours = _tracking(branch)
        # Without a depth git goes down to what is here: the history of a known branch stays whole.
        depth = 1 if self._git.resolve(ours) is None else 0
        if self._fetch(name, ours, depth=depth, leave_out=_NO_BLOBS):
            return self._git.resolve(ours)
        return None

    def tree(self, commit: str, prefix: str = "") -> Mapping[str, str]:
        """path → blob id of every file of a commit below ``prefix``. One process."""
        return gitobjects.list_tree(self._git, check_sha(commit), prefix)

    def read(self, commit: str, paths: Sequence[str]) -> Mapping[str, bytes]:
        """The files' bytes. Two processes, or four and one connection when files must come over.

        One more for each 128 MiB.
        """
        wanted = set(paths)
        shas = {path: sha for path, sha in self.tree(commit).items() if path in wanted}
        unique = list(dict.fromkeys(shas.values()))
        blobs = gitobjects.read_blobs(self._git, unique)
        missing = [sha for sha, data in blobs.items() if data is None]
        if missing:
            self._bring(missing)
            blobs |= gitobjects.read_blobs(self._git, missing)
        files = {path: blobs[sha] for path, sha in shas.items()}
        lost = sorted(path for path, data in files.items() if data is None)
        if lost:
            raise Transient(
                f"{self._git.shown} did not send {lost[0]} of commit {commit}",
                hint="run `git fsck` on the server if it stays",
            )
        return {path: data for path, data in files.items() if data is not None}

    def log(self, branch: str, *, limit: int = 0) -> Iterator[Commit]:
        """Commits of a branch, newest first; two connections fetch that much history."""
        tip = self.tip(branch)
        if tip is None:
            return
        # One more than asked for: the deepest commit of a shallow clone seems to have no parents.
        depth = limit + 1 if limit else _EVERYTHING
        self._fetch(tip, f"{_tracking(branch)}.log", depth=depth, leave_out=_NO_TREES)
        yield from gitobjects.walk_log(self._git, tip, limit)

    def vouch(self, commit: str) -> None:
        """Raises Refused unless a commit is signed by somebody ``trusted``. Two processes.

        Where nobody was named there is nothing to ask.
        """
        if self._trusted is None:
            return
        check = SignatureCheck(self._trusted, self._cache.access / "trusted-signers")
        check.check_commit(
            self._git,
            check_sha(commit),
            f"commit {commit[:12]} of {self._git.shown} is not restored",
            hint="`backstay verify --allowed-signers FILE` says which commits are signed; to"
            " restore one that is not, take manifestStore.signingKey out of the Config",
        )

    def begin(self, branch: str, parent: str | None) -> FastImport:
        """Starts a commit on top of ``parent`` with the parent's tree. One process."""
        check_ref(branch)
        if parent is not None:
            check_sha(parent)
        return FastImport(self._git, parent, self._author, self._open, self._signer)

    def commit(
        self,
        branch: str,
        parent: str | None,
        changes: Iterable[FileChange],
        message: str,
        *,
        when: datetime,
    ) -> str:
        """A whole commit at once; local until pushed. Nothing is kept if ``changes`` raises."""
        commit = self.begin(branch, parent)
        try:
            for change in changes:
                if isinstance(change, Delete):
                    commit.delete(change.path)
                else:
                    commit.write(change.path, change.data)
            return commit.finish(message, when=when)
        finally:
            commit.abort()

    def reparent(self, commit: str, parent: str | None, *, text: str = "") -> str:
        """A commit with the same tree, author and times on another parent; ``text``: message."""
        what = f"put commit {commit} on {parent}"
        raw = gitobjects.commit_bytes(self._git, check_sha(commit), what)
        head, separator, message = raw.partition(b"\n\n")
        message = text.encode() or message
        tree, *rest = re.sub(rb"\n(gpgsig|mergetag)[^\n]*(\n [^\n]*)*", b"", head).split(b"\n")
        kept = [line for line in rest if not line.startswith(b"parent ")]
        added = [b"parent " + check_sha(parent).encode()] if parent else []
        body = b"\n".join([tree, *added, *kept]) + separator + message
        return write_object(self._git, "commit", self._signer.sign(body) if self._signer else body)

    def bundle(self, branch: str, commit: str, parent: str | None) -> Iterator[bytes]:
        """What brings ``commit`` to who has its parent; asks nothing of the remote."""
        return gitbundle.write_bundle(self._git, branch, commit, parent)

    def unbundle(self, chunks: Iterable[bytes]) -> str:
        """Takes over what `bundle` gave, and returns the commit. One process."""
        try:
            return gitbundle.read_bundle(self._git, chunks)
        finally:
            if not self._open:
                remove_leftovers(self._git.folder, packs=True)

    def complete(self, commits: Sequence[str], tip: str | None) -> tuple[str, ...]:
        """Brings what a push of ``commits`` on ``tip`` needs; returns those that lack files.

        One connection for all of them; one for each where that one does not bring everything.
        """
        missing = gitbundle.missing_files(self._git, commits, tip)
        if missing and tip is not None and not self._brought(list(missing)) and len(commits) > 1:
            for commit in commits:
                self._brought([sha for sha, whose in missing.items() if commit in whose])
        sizes = gitobjects.blob_sizes(self._git, list(missing))
        lost = {commit for sha in missing if sizes[sha] is None for commit in missing[sha]}
        return tuple(commit for commit in dict.fromkeys(commits) if commit in lost)

    def _brought(self, shas: Sequence[str]) -> bool:
        """Whether the remote had all of them; False where one is not there."""
        if not shas:
            return True
        try:
            self._bring(shas, everything=rb"unadvertised object")
        except BackstayError as error:
            if "not our ref" in error.message:
                return False
            raise
        return True

    def push(self, tips: Mapping[str, str]) -> None:
        """Pushes branch → commit, fast-forward only, then asks for proof. Two connections."""
        if not tips:
            return
        specs = [f"{check_sha(sha)}:refs/heads/{check_ref(name)}" for name, sha in tips.items()]
        atomic = ("--atomic",) if len(specs) > 1 else ()
        what = f"push branch {', '.join(tips)}"
        done = self._git.talk(
            "push", "--porcelain", "--no-verify", "--no-follow-tags", *atomic, REMOTE, *specs,
            leave_out=_NO_BLOBS,
        )  # fmt: skip
        if done.code != 0:
            self._raise_rejection(done.stdout.decode("utf-8", "replace"), done.stderr)
            raise self._git.failure(what, done)
        self._prove(tips)

    def check_push(self, branch: str) -> None:
        """Goes as far as a push goes before it sends anything. Two processes, one connection.

        The server's hooks and rules for branches are not asked: they see a push only.
        """
        what = f"push branch {check_ref(branch)}"
        tree = write_object(self._git, "tree", b"")
        commit = write_object(self._git, "commit", f"tree {tree}\n{_NOBODY}\n\nNot sent\n".encode())
        done = self._git.talk(
            "push", "--dry-run", "--porcelain", "--no-verify", "--no-follow-tags", REMOTE,
            f"{commit}:refs/heads/{branch}",
        )  # fmt: skip
        if done.code != 0:
            raise self._git.failure(what, done)

    @property
    def _git(self) -> GitFolder:
        return self._cache.repository

    def _ask(self, patterns: Sequence[str], what: str) -> dict[str, str]:
        done = self._git.talk("ls-remote", "--refs", REMOTE, *patterns)
        if done.code != 0:
            raise self._git.failure(what, done)
        lines = (
            line.partition("\t") for line in done.stdout.decode("utf-8", "replace").split("\n")
        )
        exact = {pattern.rstrip("*") for pattern in patterns}
        found = {name: sha for sha, mark, name in lines if mark}
        return {
            name.removeprefix("refs/heads/"): sha
            for name, sha in found.items()
            if any(
                name == start or (start[-1] == "/" and name.startswith(start)) for start in exact
            )
        }

    def _fetch(self, name: str, ours: str, *, depth: int, leave_out: str) -> bool:
        """Brings ``name`` to our ref ``ours``; False if the remote has no such branch."""
        deepen = (f"--depth={depth}",) if depth else ()
        done = self._git.talk(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", *deepen,
            f"--filter={leave_out}", REMOTE, f"+{name}:{ours}",
            leave_out=leave_out,
        )  # fmt: skip
        if done.code != 0 and _NO_SUCH_BRANCH not in done.stderr:
            raise self._git.failure(f"fetch {name}", done)
        return done.code == 0

    def _bring(
        self, shas: Sequence[str], *, everything: bytes = rb"unadvertised object|not our ref"
    ) -> None:
        """Fetches these blobs in one connection, or everything from a server that refuses that."""
        options = ("--quiet", "--no-tags", "--no-write-fetch-head")
        done = self._git.talk(
            "-c", "fetch.negotiationAlgorithm=noop", "fetch", *options,
            f"--filter={_NO_BLOBS}", REMOTE, "--stdin",
            leave_out=_NO_BLOBS,
            stdin="".join(f"{sha}\n" for sha in shas).encode(),
        )  # fmt: skip
        if done.code != 0 and re.search(everything, done.stderr):
            done = self._git.talk(
                "fetch", *options, "--refetch", REMOTE, "+refs/heads/*:refs/backstay/all/*"
            )
        if done.code != 0:
            raise self._git.failure(f"fetch {len(shas)} files", done)

    def _raise_rejection(self, report: str, stderr: bytes) -> None:
        """The reason of the first refused branch: in an atomic push the others only follow."""
        remote = self._git.remote
        if remote is None:
            raise Bug(f"{self._git.folder} has no remote")
        lines = [line.split("\t") for line in report.splitlines() if line.startswith("!\t")]
        refused = [(spec.rpartition("refs/heads/")[2], summary) for _, spec, summary in lines]
        refused.sort(key=lambda item: "atomic" in item[1])
        for branch, summary in refused:
            raise giterrors.explain_rejection(
                branch, self._git.shown, summary, stderr, remote.secrets, source=remote.source
            )

    def _prove(self, tips: Mapping[str, str]) -> None:
        seen = self._ask([f"refs/heads/{name}" for name in tips], "ask for the pushed branches")
        for branch, sha in tips.items():
            if seen.get(branch) != sha and not self._is_below(branch, sha):
                raise PushRejected(
                    f"branch {branch} at {self._git.shown} has no commit {sha} after the push",
                    hint="something on the server moves the branch; it is read again",
                )

    def _is_below(self, branch: str, sha: str) -> bool:
        """Whether somebody already put more on top of what was pushed."""
        ours = _tracking(branch)
        # No depth, or what was pushed would be hidden below the newest commit.
        if not self._fetch(f"refs/heads/{branch}", ours, depth=0, leave_out=_NO_BLOBS):
            return False
        tip = str(self._git.resolve(ours))
        what = f"compare branch {branch}"
        done = self._git.run("merge-base", "--is-ancestor", sha, tip, what=what, accept=(0, 1, 128))
        return done.code == 0


def _tracking(branch: str) -> str:
    # Hashed: a branch may come where another one's folder was.
    return f"refs/backstay/remote/{hashlib.sha256(branch.encode()).hexdigest()}"
