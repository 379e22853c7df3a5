"""Build the image, or find it built: name and archive follow from the digest of the inputs."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.rig.image import inputs
from tests.rig.image.base import ensure_base
from tests.rig.image.buildah import buildah, remove_abandoned, require, storage
from tests.rig.tools.cache import locked
from tests.rig.tools.debian import ToolError

KEEP_ARCHIVES = 3
KEEP_SECONDS = 900.0
"""What was used since then may be in use by another process."""


@dataclass(frozen=True, slots=True)
class Image:
    """A built image: its name in a cluster, and the OCI archive (tar) to load there."""

    name: str
    archive: Path


def ensure_image(project: Path = inputs.PROJECT) -> Image:
    """Return the image of the project as it is now; build it if nobody did. Raises ToolError."""
    require()
    with locked("image"), tempfile.TemporaryDirectory() as context:
        remove_abandoned()
        base = ensure_base(dt.datetime.now(dt.UTC).date())
        inputs.copy_inputs(Path(context), project)
        tag = inputs.digest(Path(context), base)
        image = Image(f"localhost/backstay:{tag}", storage() / f"backstay-{tag}.tar")
        if not image.archive.exists():
            began = time.monotonic()
            print(f"image: building {image.name}", file=sys.stderr)
            _build(image, Path(context))
            _export(image)
            print(f"image: built in {time.monotonic() - began:.1f} s", file=sys.stderr)
        os.utime(image.archive)
        _forget_old()
    return image


def _build(image: Image, context: Path) -> None:
    with _machine_settings() as secrets:
        buildah(
            *("build", "--layers", "--pull-never", "--quiet", "--format", "oci"),
            *(
                word
                for name, path in secrets.items()
                for word in ("--secret", f"id={name},src={path}")
            ),
            *("--tag", image.name, "."),
            cwd=context,
        )


@contextlib.contextmanager
def _machine_settings() -> Iterator[dict[str, Path]]:
    """Give pip in the build this machine's index, proxy and certificates: files for one command."""
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True
    )
    settings = dict(line.partition("=")[::2] for line in listing.stdout.splitlines())
    lines = ["[global]", "cert = /run/secrets/ca.crt"]
    for key, value in settings.items():
        option = key.rpartition(".")[2]
        if option in {"index-url", "extra-index-url", "proxy", "trusted-host", "default-timeout"}:
            lines.append(f"{option} = {value.strip(chr(39))}")
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "pip.conf"
        config.write_text("\n".join(lines) + "\n")
        bundle = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
        yield {"pip.conf": config, "ca.crt": Path(bundle)}


def _export(image: Image) -> None:
    """Write the archive under its final name only when it is whole."""
    fresh = image.archive.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    target = f"oci-archive:{fresh}:{image.name}"
    buildah("push", "--quiet", "--disable-compression", image.name, target)
    fresh.replace(image.archive)


def _forget_old() -> None:
    """Keep the archives used last; the layers they share stay in the storage as build cache."""
    archives = sorted(storage().glob("backstay-*.tar"), key=lambda path: -path.stat().st_mtime)
    for path in archives[KEEP_ARCHIVES:]:
        if time.time() - path.stat().st_mtime < KEEP_SECONDS:
            continue
        path.unlink()
        with contextlib.suppress(ToolError):  # in use by a container, or gone already
            buildah("rmi", path.stem.replace("backstay-", "localhost/backstay:"))
