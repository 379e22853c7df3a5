"""The real adapter keeps what ClusterReader and ClusterWriter promise, on a real cluster."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.adapters.kube import KubeClient
from reconciler.model.objects import ObjectRef
from tests.contract.cluster_suite import LeaseContract, ReaderContract, World, WriterContract
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


class TestReader(ReaderContract):
    """On a real API server."""


class TestWriter(WriterContract):
    """On a real API server."""


class TestLease(LeaseContract):
    """On a real API server."""
