"""The environment of a restic process, and what it must never say aloud.

Only variables of storages and a few of restic's own are taken from a Secret. Whoever can write
the Secret must not be able to run a command here (RESTIC_PASSWORD_COMMAND, PATH, LD_PRELOAD) or
to send the copy elsewhere (RESTIC_REPOSITORY).
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from reconciler.adapters import resticjson
from reconciler.model.volumes import RepositoryAccess

FROM_SECRET = re.compile(
    r"(AWS|AZURE|B2|GOOGLE|OS|ST)_[A-Z0-9_]+"
    r"|RESTIC_(PASSWORD|REST_USERNAME|REST_PASSWORD|COMPRESSION|PACK_SIZE|READ_CONCURRENCY)"
)
"""Variables that restic gets from a Secret, and that movers get with it: nothing else of it."""
_FROM_PROCESS = re.compile(
    r"PATH|TZ|LANG|LC_ALL|SSL_CERT_(FILE|DIR)|(HTTPS?|NO)_PROXY|(https?|no)_proxy"
    r"|GO(MAXPROCS|MEMLIMIT|GC)"
)
_NO_SECRET = re.compile(r".*(REGION|ENDPOINT|COMPRESSION|PACK_SIZE|CONCURRENCY|VERSION).*")
_SHORTEST_SECRET = 4
_MEMORY_MAX = Path("/sys/fs/cgroup/memory.max")


def environment(access: RepositoryAccess, cache_dir: Path) -> dict[str, str]:
    """Everything restic gets to see. Temporary files lie beside the cache."""
    cache_dir.mkdir(parents=True, exist_ok=True)
    env = {name: value for name, value in os.environ.items() if _FROM_PROCESS.fullmatch(name)}
    env.setdefault("PATH", os.defpath)
    if "GOMEMLIMIT" not in env and (limit := _memory_limit()):
        env["GOMEMLIMIT"] = str(limit)
    env["HOME"] = str(cache_dir)
    env["TMPDIR"] = os.environ.get("TMPDIR") or str(cache_dir)
    given = access.environment.items()
    env.update({name: value for name, value in given if FROM_SECRET.fullmatch(name)})
    env["RESTIC_REPOSITORY"] = access.url
    env["RESTIC_PROGRESS_FPS"] = "0.2"
    return env


def secrets(access: RepositoryAccess) -> tuple[str, ...]:
    """Values that must be masked in every text, longest first."""
    values = {
        value
        for name, value in access.environment.items()
        if FROM_SECRET.fullmatch(name)
        and len(value) >= _SHORTEST_SECRET
        and not _NO_SECRET.fullmatch(name)
    }
    return tuple(sorted(values, key=len, reverse=True))


def go_seconds(duration: str) -> float:
    """Seconds of a duration as restic's flags take it."""
    return resticjson.seconds(duration)


def _memory_limit() -> int:
    """Four fifths of the container's memory: Go then collects garbage before it is killed."""
    with contextlib.suppress(OSError, ValueError):
        return int(_MEMORY_MAX.read_text()) * 4 // 5
    return 0
