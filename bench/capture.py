"""Capture beside its floor, on a real apiserver: interleaved pairs, medians of ratios.

The *floor* pages through the same lists raw, then pipes the same bytes to `git fast-import`: what
any tool must do that writes the cluster's objects into Git, without parsing or cleaning one.

    .venv/bin/python -m bench.capture --objects 2000 --pairs 7
    .venv/bin/python -m bench.capture --objects 50000 --namespaces 5000 --pairs 3

Brings up a cluster of its own (``--name``, else `bench`), lets its controllers rest, fills one
namespace, and takes it down again; what it is at goes to stderr.

Four captures stand beside the floor: the first one, one without a change, one with 100 changed
objects, and, with ``--namespaces``, one of a policy over three small namespaces among so many. Each
measurement is a process of its own; start-up is left out, memory is the whole process' peak
(without git's). CPU seconds are those of the process and of its git, which other programs on the
machine change less than the time on the wall.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from bench import capturefill, usage
from bench.capturefill import FEW, NAMESPACE
from reconciler.adapters.clock import SystemClock
from reconciler.adapters.gitcredentials import GitCredentials
from reconciler.adapters.gitstore import GitManifestStore
from reconciler.adapters.kube import KubeClient
from reconciler.capture import quiet
from reconciler.engine import capturing
from reconciler.engine.context import RunPorts, RunRequest
from reconciler.engine.observe import observe_namespaces
from reconciler.engine.runplan import RunPlan
from reconciler.model.config import (
    ClusterConfig,
    Config,
    ManifestStoreConfig,
    PolicySourceConfig,
)
from reconciler.model.objects import Resource
from reconciler.model.policy import (
    BackupPolicy,
    Compiled,
    CopyMethod,
    NamespaceSelector,
    Repository,
    Retention,
    Schedule,
    Selector,
    Volumes,
)
from reconciler.model.run import PolicyRef, Trigger
from reconciler.plan import selection
from reconciler.ports import OpenCommit
from tests.rig.cluster import providers

VELERO = {5_293: (4.1, 255, 4.0), 20_317: (12.1, 359, 14.9), 50_322: (27.3, 553, 33.8)}
"""Objects → seconds, peak MiB, CPU seconds of Velero 1.18.3, manifests only, into S3 on loopback,
on Kubernetes 1.36.3 and 2 cores; its peak is that of all its processes."""
KEY = bytes(32)
T = TypeVar("T")
BRANCH = "clusters/bench/bench"


class Silent:
    """A Reporter that says nothing."""

    def event(self, message: str, **fields: object) -> None: ...
    def warning(self, message: str, **fields: object) -> None: ...
    def progress(self, what: str, done: int, total: int) -> None: ...


def _request(names: Sequence[str]) -> RunRequest:
    now = datetime.now(UTC)
    policy = BackupPolicy(
        name="bench",
        schedule=Schedule("0 4 * * *"),
        selector=Selector(namespaces=NamespaceSelector(names=tuple(names))),
        volumes=Volumes(repository="main", copy_method=CopyMethod.DIRECT),
        retention=Retention(keep_last=1),
    )
    repository = Repository(name="main", url="s3:none/{cluster}/{namespace}", secret_ref="unused")
    return RunRequest(
        compiled=Compiled(policy, (repository,)),
        config=Config(
            cluster=ClusterConfig("bench"),
            policy_source=PolicySourceConfig(url="none"),
            manifest_store=ManifestStoreConfig(url="none"),
            image="none",
        ),
        policy=PolicyRef(name="bench", revision="", digest=""),
        run_id="bench-20261121-000000-00000",
        trigger=Trigger.MANUAL,
        started=now,
        deadline=now + timedelta(hours=1),
        namespace="backstay-system",
        pod="none",
        writer="bench",
    )


class Timed:
    """An open commit that knows how long Git had us wait."""

    def __init__(self, commit: OpenCommit) -> None:
        self._commit = commit
        self.seconds = 0.0

    def _spend(self, call: Callable[[], T]) -> T:
        begun = time.perf_counter()
        try:
            return call()
        finally:
            self.seconds += time.perf_counter() - begun

    def write(self, path: str, data: bytes) -> None:
        """As the port says."""
        self._spend(lambda: self._commit.write(path, data))

    def delete(self, path: str) -> None:
        """As the port says."""
        self._spend(lambda: self._commit.delete(path))

    def finish(self, message: str, *, when: datetime) -> str:
        """As the port says."""
        return self._spend(lambda: self._commit.finish(message, when=when))

    def abort(self) -> None:
        """As the port says."""
        self._commit.abort()


def ours(kubeconfig: Path, remote: Path, *names: str) -> dict[str, float]:
    """One capture by Backstay into the repository ``remote``, up to the commit.

    ``git``: seconds that the commit and its push took of them and after them.
    """
    client = KubeClient.connect(kubeconfig)
    with tempfile.TemporaryDirectory() as work:
        store = GitManifestStore(
            f"file://{remote}",
            author_name="bench",
            author_email="bench@localhost",
            credentials=GitCredentials(),
            workdir=Path(work),
            allow_local=True,
        )
        with store:
            parent = store.tip(BRANCH)
            observed = observe_namespaces(client)
            chosen = selection.select_namespaces(
                NamespaceSelector(names=names), observed, own_namespace="backstay-system"
            )
            nothing: Any = None
            world = RunPorts(
                reader=client, writer=client, store=store, mover=nothing, keyring=nothing,
                reporter=Silent(), clock=SystemClock(),
            )  # fmt: skip
            plan = RunPlan(chosen, dict.fromkeys(names, ()), len(observed))
            asked = sum(client.requests.values())
            begun, used = time.perf_counter(), usage.cpu_seconds()
            commit = Timed(store.begin(BRANCH, parent))
            opened = time.perf_counter() - begun
            found = capturing.capture(_request(names), world, plan, commit, parent, KEY)
            sha = commit.finish("bench\n", when=datetime.now(UTC))
            took, used = time.perf_counter() - begun, usage.cpu_seconds() - used
            begun = time.perf_counter()
            store.push({BRANCH: sha})
            git = opened + commit.seconds + time.perf_counter() - begun
    captured = sum(found.namespaces[name].counts.captured for name in names)
    requests = sum(client.requests.values()) - asked
    return {"wall": took, "cpu": used, "git": git, "objects": captured, "requests": requests}


def floor(kubeconfig: Path, remote: Path, target: Path, *names: str) -> dict[str, float]:
    """The same lists, raw; then the files of ``remote``'s commit through `git fast-import`.

    ``listing``: seconds that the lists took of it.
    """
    listed = [
        kind
        for kind in KubeClient.connect(kubeconfig).discover().resources
        if quiet.kind_left_out(kind) is None
    ]
    files = _files(remote)
    connection = capturefill.connect(kubeconfig)
    begun, used = time.perf_counter(), usage.cpu_seconds()
    requests = sum(
        _page_through(connection, kind, name)
        for kind in listed
        for name in (names if kind.namespaced else ("",))
    )
    listing = time.perf_counter() - begun
    stream = subprocess.Popen(
        ["git", "-C", str(target), "-c", "fastimport.unpackLimit=0", "fast-import", "--quiet"],
        stdin=subprocess.PIPE,
    )
    pipe = stream.stdin
    if pipe is None:
        raise RuntimeError("git took no pipe")
    pipe.write(b"commit refs/heads/x\ncommitter b <b@b> 0 +0000\ndata 0\n")
    for path, data in files.items():
        pipe.write(b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data))
    pipe.close()
    if stream.wait() != 0:
        raise RuntimeError("git fast-import failed")
    took, used = time.perf_counter() - begun, usage.cpu_seconds() - used
    counted = {"objects": len(files), "requests": requests}
    return {"wall": took, "cpu": used, "listing": listing, **counted}


def _page_through(connection: http.client.HTTPSConnection, kind: Resource, namespace: str) -> int:
    """Returns how many requests it took."""
    prefix = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"
    where = f"/namespaces/{namespace}" if namespace else ""
    token, requests = "", 0
    while True:
        requests += 1
        connection.request("GET", f"{prefix}{where}/{kind.plural}?limit=500&continue={token}")
        body = connection.getresponse().read()
        at = body.find(b'"continue":"', 0, 600)
        if at < 0:
            return requests
        token = body[at + 12 : body.index(b'"', at + 12)].decode()


def _files(remote: Path) -> Mapping[str, bytes]:
    git = ["git", "-C", str(remote)]
    listed = subprocess.run([*git, "ls-tree", "-r", "-z", BRANCH], check=True, capture_output=True)
    entries = [line.split("\t") for line in listed.stdout.decode().split("\0") if line]
    ids = "\n".join(meta.split()[2] for meta, _ in entries).encode()
    batch = subprocess.run(
        [*git, "cat-file", "--batch"], input=ids, check=True, capture_output=True
    )
    out, at, found = batch.stdout, 0, {}
    for _, path in entries:
        end = out.index(b"\n", at)
        size = int(out[at:end].split()[2])
        found[path] = out[end + 1 : end + 1 + size]
        at = end + 2 + size
    return found


def say(what: str) -> None:
    """To whoever waits."""
    print(what, file=sys.stderr, flush=True)


def measure(*arguments: str) -> dict[str, float]:
    """One measurement in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.capture", *arguments],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout)
    return found


