"""The shims on disk: a folder to put first on PATH, and an image in which it is first."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from tests.rig.cluster import shell
from tests.rig.image import Image
from tests.rig.image.buildah import buildah, container_name
from tests.rig.image.size import config
from tests.rig.tools import debian
from tests.rig.tools.cache import cache_folder, locked

PROGRAMS = ("git", "restic", "backstay")
IN_IMAGE = "/opt/shims"
_SOURCE = Path(__file__).with_name("shim.c")
_FLAGS = ("-std=c11", "-O1", "-static", "-s", "-Wall", "-Wextra", "-Werror")


def make_folder(folder: Path, *, gate: str, api: str = "") -> Path:
    """Fills a folder with shims that report to ``gate``; both places are HOST:PORT.

    With ``api``, `backstay` in a pod takes that for the address of its API server.
    """
    shim = _program()
    folder.mkdir(parents=True, exist_ok=True)
    for name in PROGRAMS:
        target = folder / name
        target.unlink(missing_ok=True)
        shutil.copyfile(shim, target)  # copies: each finds its name by where it lies
        target.chmod(0o755)
    (folder / "gate").write_text(f"{gate}\n{api}\n")
    return folder


def make_image(image: Image, folder: Path, *, gate: str, api: str = "") -> Image:
    """``image`` with one layer more, the shims; the archive is made in ``folder``."""
    with tempfile.TemporaryDirectory() as scratch:
        shims = make_folder(Path(scratch) / "shims", gate=gate, api=api)
        key = hashlib.sha256(f"{image.name}\0{gate}\0{api}\0".encode() + _SOURCE.read_bytes())
        name = f"localhost/backstay-gated:{key.hexdigest()[:16]}"
        made = Image(name, folder / "gated.tar")
        path = dict(line.split("=", 1) for line in config(image.archive)["Env"])["PATH"]
        with locked("image"):
            container = buildah("from", "--pull-never", "--name", container_name(), image.name)
            try:
                buildah("copy", "--quiet", "--chown", "0:0", container, str(shims), IN_IMAGE)
                buildah("config", "--env", f"PATH={IN_IMAGE}:{path}", container)
                buildah("commit", "--quiet", container, name)
            finally:
                buildah("rm", container)
            made.archive.unlink(missing_ok=True)
            target = f"oci-archive:{made.archive}:{name}"
            buildah("push", "--quiet", "--disable-compression", name, target)
            buildah("rmi", name)
    return made


def _program() -> Path:
    """The compiled shim, from the cache if it is there."""
    key = hashlib.sha256(repr(_FLAGS).encode() + _SOURCE.read_bytes()).hexdigest()[:16]
    kept = cache_folder() / "programs" / f"shim-{key}"
    if kept.exists():
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    if shutil.which("gcc", path=shell.SYSTEM_PATH) is None:
        debian.install(["gcc", "libc6-dev"])
    with locked("shim"):
        fresh = kept.with_suffix(".new")
        shell.run(["gcc", *_FLAGS, "-o", fresh, _SOURCE], timeout=120)
        fresh.rename(kept)
    return kept
