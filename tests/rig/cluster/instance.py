"""A named cluster on disk: its name, its addresses, its machines, and who it belongs to."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.rig.cluster import locks, paths
from tests.rig.cluster.errors import RigError
from tests.rig.cluster.machine import Machine, write_json
from tests.rig.cluster.network import Network
from tests.rig.cluster.node import Node
from tests.rig.cluster.processes import Process

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
CONTROL = "control"
CGROUP = "/backstay-rig"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """Everything else about a cluster follows from these."""

    name: str
    block: int
    nodes: int
    programs: Path
    owner: Process | None  # the cluster is not wanted once this process is gone

    @property
    def folder(self) -> Path:
        """All its state on disk."""
        return folder(self.name)

    @property
    def kubeconfig(self) -> Path:
        """An administrator's kubeconfig."""
        return self.folder / "kubeconfig"

    @property
    def shared(self) -> Path:
        """What all its machines see, on /run/rig-shared."""
        return self.folder / "shared"

    def block_volumes(self) -> list[Path]:
        """What may be behind loop devices: the files of volumes of csi.py, by their place."""
        return sorted(self.shared.glob("csi/data/volumes/*/content"))

    @property
    def network(self) -> Network:
        """Its addresses."""
        return Network(self.block)

    @property
    def control(self) -> Machine:
        """The machine of the control plane."""
        return self._machine(CONTROL)

    def members(self) -> list[Node]:
        """Its nodes, in order."""
        return [
            Node(i, self._machine(f"node-{i}"), self.network, f"{CGROUP}/{self.name}-node-{i}")
            for i in range(1, self.nodes + 1)
        ]

    def machines(self) -> list[Machine]:
        """All its machines."""
        return [self.control, *(node.machine for node in self.members())]

    def _machine(self, name: str) -> Machine:
        number = 0 if name == CONTROL else int(name.rpartition("-")[2])
        address = self.network.node(number)
        return Machine(
            name=name,
            state=self.folder / "machines" / name,
            binaries=self.programs,
            shared=self.shared,
            address=address,
        )

    def save(self) -> None:
        """Write it down, before anything of it is started."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        record: dict[str, Any] = {
            "name": self.name,
            "block": self.block,
            "nodes": self.nodes,
            "programs": str(self.programs),
            "owner": self.owner.record() if self.owner else None,
        }
        write_json(self.folder / "instance.json", record)

    @property
    def orphaned(self) -> bool:
        """Whether the process it belonged to has gone."""
        return self.owner is not None and not self.owner.alive()


def folder(name: str) -> Path:
    """The folder of the instance with this name."""
    if not NAME.fullmatch(name):
        raise RigError(
            f"{name!r} cannot be a cluster's name", hint="use up to 40 of a-z, 0-9 and -"
        )
    return paths.state() / name


def load(name: str) -> Instance | None:
    """The instance of this name; None when there is none."""
    try:
        record = json.loads((folder(name) / "instance.json").read_text())
    except FileNotFoundError:
        return None
    owner = record["owner"]
    return Instance(
        name=name,
        block=record["block"],
        nodes=record["nodes"],
        programs=Path(record["programs"]),
        owner=Process(**owner) if owner else None,
    )


def all_known() -> list[Instance]:
    """Every instance on disk."""
    base = paths.state()
    names = (
        sorted(path.parent.name for path in base.glob("*/instance.json")) if base.exists() else []
    )
    return [found for found in map(load, names) if found]


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Only one process changes an instance, or picks addresses (name ""), at a time."""
    with locks.held(paths.state() / f".lock-{name}"):
        yield
    with contextlib.suppress(OSError):  # not empty: other instances are there
        paths.state().rmdir()
