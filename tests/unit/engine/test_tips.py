"""A branch that was rewound or replaced is noticed by a run that has never seen it."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model import naming
from reconciler.model.errors import Transient
from reconciler.model.run import Outcome
from reconciler.model.store import render_revision
from tests.fakes.cluster import FakeCluster
from tests.fakes.gitstore import FakeManifestStore
from tests.unit.engine.run_world import BRANCH, HOME, RUN_IDS, Crash, RunWorld, manifest


def remembered(made: RunWorld, lease: str = "backstay-tip-shop") -> str:
    for found in made.cluster.all("Lease"):
        if found["metadata"]["name"] == lease:
            assert found["metadata"]["labels"][naming.COMPONENT] == "state"
            return str(found["metadata"]["annotations"][naming.TIP])
    return ""


def anchor(made: RunWorld, told: str) -> None:
    """As the hint says: kubectl annotate --overwrite."""
    (lease,) = (
        one for one in made.cluster.all("Lease") if one["metadata"]["name"] == "backstay-tip-shop"
    )
    made.cluster.edit(lease, lambda raw: raw["metadata"].update(annotations={naming.TIP: told}))


def rewound(runs: int = 2) -> RunWorld:
    """After two runs somebody pushed the first one again, by force."""
    made = RunWorld()
    first = made.run().commit
    for number in range(2, runs + 1):
        made.run(number)
    made.remote.heads[BRANCH] = first
    return made


def test_what_a_run_pushed_is_remembered() -> None:
    made = RunWorld()
    assert remembered(made) == ""
    for number in (1, 2):
        result = made.run(number)
        assert remembered(made) == render_revision(BRANCH, result.commit)
    assert remembered(made, "backstay-cluster-tip") == render_revision(
        HOME, made.remote.heads[HOME]
    )


def test_a_branch_that_was_rewound_is_told_by_the_next_run() -> None:
    made = rewound()
    lost = remembered(made).partition("@sha1:")[2]
    result = made.run(3)
    (alarm,) = made.log.of("branch rewound")
    assert (alarm["branch"], alarm["remembered"]) == (BRANCH, lost)
    told, other = result.record.warnings
    assert told.startswith(f"branch {BRANCH} was rewound or replaced: its tip was commit {lost}")
    assert other.startswith(f"run {RUN_IDS[1]} is not on the branch")
    assert result.record.outcome is Outcome.COMPLETED, "nothing would be backed up otherwise"
    assert made.run(4).record.warnings == (), "said once"


def test_a_run_that_fails_tells_it_as_well() -> None:
    made = rewound()
    made.repository("_cluster").id = "f" * 64
    record = made.run(3).record
    assert record.outcome is Outcome.FAILED
    assert any("was rewound or replaced" in told for told in record.warnings)


def test_a_run_that_dies_before_it_told_leaves_the_alarm_to_the_next() -> None:
    made = rewound()
    store = FakeManifestStore(made.remote)

    def dying(*_: object) -> str:
        raise Crash

    store.tree = dying  # type: ignore[method-assign,assignment]
    with pytest.raises(Crash):
        made.run(3, store=store)
    assert "was rewound or replaced" in made.run(4).record.warnings[0]


def test_a_failed_run_remembers_its_commit_too() -> None:
    made = RunWorld()
    made.run()
    made.repository("_cluster").id = "f" * 64
    result = made.run(2)
    assert result.record.outcome is Outcome.FAILED
    assert remembered(made) == render_revision(BRANCH, result.commit)


def test_a_branch_that_was_replaced_or_deleted_stops_it_too() -> None:
    for head in ("another", None):
        made = rewound()
        if head is None:
            del made.remote.heads[BRANCH]
        else:
            other = RunWorld()
            other.cluster.put(manifest("ConfigMap", "other"))
            made.remote.heads[BRANCH] = other.run().commit
            made.remote.commits |= other.remote.commits
        told, *_ = made.run(3).record.warnings
        assert told.startswith(f"branch {BRANCH} was rewound or replaced")


def test_the_clusters_own_branch_is_remembered_as_well() -> None:
    made = RunWorld()
    home = made.run().commit and made.remote.heads[HOME]
    store = FakeManifestStore(made.remote)
    moved = store.commit(HOME, home, [], "somebody's", when=made.clock.now())
    store.push({HOME: moved})
    assert made.run(2).record.warnings == ()
    made.remote.heads[HOME] = home
    (told,) = made.run(3).record.warnings
    assert told.startswith(f"branch {HOME} was rewound or replaced: its tip was commit {moved}")


def test_put_back_before_the_next_run_it_is_no_alarm() -> None:
    made = rewound()
    made.remote.heads[BRANCH] = remembered(made).partition("@sha1:")[2]
    assert made.run(3).record.warnings == ()


def test_a_person_says_which_commit_is_right() -> None:
    made = rewound(3)
    anchor(made, render_revision(BRANCH, made.remote.heads[BRANCH]))
    result = made.run(4)
    assert not made.log.of("branch rewound")
    assert remembered(made) == render_revision(BRANCH, result.commit)


def test_commits_of_others_on_top_are_no_rewind() -> None:
    made = RunWorld()
    made.run()
    store = FakeManifestStore(made.remote)
    tip = made.remote.heads[BRANCH]
    for number in range(60):
        tip = store.commit(BRANCH, tip, [], f"note {number}", when=made.clock.now())
    store.push({BRANCH: tip})
    assert made.run(2).record.warnings == ()


def test_another_clusters_name_or_nonsense_is_no_memory() -> None:
    for told in ("clusters/old/shop@sha1:" + "a" * 40, "nonsense", ""):
        made = rewound()
        anchor(made, told)
        made.run(3)
        assert not made.log.of("branch rewound")


class Shy(FakeCluster):
    """An API server that takes no Lease that nobody holds."""

    def patch(self, *_: Any, **__: Any) -> None:
        raise Transient("etcd is away")


def test_what_can_not_be_remembered_is_told_and_spoils_nothing() -> None:
    made = RunWorld()
    made.run()
    told = remembered(made)
    shy = Shy(now=made.clock.now)
    shy.__dict__ = made.cluster.__dict__
    assert made.run(2, writer=shy).record.outcome is Outcome.COMPLETED
    assert remembered(made) == told
    assert made.log.of("tip not remembered")
    assert made.run(3).record.outcome is Outcome.COMPLETED, "the older tip is still below"
