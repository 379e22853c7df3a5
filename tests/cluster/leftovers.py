"""What a cluster could leave on this machine, as lines that are compared before and after."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

from tests.rig.cluster import instance, paths, processes, shell
from tests.rig.cluster.instance import Instance
from tests.rig.cluster.processes import Process
from tests.rig.tools.cache import cache_folder

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


# What changes by itself, or by other programs' doing, is waited for as long as this.
SETTLE_SECONDS = 60.0
VOLATILE = re.compile(r"valid_lft \S+ preferred_lft \S+| (cache|expires) .*")


def look(name: str) -> frozenset[str]:
    """Everything of this machine that a cluster could touch, a line each.

    Left out is what the records of other instances than `name` account for, and what builds of
    images mount: other test processes do both all the time.
    """
    others = [known for known in instance.all_known() if known.name != name]
    foreign = re.compile("|".join(rf"\b{known.network.bridge}\b" for known in others) or r"(?!)")
    groups = Path("/sys/fs/cgroup").glob(f"*/backstay-rig/{name}-node-*")
    return frozenset(
        [
            *(line for line in _mounts() if str(cache_folder()) not in line),
            *_lines("rule", shell.run(["nft", "list", "ruleset"])),
            *_lines("hosts", Path("/etc/hosts").read_text()),
            *(line for line in _network() if not foreign.search(line)),
            *(f"folder {path}" for path in FOLDERS if Path(path).exists()),
            *(f"sysctl {path} {(Path('/proc/sys') / path).read_text()}" for path in SYSCTLS),
            *(f"cgroup {path}" for path in groups),
            *(f"state {path}" for path in paths.state().glob("*") if name in path.name),
        ]
    )


def _mounts() -> Iterator[str]:
    return _lines("mount", Path("/proc/self/mounts").read_text())


def _network() -> Iterator[str]:
    for what in (["link", "show"], ["addr", "show"], ["route", "show", "table", "all"], ["rule"]):
        yield from _lines(what[0], VOLATILE.sub("", shell.run(["ip", "-oneline", *what])))


def _lines(what: str, text: str) -> Iterator[str]:
    return (f"{what} {line}" for line in text.splitlines())


def new_since(before: frozenset[str], name: str) -> frozenset[str]:
    """What is there now and was not: lines that come and go with other programs get time to go."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while (new := look(name) - before) and time.monotonic() < deadline:
        time.sleep(1)
    return new


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
