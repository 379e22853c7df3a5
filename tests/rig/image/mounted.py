"""Look into an image, and run its programs as a pod would, without a cluster."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.rig.image.build import Image
from tests.rig.image.buildah import buildah, container_name
from tests.rig.image.size import config

# The root file system becomes read-only in a mount namespace of its own; nothing else is mounted.
READ_ONLY = """\
mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && cd "$1" && shift
exec chroot --userspec="$1" . /usr/bin/env -i "${@:2}"
"""


@contextmanager
def mounted(image: Image) -> Iterator[Path]:
    """Yield the folder in which the image's root file system is mounted."""
    container = buildah("from", "--pull-never", "--name", container_name(), image.name)
    try:
        yield Path(buildah("mount", container))
    finally:
        buildah("umount", container)
        buildah("rm", container)


def run_read_only(image: Image, root: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run a command on the mounted image, as its user, with its environment, nothing writable."""
    settings = config(image.archive)
    words = [str(root), settings["User"], *settings["Env"], *argv]
    command = ["unshare", "--mount", "--propagation", "private", "bash", "-c", READ_ONLY, "sh"]
    return subprocess.run(
        [*command, *words], capture_output=True, text=True, timeout=600, check=False
    )
