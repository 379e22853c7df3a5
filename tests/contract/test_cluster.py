"""The fake cluster keeps what ClusterReader and ClusterWriter promise."""

from __future__ import annotations

import functools

import pytest

from tests.contract.cluster_suite import (
    LeaseContract,
    ProbeContract,
    ReaderContract,
    World,
    WriterContract,
)
from tests.contract.patch_suite import PatchContract
from tests.fakes.cluster import FakeCluster


@pytest.fixture
def world() -> World:
    """Return a fake cluster with small pages."""
    cluster = FakeCluster(page_size=10)
    cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    cluster.denied.add(("system:serviceaccount:shop:nobody", "create", "secrets"))
    return World(
        cluster=cluster,
        namespace="shop",
        apply_as=functools.partial(cluster.apply_as, force=True),
        large=25,
    )


class TestProbe(ProbeContract):
    """On the fake."""


class TestReader(ReaderContract):
    """On the fake."""


class TestWriter(WriterContract):
    """On the fake."""


class TestLease(LeaseContract):
    """On the fake."""


class TestPatch(PatchContract):
    """On the fake."""
