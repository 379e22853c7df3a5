"""Capture beside its floor, on a real apiserver: interleaved pairs, medians of ratios.

The *floor* pages through the same lists raw, then pipes the same bytes to `git fast-import`: what
any tool must do that writes the cluster's objects into Git, without parsing or cleaning one.

    .venv/bin/python -m bench.capture --objects 2000 --pairs 7
    .venv/bin/python -m bench.capture --objects 50000 --namespaces 5000 --pairs 3

Brings up a cluster of its own (`bench`), fills one namespace, and takes it down again. Four
captures stand beside the floor: the first one, one without a change, one with 100 changed objects,
and, with ``--namespaces``, one of a policy over three small namespaces among so many. Each
measurement is a process of its own; start-up is left out, memory is the whole process' peak
(without git's). CPU seconds are those of the process and of its git, which other programs on the
machine change less than the time on the wall.
"""

from __future__ import annotations

import argparse
import http.client
import json
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent import futures
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import yaml

from bench import usage
from reconciler.adapters.clock import SystemClock
from reconciler.adapters.gitcredentials import GitCredentials
from reconciler.adapters.gitstore import GitManifestStore
from reconciler.adapters.kube import KubeClient
from reconciler.capture import quiet
from reconciler.engine import capturing
from reconciler.engine.context import RunPorts, RunRequest
from reconciler.engine.observe import observe_namespaces
from reconciler.engine.runplan import RunPlan
from reconciler.model import kinds
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

NAMESPACE = "bench"
FEW = ("few-0", "few-1", "few-2")
"""What the policy of three namespaces selects: ten objects each."""
CHANGED = 100
KEY = bytes(32)
T = TypeVar("T")
BRANCH = "clusters/bench/bench"


class Silent:
    """A Reporter that says nothing."""

    def event(self, message: str, **fields: object) -> None: ...
    def warning(self, message: str, **fields: object) -> None: ...
    def progress(self, what: str, done: int, total: int) -> None: ...


def fill(kubeconfig: Path, objects: int, namespaces: int) -> None:
    """Mixed small objects: ConfigMaps, Secrets, Services, Deployments without pods, Roles.

    ``namespaces`` in all; beside `NAMESPACE` and `FEW` they hold what a cluster puts into each.
    """
    client = KubeClient.connect(kubeconfig)
    others = [f"other-{number}" for number in range(namespaces - 1 - len(FEW))]
    spaces = [NAMESPACE, *(FEW if namespaces > len(FEW) else ()), *others]
    meta = {"apiVersion": "v1", "kind": "Namespace"}
    _create(client, ({**meta, "metadata": {"name": name}} for name in spaces))
    _create(client, (_object(number, NAMESPACE) for number in range(objects)))
    few = (name for name in FEW if name in spaces)
    _create(client, (_object(number, name) for name in few for number in range(10)))
    while namespaces > 1 and (client.count(kinds.SERVICE_ACCOUNTS) or 0) < namespaces:
        time.sleep(1)  # the cluster's controllers give each namespace what it has


def _create(client: KubeClient, objects: Iterable[dict[str, Any]]) -> None:
    with futures.ThreadPoolExecutor(8) as several:
        for made in futures.as_completed([several.submit(client.create, one) for one in objects]):
            made.result()


def change(kubeconfig: Path) -> None:
    """Another label for `CHANGED` objects."""
    client = KubeClient.connect(kubeconfig)
    for number in range(0, 5 * CHANGED, 5):
        labels = {"at": str(time.time_ns())}
        metadata = {"name": f"o{number}", "namespace": NAMESPACE, "labels": labels}
        client.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})


