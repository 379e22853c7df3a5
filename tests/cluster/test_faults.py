"""Bad days of a run: the right outcome, a message that says what to do, and the next run succeeds.

Each fault is real: servers stop, processes get SIGKILL, somebody else pushes. Each test begins and
ends with a Completed run as the newest, and with nothing of ours in the application's namespace.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from reconciler.model.run import Outcome
from tests.rig.stage import Stage, faults
from tests.rig.stage.runs import BRANCH, Run, run_again
from tests.rig.stage.stage import NAMESPACE

VOLUMES = {"files", "data-db-0", "data-db-1"}


@pytest.fixture
def before(stage: Stage, first: Run) -> Iterator[Run]:
    """Return the newest run, which is good; check the order in which a test leaves things."""
    newest = Run(stage)
    if newest.record.outcome is not Outcome.COMPLETED:  # the test before this one failed
        newest = run_again(stage)
    yield newest
    stage.wait("nothing of ours is left", lambda: not faults.leftovers(stage))
    after = Run(stage)
    assert after.record.outcome is Outcome.COMPLETED
    assert newest.commit in after.history()


def latest(stage: Stage) -> str:
    """What a restore of ``latest`` would take."""
    return stage.backstay("restore", "shop", "--plan").stdout


def assert_whole(stage: Stage, run: Run, run_id: str) -> None:
    """One record, one snapshot per volume and one of the Secrets: nothing was copied twice."""
    assert run.record.name == run_id
    assert run.record.outcome is Outcome.COMPLETED
    assert run.recorded().count(run_id) == 1
    copied = faults.snapshots(stage, "shop", run_id)
    assert sorted(found["paths"][0] for found in copied) == sorted(f"/data/{v}" for v in VOLUMES)
    assert {found["id"] for found in copied} == {run.volumes()[claim].snapshot for claim in VOLUMES}
    assert run.record.secrets is not None
    (kept,) = faults.snapshots(stage, "_cluster", run_id)
    assert kept["id"] == run.record.secrets.snapshot


def assert_nothing_but_a_record(failed: Run, before: Run) -> None:
    """A Failed run says so on the branch; the tree stays as the last good run left it."""
    assert failed.record.outcome is Outcome.FAILED
    assert failed.changed_since(before) == ["_run.yaml"]
    assert failed.history()[1] == before.commit


def test_a_wrong_password(stage: Stage, before: Run) -> None:
    with faults.changed_password(stage):
        started = faults.start_run(stage)
        ended = started.finish()
    assert ended.code == 12
    assert "error: wrong password for restic repository 'main' (s3:" in ended.said
    assert "hint: RESTIC_PASSWORD of its Secret" in ended.said
    failed = Run(stage)
    assert_nothing_but_a_record(failed, before)
    (part,) = failed.record.namespaces
    assert "wrong password" in part.reasons[0]
    assert before.record.name in latest(stage)
    assert faults.snapshots(stage, "shop", started.run_id) == []

    assert run_again(stage).record.outcome is Outcome.COMPLETED


def test_the_storage_is_away(stage: Stage, before: Run) -> None:
    with faults.s3_away(stage):
        started = faults.start_run(stage)
        waiting = started.wait_for("trying again")
        assert waiting["what"] == "opening the repository of _cluster"
        assert "connection refused" in str(waiting["why"])
    assert started.finish().code == 0
    assert_whole(stage, Run(stage), started.run_id)


def test_the_storage_is_away_while_movers_copy(stage: Stage, before: Run) -> None:
    with faults.movers_frozen(stage) as started:
        pass
    with faults.s3_away(stage):
        assert not [job for job in started.movers() if job.get("status", {}).get("failed")]
    assert started.finish().code == 0
    assert_whole(stage, Run(stage), started.run_id)


def test_git_is_away_for_longer_than_the_run_may_take(stage: Stage, before: Run) -> None:
    with faults.git_away(stage):
        ended = faults.start_run(stage, deadline=100).finish()
    assert ended.code == 1
    assert "trying again" in ended.said
    assert "error: " in ended.said
    assert "the server could not be reached" in ended.said
    assert "check the server and the network" in ended.said
    assert Run(stage).commit == before.commit

    assert run_again(stage).record.outcome is Outcome.COMPLETED


def test_git_is_away_for_a_while(stage: Stage, before: Run) -> None:
    with faults.git_away(stage):
        started = faults.start_run(stage)
        assert started.wait_for("trying again", 2)["what"] == "reading the cluster's branch"
    assert started.finish().code == 0
    assert_whole(stage, Run(stage), started.run_id)


def test_somebody_pushes_between_fetch_and_push(stage: Stage, before: Run) -> None:
    clone = stage.clone_captures()
    stage.git("checkout", "--quiet", BRANCH, cwd=clone)
    (clone / "NOTES.md").write_text("Somebody else works here, too.\n")
    stage.git("add", "NOTES.md", cwd=clone)
    stage.git("commit", "--quiet", "-m", "Say that somebody else works here", cwd=clone)
    theirs = stage.git("rev-parse", "HEAD", cwd=clone).strip()

    with faults.movers_frozen(stage) as started:  # it has fetched, and can't push yet
        stage.git("push", "--quiet", "origin", f"HEAD:{BRANCH}", cwd=clone)
    ended = started.finish()
    assert ended.code == 0
    assert "push rejected, committing on top" in ended.said
    after = Run(stage)
    assert_whole(stage, after, started.run_id)
    assert after.history()[:3] == [after.commit, theirs, before.commit]
    assert "NOTES.md" in after.files()


def test_a_rewound_branch(stage: Stage, first: Run) -> None:
    newest = Run(stage)
    if newest.commit == first.commit:  # this test alone
        newest = run_again(stage)
    older = newest.history()[1]
    stage.git("update-ref", f"refs/heads/{BRANCH}", older, cwd=newest.bare)
    try:
        after = run_again(stage)
        what = "the policy's object says so"
        stage.wait(what, lambda: stalled_by(stage) == "BranchRewound", seconds=faults.LONG)
    finally:  # or it stays so for other modules
        accept = ("adopt", "--rewritten", "shop", "--tip", older, "--yes", "-o", "json")
        said = stage.backstay(*accept, check=False)
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["accepted"] == [newest.commit]
    stage.wait("it says so no more", lambda: not stalled_by(stage), seconds=faults.LONG)
    assert after.record.outcome is Outcome.COMPLETED
    assert after.history()[1] == older
    told = next(text for text in after.record.warnings if newest.record.name in text)
    assert told.startswith(f"run {newest.record.name} is not on the branch")
    for found in faults.snapshots(stage, "shop", newest.record.name):
        assert f"shop/{found['id'][:8]}" in told


def stalled_by(stage: Stage) -> str:
    """The reason of the policy's `Stalled`; empty where it is not there."""
    (found,) = stage.objects("-n", NAMESPACE, "backuppolicy", "shop")
    for one in (found.get("status") or {}).get("conditions") or ():
        if one["type"] == "Stalled":
            return str(one["reason"])
    return ""


