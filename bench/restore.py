"""A restore beside its floor, on a real apiserver: interleaved pairs, medians of ratios.

The *floor* posts the same objects raw, as JSON that is ready, over as many connections as a restore
has. A restore besides reads Git, plans, waits for its namespace, plans again once the Lease is its,
and looks at everything once more in the end.

    .venv/bin/python -m bench.restore --objects 2000 --pairs 5

Brings up a cluster of its own (`bench`), fills a namespace, backs it up, deletes it; after each
measurement what it made is deleted, and waited for. Volumes are left out, and the repository of
Secrets is in memory. Each measurement is a process of its own; start-up is left out.
"""

from __future__ import annotations

import argparse
import json
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import local

from bench.capture import Silent, _request
from bench.capturefill import NAMESPACE, connect, fill
from reconciler.adapters.clock import SystemClock
from reconciler.adapters.gitcredentials import GitCredentials
from reconciler.adapters.gitstore import GitManifestStore
from reconciler.adapters.kube import KubeClient
from reconciler.engine.context import RunPorts, RunRequest, policy_branch
from reconciler.engine.restore import Restore, RestorePorts, RestoreRequest
from reconciler.engine.restoresource import read_point
from reconciler.engine.run import execute_run
from reconciler.model import kinds
from reconciler.model.objects import ObjectRef
from reconciler.model.run import PolicyRef
from tests.fakes.keyring import FakeKeyring
from tests.fakes.mover import FakeMover
from tests.fakes.volumebackend import FakeStorage
from tests.rig.cluster import providers

CONNECTIONS = 12
RAW = "bench-raw"
SYSTEM = "backstay-system"


def open_store(remote: Path, work: Path) -> GitManifestStore:
    """The manifest store, as a new process opens it."""
    return GitManifestStore(
        f"file://{remote}",
        author_name="bench",
        author_email="bench@localhost",
        credentials=GitCredentials(),
        workdir=work,
        allow_local=True,
    )


def request() -> RunRequest:
    """A run that could be one of a controller's."""
    policy = PolicyRef(
        name="bench",
        revision="main@sha1:" + "0" * 40,
        digest="sha256:" + "0" * 64,
        source="policies/bench.yaml#0",
    )
    return replace(_request((NAMESPACE,)), policy=policy)


def back_up(client: KubeClient, remote: Path, kept: Path) -> None:
    """One run; ``kept`` gets the repository of its Secrets."""
    client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}})
    storage = FakeStorage()
    with tempfile.TemporaryDirectory() as work, open_store(remote, Path(work)) as store:
        world = RunPorts(
            reader=client, writer=client, store=store, mover=FakeMover(),
            keyring=FakeKeyring(storage, "bench", {"unused": "m" * 32}),
            reporter=Silent(), clock=SystemClock(),
        )  # fmt: skip
        made = execute_run(request(), world)
    print(f"run: {made.record.outcome}", file=sys.stderr)
    kept.write_bytes(pickle.dumps(storage))


def ours(kubeconfig: Path, remote: Path, kept: Path) -> dict[str, float]:
    """One restore, planned and executed."""
    client = KubeClient.connect(kubeconfig)
    storage = pickle.loads(kept.read_bytes())  # noqa: S301 - our own of a moment ago
    clock = SystemClock()
    with tempfile.TemporaryDirectory() as work, open_store(remote, Path(work)) as store:
        asked = RestoreRequest(
            config=request().config, policy="bench", at="latest", allow_partial=False,
            deadline=clock.now() + timedelta(hours=1), namespace=SYSTEM, holder="bench",
            workers=CONNECTIONS,
        )  # fmt: skip
        world = RestorePorts(
            reader=client, writer=client, store=store, mover=FakeMover(),
            keyring=FakeKeyring(storage, "bench", {"unused": "m" * 32}),
            reporter=Silent(), clock=clock,
        )  # fmt: skip
        restore = Restore(asked, world)
        begun = time.perf_counter()
        plan = restore.plan()
        planned = time.perf_counter()
        result = restore.execute(plan)
        ended = time.perf_counter()
    return {
        "wall": ended - begun,
        "plan": planned - begun,
        "objects": result.created,
        "differing": len(result.differing),
        "requests": sum(client.requests.values()),
    }