def _object(number: int, namespace: str) -> dict[str, Any]:
    metadata = {"name": f"o{number}", "namespace": namespace, "labels": {"n": f"{number % 7}"}}
    kind = number % 5
    if kind == 0:
        data = {f"key-{i}": f"value {i} of {number}\nand a line\n" for i in range(8)}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    if kind == 1:
        text = {"password": f"secret-{number}", "user": "bench"}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": text}
    if kind == 2:
        service: dict[str, Any] = {
            "selector": {"app": f"o{number}"},
            "ports": [{"port": 80}],
            "clusterIP": "None",
        }
        return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service}
    if kind == 3:
        rules: list[dict[str, list[str]]] = [
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}
        ]
        api = "rbac.authorization.k8s.io/v1"
        return {"apiVersion": api, "kind": "Role", "metadata": metadata, "rules": rules}
    pod: dict[str, Any] = {"containers": [{"name": "c", "image": "localhost/none:1", "env": [
        {"name": f"E{i}", "value": str(i)} for i in range(6)]}]}  # fmt: skip
    labels = {"app": f"o{number}"}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


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
    return {"wall": took, "cpu": used, "git": git, "objects": captured}


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
    connection = _connection(kubeconfig)
    begun, used = time.perf_counter(), usage.cpu_seconds()
    for kind in listed:
        for name in names if kind.namespaced else ("",):
            _page_through(connection, kind, name)
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
    return {"wall": took, "cpu": used, "listing": listing, "objects": len(files)}


def _page_through(connection: http.client.HTTPSConnection, kind: Resource, namespace: str) -> None:
    prefix = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"
    where = f"/namespaces/{namespace}" if namespace else ""
    token = ""
    while True:
        connection.request("GET", f"{prefix}{where}/{kind.plural}?limit=500&continue={token}")
        body = connection.getresponse().read()
        at = body.find(b'"continue":"', 0, 600)
        if at < 0:
            return
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


def _connection(kubeconfig: Path) -> http.client.HTTPSConnection:
    import base64

    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    with tempfile.TemporaryDirectory() as folder:

        def kept(section: dict[str, Any], key: str) -> str:
            if key in section:
                return str(section[key])
            path = Path(folder) / key
            path.write_bytes(base64.b64decode(section[f"{key}-data"]))
            return str(path)

        context = ssl.create_default_context(cafile=kept(cluster, "certificate-authority"))
        context.load_cert_chain(kept(user, "client-certificate"), kept(user, "client-key"))
    address = urlsplit(cluster["server"])
    return http.client.HTTPSConnection(str(address.hostname), address.port, context=context)


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

    for _ in range(pairs):
        with tempfile.TemporaryDirectory() as folder:
            remote, target, small, beside = (Path(folder) / name for name in "abcd")
            for path in (remote, target, small, beside):
                subprocess.run(["git", "init", "--quiet", "--bare", str(path)], check=True)
            take("first", "ours", remote, NAMESPACE)
            take("floor", "floor", remote, target, NAMESPACE)
            take("unchanged", "ours", remote, NAMESPACE)
            change(kubeconfig)
            take("changed", "ours", remote, NAMESPACE)
            if few:
                take("few", "ours", small, *FEW)
                take("floorOfFew", "floor", small, beside, *FEW)
    found: dict[str, object] = {"objects": seen["first"][0]["objects"], "pairs": pairs}
    found |= {name: _summary(runs) for name, runs in seen.items()}
    found["ratio"] = _ratio(seen, "first", "floor", "wall")
    found["unchangedToListing"] = _ratio(seen, "unchanged", "floor", "listing")
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
    }
    for key in ("git", "listing"):
        if key in runs[0]:
            told[key] = round(statistics.median(run[key] for run in runs), 3)
            told[f"{key}From"] = round(min(run[key] for run in runs), 3)
    return told


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
    options = parser.parse_args()
    provider = providers.open_cluster("bench")
    try:
        fill(provider.kubeconfig, options.objects, options.namespaces)
        few = options.namespaces > len(FEW)
        print(json.dumps(compare(provider.kubeconfig, options.pairs, few=few), indent=2))
    finally:
        provider.close()


if __name__ == "__main__":
    main()
