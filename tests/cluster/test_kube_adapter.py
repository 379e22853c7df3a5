"""The real adapter keeps what ClusterReader and ClusterWriter promise, on a real cluster."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.kube import KubeClient
from reconciler.adapters.movers import JobMover
from reconciler.model.errors import Refused
from reconciler.model.objects import ObjectRef
from reconciler.model.volumes import MoveKind, MoveState, MoveTask, RepositoryAccess
from tests.contract.cluster_suite import (
    LeaseContract,
    ProbeContract,
    ReaderContract,
    World,
    WriterContract,
)
from tests.contract.patch_suite import PatchContract
from tests.fakes.kubekinds import kind
from tests.rig.cluster.providers import Cluster


@pytest.fixture(scope="module")
def client(cluster: Cluster) -> Iterator[KubeClient]:
    """Return the adapter on the rig's cluster."""
    client = KubeClient.connect(cluster.kubeconfig, version="test")
    yield client
    client.close()


@pytest.fixture
def world(cluster: Cluster, client: KubeClient) -> Iterator[World]:
    """Return the cluster with a namespace of the test's own."""
    namespace = f"kube-adapter-{uuid.uuid4().hex[:8]}"
    client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})

    def apply_as(obj: dict[str, Any], manager: str) -> None:
        arguments = ("--server-side", "--force-conflicts", f"--field-manager={manager}")
        cluster.kubectl("apply", *arguments, "-f", "-", input=json.dumps(obj))

    yield World(cluster=client, namespace=namespace, apply_as=apply_as, large=510)
    client.delete(ObjectRef(group="", kind="Namespace", name=namespace))


class TestProbe(ProbeContract):
    """On a real API server."""


class TestReader(ReaderContract):
    """On a real API server."""


class TestWriter(WriterContract):
    """On a real API server."""


class TestLease(LeaseContract):
    """On a real API server."""


class TestPatch(PatchContract):
    """On a real API server."""


def test_an_api_server_that_is_away_is_a_gap(client: KubeClient) -> None:
    group = f"g{uuid.uuid4().hex[:8]}.example.org"
    service = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"v1.{group}"},
        "spec": {
            "group": group,
            "version": "v1",
            "groupPriorityMinimum": 1000,
            "versionPriority": 10,
            "insecureSkipTLSVerify": True,
            "service": {"name": "nobody", "namespace": "default"},
        },
    }
    client.create(service)
    try:
        _until(lambda: bool(client.discover().failed))
        found = client.discover()
        assert [gap.group for gap in found.failed] == [group]
        assert "does not answer" in found.failed[0].reason
        assert kind("ConfigMap") in found.resources
    finally:
        name = f"v1.{group}"
        client.delete(ObjectRef(group="apiregistration.k8s.io", kind="APIService", name=name))
        _until(lambda: not client.discover().failed)


def test_a_missing_right_is_named(cluster: Cluster, world: World, tmp_path: Path) -> None:
    account = {"name": "nobody", "namespace": world.namespace}
    world.cluster.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
    nobody = _as_account(cluster, world.namespace, "nobody", tmp_path / "kubeconfig")
    with pytest.raises(Refused) as caught:
        list(nobody.pages(kind("Deployment"), namespace=world.namespace))
    assert f"list deployment.apps in namespace {world.namespace}: not allowed" in str(caught.value)
    assert "list on deployments (API group apps)" in caught.value.hint
    with pytest.raises(Refused, match=f"patch {world.namespace}/configmap/x"):
        nobody.apply(world.configmap("x"))
    assert len(nobody.discover().resources) > 50
    nobody.close()


def test_a_runs_own_rights_are_enough_for_movers(
    cluster: Cluster, world: World, tmp_path: Path
) -> None:
    deploy = Path(__file__).parents[2] / "deploy" / "base"
    for name in ("namespace", "serviceaccounts", "rbac-run", "admission-run"):
        applied = ("apply", "--server-side", "--force-conflicts", "-f")
        cluster.kubectl(*applied, str(deploy / f"{name}.yaml"))
    run = _as_account(cluster, "backstay-system", "backstay-run", tmp_path / "kubeconfig")
    _until(lambda: _is_refused(run, world.namespace))
    mover = JobMover(run, run)
    task = MoveTask(
        kind=MoveKind.BACKUP,
        run_id="adapter-20261121-041703-7c1e9",
        policy="adapter",
        namespace=world.namespace,
        claim="nobody",
        access=RepositoryAccess(
            name="main",
            namespace=world.namespace,
            url="s3:https://s3.example.org/b",
            secret="restic-main",
            environment={"RESTIC_PASSWORD": "x"},
        ),
        host="prod/shop",
        image="backstay:1",
    )
    assert mover.ensure(task).state is MoveState.RUNNING
    again = mover.ensure(task)
    # The scheduler may know by now that there is no such claim; that it could be asked is enough.
    missing = 'persistentvolumeclaim "nobody" not found'
    assert again.state is MoveState.RUNNING or missing in again.message
    assert [left.claim for left in mover.leftovers("adapter")] == ["nobody"]
    mover.cleanup(task)
    assert mover.leftovers("adapter") == ()
    assert run.identity() == world.cluster.identity()
    take = run.acquire_lease
    assert take("backstay-system", "backstay-run-adapter", "me", seconds=1) == "me"
    assert take("backstay-system", "backstay-run-adapter", "me", seconds=1) == "me"
    run.release_lease("backstay-system", "backstay-run-adapter", "me")
    run.close()
    lease = {"namespace": "backstay-system", "name": "backstay-run-adapter"}
    world.cluster.delete(ObjectRef(group="coordination.k8s.io", kind="Lease", **lease))


def _is_refused(run: KubeClient, namespace: str) -> bool:
    """Whether the admission policy is at work: it takes the server some seconds to see it."""
    metadata = {"name": "not-a-movers", "namespace": namespace}
    try:
        run.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})
    except Refused as error:
        return "HTTP 403" in error.message
    return False


def _as_account(cluster: Cluster, namespace: str, name: str, file: Path) -> KubeClient:
    """The adapter with a service account's token."""
    token = cluster.kubectl("-n", namespace, "create", "token", name).strip()
    config = json.loads(cluster.kubectl("config", "view", "--raw", "--flatten", "-o", "json"))
    config["users"] = [{"name": "account", "user": {"token": token}}]
    config["contexts"][0]["context"]["user"] = "account"
    config["current-context"] = config["contexts"][0]["name"]
    file.write_text(json.dumps(config))
    file.chmod(0o600)
    return KubeClient.connect(file)


def _until(holds: Callable[[], bool], *, seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            pytest.fail(f"did not come true in {seconds:.0f} s")
        time.sleep(0.2)
