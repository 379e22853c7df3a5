"""A person says that a branch was rewritten: believed of the remembered tip, and of no other."""

from __future__ import annotations

import pytest

from reconciler.capture import message
from reconciler.engine.reanchor import Rewritten, accept_rewrite, look_at_rewrite
from reconciler.model.errors import Refused, Transient
from reconciler.model.store import render_revision
from tests.fakes.gitstore import FakeManifestStore
from tests.unit.engine.run_world import BRANCH, CLUSTER, SYSTEM, RunWorld
from tests.unit.engine.test_tips import remembered


def look(made: RunWorld) -> Rewritten:
    store = FakeManifestStore(made.remote)
    return look_at_rewrite(store, made.cluster, CLUSTER, "shop", namespace=SYSTEM)


def rewrite(made: RunWorld, old: str, policy: str = "shop") -> str:
    """The first run and a commit that says it takes the place of ``old``."""
    first = made.commits()[-1].sha
    store = FakeManifestStore(made.remote)
    text = f"x\n\n{message.POLICY}: {policy}\n{message.REWRITTEN}: {old}\n"
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
    found = look(made)
    assert (found.mark, found.memory.tip, found.tip) == (mark, old, mark)
    assert remembered(made) == render_revision(BRANCH, old), "looking changes nothing"
    accept_rewrite(made.cluster, found, namespace=SYSTEM)
    assert remembered(made) == render_revision(BRANCH, mark)
    result = made.run(3)
    assert not made.log.of("branch rewound")
    assert made.commits()[1].sha == mark
    assert remembered(made) == render_revision(BRANCH, result.commit)
    # Once more: nothing to do.
    assert look(made).mark == ""


def test_a_run_that_wrote_meanwhile_is_not_written_over() -> None:
    made, old = two_runs()
    rewrite(made, old)
    found = look(made)
    made.run(3)
    seen = remembered(made)
    with pytest.raises(Transient, match="was written by somebody else meanwhile"):
        accept_rewrite(made.cluster, found, namespace=SYSTEM)
    assert remembered(made) == seen


@pytest.mark.parametrize("wrong", ["another tip", "another policy", "not a word"])
def test_what_does_not_take_the_remembered_tips_place_is_refused(wrong: str) -> None:
    made, old = two_runs()
    if wrong == "not a word":
        made.remote.heads[BRANCH] = made.commits()[-1].sha
    else:
        told = "0" * 40 if wrong == "another tip" else old
        rewrite(made, told, "blog" if wrong == "another policy" else "shop")
    with pytest.raises(Refused, match=f"takes the place of {old}, the tip that is remembered"):
        look(made)
    assert remembered(made) == render_revision(BRANCH, old)


def test_a_branch_that_is_gone_or_was_never_remembered() -> None:
    made, old = two_runs()
    accept_rewrite(made.cluster, look(made), namespace=SYSTEM)
    assert remembered(made) == render_revision(BRANCH, old)
    del made.remote.heads[BRANCH]
    with pytest.raises(Refused, match="there is no branch"):
        look(made)
