"""Debian packages the rig runs on, installed when their programs are missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.rig.cluster import shell
from tests.rig.cluster.errors import RigError
from tests.rig.cluster.progress import step

# package -> a program of it; one that came another way (docker's own containerd) is as good
NEEDED = {
    "buildah": "buildah",
    "busybox-static": "busybox",
    "containerd": "containerd",
    "containernetworking-plugins": "/usr/lib/cni/host-local",
    "etcd-server": "etcd",
    "git": "git",
    "iproute2": "ip",
    "mmdebstrap": "mmdebstrap",
    "mount": "losetup",
    "nftables": "nft",
    "openssh-client": "ssh",
    "openssh-server": "sshd",
    "runc": "runc",
    "util-linux": "nsenter",
}
POLICY = Path("/usr/sbin/policy-rc.d")
INSTALL_SECONDS = 600


def missing() -> list[str]:
    """Packages whose program is not there."""
    return [
        package
        for package, program in NEEDED.items()
        if shutil.which(program, path=f"{os.environ.get('PATH', '')}:{shell.SYSTEM_PATH}") is None
    ]


def ensure() -> None:
    """Install what is missing; nothing is removed for it, and no service of it is started."""
    wanted = missing()
    if not wanted:
        return
    if shutil.which("apt-get") is None:
        raise RigError(
            f"programs of {', '.join(wanted)} are missing", hint="install them, then try again"
        )
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    with step(f"installing {' '.join(wanted)}"), no_services():
        shell.run(["apt-get", "update", "-q"], timeout=INSTALL_SECONDS)
        install = ["apt-get", "install", "-q", "-y", "--no-install-recommends", "--no-remove"]
        shell.run([*install, *wanted], env=quiet, timeout=INSTALL_SECONDS)
    left = missing()
    if left:
        raise RigError(f"installed, but programs of {', '.join(left)} are still missing")


@contextmanager
def no_services() -> Iterator[None]:
    """Debian's packages start their services unless this file says no (101)."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()
