"""After which cycles the inventory is looked at, and that nothing happens without it in Config."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.cli.publishing import InventoryTeller
from reconciler.engine.controller import Cycle, Setting
from reconciler.engine.keeper import StoodBack
from reconciler.model.config import ClusterConfig, Credentials, InventoryConfig
from reconciler.model.errors import ClusterRenamed, Interrupted, Refused, Transient
from tests.unit.engine.controller_world import BROKEN, CONFIG, ControllerWorld, files
from tests.unit.engine.test_two_configs import ONE, OTHER_IMAGE, TWO, TwoWorld

NOWHERE = InventoryConfig(
    url="ssh://git@git.example.org/i.git", credentials=Credentials(file="/no/such/folder")
)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ControllerWorld:
    """A controller whose Config names an inventory that nobody has the keys of."""
    monkeypatch.setenv("BACKSTAY_CACHE_DIR", str(tmp_path))
    world = ControllerWorld()
    config = replace(world.setting.config, inventory=NOWHERE)
    world.setting = replace(world.setting, config=config)
    return world


def look(world: ControllerWorld, cycle: Cycle, setting: Setting | None = None) -> int:
    """How often a look was begun after this cycle: each is told, for want of keys."""
    teller = InventoryTeller()
    teller.remember(setting or world.setting)
    before = len(world.log.of("inventory not published"))
    teller(cycle)
    return len(world.log.of("inventory not published")) - before


@pytest.mark.parametrize("error", [None, Transient("a write has failed")])
def test_it_looks_after_good_cycles_and_those_whose_writes_failed(
    world: ControllerWorld, error: Transient | None
) -> None:
    planned = replace(world.cycle(), error=error, failed_step="apply" if error else "")
    assert look(world, planned) == 1
    assert "/no/such/folder" in str(world.log.of("inventory not published")[0]["error"])


@pytest.mark.parametrize("name", ["prod-eu", "slip"])
def test_it_does_not_look_where_nobody_could_hold_the_name_against_the_schedules(
    world: ControllerWorld, name: str
) -> None:
    """The keys of another cluster's Config do not fit: then the name is not known to be right."""
    world.source.push(files("shop"))
    assert look(world, world.cycle()) == 1
    config = replace(world.setting.config, cluster=ClusterConfig(name))
    world.setting = replace(world.setting, config=config)
    world.source.failures.append(Refused("these keys do not fit"))
    cycle = world.cycle()
    assert cycle.failed_step == "fetch"
    assert look(world, cycle) == 0


def test_it_does_not_look_beside_another_controller_also_where_nothing_is_to_be_written() -> None:
    world = TwoWorld(replace(OTHER_IMAGE, image=CONFIG.image, inventory=NOWHERE))
    world.setting = replace(world.setting, config=CONFIG)
    told: list[str] = []
    teller = InventoryTeller(lambda _, about: told.append(about.cluster))
    second = replace(world.setting, holder=world.pods[TWO], config=world.other)
    teller.remember(second)
    cycle = world.two()
    assert (cycle.error, cycle.plan is not None) == (None, True)
    teller(cycle)
    assert told == []
    world.remove_pod(ONE)
    teller(world.two())
    assert told == [CONFIG.cluster.name]


def test_it_does_not_look_where_the_loop_ends_or_config_is_broken(world: ControllerWorld) -> None:
    assert look(world, Cycle(error=Interrupted("asked to stop"))) == 0
    assert look(world, Cycle(error=Refused("bad"), failed_step="config")) == 0
    assert look(world, Cycle(error=ClusterRenamed("another name"), failed_step="plan")) == 0
    another = StoodBack("another controller", retry_after=60)
    assert look(world, Cycle(error=another, failed_step="apply")) == 0
    assert look(world, Cycle(error=Transient("git is away"), failed_step="fetch")) == 0
    assert look(world, world.cycle(), replace(world.setting, stopped=lambda: True)) == 0


def test_without_an_inventory_in_config_nothing_is_asked(world: ControllerWorld) -> None:
    config = replace(world.setting.config, inventory=None)
    cycle = world.cycle()
    world.cluster.requests.clear()
    assert look(world, cycle, replace(world.setting, config=config)) == 0
    assert world.cluster.requests == {}


def test_its_revision_is_the_one_in_force_and_not_the_one_that_a_brake_holds(
    world: ControllerWorld,
) -> None:
    told: list[str] = []
    teller = InventoryTeller(lambda _, about: told.append(about.revision))
    teller.remember(world.setting)
    world.source.push(files("mail", "shop"))
    teller(world.cycle())
    world.source.push(files(mail=BROKEN))
    teller(world.cycle())
    assert told[0].startswith("main@sha1:")
    assert told == [told[0], told[0]]


def test_before_the_first_cycle_there_is_nothing_to_publish() -> None:
    InventoryTeller()(Cycle())
