"""buildah on a storage of its own: the machine's images and containers are never touched."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.rig.tools import debian
from tests.rig.tools.cache import cache_folder

PACKAGES = {"buildah": "buildah", "mmdebstrap": "mmdebstrap", "runc": "runc"}


def require() -> None:
    """Install what building needs and the machine lacks; raise ToolError where that can't be."""
    if os.geteuid() != 0:
        raise debian.ToolError("building the image needs root", hint="run it as root")
    missing = [package for name, package in PACKAGES.items() if shutil.which(name) is None]
    if missing:
        debian.install(missing)


def storage() -> Path:
    """Return the folder of our own image storage."""
    return cache_folder() / "image"


def buildah(*words: str, timeout: float = 900, cwd: Path | None = None) -> str:
    """Run one buildah command on our storage; return its stdout without the last newline."""
    place = ["--root", f"{storage()}/storage", "--runroot", f"{storage()}/run"]
    return run(["buildah", *place, "--storage-driver", "overlay", *words], timeout, cwd)


def container_name() -> str:
    """Return a new name for a container of this process, so that it can be told when it is dead."""
    return f"backstay-{os.getpid()}-{secrets.token_hex(4)}"


def remove_abandoned() -> None:
    """Remove the containers, and with them the mounts, of builds and looks that were killed.

    Call it while holding the lock of builds: a container without a name of ours belongs to one.
    """
    for name in buildah("containers", "--format", "{{.ContainerName}}").split():
        owner = re.fullmatch(r"backstay-(\d+)-[0-9a-f]{8}", name)
        if owner is None or not Path("/proc", owner[1]).exists():
            buildah("rm", name)


def run(argv: Sequence[str], timeout: float, cwd: Path | None = None) -> str:
    """Run a command to its end; raise ToolError with its last lines when it fails."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("BUILDAH_")}
    env["BUILDAH_ISOLATION"] = "chroot"
    done = subprocess.run(
        argv, cwd=cwd, env=env, capture_output=True, text=True, timeout=timeout, check=False
    )
    if done.returncode != 0:
        last = "\n  ".join((done.stderr + done.stdout).strip().splitlines()[-25:])
        raise debian.ToolError(f"{' '.join(argv[:9])} … ended with {done.returncode}", hint=last)
    return done.stdout.rstrip("\n")
