"""What verify knows of a history that was rewritten: which commits, and who knows of it."""

from __future__ import annotations

from reconciler.plan.rewrites import check_rewrites, rewritten_commits
from reconciler.plan.verify import Verdict

COMMITS = ["a0", "a1", "b2", "b3", "m4", "c5", "m6", "c7"]
FIRST = ("m4", "old4", "a1")
SECOND = ("m6", "old6", "m4")


def test_only_what_lies_between_was_made_anew() -> None:
    assert list(rewritten_commits([FIRST], COMMITS)) == ["b2", "b3"]
    assert list(rewritten_commits([FIRST, SECOND], COMMITS)) == ["b2", "b3", "c5"]
    assert list(rewritten_commits([("m4", "old", "")], COMMITS)) == COMMITS[:4]
    assert list(rewritten_commits([("m4", "old", "nowhere")], COMMITS)) == COMMITS[:4]


def test_it_is_not_proven_until_somebody_knows_of_it() -> None:
    first, second = check_rewrites([FIRST, SECOND], COMMITS, ["m4"])
    assert (first.verdict, second.verdict) == (Verdict.PROVEN, Verdict.UNPROVEN)
    assert first.message == (
        "as you know: commit m4 says that 2 commits below it were rewritten on purpose (the tip was"
        " old4); 3 came since"
    )
    assert second.message.endswith("1 came since; if you know of it: --rewritten m6")
    assert list(check_rewrites([], COMMITS, [])) == []


def test_the_beginning_of_an_id_vouches_for_nothing() -> None:
    (found,) = check_rewrites([FIRST], COMMITS, ["m"])
    assert found.verdict is Verdict.UNPROVEN
