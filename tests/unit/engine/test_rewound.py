"""What a run writes of a rewound branch stays in the cluster until it is mended, or accepted.

And a run goes on whatever comes of that: backups must not stop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from reconciler.engine.reanchor import accept_rewrite, look_at_rewrite
from reconciler.model import naming
from reconciler.model.errors import Refused, Transient
from reconciler.model.run import Outcome
from reconciler.model.store import render_revision
from reconciler.plan.rewinds import Rewind, find_rewound, read_rewinds, render_rewinds
from tests.fakes.cluster import FakeCluster
from tests.fakes.gitstore import FakeManifestStore
from tests.unit.engine.run_world import BRANCH, CLUSTER, HOME, RUN_IDS, SYSTEM, Crash, RunWorld
from tests.unit.engine.test_reanchor import rewrite
from tests.unit.engine.test_tips import remembered, rewound

LEASE = naming.tip_lease_name("shop")


def standing(made: RunWorld, lease: str = LEASE) -> tuple[Rewind, ...]:
    """What stands in the Lease."""
    found = find_rewound(made.cluster.all("Lease")).get(lease)
    return found.rewinds if found else ()


def alarms(warnings: Sequence[str]) -> list[str]:
    return [one for one in warnings if one.startswith("branch ")]


def lost_tip(made: RunWorld) -> str:
    return remembered(made).partition("@sha1:")[2]


def annotate(made: RunWorld, **annotations: str) -> None:
    """Somebody writes into the Lease."""
    (lease,) = (one for one in made.cluster.all("Lease") if one["metadata"]["name"] == LEASE)
    made.cluster.edit(lease, lambda raw: raw["metadata"]["annotations"].update(annotations))


def accept(made: RunWorld, new: str) -> bool:
    """``backstay adopt --rewritten shop --tip NEW``; whether there was something to write."""
    store = FakeManifestStore(made.remote)
    found = look_at_rewrite(store, made.cluster, CLUSTER, "shop", new=new, namespace=SYSTEM)
    accept_rewrite(made.cluster, found, namespace=SYSTEM)
    return not found.empty


class Deputy(FakeCluster):
    """The same cluster, asked by a run whose writes go wrong."""

    def __init__(self, made: RunWorld) -> None:
        super().__init__(now=made.clock.now)
        self.__dict__ = made.cluster.__dict__


def is_finding(changes: Any) -> bool:
    return list((changes.get("metadata") or {}).get("annotations") or ()) == [naming.REWOUND]


def test_what_was_expected_and_found_stands_beside_the_new_tip() -> None:
    made = rewound()
    expected, found = lost_tip(made), made.remote.heads[BRANCH]
    result = made.run(3)
    (one,) = standing(made)
    assert (one.expected, one.found, one.run) == (expected, found, RUN_IDS[2])
    assert one.at.startswith("2026-")
    assert remembered(made) == render_revision(BRANCH, result.commit)
    assert result.record.outcome is Outcome.COMPLETED


def test_a_branch_that_has_its_tip_gets_no_word_and_no_write_more() -> None:
    made = RunWorld()
    made.run()
    made.cluster.requests.clear()
    made.run(2)
    assert standing(made) == ()
    assert made.cluster.requests["patch"] == 1, "the tip"


def test_it_stays_while_runs_go_on_and_is_told_once() -> None:
    made = rewound()
    made.run(3)
    before = standing(made)
    result = made.run(4)
    assert standing(made) == before
    assert result.record.outcome is Outcome.COMPLETED
    assert result.record.warnings == ()
    assert remembered(made) == render_revision(BRANCH, result.commit)


def test_a_branch_that_is_gone_was_found_at_nothing() -> None:
    made = rewound()
    del made.remote.heads[BRANCH]
    made.run(3)
    assert [one.found for one in standing(made)] == [""]


def test_each_loss_of_a_branch_stands_there() -> None:
    made = rewound()
    first, second = made.remote.heads[BRANCH], lost_tip(made)
    third = made.run(3).commit
    made.remote.heads[BRANCH] = first
    made.run(4)
    assert [one.expected for one in standing(made)] == [second, third]


def test_the_lost_tip_is_back_and_the_word_is_gone() -> None:
    """A run has found it and died before its push; then the tip was pushed back."""
    made = rewound()
    expected = lost_tip(made)
    with pytest.raises(Crash):
        made.run(3, store=_dying(made))
    assert [one.expected for one in standing(made)] == [expected]
    assert lost_tip(made) == expected
    made.remote.heads[BRANCH] = expected
    result = made.run(4)
    assert alarms(result.record.warnings) == []
    assert standing(made) == ()
    assert made.log.of("branch has its lost tip again") == [{"branch": BRANCH}]


def test_the_lost_tip_is_put_over_what_a_run_has_made_since() -> None:
    """What was lost first is there again, and what that has cost is told."""
    made = rewound()
    expected = lost_tip(made)
    third = made.run(3).commit
    made.remote.heads[BRANCH] = expected
    made.run(4)
    assert [(one.expected, one.found) for one in standing(made)] == [(third, expected)]


def _dying(made: RunWorld) -> FakeManifestStore:
    store = FakeManifestStore(made.remote)

    def die(*_: object) -> str:
        raise Crash

    store.tree = die  # type: ignore[method-assign,assignment]
    return store


@pytest.mark.parametrize("written", [False, True])
def test_killed_at_the_write_the_next_run_tells_and_writes_it_once(written: bool) -> None:
    made = rewound()
    expected, found = lost_tip(made), made.remote.heads[BRANCH]

    class Killed(Deputy):
        def patch(self, ref: Any, changes: Any, **words: Any) -> Any:
            if is_finding(changes):
                if written:
                    super().patch(ref, changes, **words)
                raise Crash
            return super().patch(ref, changes, **words)

    with pytest.raises(Crash):
        made.run(3, writer=Killed(made))
    assert len(standing(made)) == written
    result = made.run(4)
    assert "was rewound or replaced" in result.record.warnings[0]
    assert [(one.expected, one.found) for one in standing(made)] == [(expected, found)]
    assert remembered(made) == render_revision(BRANCH, result.commit)


def test_what_can_not_be_written_at_once_is_written_with_the_tip() -> None:
    made = rewound()
    expected = lost_tip(made)

    class Shy(Deputy):
        def patch(self, ref: Any, changes: Any, **words: Any) -> Any:
            if is_finding(changes):
                raise Transient("etcd is away")
            return super().patch(ref, changes, **words)

    result = made.run(3, writer=Shy(made))
    assert result.record.outcome is Outcome.COMPLETED
    assert made.log.of("rewind not written")
    assert [one.expected for one in standing(made)] == [expected]
    assert remembered(made) == render_revision(BRANCH, result.commit)


def test_what_can_not_be_written_at_all_stays_for_the_next_run() -> None:
    made = rewound()
    expected = lost_tip(made)

    class Refusing(Deputy):
        def patch(self, ref: Any, changes: Any, **words: Any) -> Any:
            if ref.kind == "Lease":
                raise Refused("no right to")
            return super().patch(ref, changes, **words)

    assert made.run(3, writer=Refusing(made)).record.outcome is Outcome.COMPLETED
    assert standing(made) == ()
    assert lost_tip(made) == expected, "the next run looks for it again"
    made.remote.heads[BRANCH] = made.commits()[-1].sha
    made.run(4)
    assert [one.expected for one in standing(made)] == [expected]


def test_two_runs_find_the_same_of_the_clusters_branch() -> None:
    """Of another policy, say: it writes first, between this one's look and its write."""
    made = RunWorld()
    first = made.run().commit and made.remote.heads[HOME]
    store = FakeManifestStore(made.remote)
    moved = store.commit(HOME, first, [], "somebody's", when=made.clock.now())
    store.push({HOME: moved})
    made.run(2)
    made.remote.heads[HOME] = first
    theirs = Rewind(expected=moved, found=first, at="2026-11-21T00:00:00Z", run="mail-1")

    class Slow(Deputy):
        met = False

        def patch(self, ref: Any, changes: Any, **words: Any) -> Any:
            if is_finding(changes) and not Slow.met:
                Slow.met = True
                (raw,) = (one for one in self.all("Lease") if one["metadata"]["name"] == ref.name)
                text = render_rewinds(HOME, (theirs,))
                self.edit(
                    raw, lambda old: old["metadata"]["annotations"].update({naming.REWOUND: text})
                )
            return super().patch(ref, changes, **words)

    result = made.run(3, writer=Slow(made))
    assert Slow.met
    assert result.record.warnings[0].startswith(f"branch {HOME} was rewound or replaced")
    assert standing(made, naming.CLUSTER_TIP_LEASE) == (theirs,)
    assert remembered(made, naming.CLUSTER_TIP_LEASE).endswith(made.remote.heads[HOME])


