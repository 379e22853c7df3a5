"""What a person is told who names a recovery point that is not there."""

from __future__ import annotations

import pytest

from reconciler.engine.reading import PointFinder
from reconciler.model.errors import Refused
from reconciler.plan.pointnames import PointName
from tests.fakes.gitstore import FakeManifestStore
from tests.unit.engine.run_world import CLUSTER, RunWorld

GONE = "shop-20200101-000000-00000"


@pytest.fixture
def store() -> FakeManifestStore:
    world = RunWorld()
    world.run()
    return FakeManifestStore(world.remote)


@pytest.mark.parametrize(
    "name",
    [
        PointName("shop", "latest", 1),
        PointName("shop", "2020-01-01"),
        PointName("shop", GONE),
        PointName("", "f" * 9),
    ],
)
def test_a_shallow_clone_says_that_older_runs_are_missing(
    store: FakeManifestStore, name: PointName
) -> None:
    for shallow in (True, False):
        finder = PointFinder(store, CLUSTER, shallow=shallow)
        for find in (finder.find, finder.find_recorded):
            with pytest.raises(Refused) as error:
                find(name)
            assert ("git fetch --unshallow" in error.value.hint) == shallow
            # What helps otherwise is told as well.
            assert "backstay log" in error.value.hint or "newest complete" in error.value.hint
            assert error.value.hint.count("--unshallow") <= 1


@pytest.mark.parametrize(("name", "told"), [("99e96", True), ("nobody", False)])
def test_a_commit_of_few_digits_is_told_how_many_it_needs(
    store: FakeManifestStore, name: str, told: bool
) -> None:
    with pytest.raises(Refused, match="there is no branch") as error:
        PointFinder(store, CLUSTER).points(name)
    assert ("a commit needs its first 7 digits at least" in error.value.hint) == told
    assert "policies with runs: shop" in error.value.hint
