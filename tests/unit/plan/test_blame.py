"""Since which version each field has its value; how an object is named."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.model.errors import UsageError
from reconciler.model.store import Commit
from reconciler.plan.blame import Version, attribute
from reconciler.plan.diff import render_path
from reconciler.plan.objectnames import ObjectName, parse_object

WHEN = datetime(2026, 11, 21, tzinfo=UTC)


def version(number: int) -> Version:
    commit = Commit(sha=f"{number}" * 40, parents=(), time=WHEN, subject="", trailers={})
    return Version(commit, f"run{number}", WHEN, "a", "b")


def blame(*manifests: dict[str, Any] | None) -> dict[str, str]:
    """Oldest first; field → the run since which it has its value."""
    versions = [(version(number), body) for number, body in enumerate(manifests)]
    found = attribute(reversed(versions))
    return {f"{render_path(one.field.path)}={one.field.value}": one.version.run for one in found}


def test_each_field_has_its_own_age() -> None:
    assert blame({"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 2, "b": 1, "c": {}}) == {
        "a=2": "run1",
        "b=1": "run0",
        "c={}": "run2",
    }


def test_what_went_and_came_back_is_as_old_as_its_coming_back() -> None:
    assert blame({"a": 1}, {"a": 2}, {"a": 1}) == {"a=1": "run2"}
    assert blame({"a": 1}, None, {"a": 1}) == {"a=1": "run2"}


def test_items_that_moved_stay_as_old_as_they_are() -> None:
    first = {"env": [{"name": "A", "v": 1}], "args": ["x", "x"]}
    second = {"env": [{"name": "B", "v": 2}, {"name": "A", "v": 1}], "args": ["y", "x", "x"]}
    found = blame(first, second)
    assert found.pop("env[name=A].v=1") == found.pop("args[]=x") == "run0"
    assert found.pop("env[name=A].name=A") == "run0"
    assert set(found.values()) == {"run1"}


def test_nothing_older_is_asked_for_when_all_is_explained() -> None:
    def versions() -> Iterator[tuple[Version, dict[str, Any]]]:
        yield version(2), {"a": 2}
        yield version(1), {"a": 1}
        raise AssertionError("asked for more")

    assert [one.version.run for one in attribute(versions())] == ["run2"]
    assert attribute([]) == ()


def test_values_of_a_secret_are_held_against_each_other_and_not_shown() -> None:
    head = {"apiVersion": "v1", "kind": "Secret"}
    found = blame({**head, "data": {"a": "x", "b": "y"}}, {**head, "data": {"a": "z", "b": "y"}})
    assert found["data.a=(hidden)"] == "run1"
    assert found["data.b=(hidden)"] == "run0"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["shop/deployment.apps/web"], ObjectName("shop", "deployment.apps", "web")),
        (["shop", "Deployment", "web"], ObjectName("shop", "deployment", "web")),
        (["namespace/shop"], ObjectName("", "namespace", "shop")),
        (["_cluster", "namespace", "shop"], ObjectName("", "namespace", "shop")),
    ],
)
def test_names_of_objects(words: list[str], found: ObjectName) -> None:
    assert parse_object(words) == found
    assert parse_object([str(found)]) == found


@pytest.mark.parametrize("words", [["web"], ["a/b/c/d"], ["a", "b/c", "d"], ["a//b"], [""]])
def test_what_names_no_object(words: list[str]) -> None:
    with pytest.raises(UsageError):
        parse_object(words)
