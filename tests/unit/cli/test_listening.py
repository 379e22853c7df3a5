"""The webhook's door: what is told when it stays closed."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from dataclasses import replace
from pathlib import Path

from starlette.types import Message

from reconciler.adapters.webhook import Webhook, path_of
from reconciler.cli.listening import Door
from reconciler.engine.controller import Cycle
from reconciler.model.config import Credentials
from reconciler.model.errors import Refused
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


KEY = b"0123456789abcdef0123456789abcdef"


def call(webhook: Webhook) -> int:
    """The status that a request signed with the key gets."""
    signature = hmac.new(KEY, b"wake", hashlib.sha256).hexdigest()
    headers = [(b"x-signature", f"sha256={signature}".encode())]
    scope = {"type": "http", "method": "POST", "path": path_of(KEY), "headers": headers}
    told: list[int] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"wake", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            told.append(message["status"])

    asyncio.run(webhook(scope, receive, send))
    return told[0]


def test_while_config_cannot_be_read_no_key_is_good(tmp_path: Path) -> None:
    world = ControllerWorld()
    (tmp_path / "token").write_bytes(KEY)
    config = world.setting.config
    source = replace(config.policy_source, webhook=Credentials(file=str(tmp_path)))
    named = replace(world.setting, config=replace(config, policy_source=source))
    hints: list[str] = []
    webhook = Webhook(lambda: hints.append("webhook"))
    door = Door(webhook, world.log, listens=True)
    door.begin(named)
    door.end(Cycle())
    door.end(Cycle(error=Refused("git says no"), failed_step="fetch"))
    assert call(webhook) == 202
    broken = Cycle(error=Refused("2 problems"), failed_step="config")
    for _ in range(2):
        door.end(broken)
        assert call(webhook) == 404
    (told,) = world.log.of("webhook closed")
    assert told["why"] == "Config can't be read, and it names the key"
    door.begin(named)
    assert call(webhook) == 202
    assert hints == ["webhook", "webhook"]
    assert len(world.log.of("webhook open")) == 2