Measured = dict[str, list[dict[str, float]]]


def compare(kubeconfig: Path, pairs: int, *, few: bool) -> dict[str, object]:
    """Interleaved measurements; the ratios' median is what counts."""
    seen: Measured = {}

    def take(what: str, call: str, *arguments: object) -> None:
        seen.setdefault(what, []).append(measure(call, str(kubeconfig), *map(str, arguments)))

    for number in range(pairs):
        say(f"pair {number + 1} of {pairs}")
        with tempfile.TemporaryDirectory() as folder:
            remote, target, small, beside = (Path(folder) / name for name in "abcd")
            for path in (remote, target, small, beside):
                subprocess.run(["git", "init", "--quiet", "--bare", str(path)], check=True)
            take("first", "ours", remote, NAMESPACE)
            take("floor", "floor", remote, target, NAMESPACE)
            take("unchanged", "ours", remote, NAMESPACE)
            capturefill.change(kubeconfig)
            take("changed", "ours", remote, NAMESPACE)
            if few:
                take("few", "ours", small, *FEW)
                take("floorOfFew", "floor", small, beside, *FEW)
    found: dict[str, object] = {"objects": seen["first"][0]["objects"], "pairs": pairs}
    found |= {name: _summary(runs) for name, runs in seen.items()}
    found["ratio"] = _ratio(seen, "first", "floor", "wall")
    found["unchangedToListing"] = _ratio(seen, "unchanged", "floor", "listing")
    found["velero"] = _velero(seen["first"][0]["objects"])
    if few:
        found["ratioOfFew"] = _ratio(seen, "few", "floorOfFew", "wall")
    return found


