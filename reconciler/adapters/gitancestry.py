"""Whether a commit descends from another one, asked with as little history as possible.

A shallow clone alone answers this wrongly: an ancestor below its edge just is not there, and every
change looks like a rewrite. So the history is deepened in steps, commits only, until the remembered
commit turns up, the first commit is reached, or a limit is: then nobody knows.
"""

from __future__ import annotations

from reconciler.adapters.gitprocess import REMOTE, GitFolder
from reconciler.model.store import Descends

_OURS = "refs/backstay/history"
_NO_TREES = "tree:0"
_STEPS = (32, 1024)


def search(repository: GitFolder, ref: str, sha: str, remembered: str, *, limit: int) -> Descends:
    """Whether ``sha``, at the remote's ``ref`` just now, descends from ``remembered``.

    Looks at no more than ``limit`` commits. At most three connections; raises when one fails.
    """
    for depth in (*(step for step in _STEPS if step < limit), limit):
        if not _deepen(repository, ref, depth):
            return Descends.UNKNOWN
        walked = repository.run(
            "rev-list", f"--max-count={limit}", sha, "--", what="walk the history"
        )
        history = set(walked.stdout.decode().split())
        if remembered in history:
            return Descends.YES
        if len(history) >= limit:
            return Descends.UNKNOWN
        if not history & _edge(repository):
            return Descends.NO
    return Descends.UNKNOWN


def _deepen(repository: GitFolder, ref: str, depth: int) -> bool:
    """Brings more history; False if that is more than the cap (a server that sends the trees)."""
    done = repository.talk(
        "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", f"--depth={depth}",
        f"--filter={_NO_TREES}", REMOTE, f"+{ref}:{_OURS}",
        leave_out=_NO_TREES,
    )  # fmt: skip
    if done.code == 0:
        return True
    if repository.filled_cap:
        return False
    raise repository.failure(f"fetch the history of {ref}", done)


def _edge(repository: GitFolder) -> set[str]:
    """Commits whose parents are not here."""
    shallow = repository.folder / "shallow"
    return set(shallow.read_text().split()) if shallow.exists() else set()