def test_a_pod_deleted_by_force(stage: Stage, before: Run) -> None:
    with faults.movers_frozen(stage) as started:
        (pod,) = started.pods()
        name = pod["metadata"]["name"]
        run_id = started.run_id
        stage.kubectl("-n", NAMESPACE, "delete", "pod", name, "--force", "--grace-period=0")
        stage.wait("its successor is there", lambda: names(started) not in ([], [name]))
    assert started.finish().code == 0
    assert started.run_id == run_id
    assert_whole(stage, Run(stage), run_id)


def names(started: faults.Started) -> list[str]:
    """Of a run's pods."""
    return [str(pod["metadata"]["name"]) for pod in started.pods()]


def test_two_runs_at_once(stage: Stage, before: Run) -> None:
    with faults.git_away(stage):
        started = faults.start_run(stage)
        started.wait_for("trying again")
        second = faults.start_run(stage)
        ended = second.finish()
        assert ended.code == 0
        (line,) = second.events("run ends")
        assert line["outcome"] == "Skipped"
        assert f"{started.run_id} is running" in line["why"]
    assert started.finish().code == 0
    after = Run(stage)
    assert_whole(stage, after, started.run_id)
    assert after.history()[1] == before.commit
    assert faults.snapshots(stage, "shop", second.run_id) == []


def test_a_mover_is_killed(stage: Stage, before: Run) -> None:
    with faults.movers_frozen(stage) as started:
        job = started.movers()[0]["metadata"]["name"]
        selector = ("pods", "-l", f"batch.kubernetes.io/job-name={job}")
        running = ("--field-selector=status.phase=Running",)
        pods = stage.wait("one runs", lambda: stage.objects("-n", "shop", *selector, *running))
        faults.kill_pod(pods[0]["metadata"]["name"])
        stage.wait(
            "its Job counts it as lost",
            lambda: stage.objects("-n", "shop", "job", job)[0]["status"].get("failed") == 1,
        )
    assert started.finish().code == 0
    assert_whole(stage, Run(stage), started.run_id)
    assert run_again(stage).record.outcome is Outcome.COMPLETED