def read_bodies(remote: Path, kept: Path) -> list[tuple[str, bytes]]:
    """(URL path, JSON) of every captured object of the namespace, moved to `RAW`."""
    storage: FakeStorage = pickle.loads(kept.read_bytes())  # noqa: S301 - our own
    (repository,) = storage.repositories.values()
    (tree,) = repository.trees.values()
    secrets = {
        found["metadata"]["name"]: found
        for node in tree.values()
        for found in map(json.loads, node.data.splitlines())
    }
    with tempfile.TemporaryDirectory() as work, open_store(remote, Path(work)) as store:
        branch = policy_branch("bench", "bench")
        content = read_point(
            store, branch, "latest", policy="bench", allow_partial=False, vouch=store.vouch
        )
    bodies = []
    for found in content.stored:
        if found.ref.namespace != NAMESPACE or found.ref.name in ("default", "kube-root-ca.crt"):
            continue
        manifest = secrets[found.ref.name] if found.ref.kind == "Secret" else found.manifest
        moved = {**manifest, "metadata": {**manifest["metadata"], "namespace": RAW}}
        version = str(manifest["apiVersion"])
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        path = f"{root}/namespaces/{RAW}/{found.ref.kind.lower()}s"
        bodies.append((path, json.dumps(moved).encode()))
    return bodies


def floor(kubeconfig: Path, remote: Path, kept: Path) -> dict[str, float]:
    """The same objects posted raw."""
    bodies = read_bodies(remote, kept)
    here = local()

    def post(entry: tuple[str, bytes]) -> None:
        if not hasattr(here, "connection"):
            here.connection = connect(kubeconfig)
        path, body = entry
        here.connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = here.connection.getresponse()
        told = answer.read()
        if answer.status != 201:
            raise RuntimeError(f"{path}: {answer.status} {told[:300]!r}")

    with ThreadPoolExecutor(max_workers=CONNECTIONS) as pool:
        begun = time.perf_counter()
        for _ in pool.map(post, bodies):
            pass
        took = time.perf_counter() - begun
    return {"wall": took, "objects": len(bodies)}


def remove(client: KubeClient, namespace: str) -> None:
    """Deletes a namespace and waits until it is gone."""
    client.delete(ObjectRef(group="", kind="Namespace", name=namespace))
    while client.get(kinds.NAMESPACES, namespace) is not None:
        time.sleep(0.5)


def make_ready(client: KubeClient) -> None:
    """Makes the floor's namespace."""
    client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": RAW}})
    while client.get(kinds.SERVICE_ACCOUNTS, "default", namespace=RAW) is None:
        time.sleep(0.1)


def measure(*arguments: str) -> dict[str, float]:
    """One measurement in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.restore", *arguments],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout)
    return found


def compare(kubeconfig: Path, objects: int, pairs: int) -> dict[str, object]:
    """Interleaved pairs; the ratios' median is what counts."""
    client = KubeClient.connect(kubeconfig)
    fill(kubeconfig, objects, 1)
    with tempfile.TemporaryDirectory() as folder:
        remote, kept = Path(folder) / "remote", Path(folder) / "secrets"
        subprocess.run(["git", "init", "--quiet", "--bare", str(remote)], check=True)
        back_up(client, remote, kept)
        remove(client, NAMESPACE)
        seen: dict[str, list[dict[str, float]]] = {"ours": [], "floor": []}
        given = (str(kubeconfig), str(remote), str(kept))
        for number in range(pairs):
            for name in ("floor", "ours") if number % 2 else ("ours", "floor"):
                if name == "floor":
                    make_ready(client)
                seen[name].append(measure(name, *given))
                remove(client, NAMESPACE if name == "ours" else RAW)
    ratios = [o["wall"] / f["wall"] for o, f in zip(seen["ours"], seen["floor"], strict=True)]
    result: dict[str, object] = {"pairs": pairs, "ratio": round(statistics.median(ratios), 2)}
    for name, runs in seen.items():
        walls = [run["wall"] for run in runs]
        result[name] = {
            **{key: round(value, 3) for key, value in runs[-1].items()},
            "wall": round(statistics.median(walls), 3),
            "from": round(min(walls), 3),
            "to": round(max(walls), 3),
        }
    return result


def main() -> None:
    """All of it, or one measurement."""
    if sys.argv[1:2] in (["ours"], ["floor"]):
        given = [Path(text) for text in sys.argv[2:]]
        print(json.dumps(ours(*given) if sys.argv[1] == "ours" else floor(*given)))
        return
    parser = argparse.ArgumentParser(prog="python -m bench.restore")
    parser.add_argument("--objects", type=int, default=2000)
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    provider = providers.open_cluster("bench-restore")
    try:
        print(json.dumps(compare(provider.kubeconfig, options.objects, options.pairs), indent=2))
    finally:
        provider.close()


if __name__ == "__main__":
    main()
