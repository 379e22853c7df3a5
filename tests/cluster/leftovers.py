"""What a cluster could leave on this machine, as a value that is compared before and after."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from tests.rig.cluster import instance, paths, shell
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
    table = {
        int(folder.name): int(_status(folder)["PPid"])
        for folder in Path("/proc").iterdir()
        if folder.name.isdigit() and (folder / "status").exists()
    }
    return [Process.of(pid) for pid in table if pid != os.getpid() and _below(pid, tops, table)]


def _below(pid: int, tops: set[int], table: dict[int, int]) -> bool:
    while pid:
        if pid in tops:
            return True
        pid = table.get(pid, 0)
    return False


def _status(folder: Path) -> dict[str, str]:
    lines = (folder / "status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def by_name(processes: list[Process], name: str) -> list[Process]:
    """Those whose program has this name (the kernel keeps 15 characters of it)."""
    found = []
    for process in processes:
        path = Path(f"/proc/{process.pid}/comm")
        if path.exists() and path.read_text().strip() == name[:15]:
            found.append(process)
    return found
