"""The policy source: a folder of a Git repository, read without ever making a work tree.

The repository may be hostile: anybody whose pull request is merged writes to it. Files are read
with ``cat-file`` from a bare, shallow clone, so links, hooks, filters and submodules cannot act;
what they would have been is reported as a problem. Everything that grows has a cap (`Limits`).

A cycle without a change costs one connection and no file is read again. Ancestry, which decides
whether something may be deleted, is asked by `gitancestry`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from reconciler.adapters import gitancestry, policytree, process
from reconciler.adapters.closing import Closing
from reconciler.adapters.gitcache import GitCache
from reconciler.adapters.gitcredentials import GitCredentials
from reconciler.adapters.gitnames import check_folder, check_sha, full_ref, parse_url
from reconciler.adapters.gitprocess import REMOTE, GitFolder, remove_leftovers
from reconciler.adapters.gitsignature import AllowedSigners, SignatureCheck
from reconciler.adapters.policytree import Limits
from reconciler.model.errors import Incomplete, Problem, Refused
from reconciler.model.store import Descends, PolicyFiles, parse_revision, render_revision

_OURS = "refs/backstay/policies"
_CHUNK = 1 << 16
_LONGEST_COMMIT = 1 << 16


@dataclass(frozen=True, slots=True)
class _Entry:
    mode: str
    sha: str
    path: str


class GitPolicySource(Closing):
    """PolicySource over git; a context manager. ``path`` is the folder with the policies.

    With ``signers`` a revision is only read when one of them signed its commit.
    """

    def __init__(
        self,
        url: str,
        *,
        ref: str,
        path: str,
        credentials: GitCredentials,
        workdir: Path,
        limits: Limits | None = None,
        allow_local: bool = False,
        signers: AllowedSigners | None = None,
    ) -> None:
        self._limits = limits or Limits()
        self._name = ref
        self._ref = full_ref(ref)
        self._path = check_folder(path)
        address = parse_url(url, allow_local=allow_local)
        self._cache = GitCache(
            workdir,
            "policies",
            address,
            credentials,
            deadline=self._limits.deadline,
            caps=process.Caps(file_size=self._limits.fetched, memory=self._limits.memory),
            stalled=self._limits.stalled,
        )
        self._signers = signers
        self._sha = ""
        self._read: PolicyFiles | None = None
        self._answers: dict[tuple[str, str], Descends] = {}

    def close(self) -> None:
        """Leaves the cache in order."""
        self._cache.close()

    def fetch(self, last: str | None) -> PolicyFiles:
        """The newest revision; ``descends`` is UNKNOWN when there is no ``last`` to compare."""
        if self._git.spoiled or self._cache.is_full():
            self._cache.renew()
        try:
            sha = self._remote_sha() if self._read is not None else ""
            if self._read is None or sha != self._sha:
                sha = self._fetch_tip()
                if sha != self._sha or self._read is None:
                    self._check_signature(sha)
                    self._read = self._read_files(sha)
                    self._sha = sha
            return replace(self._read, descends=self._descends(last, self._sha))
        except BaseException:
            # Nobody else works in this repository: what is half there is of the child that ended.
            remove_leftovers(self._git.folder, packs=True)
            raise

    @property
    def _git(self) -> GitFolder:
        return self._cache.repository

    @property
    def _where(self) -> str:
        return f"{self._git.shown} at {self._name}"

    def _remote_sha(self) -> str:
        done = self._git.talk("ls-remote", REMOTE, self._ref)
        if done.code != 0:
            raise self._git.failure(f"look at {self._name}", done)
        for line in done.stdout.decode("utf-8", "replace").splitlines():
            sha, _, name = line.partition("\t")
            if name == self._ref:
                return sha
        raise self._no_such_ref()

    def _fetch_tip(self) -> str:
        # Files over the cap stay on servers that can leave them out; one byte more is too large.
        leave_out = f"blob:limit={self._limits.file_size + 1}"
        done = self._git.talk(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--depth=1",
            f"--filter={leave_out}", REMOTE, f"+{self._ref}:{_OURS}",
            leave_out=leave_out,
        )  # fmt: skip
        if done.code != 0:
            if b"couldn't find remote ref" in done.stderr:
                raise self._no_such_ref()
            if self._git.filled_cap:
                raise Refused(
                    f"{self._where} is larger than {self._limits.fetched >> 20} MiB",
                    hint="keep policies in a repository of their own",
                )
            raise self._git.failure(f"fetch {self._name}", done)
        sha = self._git.resolve(_OURS)
        if sha is None:
            raise Incomplete(f"{self._git.shown} sent {self._name}, and it is not there")
        return check_sha(sha)

    def _check_signature(self, sha: str) -> None:
        if self._signers is not None:
            file = self._git.folder / "allowed_signers"
            SignatureCheck(self._signers, file).check(self._git, sha, self._name)

    def _no_such_ref(self) -> Refused:
        return Refused(
            f"{self._git.shown} has no {self._ref}{self._default_branch()}",
            hint="check `ref` of the policy source in Config, or push the branch",
        )

    def _default_branch(self) -> str:
        """What else there is, for who renamed the branch; nothing where it can't be had."""
        done = self._git.talk("ls-remote", "--symref", REMOTE, "HEAD")
        lines = done.stdout.decode("utf-8", "replace").splitlines()
        if done.code == 0 and not lines:
            return "; it has no default branch, or is empty"
        found = next((line.split("\t")[0] for line in lines if line.startswith("ref: ")), "")
        return f"; its default branch is {found.removeprefix('ref: refs/heads/')}" if found else ""

    def _read_files(self, sha: str) -> PolicyFiles:
        entries = self._list(sha)
        problems, wanted = list[Problem](), dict[str, _Entry]()
        for entry in entries:
            if policytree.is_hidden(entry.path, self._path):
                continue
            problem = policytree.why_unread(int(entry.mode, 8), entry.path, wanted)
            if problem:
                problems.append(problem)
            elif entry.path.endswith(policytree.SUFFIXES):
                wanted[entry.path] = entry
        # The folder itself, in place of what is in it: it is a file or a link.
        found = not self._path or any(entry.path != self._path for entry in entries)
        files, too_large = self._read_blobs([*wanted.values()]) if found else ({}, [])
        return PolicyFiles(
            revision=render_revision(self._name, sha),
            descends=Descends.UNKNOWN,
            files=files,
            problems=tuple(problems + too_large),
            path_found=found,
            message=self._message(sha),
        )

    def _message(self, sha: str) -> str:
        """The commit's message; of one that is very long the first part."""
        done = self._git.run(
            "cat-file", "commit", sha, what="read the newest commit", max_stdout=_LONGEST_COMMIT
        )
        return done.stdout.decode("utf-8", "replace").partition("\n\n")[2]

    def _list(self, sha: str) -> list[_Entry]:
        """Everything below the folder, in Git's order; a tree that unfolds too far is refused."""
        where, deepest = (self._path,) if self._path else (), self._limits.depth
        entries, pending = list[_Entry](), b""
        census = policytree.Census(self._limits, self._where, self._path)
        with self._git.start("ls-tree", "-r", "-z", "--full-tree", sha, "--", *where) as child:
            while chunk := child.stdout.read(_CHUNK):
                *lines, pending = (pending + chunk).split(b"\0")
                entries += [_parse_entry(line) for line in lines]
                census.add(len(lines), len(chunk))
                for entry in entries[-len(lines) :] if lines else ():
                    if entry.path.count("/") > deepest:
                        raise policytree.too_deep(entry.path, self._limits, self._where)
            done = child.wait()
        if done.code != 0:
            raise self._git.failure(f"list {self._path or 'files'}", done)
        return entries

    def _read_blobs(self, wanted: list[_Entry]) -> tuple[Mapping[str, bytes], list[Problem]]:
        limits = self._limits
        policytree.check_count(len(wanted), limits, self._where)
        files: dict[str, bytes] = {}
        problems: list[Problem] = []
        total = 0
        if not wanted:
            return files, problems
        with self._git.start("cat-file", "--batch", "--buffer", stdin=True) as child:
            asked = process.feed(child.stdin, [f"{entry.sha}\n".encode() for entry in wanted])
            for entry in wanted:
                data = _next_blob(child.stdout, entry, limits.file_size)
                if data is None:
                    problems.append(policytree.too_large(entry.path, limits))
                    continue
                files[entry.path] = data
                total += len(data)
                policytree.check_total(total, limits, self._where)
            asked.join()
            child.wait()
        return files, problems

    def _descends(self, last: str | None, sha: str) -> Descends:
        remembered = _commit_of(last)
        if not remembered:
            return Descends.UNKNOWN
        if remembered == sha:
            return Descends.YES
        key = (remembered, sha)
        if key not in self._answers:
            found = gitancestry.search(
                self._git, self._ref, sha, remembered, limit=self._limits.history
            )
            self._answers = {key: found}
        return self._answers[key]


def _commit_of(last: str | None) -> str:
    """The commit of a remembered revision; empty if there is none or it is not one."""
    try:
        return check_sha(parse_revision(last or "")[1])
    except (ValueError, Refused):
        return ""


def _parse_entry(line: bytes) -> _Entry:
    head, _, path = line.partition(b"\t")
    mode, _, sha = head.decode().split(" ")
    return _Entry(mode, sha, path.decode("utf-8", "backslashreplace"))


def _next_blob(answer: IO[bytes], entry: _Entry, largest: int) -> bytes | None:
    """The next object of ``cat-file --batch``; None if it is too large or was left out for that."""
    words = answer.readline().split()
    if len(words) == 2 and words[1] == b"missing":
        return None
    if len(words) != 3 or words[0] != entry.sha.encode():
        raise Incomplete(f"git cat-file broke off at {entry.path}")
    size = int(words[2])
    data = answer.read(size) if size <= largest else b""
    rest = size - len(data) + 1
    while rest > 0 and (skipped := answer.read(min(rest, _CHUNK))):
        rest -= len(skipped)
    if rest:
        raise Incomplete(f"git cat-file broke off at {entry.path}")
    return data if size <= largest else None
