"""The two images every cluster needs, of Debian's static busybox: pause, and a shell for tests.

That busybox's `wget -T` dies of a segmentation fault: use `timeout 3 wget` in tests.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.rig.cluster import locks, paths, shell
from tests.rig.cluster.progress import step

BUSYBOX = "localhost/backstay-rig/busybox:1"
PAUSE = "localhost/backstay-rig/pause:1"
RECIPE = b"3"  # raise when the images are to be made anew
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\nservices: files\n",
}


@dataclass(frozen=True, slots=True)
class Image:
    """An image on disk, as an OCI archive, and the name it carries."""

    name: str
    archive: Path


def ensure() -> list[Image]:
    """The archives of both images, made when the cache does not have them."""
    busybox = program()
    key = hashlib.sha256(RECIPE + busybox.read_bytes()).hexdigest()[:16]
    folder = paths.cache() / "images" / key
    shells = Image(BUSYBOX, folder / "busybox.tar")
    pause = Image(PAUSE, folder / "pause.tar")
    if not (shells.archive.exists() and pause.archive.exists()):
        with (
            locks.held(paths.cache() / "images" / ".lock"),
            step("making the busybox and pause images"),
        ):
            folder.mkdir(parents=True, exist_ok=True)
            make(shells, busybox, ["--cmd", "sh"])
            make(
                pause, busybox, ["--entrypoint", '["/bin/sleep", "2147483647"]', "--user", "65534"]
            )
    return [pause, shells]


def program() -> Path:
    """Debian's static busybox."""
    return Path(shutil.which("busybox", path=shell.SYSTEM_PATH) or "/usr/bin/busybox")


def make(image: Image, busybox: Path, config: list[str]) -> None:
    """Write an image of busybox with these settings (as of `buildah config`) to its archive."""
    with tempfile.TemporaryDirectory(prefix="backstay-rig-") as scratch:
        root = Path(scratch) / "image"
        _fill(root, busybox)
        storage = ["--root", f"{scratch}/storage", "--runroot", f"{scratch}/run"]
        buildah = ["buildah", *storage, "--storage-driver", "vfs"]
        container = shell.run([*buildah, "from", "scratch"]).strip()
        shell.run([*buildah, "copy", "--quiet", container, root, "/"])
        shell.run([*buildah, "config", *config, container])
        aside = Path(scratch) / "image.tar"
        shell.run([*buildah, "commit", "--quiet", container, f"oci-archive:{aside}:{image.name}"])
        near = image.archive.with_suffix(".new")
        shutil.copyfile(aside, near)
        near.rename(image.archive)


def _fill(root: Path, busybox: Path) -> None:
    (root / "bin").mkdir(parents=True)
    shutil.copy(busybox, root / "bin" / "busybox")
    for applet in shell.run([busybox, "--list"]).split():
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    for name, text in FILES.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    for name, mode in (("tmp", 0o1777), ("root", 0o700), ("var", 0o755), ("data", 0o755)):
        (root / name).mkdir()
        (root / name).chmod(mode)
