"""A reflector's copy: believed while it is heard of, and never asked for fast."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.engine.reflector import Reflector
from reconciler.model import kinds
from reconciler.model.cluster import Namespace
from reconciler.model.errors import BackstayError, Expired, Refused, Transient
from reconciler.model.objects import ObjectRef
from reconciler.plan.observe import namespace_of
from tests.fakes.cluster import FakeCluster
from tests.fakes.reporter import FakeReporter
from tests.fakes.watch import FakeWatch


class Scene:
    """A cluster, a watch of its namespaces, and how often something was news.

    Reading the namespace ``odd`` fails, in a way that no adapter knows.
    """

    def __init__(self, odd: str = "") -> None:
        self._odd = odd
        self.cluster = FakeCluster()
        self.watch = FakeWatch(self.cluster)
        self.reporter = FakeReporter()
        self.news = 0
        self.reflector: Reflector[Namespace] = Reflector(
            self.watch, kinds.NAMESPACES, self._parse, changed=self._changed,
            reporter=self.reporter,
        )  # fmt: skip

    def _parse(self, raw: dict[str, Any]) -> Namespace:
        if raw["metadata"]["name"] == self._odd:
            raise KeyError(self._odd)
        return namespace_of(raw)

    def _changed(self) -> None:
        self.news += 1

    def put(self, name: str, **labels: str) -> None:
        metadata = {"name": name, "labels": labels}
        self.cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})

    def delete(self, name: str) -> None:
        self.cluster.delete(ObjectRef(group="", kind="Namespace", namespace="", name=name))

    def names(self) -> set[str] | None:
        known = self.reflector.known()
        return None if known is None else {found.name for found in known}


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_it_knows_nothing_before_its_first_list(scene: Scene) -> None:
    assert scene.names() is None
    scene.reflector.step()
    assert scene.names() == {"default", "kube-system"}
    assert scene.news == 1


def test_what_comes_changes_and_goes_is_known_and_news_once(scene: Scene) -> None:
    scene.reflector.step()
    scene.put("shop")
    scene.reflector.step()
    assert scene.names() == {"default", "kube-system", "shop"}
    assert scene.news == 2
    scene.reflector.step()
    assert scene.news == 2
    scene.put("shop", team="a")
    scene.reflector.step()
    assert scene.news == 3
    scene.delete("shop")
    scene.reflector.step()
    assert scene.names() == {"default", "kube-system"}
    assert scene.news == 4


def test_what_does_not_matter_is_no_news(scene: Scene) -> None:
    scene.reflector.step()
    raw = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}
    scene.cluster.put({**raw, "status": {"phase": "Active", "conditions": [{"type": "X"}]}})
    scene.reflector.step()
    assert scene.news == 1


def test_it_lists_once_and_then_goes_on_by_versions(scene: Scene) -> None:
    for number in range(20):
        scene.put(f"n{number}")
        scene.reflector.step()
    assert scene.watch.requests == {"listing": 1, "changes": 20}


def test_too_old_a_version_means_a_list_and_what_was_missed_is_news(scene: Scene) -> None:
    scene.reflector.step()
    scene.put("shop")
    scene.watch.forget()
    assert scene.reflector.step() == 1.0
    assert scene.names() is None
    scene.reflector.step()
    assert scene.names() == {"default", "kube-system", "shop"}
    assert scene.watch.requests["listing"] == 2
    assert scene.news == 2
    assert scene.reporter.lines == []


@pytest.mark.parametrize("error", [Transient("cut"), Refused("forbidden")])
def test_a_copy_that_nobody_keeps_up_is_not_shown(scene: Scene, error: BackstayError) -> None:
    scene.reflector.step()
    scene.watch.failures = [error]
    scene.reflector.step()
    assert scene.names() is None
    scene.put("shop")
    scene.reflector.step()
    assert scene.names() == {"default", "kube-system", "shop"}
    assert scene.watch.requests["listing"] == 1


def test_each_failure_waits_longer_and_success_forgets_them(scene: Scene) -> None:
    scene.watch.failures = [Transient("away")] * 9
    waits = [scene.reflector.step() for _ in range(9)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert scene.reflector.step() == 1.0
    scene.watch.failures = [Transient("away")]
    assert scene.reflector.step() == 1.0


def test_lists_that_expire_again_and_again_wait_longer(scene: Scene) -> None:
    scene.reflector.step()
    scene.watch.failures = [Expired("gone")] * 4
    assert [scene.reflector.step() for _ in range(4)] == [1, 2, 4, 8]
    assert scene.names() is None


@pytest.mark.parametrize("during", ["list", "watch"])
def test_an_error_that_nobody_foresaw_hides_the_copy_and_ends_nothing(during: str) -> None:
    scene = Scene(odd="shop")
    if during == "watch":
        scene.reflector.step()
    scene.put("shop")
    assert [scene.reflector.step() for _ in range(3)] == [1, 2, 4]
    assert scene.names() is None
    assert scene.reporter.of("unexpected error")[0]["kind"] == "KeyError"
    (told,) = scene.reporter.of("watch interrupted")
    assert "the watch of namespaces" in str(told["error"])
    scene.delete("shop")
    assert scene.reflector.step() == 1.0
    assert scene.names() == {"default", "kube-system"}


def test_streams_that_end_at_once_wait_longer(scene: Scene) -> None:
    scene.watch.bookmarks = False
    assert [scene.reflector.step() for _ in range(4)] == [1, 2, 4, 8]
    assert scene.names() == {"default", "kube-system"}


def test_who_is_refused_asks_seldom_and_is_told_once(scene: Scene) -> None:
    scene.watch.failures = [Refused("not allowed", hint="grant it")] * 3
    assert [scene.reflector.step() for _ in range(3)] == [300, 300, 300]
    assert [line[1] for line in scene.reporter.lines] == ["watch interrupted"]


def test_an_outage_is_told_again_after_it_had_ended(scene: Scene) -> None:
    for _ in range(2):
        scene.watch.failures = [Transient("away"), Transient("away")]
        for _ in range(4):
            scene.reflector.step()
    assert len(scene.reporter.of("watch interrupted")) == 2


def test_it_runs_until_it_is_told_to_stop(scene: Scene) -> None:
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return len(waits) == 3

    scene.reflector.run(wait)
    assert waits == [1.0, 1.0, 1.0]
