"""One real Kubernetes for all cluster tests of a session.

It is an instance of this process' own, so that neither a person's cluster nor another test run is
met. It dies with this process even when that is killed; the next `up` clears what is then left.
`BACKSTAY_TEST_KEEP=1` leaves it up, and says how to end it.
"""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Iterator
from types import FrameType

import pytest

from tests.rig.cluster import providers
from tests.rig.cluster.processes import Process
from tests.rig.cluster.progress import say
from tests.rig.stage import Stage, shop
from tests.rig.stage.runs import Run
from tests.rig.stage.stage import NAMESPACE

KEEP = "BACKSTAY_TEST_KEEP"


@pytest.fixture(scope="session")
def cluster() -> Iterator[providers.Cluster]:
    """Return the cluster: `.kubeconfig`, `.host_address`, `.load_image(…)`, `.kubectl(…)`."""
    keep = bool(os.environ.get(KEEP))
    name = f"test-{os.getpid()}"
    previous = signal.signal(signal.SIGTERM, _interrupt)
    provider = None
    try:
        owner = None if keep else Process.of(os.getpid())
        provider = providers.open_cluster(name, owner=owner)
        yield providers.Cluster(provider)
    finally:
        signal.signal(signal.SIGTERM, previous)
        if keep:
            say(f"kept: scripts/cluster down --name {name}")
        elif provider is not None:
            provider.close()
        elif not os.environ.get(providers.GIVEN):
            providers.discard(name)


@pytest.fixture(scope="session")
def marker() -> str:
    """Return the password of the application: it must never leave its Secret in the clear."""
    return f"marker-{secrets.token_hex(12)}"


@pytest.fixture(scope="session")
def stage(
    cluster: providers.Cluster, tmp_path_factory: pytest.TempPathFactory, marker: str
) -> Iterator[Stage]:
    """Install Backstay and the application `shop`, filled, with no policy yet.

    One for all modules: each test leaves the servers up, and the newest run Completed.
    """
    stage = Stage(cluster, tmp_path_factory.mktemp("stage"))
    try:
        stage.start_servers()
        stage.load_image()
        stage.install()
        shop.install(stage, marker=marker)
        yield stage
    finally:
        stage.stop()


@pytest.fixture(scope="session")
def first(stage: Stage) -> Run:
    """Push the policy; return its first run, of a Job made as `kubectl create job` makes it."""
    stage.push_policies({"shop.yaml": shop.policy(stage)})
    stage.wait("the CronJob is there", lambda: stage.exists("cronjob", "backstay-shop"), seconds=60)
    stage.kubectl("-n", NAMESPACE, "create", "job", "--from=cronjob/backstay-shop", "first")
    stage.kubectl(
        "-n", NAMESPACE, "wait", "--for=condition=Complete", "job/first", "--timeout=180s"
    )
    return Run(stage)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    """Let SIGTERM end the session as Ctrl-C does, fixtures included."""
    raise KeyboardInterrupt
