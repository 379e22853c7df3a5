"""Capture beside its floor, on a real apiserver: interleaved pairs, medians of ratios.

The *floor* pages through the same lists raw, then pipes the same bytes to `git fast-import`: what
any tool must do that writes the cluster's objects into Git, without parsing or cleaning one.

    .venv/bin/python -m bench.capture --objects 2000 --pairs 7

Brings up a cluster of its own (`bench`), fills one namespace, and takes it down again. Each
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
from collections.abc import Mapping
from concurrent import futures
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
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
from reconciler.model.config import (
    ClusterConfig,
    Config,
    ManifestStoreConfig,
    PolicySourceConfig,
)
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
from tests.rig.cluster import providers

NAMESPACE = "bench"
KEY = bytes(32)
BRANCH = "clusters/bench/bench"


class Silent:
    """A Reporter that says nothing."""

    def event(self, message: str, **fields: object) -> None: ...
    def warning(self, message: str, **fields: object) -> None: ...
    def progress(self, what: str, done: int, total: int) -> None: ...


def fill(kubeconfig: Path, objects: int) -> None:
    """Mixed small objects: ConfigMaps, Secrets, Services, Deployments without pods, Roles."""
    client = KubeClient.connect(kubeconfig)
    meta = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    client.create(meta)
    with futures.ThreadPoolExecutor(8) as several:
        for made in futures.as_completed(
            several.submit(client.create, _object(number)) for number in range(objects)
        ):
            made.result()


def _object(number: int) -> dict[str, Any]:
    metadata = {"name": f"o{number}", "namespace": NAMESPACE, "labels": {"n": f"{number % 7}"}}
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


def _request() -> RunRequest:
    now = datetime.now(UTC)
    policy = BackupPolicy(
        name="bench",
        schedule=Schedule("0 4 * * *"),
        selector=Selector(namespaces=NamespaceSelector(names=(NAMESPACE,))),
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


def ours(kubeconfig: Path, remote: Path) -> dict[str, float]:
    """One capture by Backstay into the repository ``remote``, up to the commit."""
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
            chosen = selection.select_namespaces(
                NamespaceSelector(names=(NAMESPACE,)),
                observe_namespaces(client),
                own_namespace="backstay-system",
            )
            nothing: Any = None
            world = RunPorts(
                reader=client, writer=client, store=store, mover=nothing, keyring=nothing,
                reporter=Silent(), clock=SystemClock(),
            )  # fmt: skip
            plan = RunPlan(chosen, {NAMESPACE: ()}, 50)
            begun, used = time.perf_counter(), usage.cpu_seconds()
            commit = store.begin(BRANCH, parent)
            found = capturing.capture(_request(), world, plan, commit, parent, KEY)
            sha = commit.finish("bench\n", when=datetime.now(UTC))
            took, used = time.perf_counter() - begun, usage.cpu_seconds() - used
            store.push({BRANCH: sha})
    return {"wall": took, "cpu": used, "objects": found.namespaces[NAMESPACE].counts.captured}


def floor(kubeconfig: Path, remote: Path, target: Path) -> dict[str, float]:
    """The same lists, raw; then the files of ``remote``'s commit through `git fast-import`."""
    kinds = [
        kind
        for kind in KubeClient.connect(kubeconfig).discover().resources
        if quiet.kind_left_out(kind) is None
    ]
    files = _files(remote)
    connection = _connection(kubeconfig)
    begun, used = time.perf_counter(), usage.cpu_seconds()
    for kind in kinds:
        prefix = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"
        where = f"/namespaces/{NAMESPACE}" if kind.namespaced else ""
        token = ""
        while True:
            path = f"{prefix}{where}/{kind.plural}?limit=500&continue={token}"
            connection.request("GET", path)
            body = connection.getresponse().read()
            at = body.find(b'"continue":"', 0, 600)
            if at < 0:
                break
            token = body[at + 12 : body.index(b'"', at + 12)].decode()
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
    return {"wall": took, "cpu": used, "objects": len(files)}


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


def compare(kubeconfig: Path, pairs: int) -> dict[str, object]:
    """Interleaved pairs; the ratios' median is what counts."""
    with tempfile.TemporaryDirectory() as folder:
        seen: dict[str, list[dict[str, float]]] = {"ours": [], "floor": [], "again": []}
        for number in range(pairs):
            remote, target = Path(folder) / f"r{number}", Path(folder) / f"t{number}"
            for path in (remote, target):
                subprocess.run(["git", "init", "--quiet", "--bare", str(path)], check=True)
            seen["ours"].append(measure("ours", str(kubeconfig), str(remote)))
            seen["floor"].append(measure("floor", str(kubeconfig), str(remote), str(target)))
            seen["again"].append(measure("ours", str(kubeconfig), str(remote)))
    ratios = [o["wall"] / f["wall"] for o, f in zip(seen["ours"], seen["floor"], strict=True)]
    result: dict[str, object] = {"objects": seen["ours"][0]["objects"], "pairs": pairs}
    for name, runs in seen.items():
        walls = [run["wall"] for run in runs]
        result[name] = {
            "wall": round(statistics.median(walls), 3),
            "from": round(min(walls), 3),
            "to": round(max(walls), 3),
            "cpu": round(statistics.median(run["cpu"] for run in runs), 3),
            "peakMiB": round(max(run["peak"] for run in runs), 1),
        }
    result["ratio"] = round(statistics.median(ratios), 2)
    return result


def main() -> None:
    """All of it, or one measurement."""
    if sys.argv[1:2] in (["ours"], ["floor"]):
        call, paths = sys.argv[1], [Path(text) for text in sys.argv[2:]]
        found = ours(*paths) if call == "ours" else floor(*paths)
        print(json.dumps({**found, "peak": usage.peak_mib()}))
        return
    parser = argparse.ArgumentParser(prog="python -m bench.capture")
    parser.add_argument("--objects", type=int, default=2000)
    parser.add_argument("--pairs", type=int, default=7)
    options = parser.parse_args()
    provider = providers.open_cluster("bench")
    try:
        fill(provider.kubeconfig, options.objects)
        print(json.dumps(compare(provider.kubeconfig, options.pairs), indent=2))
    finally:
        provider.close()


if __name__ == "__main__":
    main()
