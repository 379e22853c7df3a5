"""A hostile file among the policies: its own keeps its last good version, nothing else stops."""

from __future__ import annotations

import pytest

from tests.unit.engine.controller_world import ControllerWorld, files, policy_yaml
from tests.unit.policy.hostiletexts import make_texts

TEXTS = make_texts(2 * 1024)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", TEXTS)
def test_i9_a_hostile_file_keeps_the_last_good_version_and_stops_nothing_else(name: str) -> None:
    world = ControllerWorld()
    world.source.push(files("evil", "gone", "mail"))
    assert world.cycle().exit_code == 0
    before = world.cron_job("evil")
    changed = policy_yaml("mail", cron="18 3 * * *")
    world.source.push(files("new", evil=TEXTS[name], mail=changed))
    assert world.cycle().exit_code == 4
    assert world.cron_job("evil")["spec"] == before["spec"]
    assert world.cron_job("gone"), "a revision with any problem deletes nothing"
    assert world.cron_job("mail")["spec"]["schedule"] == "18 3 * * *"
    assert world.cron_job("new")
    for told in world.log.of("problem"):
        assert str(told["where"]).startswith("policies/evil.yaml:")
        assert str(told["error"]).isprintable()


@pytest.mark.parametrize("name", ["a\nb", "\x1b[2J", "\u202eb", "\udcff"])
def test_i9_a_name_reaches_no_log_raw(name: str) -> None:
    world = ControllerWorld()
    world.source.push(files("mail") | {f"policies/{name}.yaml": policy_yaml("evil")})
    assert world.cycle().exit_code == 4
    assert world.names("CronJob") == ["backstay-mail"]
    for _, message, fields in world.log.lines:
        assert f"{message}{fields.get('where', '')}{fields.get('error', '')}".isprintable()
