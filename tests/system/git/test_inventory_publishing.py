"""Publishing over real Git: what is on the server, and how often it is asked."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.adapters.gitcredentials import parse_credentials
from reconciler.adapters.gitstore import GitManifestStore
from reconciler.capture import message, record
from reconciler.engine.inventory import read_inventory
from reconciler.engine.inventorypublishing import InventoryPublisher, Sources
from reconciler.model.store import Write
from tests.integration.git.conftest import Executed, MakeStore
from tests.rig.servers.sshd import Sshd
from tests.unit.engine.controller_world import Log, ManualClock
from tests.unit.engine.inventory_world import ABOUT, run_record
from tests.unit.engine.test_inventory import shop_cluster

CAPTURES = "clusters/prod-eu/shop"
OpenStore = Callable[[], AbstractContextManager[GitManifestStore]]


@pytest.fixture
def open_store(server: Sshd, tmp_path: Path) -> OpenStore:
    """As the controller does: the same cache each time, another one for each process."""

    def opened() -> AbstractContextManager[GitManifestStore]:
        return GitManifestStore(
            server.url("manifests"),
            author_name="Backstay",
            author_email="backstay@example.org",
            credentials=parse_credentials(server.secret(), "Secret git"),
            workdir=tmp_path / "cache",
        )

    return opened


def add_runs(store: GitManifestStore, clock: ManualClock, count: int) -> list[str]:
    """So many runs, one each day until now; their ids."""
    found = []
    parent = store.tip(CAPTURES)
    for day in range(count, 0, -1):
        made = run_record("shop", clock.now() - timedelta(days=day))
        files = [Write("_run.yaml", record.render_record(made)), Write(f"shop/{day}", b"x")]
        text = message.render_message(made)
        parent = store.commit(CAPTURES, parent, files, text, when=made.finished)
        found.append(made.name)
    store.push({CAPTURES: str(parent)})
    return found


def connections(executed: Executed) -> list[str]:
    """The git commands that talked to the server."""
    talking = {"fetch", "ls-remote", "push"}
    return [word for argv in executed() for word in argv if word in talking]


def test_records_are_read_from_the_server_once(
    open_store: OpenStore, make_store: MakeStore, executed: Executed
) -> None:
    clock, log, cluster = ManualClock(), Log(), shop_cluster()
    runs = add_runs(make_store(), clock, 3)
    sources = Sources(
        reader=cluster, inventory=open_store, manifests=open_store, reporter=log, clock=clock
    )
    publisher = InventoryPublisher()
    publisher.publish(sources, ABOUT)
    assert not log.of("inventory not published"), log.lines
    assert not log.of("recovery points not digested"), log.lines
    with open_store() as store:
        found = read_inventory(store, "prod-eu")
    assert [point.run for point in found.points] == runs
    assert found.points[0].claims == {"shop": ("data-db-0",)}

    clock.sleep(900)
    executed()
    publisher.publish(sources, ABOUT)
    assert len(log.of("inventory published")) == 1
    assert connections(executed) == ["fetch", "ls-remote"]

    # Another process, with a cache that has nothing in it, goes on where this one was.
    late = add_runs(make_store(), clock, 1)
    clock.sleep(900)
    InventoryPublisher().publish(sources, ABOUT)
    with make_store() as store:
        assert [point.run for point in read_inventory(store, "prod-eu").points] == runs + late
