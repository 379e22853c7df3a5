"""Runs whose commits are Git's own; what is read back with git, `log` and `show` from a clone."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from reconciler.adapters.gitstore import GitManifestStore
from reconciler.capture import record
from reconciler.cli.main import run as backstay
from reconciler.model.errors import Transient
from reconciler.model.run import Outcome
from tests.fakes.keyring import MASTER
from tests.integration.engine.git_world import GitWorld
from tests.unit.engine.run_world import (
    BRANCH,
    HOME,
    MARKER,
    RUN_IDS,
    Crash,
    manifest,
    put_shop,
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[GitWorld]:
    """An empty manifest repository and a shop."""
    made = GitWorld(tmp_path)
    yield made
    for store in made.opened:
        store.close()


def test_a_second_run_is_one_changed_file_and_a_restore_reads_it_back(world: GitWorld) -> None:
    first = world.run()
    assert first.record.outcome is Outcome.COMPLETED
    second = world.run(2)
    changed = world.git("diff", "--name-only", first.commit, second.commit)
    assert changed.split() == ["_run.yaml"]
    assert world.git("rev-parse", BRANCH).strip() == second.commit
    text = world.git("show", f"{BRANCH}:_run.yaml").encode()
    assert record.parse_record(text) == second.record
    assert f"Backstay-Run: {RUN_IDS[1]}" in world.git("log", "-1", "--format=%(trailers)", BRANCH)
    world.lose_shop()
    assert world.restored().filled == 1
    assert world.restore().plan().empty
    world.run(3)
    assert world.git("diff", "--name-only", f"{BRANCH}~", BRANCH).split() == ["_run.yaml"]


def test_i3_no_git_object_holds_a_value(world: GitWorld) -> None:
    world.run()
    world.cluster.edit(manifest("Secret", "db"), lambda raw: raw["data"].update(more="bW9yZQ=="))
    world.run(2)
    coded = world.cluster.all("Secret")[0]["data"]["password"]
    objects = world.git("cat-file", "--batch-all-objects", "--batch", "--unordered")
    assert "hmac-sha256:" in objects
    for secret in (MARKER, coded, MASTER):
        assert secret not in objects


class Dying(GitManifestStore):
    """Dies right before or right after the push of the policy's branch."""

    pushed = False

    def push(self, tips: Mapping[str, str]) -> None:
        if BRANCH not in tips or self.pushed:
            super().push(tips)
        if BRANCH in tips:
            raise Crash


@pytest.mark.parametrize("pushed", [False, True])
def test_i11_killed_around_the_push_and_started_again(world: GitWorld, pushed: bool) -> None:
    store = world.git_store()
    store.__class__ = Dying
    Dying.pushed = pushed
    with pytest.raises(Crash):
        world.run(store=store)
    assert world.run(pod="run-1-b").record.outcome is Outcome.COMPLETED
    runs = world.git("log", "--format=%(trailers:key=Backstay-Run,valueonly,separator=)", BRANCH)
    assert runs.split() == [RUN_IDS[0]]
    assert world.mover.begun["shop", "files"] == 1


class Raced(GitManifestStore):
    """Somebody pushes between our look and our push, truly; once."""

    rival: GitManifestStore | None = None

    def push(self, tips: Mapping[str, str]) -> None:
        if BRANCH in tips and Raced.rival is not None:
            other, Raced.rival = Raced.rival, None
            tip = other.tip(BRANCH)
            commit = other.begin(BRANCH, tip)
            commit.write("shop/configmap/by-hand.yaml", b"kind: ConfigMap\n")
            assert tip is not None
            moved = commit.finish("By hand\n", when=next(other.log(BRANCH)).time)
            other.push({BRANCH: moved})
        super().push(tips)