def test_adopted_between_look_and_write_it_is_no_alarm() -> None:
    made = rewound()
    mark = rewrite(made, lost_tip(made))

    class Late(Deputy):
        met = False

        def patch(self, ref: Any, changes: Any, **words: Any) -> Any:
            if is_finding(changes) and not Late.met:
                Late.met = True
                assert accept(made, mark)
            return super().patch(ref, changes, **words)

    result = made.run(3, writer=Late(made))
    assert Late.met
    assert standing(made) == ()
    assert alarms(result.record.warnings) == []
    assert remembered(made) == render_revision(BRANCH, result.commit)


def test_adopted_during_a_run_it_stays_adopted() -> None:
    made = rewound()
    mark = rewrite(made, lost_tip(made))

    class Late(FakeManifestStore):
        def push(self, *arguments: Any, **words: Any) -> Any:
            assert accept(made, mark)
            self.push = super().push  # type: ignore[method-assign]
            return super().push(*arguments, **words)

    made.run(3, store=Late(made.remote))
    assert standing(made) == ()
    assert remembered(made) == render_revision(BRANCH, mark)
    assert made.run(4).record.warnings == ()
    assert standing(made) == ()


def test_a_purge_that_is_told_after_a_run_has_found_it_ends_the_alarm() -> None:
    made = rewound()
    mark = rewrite(made, lost_tip(made))
    result = made.run(3)
    assert len(standing(made)) == 1
    assert accept(made, mark)
    assert standing(made) == ()
    assert remembered(made) == render_revision(BRANCH, result.commit), "the run is not forgotten"
    assert not accept(made, mark)


