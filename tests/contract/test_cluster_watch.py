"""The fake watch keeps what ClusterWatch promises."""

from __future__ import annotations

import pytest

from tests.contract.watch_suite import CONFIGMAP, WatchContract, WatchWorld
from tests.fakes.cluster import FakeCluster
from tests.fakes.watch import FakeWatch


@pytest.fixture
def watched() -> WatchWorld:
    """Return a fake cluster with small pages."""
    cluster = FakeCluster(page_size=2)
    cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    watch = FakeWatch(cluster)

    def old() -> str:
        _, version = watch.listing(CONFIGMAP, dict)
        watch.forget()
        return version

    return WatchWorld(watch=watch, writer=cluster, namespace="shop", old=old)


class TestWatch(WatchContract):
    """On the fake."""
