"""Programs that tests need and the machine may lack: restic and sshd, from Debian, without root.

restic is the version that the image ships (Debian trixie's) whatever the machine has installed, so
that tests and production meet the same program. `restic_path("forky")` is the next version, for
the contract suite. Everything is kept in the cache folder, one folder per suite.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.rig.tools import debian
from tests.rig.tools.cache import cache_folder, locked

SUITE = "trixie"
NEXT_SUITE = "forky"
OLDEST_RESTIC = (0, 17, 1)
OLDEST_GIT = (2, 39, 0)
SSHD = Path("/usr/sbin/sshd")


def version_of(program: str | Path, *arguments: str) -> tuple[int, int, int]:
    """Return the first three-part version that the program prints."""
    said = subprocess.run([str(program), *arguments], check=True, capture_output=True, text=True)
    match = re.search(r"(\d+)\.(\d+)\.(\d+)", said.stdout)
    if match is None:
        raise debian.ToolError(f"{program} does not say its version", hint=said.stdout[:200])
    return int(match[1]), int(match[2]), int(match[3])


def restic_path(suite: str = SUITE) -> Path:
    """Return restic as that Debian suite has it; the first call on a machine downloads it.

    On a machine that is not Debian: the restic on PATH, if it is new enough.
    """
    kept = cache_folder() / "tools" / suite / "bin" / "restic"
    if kept.exists():
        return kept
    if not debian.is_debian():
        return _restic_of_this_machine()
    with locked(f"tools-{suite}"):
        if not kept.exists():
            print(f"tools: restic from Debian {suite}", file=sys.stderr)
            debian.unpack(["restic"], suite, kept.parents[1])
            kept.parent.mkdir(exist_ok=True)
            kept.with_suffix(".new").symlink_to("../usr/bin/restic")
            kept.with_suffix(".new").replace(kept)
    if version_of(kept, "version") < OLDEST_RESTIC:
        raise debian.ToolError(f"{kept} is too old", hint="Debian's restic must be 0.17.1 or newer")
    return kept


def _restic_of_this_machine() -> Path:
    found = shutil.which("restic")
    if found is None or version_of(found, "version") < OLDEST_RESTIC:
        raise debian.ToolError(
            "no restic 0.17.1 or newer on PATH", hint="install it; only on Debian it is fetched"
        )
    return Path(found)


def sshd_path() -> Path:
    """Return an sshd; where it is missing, root installs Debian's and others unpack it."""
    if SSHD.exists():
        return SSHD
    if os.geteuid() == 0:
        debian.install(["openssh-server"])
        return SSHD
    folder = cache_folder() / "tools" / "sshd"
    kept = folder / "usr" / "sbin" / "sshd"
    with locked("tools-sshd"):
        if not kept.exists():
            print("tools: sshd from Debian", file=sys.stderr)
            debian.unpack(["openssh-server"], debian.codename(), folder)
    return kept


def check_git() -> None:
    """Raise ToolError unless git is there and not older than what the tests were made with."""
    found = shutil.which("git")
    if found is None or version_of(found, "version") < OLDEST_GIT:
        raise debian.ToolError("git 2.39 or newer is needed", hint="install git")
