"""Where ``backstay plan --merge-base`` begins: never where a history cut off would have it begin.

The author of a pull request writes the history of its head; a gate must not believe a part of it.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from reconciler.adapters.gitrevisions import GitRevisions
from reconciler.model.errors import Refused
from tests.integration.plan.test_change_from_git import clone, git, plan

DULL = 60
__all__ = ["clone"]  # a fixture


def import_history(folder: Path, stream: str) -> None:
    subprocess.run(
        ["git", "fast-import", "--quiet"],
        cwd=folder, input=stream.encode(), check=True, capture_output=True, timeout=60,
    )  # fmt: skip


def commit(branch: str, *more: str) -> str:
    """One commit of fast-import's; its parent is the branch's tip, where ``more`` names none."""
    who = "committer Ann <ann@example.org> 1700000000 +0000"
    return "\n".join([f"commit refs/heads/{branch}", who, "data 1", ".", *more, ""]) + "\n"


def add_detour(folder: Path) -> None:
    """Branches base and head; the head undoes what the base got, and hides where it left it.

    base: OLD, which is main without the policy shop, then main's tree (its tip). head: OLD's tree
    upon that tip, then 60 commits, then a merge with OLD.
    """
    tree, undo = f"M 040000 {git(folder, 'rev-parse', 'main^{tree}')} ", "D policies/shop.yaml"
    base = [commit("old", tree, undo), commit("base", "from refs/heads/old", tree)]
    head = [commit("head", "from refs/heads/base", undo), *[commit("head")] * DULL]
    import_history(folder, "".join([*base, *head, commit("head", "merge refs/heads/old")]))


def test_a_shallow_clone_never_hides_what_a_detour_removes(
    clone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With 50 commits of each, git itself takes the commit before the policies for the fork."""
    add_detour(clone)
    git(tmp_path, "init", "--quiet", "--bare", "ci.git")
    ci = tmp_path / "ci.git"
    refs = ("+refs/heads/head:refs/heads/head", "+refs/heads/base:refs/heads/base")
    fetch = ("fetch", "--quiet", "--no-tags")
    git(ci, *fetch, "--depth=50", f"file://{clone}", *refs)
    assert git(ci, "merge-base", "base", "head") == git(clone, "rev-parse", "old")
    asked = ("--base", "base", "--head", "head", "--merge-base", "--fail-on", "policy-removed")
    assert plan(ci, *asked) == 1
    said = capsys.readouterr()
    assert "error: a shallow clone can't tell where head left base" in said.err
    assert "git fetch --unshallow" in said.err
    assert said.out == ""
    git(ci, *fetch, "--unshallow", f"file://{clone}", *refs)
    assert plan(ci, *asked) == 1
    assert "policy shop is removed" in capsys.readouterr().out


def test_a_shallow_clone_knows_that_one_contains_the_other(clone: Path, tmp_path: Path) -> None:
    """What lies on a path that is here can't be undone by what is not."""
    git(clone, "commit", "--quiet", "--allow-empty", "--message", "More")
    git(tmp_path, "clone", "--quiet", "--depth=2", "--branch=change", f"file://{clone}", "ci")
    head, base = (git(clone, "rev-parse", name) for name in ("change", "change~1"))
    with GitRevisions(tmp_path / "ci") as found:
        assert found.shallow
        assert found.fork_point(base, head) == base
        assert found.fork_point(head, base) == base
        assert found.fork_point(head, head) == head


def test_of_several_forks_none_is_chosen(clone: Path) -> None:
    """Each side merged the other's first commit: what a merge gives, one of the two can't tell."""
    main, change = (git(clone, "rev-parse", name) for name in ("main", "change"))
    sides = commit("one", f"from {main}") + commit("two", f"from {main}", "D policies")
    left = commit("left", "from refs/heads/one", "merge refs/heads/two")
    right = commit("right", "from refs/heads/two", "merge refs/heads/one")
    import_history(clone, sides + left + right)
    ends = [git(clone, "rev-parse", name) for name in ("left", "right")]
    with GitRevisions(clone) as found:
        with pytest.raises(Refused, match="2 commits are the newest that both have") as caught:
            found.fork_point(*ends)
        assert "plan the merge" in caught.value.hint
        assert found.fork_point(main, change) == main


def test_what_the_base_got_since_is_said_to_be_left_out(
    clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("--base", "main", "--head", "change", "--merge-base")
    assert plan(clone, *asked) == 0
    assert "is left out" not in capsys.readouterr().out
    git(clone, "switch", "--quiet", "main")
    git(clone, "commit", "--quiet", "--allow-empty", "--message", "Something else")
    assert plan(clone, *asked) == 0
    said = capsys.readouterr().out
    assert "note: what main got since change left it is left out: plan the merge" in said
