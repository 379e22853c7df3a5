"""Every process the rig waits for goes through here, so that a failure always shows its output."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.rig.cluster.errors import RigError

LAST_LINES = 15
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def run(
    argv: Sequence[str | Path],
    *,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    check: bool = True,
    timeout: float = 300,
) -> str:
    """Return what the command printed on stdout; raise RigError with its last lines on failure."""
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            input=stdin,
            env=environment(env or {}),
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise RigError(f"{words[0]} is not installed", hint="run scripts/cluster up") from error
    except subprocess.TimeoutExpired as error:
        raise RigError(f"{' '.join(words[:4])} took more than {timeout:.0f} s") from error
    if check and done.returncode != 0:
        raise RigError(
            f"{' '.join(words[:6])} ended with {done.returncode}",
            hint=tail(done.stderr or done.stdout),
        )
    return done.stdout


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """The rig's own environment: no setting of another cluster, and root's folders on PATH."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("KUBE")}
    kept["PATH"] = f"{kept.get('PATH', '')}:{SYSTEM_PATH}".strip(":")
    return kept | dict(more)


def tail(text: str) -> str:
    """The last lines of a program's output, indented below the error."""
    return "\n  ".join(text.strip().splitlines()[-LAST_LINES:])
