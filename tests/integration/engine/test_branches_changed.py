"""Branches that somebody else moved, truly: a commit on top, a rewind, a deletion, garbage.

A run goes on from what is there, never by force. What a branch has lost is named by what restic
still holds of it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.model.errors import ForeignCluster, Refused
from reconciler.model.run import Outcome
from reconciler.model.volumes import MoveResult, MoveTask
from tests.integration.engine.git_world import GitWorld
from tests.unit.engine.run_world import BRANCH, HOME, MARKER, RUN_IDS, put_shop

WHO = {
    f"GIT_{role}_{part}": value
    for role in ("AUTHOR", "COMMITTER")
    for part, value in (("NAME", "Jane"), ("EMAIL", "jane@example.org"))
}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[GitWorld]:
    """An empty manifest repository and a shop."""
    made = GitWorld(tmp_path)
    yield made
    for store in made.opened:
        store.close()


def runs(world: GitWorld) -> list[str]:
    """Ids of the runs on the branch, newest first."""
    shape = "--format=%(trailers:key=Backstay-Run,valueonly,separator=)"
    return world.git("log", shape, BRANCH).split()


def shell(world: GitWorld, command: str) -> None:
    """A person's commands in a clone of the manifest repository."""
    clone = world.folder / "person"
    if not clone.exists():
        subprocess.run(["git", "clone", "--quiet", world.server, clone], check=True)
    subprocess.run(
        ["sh", "-ec", command], cwd=clone, check=True, capture_output=True,
        env={**os.environ, **WHO},
    )  # fmt: skip


def test_an_outsiders_commit_stays_below(world: GitWorld) -> None:
    world.run()
    shell(
        world,
        f"git switch -q {BRANCH}; echo hands off > NOTES.md; rm shop/configmap/settings.yaml;"
        " git add -A; git commit -qm 'By hand'; git push -q",
    )
    theirs = world.git("rev-parse", BRANCH).strip()
    record = world.run(2).record
    assert record.outcome is Outcome.COMPLETED
    assert record.warnings == ()
    assert world.git("rev-parse", f"{BRANCH}~").strip() == theirs
    files = world.git("ls-tree", "-r", "--name-only", BRANCH).split()
    assert {"NOTES.md", "shop/configmap/settings.yaml"} <= set(files)
    assert record.namespaces[0].objects.created == 1, "what they took away is there again"


def test_a_rewound_branch_is_gone_on_from_and_what_it_lost_is_named(world: GitWorld) -> None:
    commits = [world.run(number).commit for number in (1, 2, 3)]
    world.git("update-ref", f"refs/heads/{BRANCH}", commits[0])
    record = world.run(4).record
    assert record.outcome is Outcome.COMPLETED
    assert runs(world) == [RUN_IDS[3], RUN_IDS[0]]
    alarm, second, third = record.warnings
    assert alarm.startswith(f"branch {BRANCH} was rewound or replaced: its tip was commit")
    assert commits[2] in alarm
    for text, lost in ((second, RUN_IDS[1]), (third, RUN_IDS[2])):
        assert text.startswith(f"run {lost} is not on the branch: ")
        kept = [s.id[:8] for s in world.repository("shop").snapshots if f"run:{lost}" in s.tags]
        assert all(f"shop/{name}" in text for name in kept)
    assert world.run(5).record.warnings == (), "said once"
    world.lose_shop()
    assert world.restored().filled == 1


def test_a_rewound_branch_whose_commits_are_pushed_back_has_them_again(world: GitWorld) -> None:
    first, second = (world.run(number).commit for number in (1, 2))
    world.git("update-ref", f"refs/heads/{BRANCH}", first)
    world.git("update-ref", f"refs/heads/{BRANCH}", second)
    assert world.run(3).record.warnings == ()
    assert runs(world) == [RUN_IDS[2], RUN_IDS[1], RUN_IDS[0]]


def test_a_branch_that_is_rewound_during_a_run_is_whole_again(world: GitWorld) -> None:
    first, _ = (world.run(number).commit for number in (1, 2))

    def rewind(task: MoveTask) -> MoveResult:
        world.git("update-ref", f"refs/heads/{BRANCH}", first)
        return world.move(task)

    world.mover._effect = rewind
    record = world.run(3).record
    assert record.outcome is Outcome.COMPLETED
    # The run's commit stands on what it had read: pushing it is no force, and brings that back.
    assert world.log.of("push rejected, committing on top") == []
    assert runs(world) == [RUN_IDS[2], RUN_IDS[1], RUN_IDS[0]]


def test_a_branch_that_is_deleted_during_a_run_is_begun_anew(world: GitWorld) -> None:
    world.run()

    def delete(task: MoveTask) -> MoveResult:
        world.git("update-ref", "-d", f"refs/heads/{BRANCH}")
        return world.move(task)

    world.mover._effect = delete
    record = world.run(2).record
    assert record.outcome is Outcome.COMPLETED
    assert runs(world)[0] == RUN_IDS[1]


def test_a_deleted_branch_is_begun_anew_and_what_it_had_is_named(world: GitWorld) -> None:
    world.run(1)
    world.run(2)
    world.git("update-ref", "-d", f"refs/heads/{BRANCH}")
    record = world.run(3).record
    assert record.outcome is Outcome.COMPLETED
    assert runs(world) == [RUN_IDS[2]]
    assert [text.split()[1] for text in record.warnings] == [BRANCH, RUN_IDS[0], RUN_IDS[1]]
    assert "shop/secret/db.yaml" in world.git("ls-tree", "-r", "--name-only", BRANCH)
    world.lose_shop()
    assert world.restored().filled == 1


def test_a_deleted_branch_of_the_cluster_stops_everything(world: GitWorld) -> None:
    world.run()
    world.git("update-ref", "-d", f"refs/heads/{HOME}")
    with pytest.raises(ForeignCluster, match="is missing"):
        world.run(2)
    assert runs(world) == [RUN_IDS[0]]


@pytest.mark.parametrize("path", ["_cluster.yaml", "_repositories.yaml"])
def test_garbage_on_the_clusters_branch_is_mended_by_what_the_error_says(
    world: GitWorld, path: str
) -> None:
    world.run()
    put_shop(world.cluster, "shop-two")
    world.run(2)
    good = world.git("show", f"{HOME}:{path}")
    shell(world, f"git switch -q {HOME}; echo 'a: [' > {path}; git commit -qam Oops; git push -q")
    try:
        error: Exception | None = world.run(3).error
    except Refused as raised:
        error = raised
    assert isinstance(error, Refused)
    _, _, command = error.hint.partition("in a clone: ")
    shell(world, command)
    assert world.git("show", f"{HOME}:{path}") == good
    assert world.run(4).record.outcome is Outcome.COMPLETED
    assert MARKER not in world.log.text()
