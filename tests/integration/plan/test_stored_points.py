"""A plan against a cluster reads recovery points from a real repository, by Config's own keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.cli.planlive import is_unwanted, lead, with_coverage
from reconciler.engine import controller
from reconciler.engine.controller import Setting
from reconciler.model.errors import Refused
from reconciler.policy import parse_config
from tests.integration.git.history_world import BRANCH, open_store, write_history
from tests.rig.servers.sshd import Sshd
from tests.unit.engine.controller_world import ControllerWorld, files, policy_yaml

CONFIG = """\
apiVersion: backstay.dev/v1alpha1
kind: Config
cluster: {{name: prod-eu}}
policySource: {{url: "ssh://git@git.example.org/p.git", path: policies, file: {keys}}}
manifestStore: {{url: "{url}", file: {keys}}}
image: backstay:1
sharedKeyInTenants: true
"""
SHORTER = policy_yaml("shop").replace(b"keepDaily: 7", b"keepLast: 1")


@pytest.fixture
def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Setting]:
    """Return a cluster with policy shop, five good runs of it behind sshd, and a change."""
    monkeypatch.setenv("BACKSTAY_CACHE_DIR", str(tmp_path / "cache"))
    world, keys = ControllerWorld(), tmp_path / "keys"
    keys.mkdir()
    world.cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    world.source.push(files("shop"))
    assert world.cycle().exit_code == 0
    world.source.push(files(shop=SHORTER))
    with Sshd(tmp_path / "sshd", tied=True) as server:
        repository = server.create("captures")
        with open_store(repository, tmp_path / "work") as store:
            store.push({BRANCH: write_history(store)[-1]})
        for name, data in server.secret().items():
            (keys / name).touch(mode=0o600)
            (keys / name).write_bytes(data)
        text = CONFIG.format(url=server.url("captures"), keys=keys)
        yield replace(world.setting, config=parse_config("backstay.yaml", text.encode()))


def test_what_would_expire_is_told_with_its_times(setting: Setting) -> None:
    cycle = controller.make_plan(setting)
    led = lead(cycle, with_coverage(cycle, setting), setting)
    (found,) = led.findings
    assert (found.id, str(found.severity)) == ("retention-shortened", "error")
    assert found.details[0].startswith("shop: 1 of 6 would expire: 2026-11-20T01:17Z")
    assert led.unseen == ()
    assert is_unwanted(led, frozenset({"retention-shortened"}))


def test_keys_that_let_nobody_in_shut_the_gate(setting: Setting, tmp_path: Path) -> None:
    (tmp_path / "keys/known_hosts").write_text("elsewhere ssh-ed25519 AAAA\n")
    cycle = controller.make_plan(setting)
    led = lead(cycle, with_coverage(cycle, setting), setting)
    assert any("which recovery points there are is not known" in note for note in led.plan.notes)
    assert led.unseen == ("shop",)
    with pytest.raises(Refused, match="needs all recovery points of policy shop"):
        is_unwanted(led, frozenset({"error"}))
