"""What `backstay doctor` says of the published inventory."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.engine.inventory import inventory_branch
from reconciler.model.config import InventoryConfig
from reconciler.model.doctor import Finding, Level
from reconciler.model.errors import Transient
from reconciler.model.inventory import Inventory
from reconciler.model.store import Write
from reconciler.plan.inventoryfiles import HEAD, render_head
from tests.fakes.gitstore import FakeManifestStore, FakeRemote
from tests.unit.engine.doctor_world import DoctorWorld


class InventoryOfWorld:
    """A healthy installation with an inventory; ``remote`` is its repository."""

    def __init__(self) -> None:
        self.world = DoctorWorld()
        inventory = InventoryConfig(url="ssh://git@git.example.org/i.git")
        self.world.config = replace(self.world.config, inventory=inventory)
        self.cluster = self.world.config.cluster.name
        self.remote = FakeRemote()

    def put(self, data: bytes) -> None:
        """The head file on the branch."""
        store, branch = FakeManifestStore(self.remote), inventory_branch(self.cluster)
        when = self.world.clock.now()
        commit = store.commit(branch, store.tip(branch), [Write(HEAD, data)], "x", when=when)
        store.push({branch: commit})

    def publish(self, *, hours: float = 0, uid: str = "") -> None:
        """The head of a controller that looked so many hours ago."""
        taken = self.world.clock.now() - timedelta(hours=hours)
        uid = uid or self.world.cluster.identity().uid
        found = Inventory(cluster=self.cluster, uid=uid, taken=taken.replace(microsecond=0))
        self.put(render_head(found))

    def asked(self) -> Finding:
        """The one finding."""
        (found,) = (
            one
            for one in self.world.doctor(inventory=lambda: FakeManifestStore(self.remote)).findings
            if one.id == "git/inventory"
        )
        return found


@pytest.fixture
def home() -> InventoryOfWorld:
    return InventoryOfWorld()


def test_one_that_is_fresh_is_good(home: InventoryOfWorld) -> None:
    home.publish(hours=24)
    found = home.asked()
    assert (found.level, found.message[:13]) == (Level.OK, "published on ")


def test_one_that_nobody_publishes_any_more_is_told(home: InventoryOfWorld) -> None:
    home.publish(hours=26)
    found = home.asked()
    assert (found.level, "every day at least" in found.message) == (Level.WARNING, True)
    assert "logs deploy/backstay-controller" in found.hint


def test_none_yet(home: InventoryOfWorld) -> None:
    found = home.asked()
    assert (found.level, "nothing is published" in found.message) == (Level.WARNING, True)


def test_another_clusters(home: InventoryOfWorld) -> None:
    home.publish(uid="another-one")
    found = home.asked()
    assert (found.level, "another-one" in found.message) == (Level.PROBLEM, True)
    assert "backstay adopt" in found.hint


def test_one_that_nobody_can_read(home: InventoryOfWorld) -> None:
    home.put(b"{}")
    found = home.asked()
    assert (found.level, ":inventory.json:1:1" in found.message) == (Level.PROBLEM, True)


def test_a_repository_that_is_away(home: InventoryOfWorld) -> None:
    home.remote.failures.append(Transient("git is away", hint="wait"))
    found = home.asked()
    assert (found.level, found.message, found.hint) == (Level.PROBLEM, "git is away", "wait")


def test_a_key_that_may_only_read(home: InventoryOfWorld) -> None:
    home.publish()
    home.remote.read_only = True
    found = [
        one
        for one in home.world.doctor(inventory=lambda: FakeManifestStore(home.remote)).findings
        if one.id == "git/inventory"
    ]
    assert [one.level for one in found] == [Level.OK, Level.PROBLEM]
    assert "cannot push" in found[1].message


def test_without_one_in_config_nothing_is_asked() -> None:
    found = [one for one in DoctorWorld().doctor().findings if one.id == "git/inventory"]
    assert [(one.level, one.message) for one in found] == [(Level.INFO, "Config names none")]
