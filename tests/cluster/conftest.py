"""One real Kubernetes, and one installation on it, for all cluster tests of a process.

`scripts/test` runs this tier in several processes, a module in one of them (`rig/groups.py`),
each with a cluster of its own: neither a person's cluster nor another test run is met. It dies with
its process even when that is killed; the next `up` clears what is then left. The modules that break
things (`gated`) are two groups: so two processes, not all of them, start the cluster for it.
`BACKSTAY_TEST_KEEP=1` leaves it up, and says how to end it.

A process gets its modules in the order that is made here: first those that install Backstay for
themselves, or take the cluster apart; then those that share the stage. So the two never meet.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.cluster.gated import (
    api_proxy,
    detours,
    gate,
    gated_cluster,
    gated_stage,
    s3_proxy,
    ssh_proxy,
)
from tests.rig.cluster import csi as csi_storage
from tests.rig.cluster import csibuild, csifaults, providers, session
from tests.rig.groups import GATED
from tests.rig.stage import Stage, peace, shop
from tests.rig.stage.runs import Run
from tests.rig.stage.stage import NAMESPACE

__all__ = [
    "api_proxy", "cluster", "csi", "detours", "first", "gate", "gated_cluster", "gated_stage",
    "marker", "s3_proxy", "ssh_proxy", "stage",
]  # fmt: skip
LONG = (
    "test_demo",
    "test_rig",
    "test_bad_days_api",
    "test_path",
    "test_faults",
    "test_two_clusters",
    "test_secrets",
    "test_recovery",
    "test_mapped",
)
"""Modules that take minutes begin early, the longest first: so no process works on alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the modules of this folder in order; whatever else is collected comes after them."""
    shared = {item.path for item in items if "stage" in _fixtures(item)}
    gated = {item.path.stem for item in items if "gated_cluster" in _fixtures(item)}
    if unknown := gated - GATED.keys():
        raise pytest.UsageError(f"tests/rig/groups.py: which group are {unknown} in?")

    def turn(item: pytest.Item) -> tuple[bool, bool, str, bool, int]:
        ours = Path(__file__).parent in item.path.parents
        name = item.path.stem
        group = GATED.get(name, "") if ours else ""
        rank = LONG.index(name) if ours and name in LONG else len(LONG)
        return not ours, not group, group, item.path in shared, rank

    items.sort(key=turn)


def _fixtures(item: pytest.Item) -> list[str]:
    return item.fixturenames if isinstance(item, pytest.Function) else []


@pytest.fixture(scope="session")
def cluster() -> Iterator[providers.Cluster]:
    """Return the cluster: `.kubeconfig`, `.host_address`, `.load_image(…)`, `.kubectl(…)`."""
    with session.opened() as cluster:
        yield cluster


@pytest.fixture(scope="session", autouse=True)
def _built_beside(request: pytest.FixtureRequest) -> Iterator[None]:
    """Build what storage needs, if a test will ask for it, while other tests run."""
    wanted = any("csi" in _fixtures(item) for item in request.session.items)
    with csibuild.beside() if wanted else nullcontext():
        yield


@pytest.fixture(scope="module")
def csi(cluster: providers.Cluster) -> Iterator[csifaults.CsiFaults]:
    """Give the cluster storage with snapshots and clones, of the class `csi`, for this module.

    What was made with it is to be gone when the module ends. Return what makes it misbehave.
    """
    with csi_storage.added(cluster) as faults:
        yield faults


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
    there = "the CronJob is there"
    stage.wait(there, lambda: stage.exists("cronjob", "backstay-shop"), seconds=600)
    stage.kubectl("-n", NAMESPACE, "create", "job", "--from=cronjob/backstay-shop", "first")
    done = "--for=condition=Complete"
    stage.kubectl("-n", NAMESPACE, "wait", done, "job/first", "--timeout=600s", timeout=630)
    stage.cheapen_keys(shop.NAMESPACE, "_cluster")
    first = Run(stage)
    peace.wait_for(stage)
    return first


@pytest.fixture(scope="module", autouse=True)
def _peace(request: pytest.FixtureRequest) -> Iterator[None]:
    """End a module that works on the stage's runs only when the stage is at peace again.

    The next one may be any other. It ends after all else that the module made for itself.
    """
    names = {name for item in _items_of(request) for name in _fixtures(item)}
    staged = request.getfixturevalue("stage") if "first" in names else None
    yield
    if staged is not None:
        peace.wait_for(staged)


def _items_of(request: pytest.FixtureRequest) -> list[pytest.Item]:
    return [item for item in request.session.items if item.path == request.path]