def test_of_a_run_that_found_it_and_died_the_same_word_ends_both() -> None:
    made = rewound()
    found = made.remote.heads[BRANCH]
    with pytest.raises(Crash):
        made.run(3, store=_dying(made))
    assert accept(made, found)
    assert standing(made) == ()
    assert remembered(made) == render_revision(BRANCH, found)
    assert made.run(4).record.warnings[0].startswith(f"run {RUN_IDS[1]} is not on the branch")
    assert standing(made) == ()


def test_before_a_run_has_found_it_nobodys_word_is_enough() -> None:
    made = rewound()
    with pytest.raises(Refused, match="takes the place of"):
        accept(made, made.remote.heads[BRANCH])


def test_a_person_accepts_up_to_the_commit_that_they_name() -> None:
    made = rewound()
    first, second = made.remote.heads[BRANCH], lost_tip(made)
    third = made.run(3).commit
    fourth = made.run(4).commit
    made.remote.heads[BRANCH] = third
    made.run(5)
    assert [one.expected for one in standing(made)] == [second, fourth]
    with pytest.raises(Refused, match="has no commit"):
        accept(made, second)
    assert accept(made, first)
    assert [one.expected for one in standing(made)] == [fourth]
    assert not accept(made, first)
    assert accept(made, third)
    assert standing(made) == ()


def test_of_a_branch_that_was_gone_every_commit_is_a_word() -> None:
    made = rewound()
    del made.remote.heads[BRANCH]
    new = made.run(3).commit
    assert accept(made, new)
    assert standing(made) == ()


@pytest.mark.parametrize(
    "text", ["nonsense", render_rewinds("clusters/old/shop", (Rewind(expected="a"),))]
)
def test_nonsense_and_another_branchs_word_are_cleaned_away(text: str) -> None:
    made = RunWorld()
    made.run()
    annotate(made, **{naming.REWOUND: text})
    assert made.run(2).record.warnings == ()
    (lease,) = (one for one in made.cluster.all("Lease") if one["metadata"]["name"] == LEASE)
    assert naming.REWOUND not in lease["metadata"]["annotations"]


def test_no_run_fails_because_an_old_loss_can_not_be_looked_for() -> None:
    made = rewound()
    made.run(3)
    before = standing(made)

    class Deep(FakeManifestStore):
        def log(self, branch: str, *, limit: int = 0) -> Any:
            if branch == BRANCH and limit == 0:
                raise Transient("the server gives no more")
            return super().log(branch, limit=limit)

    result = made.run(4, store=Deep(made.remote))
    assert result.record.outcome is Outcome.COMPLETED
    assert made.log.of("lost tip not looked for")
    assert standing(made) == before
    assert read_rewinds(render_rewinds(BRANCH, before)) is not None
