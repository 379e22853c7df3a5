"""A person names the commit that ends a rewritten branch: believed of the remembered tip only."""

from __future__ import annotations

import pytest

from reconciler.capture import message
from reconciler.engine.reanchor import Rewritten, accept_rewrite, look_at_rewrite
from reconciler.model.errors import Refused, Transient
from reconciler.model.store import render_revision
from tests.fakes.gitstore import FakeManifestStore
from tests.unit.engine.run_world import BRANCH, CLUSTER, SYSTEM, RunWorld
from tests.unit.engine.test_tips import remembered


def look(made: RunWorld, new: str) -> Rewritten:
    store = FakeManifestStore(made.remote)
    return look_at_rewrite(store, made.cluster, CLUSTER, "shop", new=new, namespace=SYSTEM)


def rewrite(made: RunWorld, old: str, policy: str = "shop", why: str = "x") -> str:
    """The first run and a commit that says it takes the place of ``old``."""
    first = made.commits()[-1].sha
    store = FakeManifestStore(made.remote)
    text = f"{why}\n\n{message.POLICY}: {policy}\n{message.REWRITTEN}: {old}\n"
    mark = store.commit(BRANCH, first, [], text, when=made.clock.now())
    made.remote.heads[BRANCH] = first
    store.push({BRANCH: mark})
    return mark


def two_runs() -> tuple[RunWorld, str]:
    made = RunWorld()
    made.run()
    return made, made.run(2).commit


def test_it_is_remembered_and_the_next_run_has_nothing_to_tell() -> None:
    made, old = two_runs()
    mark = rewrite(made, old)
    found = look(made, mark)
    assert (found.mark, found.memory.tip, found.tip, found.above) == (mark, old, mark, 0)
    assert remembered(made) == render_revision(BRANCH, old), "looking changes nothing"
    accept_rewrite(made.cluster, found, namespace=SYSTEM)
    assert remembered(made) == render_revision(BRANCH, mark)
    result = made.run(3)
    assert not made.log.of("branch rewound")
    assert made.commits()[1].sha == mark
    assert remembered(made) == render_revision(BRANCH, result.commit)
    # Once more: nothing to do.
    assert look(made, mark).mark == ""


def test_who_knows_the_old_tip_and_pushes_the_same_words_is_not_believed() -> None:
    made, old = two_runs()
    mine = rewrite(made, old)
    theirs = rewrite(made, old, why="after yours")
    with pytest.raises(Refused, match=f"has no commit {mine}") as caught:
        look(made, mine)
    assert "somebody has put another one in its place" in caught.value.hint
    assert theirs != mine
    assert remembered(made) == render_revision(BRANCH, old)


def test_a_history_that_was_not_pushed_is_told_though_nothing_is_to_be_accepted() -> None:
    made, old = two_runs()
    with pytest.raises(Refused, match="has no commit 00000"):
        look(made, "0" * 40)
    assert look(made, old).mark == ""


def test_what_lies_above_is_counted_and_not_taken_over() -> None:
    made, old = two_runs()
    mark = rewrite(made, old)
    store = FakeManifestStore(made.remote)
    top = store.commit(BRANCH, mark, [], "by somebody\n", when=made.clock.now())
    store.push({BRANCH: top})
    found = look(made, mark)
    assert (found.mark, found.tip, found.above) == (mark, top, 1)
    accept_rewrite(made.cluster, found, namespace=SYSTEM)
    assert remembered(made) == render_revision(BRANCH, mark)
    made.run(3)
    assert not made.log.of("branch rewound")


def test_a_run_that_wrote_meanwhile_is_not_written_over() -> None:
    made, old = two_runs()
    found = look(made, rewrite(made, old))
    made.run(3)
    seen = remembered(made)
    with pytest.raises(Transient, match="was written by somebody else meanwhile"):
        accept_rewrite(made.cluster, found, namespace=SYSTEM)
    assert remembered(made) == seen


@pytest.mark.parametrize("wrong", ["another tip", "another policy", "not a word"])
def test_what_does_not_take_the_remembered_tips_place_is_refused(wrong: str) -> None:
    made, old = two_runs()
    if wrong == "not a word":
        new = made.commits()[-1].sha
        made.remote.heads[BRANCH] = new
    else:
        told = "0" * 40 if wrong == "another tip" else old
        new = rewrite(made, told, "blog" if wrong == "another policy" else "shop")
    with pytest.raises(Refused, match=f"takes the place of {old}, the tip that is remembered"):
        look(made, new)
    assert remembered(made) == render_revision(BRANCH, old)


def test_a_branch_that_is_gone_or_was_never_remembered() -> None:
    made, old = two_runs()
    accept_rewrite(made.cluster, look(made, old), namespace=SYSTEM)
    assert remembered(made) == render_revision(BRANCH, old)
    del made.remote.heads[BRANCH]
    with pytest.raises(Refused, match="there is no branch"):
        look(made, old)
