"""What the command wires up: a signed request, and a changed folder, end the loop's real pause."""

from __future__ import annotations

import hashlib
import hmac
import http.client
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from reconciler.adapters.bell import SystemBell
from reconciler.adapters.clock import SystemClock
from reconciler.adapters.webhook import path_of
from reconciler.cli.listening import serving
from reconciler.cli.watching import FolderHint
from reconciler.engine.controller import Setting
from reconciler.engine.waking import Waker
from reconciler.model.config import Credentials, PolicySourceConfig
from tests.unit.engine.controller_world import ControllerWorld

KEY = b"0123456789abcdef0123456789abcdef"
LONG = 120.0
"""Seconds of a pause that nothing ends: far more than any hint takes to arrive."""


def woken(waker: Waker, act: Callable[[], object]) -> tuple[str, ...]:
    """Who ended the pause after that."""
    act()
    assert waker.pause(LONG) is False
    return waker.woken_by


def post(port: int) -> int:
    """A signed request's status."""
    signature = hmac.new(KEY, b"pushed", hashlib.sha256).hexdigest()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONG)
    try:
        connection.request("POST", path_of(KEY), b"pushed", {"X-Signature": f"sha256={signature}"})
        return connection.getresponse().status
    finally:
        connection.close()


def setting_with(world: ControllerWorld, source: PolicySourceConfig) -> Setting:
    """A setting with another policy source."""
    return replace(world.setting, config=replace(world.setting.config, policy_source=source))


def test_a_signed_request_wakes_the_loop(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(KEY)
    world, bell = ControllerWorld(), SystemBell()
    waker = Waker(bell)
    with serving(
        "", "127.0.0.1:0", waker, reporter=world.log, clock=SystemClock(), bell=bell
    ) as served:
        (listening,) = world.log.of("listening")
        port = int(str(listening["port"]))
        assert post(port) == 404
        source = PolicySourceConfig(url="x", webhook=Credentials(file=str(tmp_path)))
        served.door.begin(setting_with(world, source))
        statuses: list[int] = []
        assert woken(waker, lambda: statuses.append(post(port))) == ("webhook",)
        assert statuses == [202]


def test_a_changed_folder_wakes_the_loop(tmp_path: Path) -> None:
    world = ControllerWorld()
    waker = Waker(SystemBell())
    folder = tmp_path / "policies"
    folder.mkdir()
    with FolderHint(waker, world.log) as hint:
        hint.begin(setting_with(world, PolicySourceConfig(url=f"file://{folder}", path="")))
        assert world.log.of("folder not watched") == []
        write = (folder / "shop.yaml").write_text
        assert woken(waker, lambda: write("kind: BackupPolicy\n")) == ("folder",)
