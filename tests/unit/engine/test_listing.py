"""Lists are read ahead by a thread that ends with its reader, and tells what it could not read."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
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


def test_pages_come_in_the_order_of_the_targets() -> None:
    cluster = full_cluster(3)
    cluster.put(manifest("Secret", "s", "default"))
    found = list(list_all(cluster, [(MAPS, "default"), (SECRETS, "")]))
    names = [
        raw["metadata"]["name"] for page in found if isinstance(page, Page) for raw in page.items
    ]
    assert names == ["c00", "c01", "c02", "s"]
    assert reading() == []


def test_a_list_that_fails_is_a_gap_and_the_next_one_goes_on() -> None:
    cluster = full_cluster(2)
    cluster.put(manifest("Secret", "s", "default"))
    error = Refused("list secrets: HTTP 403")
    reader = FaultyReader(cluster, lambda resource, _: resource == SECRETS, error=error)
    found = list(list_all(reader, [(SECRETS, "default"), (MAPS, "default")]))
    assert found[0] == Gap(
        group="", plural="secrets", namespace="default", folder="secret", reason=error.message
    )
    assert len(found) == 3


def test_a_reader_that_leaves_early_takes_the_thread_with_it() -> None:
    with closing(list_all(full_cluster(), [(MAPS, "")])) as found:
        next(found)
        assert len(reading()) == 1
    assert reading() == []


def test_three_pages_are_in_memory_at_most() -> None:
    """One is read, one waits, one comes: the first two are told by what was asked for."""
    asked: list[int] = []

    class Counted(FakeCluster):
        def pages(self, *_: Any, **__: Any) -> Iterator[list[dict[str, Any]]]:
            for number in range(12):
                asked.append(number)
                yield [manifest("ConfigMap", f"c{number}", "default")]

    with closing(list_all(Counted(), [(MAPS, "")])) as found:
        for taken, _ in enumerate(found, 1):
            time.sleep(0.02)  # it could run further ahead now
            assert len(asked) <= taken + 2


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
