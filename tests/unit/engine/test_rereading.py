"""The controller keeps what files say between its cycles."""

from __future__ import annotations

from dataclasses import replace

from reconciler.policy import Rereader
from tests.unit.engine.controller_world import BROKEN, ControllerWorld, files, policy_yaml


def test_a_cycle_reads_what_changed_and_does_the_same() -> None:
    world, reader = ControllerWorld(), Rereader()
    world.setting = replace(world.setting, parse=reader.parse)
    world.source.push(files("shop", "mail"))
    assert (world.cycle().exit_code, reader.read) == (0, 3)
    assert (world.cycle().exit_code, reader.read) == (0, 0)
    world.source.push(files("shop", mail=policy_yaml("mail", cron="18 3 * * *")))
    assert (world.cycle().exit_code, reader.read) == (0, 1)
    assert world.cron_job("mail")["spec"]["schedule"] == "18 3 * * *"
    world.source.push(files("mail", shop=BROKEN))
    assert (world.cycle().exit_code, reader.read) == (4, 2)
    assert world.cron_job("shop")["spec"]["schedule"] == "17 2 * * *"
    world.source.push(files("mail", "shop"))
    assert (world.cycle().exit_code, reader.read) == (0, 1)
