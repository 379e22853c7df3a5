"""The webhook's door: what is told when it stays closed."""

from __future__ import annotations

from dataclasses import replace

from reconciler.adapters.webhook import Webhook
from reconciler.cli.listening import Door
from reconciler.model.config import Credentials
from tests.unit.engine.controller_world import ControllerWorld


def test_a_webhook_for_which_nobody_listens_is_told_once() -> None:
    world = ControllerWorld()
    config = world.setting.config
    source = replace(config.policy_source, webhook=Credentials(secret_ref="backstay-webhook"))
    named = replace(world.setting, config=replace(config, policy_source=source))
    door = Door(Webhook(lambda: None), world.log, listens=False)
    assert door.begin(world.setting) is world.setting
    assert world.log.take() == []
    for _ in range(2):
        assert door.begin(named) is named
    (told,) = world.log.of("webhook closed")
    assert "components/webhook" in str(told["hint"])
