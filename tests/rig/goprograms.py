"""Small Go programs around other people's code, to compare ours with: built once per machine.

Their sources are folders of `tests/rig/go`; modules are pinned by go.sum. A build is kept under a
key of its source and its modules. The first build on a machine may take minutes when it is busy,
and fetch Go itself: a test that asks for a program counts only its own time (`func_only`).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.rig.cluster import build, locks, paths, shell


def program(name: str) -> Path:
    """Return the built program; the first call on a machine builds it."""
    source = paths.GO_MODULES / name
    digest = hashlib.sha256(repr(build.FLAGS).encode())
    for file in ("go.mod", "go.sum", "main.go"):
        digest.update((source / file).read_bytes())
    kept = paths.cache() / name / digest.hexdigest()[:16]
    if kept.exists():
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with locks.held(kept.parent / ".lock"):
        if not kept.exists():
            aside = kept.with_suffix(".new")
            shell.run(
                [build.go_program(), "build", *build.FLAGS, "-o", aside, "."],
                env={"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": ""},
                cwd=source,
                timeout=build.BUILD_SECONDS,
            )
            aside.rename(kept)
    return kept
