"""Two controllers that somebody has started with different Configs: one stands back, nothing flaps.

And after the death of the first one the other does not delete what it does not know.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.engine.controller import Cycle
from reconciler.engine.keeper import StoodBack
from reconciler.model.config import ClusterConfig, Config
from reconciler.model.errors import Refused
from tests.fakes.faults import FaultyReader
from tests.fakes.policysource import FakePolicySource
from tests.unit.engine.busy_world import assert_settled, holder_of
from tests.unit.engine.controller_world import CONFIG, NAMESPACE, files, policy_yaml
from tests.unit.engine.mirror_world import MirrorWorld

OTHER_IMAGE = replace(CONFIG, image="backstay:2")
OTHER_SOURCE = replace(
    CONFIG,
    policy_source=replace(CONFIG.policy_source, url="ssh://git@git.example.org/theirs.git"),
)
OTHER_NAME = replace(CONFIG, cluster=ClusterConfig("staging"))
ONE, TWO = "backstay-controller-6f9c-aaaaa", "backstay-two-5d7b-ccccc"
ONE_AGAIN = "backstay-controller-6f9c-bbbbb"
ONE_UPGRADED = "backstay-controller-8e2a-zzzzz"


class TwoWorld(MirrorWorld):
    """Two controllers, each in a pod, each with its own Config and policies."""

    def __init__(self, other: Config) -> None:
        super().__init__()
        self.other = other
        self.theirs = self.source if other.policy_source == CONFIG.policy_source else _theirs()
        self.pods = {name: self.pod(name) for name in (ONE, TWO)}
        self.source.push(files("mail", "shop"))
        assert self.one().exit_code == 0

    def pod(self, name: str, *, phase: str = "Running") -> str:
        """A controller's pod begins, or ends in another phase; returns its name in a Lease."""
        labels = {"backstay.dev/component": "controller"}
        metadata = {"name": name, "namespace": NAMESPACE, "labels": labels}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": {"phase": phase}}
        return f"{name}/{self.cluster.put(body)['metadata']['uid']}"

    def remove_pod(self, name: str) -> None:
        """It is gone."""
        metadata = {"name": name, "namespace": NAMESPACE}
        self.cluster.remove({"apiVersion": "v1", "kind": "Pod", "metadata": metadata})

    def one(self, **changed: Any) -> Cycle:
        """A cycle of the first controller."""
        return self.cycle(**{"holder": self.pods[ONE], **changed})

    def two(self, **changed: Any) -> Cycle:
        """A cycle of the second one."""
        own = {"holder": self.pods[TWO], "config": self.other, "source": self.theirs}
        return self.cycle(**{**own, **changed})

    def image(self) -> str:
        """Of the schedule of `shop`."""
        pod = self.cron_job("shop")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        return str(pod["containers"][0]["image"])


def _theirs() -> FakePolicySource:
    source = FakePolicySource()
    source.push(files("docs", shop=policy_yaml("shop", "5 5 * * *")))
    return source


def everything(world: MirrorWorld) -> list[dict[str, Any]]:
    """All that is there."""
    return world.cluster.all()


@pytest.mark.parametrize("other", [OTHER_IMAGE, OTHER_SOURCE, OTHER_NAME])
def test_one_with_another_config_leaves_everything_as_it_is(other: Config) -> None:
    world = TwoWorld(other)
    before = everything(world)
    for _ in range(3):
        second = world.two()
        assert second.exit_code != 0
        assert world.one().exit_code == 0
        assert everything(world) == before, "not even the Lease was taken"
    told = str(world.log.of("cycle failed")[0] | {"shown": world.log.of("policies not shown")})
    assert f"another controller, {world.pods[ONE]}, is there" in told
    assert f"When the pod {ONE} is gone" in told


def test_the_first_one_goes_on_with_its_own_changes() -> None:
    world = TwoWorld(OTHER_IMAGE)
    world.two()
    world.source.push(files("mail", "news", "shop"))
    changed = replace(CONFIG, image="backstay:3")
    assert world.one(config=changed).exit_code == 0, "its own Config may change"
    assert world.image() == "backstay:3"
    assert isinstance(world.two().error, StoodBack)
    assert world.image() == "backstay:3"


@pytest.mark.parametrize("end", ["gone", "ended", "ending"])
def test_once_the_first_one_is_gone_the_other_goes_on_and_keeps_them(end: str) -> None:
    world = TwoWorld(OTHER_IMAGE)
    assert isinstance(world.two().error, StoodBack)
    if end == "gone":
        world.remove_pod(ONE)
    elif end == "ended":
        world.pod(ONE, phase="Failed")
    else:
        pod = next(raw for raw in world.cluster.all("Pod") if raw["metadata"]["name"] == ONE)
        told = {"deletionTimestamp": "2026-11-21T04:18:00Z"}
        world.cluster.edit(pod, lambda raw: raw["metadata"].update(told))
    assert world.two().exit_code == 0
    assert (world.image(), holder_of(world)) == ("backstay:2", "")
    world.pods[ONE] = world.pod(ONE_AGAIN)
    assert isinstance(world.one().error, StoodBack), "now the other's Config is in force"
    assert world.image() == "backstay:2"


