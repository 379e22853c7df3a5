"""A run's commit on another tip: manifests and record as the run has them, other files as they are.

Whoever pushes while a run is at work has written below another tree than the run has read. The
run's own paths are what it saw and proved, so they win. A file that no run writes (a README, say)
is somebody's: it stays as the tip has it.
"""

from __future__ import annotations

from datetime import datetime

from reconciler import ports
from reconciler.capture import paths


def put_on_tip(
    store: ports.ManifestStore,
    branch: str,
    commit: str,
    tip: str | None,
    *,
    message: str,
    when: datetime,
) -> str:
    """``commit`` again, with ``tip`` as its parent; ``message`` and ``when`` are its own."""
    ours = store.tree(commit)
    theirs = store.tree(tip) if tip is not None else {}
    names = {*ours, *theirs}
    if all(_is_ours(path) or ours.get(path) == theirs.get(path) for path in names):
        return store.reparent(commit, tip, text=message)
    changed = [path for path in ours if _is_ours(path) and ours[path] != theirs.get(path)]
    again = store.begin(branch, tip)
    try:
        for path, data in store.read(commit, changed).items():
            again.write(path, data)
        for path in theirs:
            if _is_ours(path) and path not in ours:
                again.delete(path)
        return again.finish(message, when=when)
    except BaseException:
        again.abort()
        raise


def _is_ours(path: str) -> bool:
    return path == paths.RECORD_PATH or paths.parse_path(path) is not None
