"""Lists are read ahead by threads that end with their reader, and tell what they could not read."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from reconciler.engine.listing import Page, discovered, list_all
from reconciler.model.errors import Incomplete, Refused
from reconciler.model.objects import Gap
from tests.fakes.cluster import FakeCluster
from tests.fakes.faults import FaultyReader
from tests.fakes.kubekinds import kind
from tests.unit.engine.run_world import manifest

MAPS, SECRETS = kind("ConfigMap"), kind("Secret")


def full_cluster(count: int = 30) -> FakeCluster:
    cluster = FakeCluster(page_size=1)
    for number in range(count):
        cluster.put(manifest("ConfigMap", f"c{number:02}", "default"))
    return cluster


def reading() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "listing"]


def test_every_page_comes_once_and_those_of_one_kind_in_their_order() -> None:
    cluster = full_cluster(3)
    cluster.put(manifest("Secret", "s", "default"))
    found = list(list_all(cluster, [(MAPS, "default"), (SECRETS, "")]))
    names = [
        raw["metadata"]["name"] for page in found if isinstance(page, Page) for raw in page.items
    ]
    assert sorted(names) == ["c00", "c01", "c02", "s"]
    assert [name for name in names if name != "s"] == ["c00", "c01", "c02"]
    assert reading() == []


def test_a_list_that_fails_is_a_gap_and_the_next_one_goes_on() -> None:
    cluster = full_cluster(2)
    cluster.put(manifest("Secret", "s", "default"))
    error = Refused("list secrets: HTTP 403")
    reader = FaultyReader(cluster, lambda resource, _: resource == SECRETS, error=error)
    found = list(list_all(reader, [(SECRETS, "default"), (MAPS, "default")]))
    gap = Gap(
        group="", plural="secrets", namespace="default", folder="secret", reason=error.message
    )
    assert [item for item in found if isinstance(item, Gap)] == [gap]
    assert len(found) == 3


QUICK = 0.001
"""Seconds; Python gives back a little less than it was told."""


@pytest.fixture
def usual() -> Iterator[float]:
    """Python's own switch interval, whatever the test before left."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.005)
    yield sys.getswitchinterval()
    sys.setswitchinterval(before)


@pytest.mark.parametrize("left_early", [False, True])
def test_threads_take_turns_quickly_only_while_lists_are_read(
    left_early: bool, usual: float
) -> None:
    """Python's 5 ms, some times per request, are a third of the time of many small lists."""
    seen = list[float]()

    class Watched(FakeCluster):
        def pages(self, *arguments: Any, **where: Any) -> Iterator[list[dict[str, Any]]]:
            seen.append(sys.getswitchinterval())
            return super().pages(*arguments, **where)

    cluster = Watched()
    cluster.put(manifest("ConfigMap", "c", "default"))
    with closing(list_all(cluster, [(MAPS, "default")])) as found:
        assert len(list(found) if not left_early else [next(found)]) == 1
    assert len(seen) == 1
    assert seen[0] < QUICK < usual
    assert sys.getswitchinterval() == pytest.approx(usual, rel=0.01)


def test_of_two_that_list_at_once_the_last_one_puts_the_turns_back(usual: float) -> None:
    first, second = (list_all(full_cluster(), [(MAPS, "default")]) for _ in range(2))
    with closing(first), closing(second):
        next(first)
        next(second)
        first.close()
        assert sys.getswitchinterval() < QUICK, "the second one still lists"
    assert sys.getswitchinterval() == pytest.approx(usual, rel=0.01)


def test_two_lists_are_asked_for_at_the_same_time() -> None:
    """Each waits for the other one: read one after the other they would never end."""
    together = threading.Barrier(2, timeout=30)

    class Meeting(FakeCluster):
        def pages(self, *_: Any, **__: Any) -> Iterator[list[dict[str, Any]]]:
            together.wait()
            yield [manifest("ConfigMap", "c", "default")]

    assert len(list(list_all(Meeting(), [(MAPS, ""), (SECRETS, "")]))) == 2


def test_one_outage_is_waited_for_once_and_breaks_no_list() -> None:
    together = threading.Barrier(2, timeout=30)
    away, waits = True, []

    class Away(FakeCluster):
        def pages(self, *_: Any, **__: Any) -> Iterator[list[dict[str, Any]]]:
            if away:
                together.wait()
                raise Incomplete("list: no answer")
            yield [manifest("ConfigMap", "c", "default")]

    def was_away(_: Callable[[], bool]) -> bool:
        nonlocal away
        waits.append(away)
        was, away = away, False
        return was

    found = list(list_all(Away(), [(MAPS, ""), (SECRETS, "")], was_away))
    assert [type(item) for item in found] == [Page, Page]
    assert waits == [True]


def test_a_reader_that_leaves_early_takes_the_threads_with_it() -> None:
    with closing(list_all(full_cluster(), [(MAPS, ""), (MAPS, "default")])) as found:
        next(found)
        assert len(reading()) == 2
    assert reading() == []


def test_four_pages_are_in_memory_at_most() -> None:
    """One is read, one waits, two come: the first two are told by what was asked for."""
    asked: list[int] = []

    class Counted(FakeCluster):
        def pages(self, *_: Any, **__: Any) -> Iterator[list[dict[str, Any]]]:
            for number in range(6):
                asked.append(number)
                yield [manifest("ConfigMap", f"c{number}", "default")]

    with closing(list_all(Counted(), [(MAPS, ""), (SECRETS, "")])) as found:
        for taken, _ in enumerate(found, 1):
            time.sleep(0.02)  # they could run further ahead now
            assert len(asked) <= taken + 3


def test_what_is_no_error_of_ours_is_raised_where_it_is_seen() -> None:
    class Broken(FakeCluster):
        def pages(self, *_: Any, **__: Any) -> Iterator[list[dict[str, Any]]]:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(list_all(Broken(), [(MAPS, "")]))
    assert reading() == []


def test_a_cluster_that_names_no_kinds_is_incomplete() -> None:
    cluster = FakeCluster()
    cluster.resources = []
    with pytest.raises(Incomplete) as caught:
        discovered(cluster)
    assert caught.value.hint