def _summary(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    walls = [run["wall"] for run in runs]
    told = {
        "wall": round(statistics.median(walls), 3),
        "from": round(min(walls), 3),
        "to": round(max(walls), 3),
        "cpu": round(statistics.median(run["cpu"] for run in runs), 3),
        "peakMiB": round(max(run["peak"] for run in runs), 1),
        "requests": max(run["requests"] for run in runs),
    }
    for key in ("git", "listing"):
        if key in runs[0]:
            told[key] = round(statistics.median(run[key] for run in runs), 3)
            told[f"{key}From"] = round(min(run[key] for run in runs), 3)
    return told


def _velero(objects: float) -> dict[str, float]:
    """What it took of as many objects, or of the next count that was measured."""
    near = min(VELERO, key=lambda count: abs(count - objects))
    wall, peak, cpu = VELERO[near]
    return {"objects": near, "wall": wall, "peakMiB": peak, "cpu": cpu}


def _ratio(seen: Measured, what: str, beside: str, key: str) -> dict[str, float]:
    """Of what stands side by side."""
    pairs = zip(seen[what], seen[beside], strict=True)
    found = [one["wall"] / other[key] for one, other in pairs]
    return {"median": round(statistics.median(found), 2), "best": round(min(found), 2)}


def main() -> None:
    """All of it, or one measurement."""
    if sys.argv[1:2] == ["ours"]:
        kubeconfig, remote, *names = sys.argv[2:]
        found = ours(Path(kubeconfig), Path(remote), *names)
        print(json.dumps({**found, "peak": usage.peak_mib()}))
        return
    if sys.argv[1:2] == ["floor"]:
        kubeconfig, remote, target, *names = sys.argv[2:]
        found = floor(Path(kubeconfig), Path(remote), Path(target), *names)
        print(json.dumps({**found, "peak": usage.peak_mib()}))
        return
    parser = argparse.ArgumentParser(prog="python -m bench.capture")
    parser.add_argument("--objects", type=int, default=2000)
    parser.add_argument("--namespaces", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--name", default="bench", help="of the cluster that is brought up")
    options = parser.parse_args()
    provider = providers.open_cluster(options.name)
    try:
        capturefill.rest(provider)
        begun = time.monotonic()
        capturefill.fill(provider.kubeconfig, options.objects, options.namespaces)
        say(f"filled in {time.monotonic() - begun:.0f} s")
        few = options.namespaces > len(FEW)
        print(json.dumps(compare(provider.kubeconfig, options.pairs, few=few), indent=2))
    finally:
        provider.close()


if __name__ == "__main__":
    main()