def test_a_new_pod_with_a_new_config_is_no_second_controller() -> None:
    world = TwoWorld(OTHER_IMAGE)
    world.remove_pod(ONE)
    world.remove_pod(TWO)
    world.pods[ONE] = world.pod(ONE_UPGRADED)
    assert world.one(config=OTHER_IMAGE).exit_code == 0
    assert world.image() == "backstay:2"
    world.setting = replace(world.setting, holder=world.pods[ONE], config=OTHER_IMAGE)
    assert_settled(world)


def test_a_mistaken_one_does_not_win_because_the_first_one_has_had_nothing_to_write() -> None:
    """Its pod was made anew since, and its new name stands nowhere."""
    world = TwoWorld(OTHER_IMAGE)
    world.remove_pod(ONE)
    world.clock.sleep(60)
    world.pods[ONE] = world.pod(ONE_AGAIN)
    assert world.one().exit_code == 0
    assert isinstance(world.two().error, StoodBack)
    assert world.image() == "backstay:1"


NEW = replace(CONFIG, image="backstay:3")


@pytest.mark.parametrize("first", ["older", "younger"])
def test_of_two_with_one_new_config_the_older_one_notes_it_and_both_go_on(first: str) -> None:
    world = TwoWorld(NEW)
    for name in (ONE, TWO):
        world.remove_pod(name)
    older = world.pods[ONE] = world.pod(ONE_UPGRADED)
    world.clock.sleep(60)
    world.pods[TWO] = world.pod("backstay-controller-8e2a-aaaaa")
    world.source.push(files("mail", "news", "shop"))
    if first == "younger":
        error = world.two().error
        assert isinstance(error, StoodBack)
        assert older in error.message
        assert world.image() == "backstay:1"
    assert world.one(config=NEW).exit_code == 0
    assert (world.image(), holder_of(world)) == ("backstay:3", "")
    world.source.push(files("mail", "news", shop=policy_yaml("shop", "3 3 * * *")))
    assert world.two().exit_code == world.one(config=NEW).exit_code == 0
    assert world.cron_job("shop")["spec"]["schedule"] == "3 3 * * *"


def test_the_first_one_made_anew_with_a_new_config_goes_on_beside_a_mistaken_older_one() -> None:
    world = TwoWorld(OTHER_IMAGE)
    world.remove_pod(ONE)
    world.clock.sleep(60)
    world.pods[ONE] = world.pod(ONE_UPGRADED)
    for _ in range(2):
        assert isinstance(world.two().error, StoodBack)
        assert world.one(config=NEW).exit_code == 0
        assert world.image() == "backstay:3"


def test_of_two_strangers_the_older_one_goes_on_and_the_other_stands_back() -> None:
    world = TwoWorld(OTHER_IMAGE)
    world.remove_pod(ONE)
    world.clock.sleep(60)
    world.pods[ONE] = world.pod("a-third-6f9c-aaaaa")
    assert isinstance(world.one(config=NEW).error, StoodBack)
    assert world.two().exit_code == 0
    assert isinstance(world.one(config=NEW).error, StoodBack)
    assert world.image() == "backstay:2"


def test_two_with_the_same_config_write_either_of_them() -> None:
    world = TwoWorld(CONFIG)
    world.source.push(files("mail", "news", "shop"))
    assert world.two().exit_code == 0
    assert world.cron_job("news")
    world.source.push(files("mail", shop=policy_yaml("shop", "3 3 * * *")))
    assert world.one().exit_code == 0
    world.cluster.writes.clear()
    assert world.two().exit_code == world.one().exit_code == 0
    assert world.cluster.writes == []


def test_another_version_of_the_program_is_another_config() -> None:
    world = TwoWorld(OTHER_IMAGE)
    world.source.push(files("mail", shop=policy_yaml("shop", "3 3 * * *")))
    assert isinstance(world.two(config=CONFIG, program="backstay 2").error, StoodBack)


def test_who_may_not_list_pods_waits_for_nobody() -> None:
    world = TwoWorld(OTHER_IMAGE)
    denied = FaultyReader(world.cluster, lambda r, _: r.kind == "Pod", error=Refused("list pod"))
    assert world.two(reader=denied).exit_code == 0
    assert world.image() == "backstay:2"


@pytest.mark.parametrize(
    ("other", "why"),
    [(OTHER_SOURCE, "history was rewritten"), (OTHER_NAME, "ClusterRenamed")],
)
def test_i1_after_the_first_ones_death_the_other_deletes_none_of_its_schedules(
    other: Config, why: str
) -> None:
    """Another repository knows nothing of the first one's policies; so does another cluster."""
    world = TwoWorld(other)
    world.remove_pod(ONE)
    for _ in range(2):
        world.two()
        assert {"backstay-mail", "backstay-shop"} <= set(world.names("CronJob"))
        assert {"mail", "shop"} <= set(world.names("BackupPolicy"))
    told = str([fields for level, _, fields in world.log.lines if level == "warning"])
    assert why in told
