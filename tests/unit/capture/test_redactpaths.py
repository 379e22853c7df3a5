"""Many paths at once: what a hostile policy on its own object can cost, counted in states."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pytest

from reconciler.capture import redactpaths
from reconciler.model import fieldpaths
from reconciler.model.fieldpaths import Into, Step
from reconciler.model.redaction import MOST_PATHS, MOST_WILDCARDS

Paths = dict[int, fieldpaths.Path]


class Watched(redactpaths.Machine):
    """Counts what it makes, and the most that it remembers."""

    def __init__(self, paths: Paths, most: int) -> None:
        self.peak = self.places = self.states = 0
        super().__init__(paths, most=most)

    def make(self, places: Mapping[int, Any]) -> redactpaths.State:
        """As ever."""
        self.states += 1
        self.places += len(places)
        made = super().make(places)
        self.peak = max(self.peak, self.remembered)
        return made


def two_keys(depth: int) -> Any:
    """Each node has two keys, so its way is like no other's."""
    return {"k": two_keys(depth - 1), "x": two_keys(depth - 1)} if depth else 1


def varied(least: int, most: int, steps: int = 12) -> Paths:
    """Paths with ``k`` in every place but for ``least`` to ``most`` wildcards, the first 500."""
    chosen = itertools.chain.from_iterable(
        itertools.combinations(range(steps), number) for number in range(least, most + 1)
    )
    return {
        number: fieldpaths.parse(
            ".".join(("spec", *("*" if step in stars else "k" for step in range(steps))))
        )
        for number, stars in enumerate(itertools.islice(chosen, MOST_PATHS))
    }


def found_one_by_one(paths: Paths, found: Any) -> set[redactpaths.Keys]:
    """Scalars at the paths or below, found the plain way."""
    hits: set[redactpaths.Keys] = set()

    def walk(value: Any, keys: redactpaths.Keys) -> None:
        for key, part in value.items():
            way = (*keys, key)
            if isinstance(part, dict):
                walk(part, way)
            elif any(fits(path, way) for path in paths.values()):
                hits.add(way)

    walk({"spec": found["spec"]}, ())
    return hits


def fits(path: fieldpaths.Path, keys: redactpaths.Keys) -> bool:
    return len(path) <= len(keys) and all(
        step in (Step(Into.MAP, None), Step(Into.MAP, str(key)))
        for step, key in zip(path, keys, strict=False)
    )


def tree(depth: int) -> dict[str, Any]:
    return {"metadata": {}, "spec": two_keys(depth)}


@pytest.mark.parametrize("most", [1, 300, 1_000_000])
def test_a_bound_on_what_is_remembered_changes_no_hit(most: int) -> None:
    paths = {number: path[:8] for number, path in varied(5, 7, steps=7).items()}
    machine = Watched(paths, most)
    for _ in range(2):
        hits = machine.find(tree(8), annotations_only=False)
        assert set(hits) == found_one_by_one(paths, tree(8))
    assert machine.hit == frozenset(paths)
    assert machine.ends_at(tree(8), ("spec", *"kkkkkkk")) == tuple(paths)
    assert machine.ends_at(tree(8), ("spec", *"kkkkkkk", "x")) == ()


def test_in_the_midst_of_one_object_no_more_is_remembered() -> None:
    """As many states as nodes: the object is one, so the bound is asked while it is walked."""
    most = 2 * MOST_PATHS
    machine = Watched(varied(9, 12), most)
    machine.find(tree(8), annotations_only=False)
    assert machine.states >= 2**8
    assert machine.places > 5 * most
    assert machine.peak <= most


def test_few_wildcards_are_in_few_nodes_together() -> None:
    """Also where nothing is remembered: of two keys each path fits eight ways of a length."""
    machine = Watched(varied(3, MOST_WILDCARDS), 1)
    depth = 11
    machine.find(tree(depth), annotations_only=False)
    assert machine.places <= MOST_PATHS * 2**MOST_WILDCARDS * (depth + 2)
    assert machine.places < 2**depth * 20


def test_a_hostile_policy_looks_at_no_value_twice() -> None:
    """500 paths, each with wildcards in other places, all of which match all of an object."""
    deep: Any = "x"
    for _ in range(10):
        deep = {"a": deep, "b": "y"}
    chosen = [
        ".".join("*" if number >> step & 1 else "a" for step in range(9)) for number in range(500)
    ]
    paths = {number: fieldpaths.parse(path) for number, path in enumerate(chosen)}
    machine = Watched(paths, 1_000_000)
    found: dict[str, Any] = {"metadata": {}, "a": deep, "spec": deep}
    hits = machine.find(found, annotations_only=False)
    assert len(hits) == 8
    made = machine.states
    assert made < 200
    machine.find(found, annotations_only=False)
    assert machine.states == made


def test_what_was_hit_is_known_when_states_are_forgotten() -> None:
    paths = {number: fieldpaths.parse(f"*.k{number}") for number in range(300)}
    machine = Watched(paths, 400)
    for number in range(300):
        found: dict[str, Any] = {"metadata": {}, "spec": {f"k{number}": "x"}}
        assert machine.find(found, annotations_only=False) == {("spec", f"k{number}"): number}
    assert machine.peak <= 400
    assert machine.states > 300
    assert machine.hit == frozenset(range(300))
