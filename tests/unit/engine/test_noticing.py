"""New applications, noticed by the watch or by the timer; and what all that costs while idle."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.engine.noticing import Noticer
from reconciler.engine.reflector import Reflector
from reconciler.engine.waking import Waker
from reconciler.model import kinds
from reconciler.model.cluster import Claim, Namespace
from reconciler.model.errors import Transient
from reconciler.model.figures import Unprotected
from reconciler.plan.observe import claim_of, namespace_of
from tests.fakes.faults import FaultyReader
from tests.fakes.watch import FakeWatch
from tests.unit.engine.controller_world import BROKEN, ControllerWorld, files, policy_yaml
from tests.unit.engine.test_waking import FakeBell

HEAD = "apiVersion: backstay.dev/v1alpha1\n"
EXEMPTION = """\
kind: Exemption
metadata: {name: scratch}
spec:
  match: {namespaces: ["scratch-*"]}
  reason: rebuilt every night
  owner: team-ci
  expires: 2027-03-31
"""


class Scene:
    """A controller in memory with the watches beside it, moved by hand."""

    def __init__(self, *, watched: bool = True, world: ControllerWorld | None = None) -> None:
        self.world = world or ControllerWorld()
        self.watch = FakeWatch(self.world.cluster)
        self.waker = Waker(FakeBell())
        self.counts: list[Unprotected | None] = []
        self.namespaces: Reflector[Namespace] = Reflector(
            self.watch, kinds.NAMESPACES, namespace_of,
            changed=lambda: self.waker.hint("namespaces"), reporter=self.world.log,
        )  # fmt: skip
        self.claims: Reflector[Claim] = Reflector(
            self.watch, kinds.CLAIMS, claim_of,
            changed=lambda: self.waker.hint("claims"), reporter=self.world.log,
        )  # fmt: skip
        self.watched = watched
        self.noticer = Noticer(
            self.known, reporter=self.world.log, clock=self.world.clock, counted=self.counts.append
        )

    def known(self) -> tuple[tuple[Namespace, ...], tuple[Claim, ...]] | None:
        namespaces, claims = self.namespaces.known(), self.claims.known()
        return None if namespaces is None or claims is None else (namespaces, claims)

    def look(self) -> None:
        """The watches hear what happened."""
        if self.watched:
            self.namespaces.step()
            self.claims.step()

    def cycle(self, **ports: Any) -> None:
        """One cycle."""
        setting = self.noticer.begin(self.world.setting)
        self.noticer.end(self.world.cycle(known=setting.known, **ports))

    def put(self, name: str) -> None:
        """Somebody makes a namespace."""
        self.world.cluster.put(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        )

    def told(self) -> list[tuple[str, str]]:
        """(what, verdict) of each new application."""
        lines = self.world.log.of("new application")
        return [(str(line["what"]), str(line["verdict"])) for line in lines]


@pytest.fixture(params=[True, False], ids=["watch", "timer"])
def scene(request: pytest.FixtureRequest) -> Scene:
    """Return a scene that has seen one cycle, with the watches or without."""
    scene = Scene(watched=request.param)
    shops = policy_yaml("shop").replace(b"[shop]", b'["shop*"]')
    scene.world.source.push(files(shop=shops))
    scene.look()
    scene.cycle()
    return scene


def test_the_first_look_tells_a_count_and_no_newcomers(scene: Scene) -> None:
    assert scene.told() == []
    assert scene.world.log.of("unprotected") == [{"namespaces": 1, "claims": 0}]
    assert scene.counts == [Unprotected(namespaces=1, claims=0)]


def test_a_new_namespace_is_told_once_and_counted(scene: Scene) -> None:
    scene.put("shop-2")
    scene.put("wiki")
    scene.look()
    for _ in range(3):
        scene.cycle()
    assert scene.told() == [
        ("namespace shop-2", "protected by shop from its next run at 2026-11-22T02:17Z"),
        ("namespace wiki", "unprotected: no policy selects it"),
    ]
    assert scene.counts[-1] == Unprotected(namespaces=2, claims=0)
    assert len(scene.world.log.of("unprotected")) == 2


def test_an_exemption_counts_by_the_time_that_it_is_also_after_a_clock_was_set_back() -> None:
    scene = Scene()
    exempt = (HEAD + EXEMPTION).encode()
    scene.world.source.push(files("shop", exempt=exempt))
    scene.put("scratch-1")
    scene.look()
    counted = []
    for days in (0, 365, -365):
        scene.world.clock.sleep(days * 86400)
        scene.cycle()
        found = scene.counts[-1]
        assert found is not None
        counted.append(found.namespaces)
    assert counted == [1, 2, 1]


def test_it_is_told_before_a_cycle_that_git_holds_up() -> None:
    scene = Scene()
    scene.world.source.push(files("shop"))
    scene.look()
    scene.cycle()
    scene.put("shop")
    scene.look()
    scene.noticer.begin(scene.world.setting)
    assert [what for what, _ in scene.told()] == ["namespace shop"]


def test_it_is_told_by_the_schedule_that_a_broken_document_left() -> None:
    scene = Scene()
    shops = policy_yaml("shop").replace(b"[shop]", b'["shop*"]')
    scene.world.source.push(files("mail", shop=shops))
    scene.look()
    scene.cycle()
    scene.world.source.push(files("mail", shop=BROKEN))
    scene.cycle()
    scene.put("shop-2")
    scene.look()
    scene.cycle()
    assert [verdict[:17] for _, verdict in scene.told()] == ["protected by shop"]


def test_what_no_schedule_runs_protects_nothing() -> None:
    scene = Scene()
    scene.world.source.push(files("mail"))
    scene.look()
    scene.cycle()
    scene.world.source.push(files("mail", "shop"))
    scene.world.cluster.put(
        {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {"name": "backstay-shop", "namespace": "backstay-system"},
            "spec": {"schedule": "0 0 * * *"},
        }
    )
    scene.cycle()
    scene.put("shop")
    scene.look()
    scene.cycle()
    assert scene.told() == [("namespace shop", "unprotected: no policy selects it")]


def test_it_is_told_by_the_last_good_policies_while_git_is_away() -> None:
    scene = Scene()
    scene.world.source.push(files("shop"))
    scene.look()
    scene.cycle()
    scene.world.source.failures += [Transient("away")] * 2
    scene.put("shop")
    scene.look()
    scene.cycle()
    assert [verdict[:17] for _, verdict in scene.told()] == ["protected by shop"]


def test_a_merge_is_not_told_as_if_the_cluster_had_changed(scene: Scene) -> None:
    scene.put("wiki")
    scene.look()
    scene.cycle()
    scene.world.log.take()
    scene.world.source.push(files("wiki"))
    scene.cycle()
    assert scene.told() == []
    assert scene.counts[-1] == Unprotected(namespaces=1, claims=0)


def test_an_unreadable_cluster_is_unknown_and_ends_nothing() -> None:
    scene = Scene(watched=False)
    scene.world.source.push(files("shop"))
    reader = FaultyReader(scene.world.cluster, lambda found, _: found == kinds.NAMESPACES)
    setting = scene.world.setting
    object.__setattr__(setting, "reader", reader)
    scene.cycle()
    assert scene.counts == [None]


def test_a_storm_of_namespaces_is_some_lines_and_one_hint() -> None:
    scene = Scene()
    scene.world.source.push(files("shop"))
    scene.look()
    scene.cycle()
    for number in range(250):
        scene.put(f"n{number}")
    scene.look()
    scene.cycle()
    assert len(scene.told()) == 200
    assert scene.world.log.of("and more") == [{"of": "new application", "count": 50}]


def test_idle_costs_at_most_ten_requests_a_minute() -> None:
    scene = Scene()
    scene.world.source.push(files("mail", "shop"))
    scene.look()
    scene.cycle()
    scene.world.cluster.requests.clear()
    scene.watch.requests.clear()
    minutes, ends = 10, 1  # after which each watch ends and is made again
    for minute in range(minutes):
        scene.world.clock.sleep(60)
        scene.cycle()
        if minute % (minutes // ends) == 0:
            scene.look()
    cycles = scene.world.cluster.requests.total() - 2 * ends  # the fake watch reads pages itself
    assert scene.watch.requests == {"changes": 2 * ends}
    assert cycles + scene.watch.requests.total() <= 10 * minutes