@pytest.mark.parametrize("fails", [False, True])
def test_a_commit_between_look_and_push_stays_below(world: GitWorld, fails: bool) -> None:
    world.run()
    if fails:
        world.storage.failure = Transient("storage away")
    store = world.git_store()
    store.__class__ = Raced
    Raced.rival = world.git_store()
    result = world.run(2, store=store)
    subjects = world.git("log", "--format=%s", BRANCH).splitlines()
    assert subjects[1] == "By hand"
    assert len(subjects) == 3
    assert world.git("rev-parse", BRANCH).strip() == result.commit
    kept = "shop/configmap/by-hand.yaml" in world.git("ls-tree", "-r", "--name-only", BRANCH)
    assert kept is fails, "a complete run says what there is; a failed one says nothing"


def test_two_policies_share_the_clusters_branch(world: GitWorld) -> None:
    world.run()
    put_shop(world.cluster, "shop-two")
    world.run(2)
    entries = record.parse_repositories(world.git("show", f"{HOME}:_repositories.yaml").encode())
    assert [entry.namespace for entry in entries] == ["_cluster", "shop", "shop-two"]


def test_log_and_show_need_a_clone_and_nothing_else(
    world: GitWorld, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.run()
    world.storage.failure = Transient("storage away")
    failed = world.run(2)
    clone = str(world.clone())
    monkeypatch.chdir(world.folder)
    assert backstay(["log", "shop", "--clone", clone]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [
        [RUN_IDS[1], "Failed"],
        [RUN_IDS[0], "Completed"],
    ]
    assert backstay(["log", "shop", "-n", "1", "--clone", clone, "-o", "json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["runs"]
    assert (one["run"], one["outcome"]) == (RUN_IDS[1], "Failed")
    assert backstay(["show", "run", RUN_IDS[0], "--clone", clone]) == 0
    assert "claim files: Direct" in capsys.readouterr().out
    assert backstay(["show", "run", RUN_IDS[0], "--clone", clone, "-o", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["record"]["namespaces"][0]["volumes"][0]["claim"] == "files"
    assert backstay(["show", "run", failed.commit, "--policy", "shop", "--clone", clone]) == 0
    assert "storage away" in capsys.readouterr().out


def test_somebodys_commit_on_top_stops_neither_log_nor_the_next_run(
    world: GitWorld, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.run()
    clone = world.clone()
    git = ["git", "-C", str(clone), "-c", "user.name=jane", "-c", "user.email=j@example.org"]
    subprocess.run([*git, "checkout", "--quiet", BRANCH], check=True)
    (clone / "_run.yaml").write_text("garbage: [\n")
    subprocess.run([*git, "commit", "--quiet", "--all", "--message", "By hand"], check=True)
    subprocess.run([*git, "push", "--quiet"], check=True)
    made = world.git("rev-parse", BRANCH).strip()
    monkeypatch.chdir(world.folder)
    assert backstay(["log", "shop", "--clone", str(clone)]) == 0
    said = capsys.readouterr()
    assert RUN_IDS[0] in said.out
    assert made in said.err
    assert made not in said.out
    assert world.run(2).record.outcome is Outcome.COMPLETED
    assert world.log.of("commit passed over, no run made it")[0]["commit"] == made


@pytest.mark.parametrize(
    ("arguments", "code", "hint"),
    [
        (["log", "blog"], 1, "policies with runs: shop"),
        (["log", "shop", "--cluster", "other"], 1, "clusters that have branches: prod-eu"),
        (["show", "run", "shop-20200101-000000-aaaaa"], 1, "backstay log"),
        (["show", "run", "deadbeef"], 1, "backstay log"),
        (["show", "run", "deadbeef", "--policy", "shop"], 1, "backstay log"),
    ],
)
def test_what_is_not_there_is_told_with_a_way_out(
    world: GitWorld,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    hint: str,
) -> None:
    world.run()
    assert backstay([*arguments, "--clone", str(world.clone())]) == code
    errors = capsys.readouterr().err
    assert "error: " in errors
    assert hint in errors


def test_a_folder_that_is_no_clone_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    assert backstay(["log", "shop", "--clone", str(tmp_path)]) == 2
    assert "no clone of a manifest repository" in capsys.readouterr().err
    plain = tmp_path / "plain"
    plain.mkdir()
    assert backstay(["log", "shop", "--clone", str(plain)]) != 0
    assert "Traceback" not in capsys.readouterr().err
