"""What a cluster could leave on this machine, as a value that is compared before and after."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.rig.cluster import instance, paths, processes, shell
from tests.rig.cluster.instance import Instance
from tests.rig.cluster.processes import Process

FOLDERS = (
    "/run/netns",
    "/run/containerd",
    "/run/xtables.lock",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/etcd",
    "/var/lib/kubelet",
    "/var/lib/local-path",
    "/var/log/containers",
    "/var/log/pods",
)
SYSCTLS = (
    "net/ipv4/ip_forward",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
)


@dataclass(frozen=True, slots=True)
class Machine:
    """The parts of this machine that clusters touch; other instances' are left out."""

    mounts: str
    network: frozenset[str]
    rules: str
    hosts: bytes
    folders: tuple[str, ...]
    sysctls: tuple[str, ...]
    cgroups: frozenset[str]
    state: frozenset[str]


def look(name: str) -> Machine:
    """Look at everything of this machine except what other instances than `name` own."""
    others = [known for known in instance.all_known() if known.name != name]
    foreign = re.compile("|".join(rf"\b{known.network.bridge}\b" for known in others) or r"(?!)")
    network = [
        line
        for what in (
            ["link", "show"],
            ["addr", "show"],
            ["route", "show", "table", "all"],
            ["rule"],
        )
        for line in shell.run(["ip", "-oneline", *what]).splitlines()
        if not foreign.search(line)
    ]
    mine = f"{name}-node-*"
    return Machine(
        mounts=Path("/proc/self/mounts").read_text(),
        network=frozenset(re.sub(r"valid_lft \S+ preferred_lft \S+", "", line) for line in network),
        rules=shell.run(["nft", "list", "ruleset"]),
        hosts=Path("/etc/hosts").read_bytes(),
        folders=tuple(path for path in FOLDERS if Path(path).exists()),
        sysctls=tuple((Path("/proc/sys") / path).read_text() for path in SYSCTLS),
        cgroups=frozenset(map(str, Path("/sys/fs/cgroup").glob(f"*/backstay-rig/{mine}"))),
        state=frozenset(path.name for path in paths.state().glob("*") if name in path.name),
    )


def processes_of(known: Instance) -> list[Process]:
    """Every process of the instance's machines, those in containers too."""
    tops = {machine.init.pid for machine in known.machines() if machine.init}
    table = {process: process.parent() for process in processes.everything()}
    parents = {process.pid: parent for process, parent in table.items()}
    return [process for process in table if _below(process.pid, tops, parents)]


def _below(pid: int, tops: set[int], parents: dict[int, int]) -> bool:
    while pid:
        if pid in tops:
            return True
        pid = parents.get(pid, 0)
    return False


def by_name(found: list[Process], name: str) -> list[Process]:
    """Those whose program has this name (the kernel keeps 15 characters of it)."""
    return [process for process in found if process.name() == name[:15]]
