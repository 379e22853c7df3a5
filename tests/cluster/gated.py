"""A second installation, on a cluster of its own, in which tests hold and break things.

Every git, restic and backstay there stands behind a shim (`gate`), and all that they do passes a
proxy: `api_proxy`, `s3_proxy`, and `ssh_proxy` for the captures (policies come directly, so that a
controller that looks every few seconds is no connection of it). It is apart from `stage`: its
image is not the one that users get, and what is broken here must not be in the way of others.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rig.cluster import providers, session
from tests.rig.cluster.errors import RigError
from tests.rig.gate import Gate
from tests.rig.proxies import ApiProxy, S3Proxy, SshProxy
from tests.rig.stage import Stage, shop
from tests.rig.stage.detours import Detours
from tests.rig.stage.stage import NAMESPACE


@pytest.fixture(scope="session")
def gated_cluster() -> Iterator[providers.Cluster]:
    """Return a cluster of the rig's own: a given one is not for this."""
    with session.opened("gated") as cluster:
        if not isinstance(cluster.provider, providers.Built):
            raise RigError(
                "what a given cluster does can't be broken",
                hint=f"unset {providers.GIVEN}, or leave these tests out",
            )
        yield cluster


@pytest.fixture(scope="session")
def gate(gated_cluster: providers.Cluster) -> Iterator[Gate]:
    """Return the gate of `gated_stage`: `.calls(…)` and `.held(…)`."""
    with Gate(gated_cluster.host_address) as gate:
        yield gate


@pytest.fixture(scope="session")
def gated_stage(
    gated_cluster: providers.Cluster,
    gate: Gate,
    marker: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    """Install Backstay behind shims, the application `shop`, its policy, and a first good run.

    One for all modules: each test leaves the servers up, and a Completed run as the newest.
    """
    stage = Stage(gated_cluster, tmp_path_factory.mktemp("gated"), gate=gate)
    try:
        stage.start_servers()
        stage.start_proxies()
        stage.load_image()
        stage.install()
        shop.install(stage, marker=marker)
        stage.push_policies({"shop.yaml": shop.policy(stage)})
        there = "the CronJob is there"
        stage.wait(there, lambda: stage.exists("cronjob", "backstay-shop"), seconds=600)
        stage.kubectl("-n", NAMESPACE, "create", "job", "--from=cronjob/backstay-shop", "first")
        done = "--for=condition=Complete"
        stage.kubectl("-n", NAMESPACE, "wait", done, "job/first", "--timeout=600s", timeout=630)
        stage.cheapen_keys(shop.NAMESPACE, "_cluster")
        yield stage
    finally:
        stage.stop()


@pytest.fixture(scope="session")
def detours(gated_stage: Stage) -> Detours:
    """Return the proxies of `gated_stage`."""
    assert gated_stage.detours is not None
    return gated_stage.detours


@pytest.fixture
def api_proxy(detours: Detours) -> ApiProxy:
    """Return the proxy between `gated_stage`'s pods and the API server."""
    return detours.api


@pytest.fixture
def s3_proxy(detours: Detours) -> S3Proxy:
    """Return the proxy between `gated_stage` and its storage."""
    return detours.s3


@pytest.fixture
def ssh_proxy(detours: Detours) -> SshProxy:
    """Return the proxy between `gated_stage` and the manifest repository."""
    return detours.ssh
