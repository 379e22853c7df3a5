"""What the rig's CSI storage runs, built from pinned Go modules: only where a test asks for it.

The sidecars take four minutes on two cores, once. `python -m tests.rig.cluster.csibuild` builds
them; `beside` lets that run beside other work, and `ensure` waits for whoever builds.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.rig.cluster import build, locks, paths, processes, shell

DRIVER = "csi-driver"
SANITY = "csi-sanity"
PROVISIONER = "csi-provisioner"
SNAPSHOTTER = "csi-snapshotter"
CONTROLLER = "snapshot-controller"
CLIENT = "github.com/kubernetes-csi/external-snapshotter/client/v8"
KINDS = ("volumesnapshotclasses", "volumesnapshotcontents", "volumesnapshots")
GROUP = "snapshot.storage.k8s.io"
POLITE = 5  # beside tests: they come first, but the build goes on


def _sidecar(name: str, module: str) -> build.Program:
    return build.Program(name, "sidecars", f"github.com/kubernetes-csi/{module}/cmd/{name}", "")


OURS = (
    build.Program(DRIVER, "csi", ".", ""),
    build.Program(SANITY, "csi", "github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity", ""),
)
SIDECARS = (
    _sidecar(PROVISIONER, "external-provisioner/v6"),
    _sidecar(SNAPSHOTTER, "external-snapshotter/v8"),
    _sidecar(CONTROLLER, "external-snapshotter/v8"),
)


def program(name: str) -> Path:
    """Where a program lies once it is built."""
    programs = OURS if name in {one.name for one in OURS} else SIDECARS
    return _folder(programs) / name


def definitions() -> Path:
    """The folder with the snapshot kinds' definitions; it is what is made last."""
    return _folder(SIDECARS) / "crds"


def _folder(programs: tuple[build.Program, ...]) -> Path:
    return paths.cache() / "programs" / f"{programs[0].module}-{build.key(programs)}"


def is_built() -> bool:
    """Whether nothing is left to do."""
    return definitions().exists() and all(program(one.name).exists() for one in OURS)


def ensure() -> None:
    """Build what is missing."""
    if is_built():
        return
    with locks.held(paths.cache() / "programs" / ".csi.lock"):
        for programs in (OURS, SIDECARS):
            there = _folder(programs)
            there.mkdir(parents=True, exist_ok=True)
            build.build_missing(programs, there)
        if not definitions().exists():
            _copy_definitions(build.go_program())


@contextmanager
def beside() -> Iterator[None]:
    """Build beside what the block does, at most as long; who needs it waits in `ensure`."""
    if is_built():
        yield
        return
    command = ["nice", "-n", str(POLITE), sys.executable, "-m", __name__]
    builder = subprocess.Popen(
        [*processes.TIE, *command],
        cwd=paths.REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=shell.environment({}),
    )
    try:
        yield
    finally:
        builder.kill()  # Go is tied to it; the next one finds what it has compiled
        builder.wait()


def _copy_definitions(go: Path) -> None:
    """The snapshot kinds' definitions, from the module of their types."""
    env = {"GOTOOLCHAIN": "local", "GOFLAGS": ""}
    said = shell.run(
        [go, "mod", "download", "-json", CLIENT],
        env=env,
        cwd=paths.GO_MODULES / "sidecars",
        timeout=build.BUILD_SECONDS,
    )
    source = Path(json.loads(said)["Dir"]) / "config" / "crd"
    aside = definitions().with_name(".crds.new")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    for kind in KINDS:
        shutil.copyfile(source / f"{GROUP}_{kind}.yaml", aside / f"{kind}.yaml")
    aside.rename(definitions())


def main() -> None:
    """Wait until Kubernetes is built, which all tests need first; then build."""
    while not build.is_built():
        time.sleep(1)
    ensure()


if __name__ == "__main__":
    main()
