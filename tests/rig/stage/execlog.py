"""The image with one more variable: each process that it starts leaves a line in its pod's log."""

from __future__ import annotations

from pathlib import Path

from tests.rig.image import Image
from tests.rig.image.buildah import buildah, container_name
from tests.rig.tools.cache import locked

VARIABLE = "BACKSTAY_EXEC_LOG"


def make_logging_image(image: Image, folder: Path) -> Image:
    """`image` with the executor's log on stderr; the archive is made in ``folder``."""
    name = image.name.replace("localhost/backstay:", "localhost/backstay-execlog:")
    made = Image(name, folder / "execlog.tar")
    with locked("image"):
        container = buildah("from", "--pull-never", "--name", container_name(), image.name)
        try:
            buildah("config", "--env", f"{VARIABLE}=/dev/stderr", container)
            buildah("commit", "--quiet", container, made.name)
            target = f"oci-archive:{made.archive}:{made.name}"
            buildah("push", "--quiet", "--disable-compression", made.name, target)
        finally:
            buildah("rm", container)
        buildah("rmi", made.name)
    return made
