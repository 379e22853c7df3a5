"""The base image, `debian:trixie-slim`: the real one, or the same made from Debian's packages.

By default it is made with mmdebstrap from the machine's own Debian archive, so that no container
registry is needed. `BACKSTAY_TEST_BASE=pull` takes the real one. Either is renewed every month:
the month is part of its key.
"""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.rig.image.buildah import buildah, container_name, run
from tests.rig.tools import debian
from tests.rig.tools.cache import cache_folder

NAME = "docker.io/library/debian:trixie-slim"
SUITE = "trixie"
# What Debian's own slim image leaves out. Licences stay.
LEFT_OUT = (
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/groff/*",
    "path-exclude=/usr/share/lintian/*",
    "path-exclude=/usr/share/linda/*",
)
# Settings of the machine's apt that decide whether its archive can be read at all.
ARCHIVE_SETTINGS = ("Acquire::Check-Valid-Until", "Acquire::Check-Date", "Acquire::http::Proxy")


def ensure_base(today: dt.date) -> str:
    """Make or pull the base of this month unless it is there; return its id."""
    how = "pull" if os.environ.get("BACKSTAY_TEST_BASE") == "pull" else "made"
    kept = f"localhost/base:{SUITE}-{how}-{today:%Y-%m}"
    if kept not in buildah("images", "--format", "{{.Name}}:{{.Tag}}").splitlines():
        print(f"image: base {SUITE} ({how})", file=sys.stderr)
        if how == "pull":
            buildah("pull", NAME)
            buildah("tag", NAME, kept)
        else:
            _make(kept, today)
    buildah("tag", kept, NAME)
    return buildah("images", "--quiet", "--no-trunc", kept)


def _make(kept: str, today: dt.date) -> None:
    archive = cache_folder() / "image" / f"base-{SUITE}-{today:%Y-%m}.tar"
    if not archive.exists():
        _bootstrap(archive)
    container = buildah("from", "--name", container_name(), "scratch")
    try:
        buildah("add", container, str(archive), "/")
        buildah("config", "--cmd", "bash", container)
        buildah("commit", "--quiet", container, kept)
    finally:
        buildah("rm", container)


def _bootstrap(archive: Path) -> None:
    """Write the root file system of a minimal Debian as a tar file."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        sources = Path(folder) / "debian.sources"
        sources.write_text(debian.mirror().sources(SUITE))
        fresh = archive.with_suffix(".new.tar")
        options = [f"--dpkgopt={line}" for line in LEFT_OUT]
        options += [f"--aptopt={line}" for line in _archive_settings()]
        command = ["mmdebstrap", "--quiet", "--variant=minbase", *options, SUITE, str(fresh)]
        run([*command, str(sources)], timeout=600)
        fresh.replace(archive)


def _archive_settings() -> Iterator[str]:
    dump = subprocess.run(["apt-config", "dump"], check=True, capture_output=True, text=True)
    for line in dump.stdout.splitlines():
        name, _, value = line.partition(" ")
        if name in ARCHIVE_SETTINGS and value != '"";':
            yield f"{name} {value}"
