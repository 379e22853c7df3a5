"""Bad days of the cluster around Backstay: what stops, goes or comes back while a run is at work.

A mover is held before its restic starts, so that each blow falls on a run that is in the middle of
its work. Each test begins and ends with a Completed run as the newest, and the stage as it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from reconciler.model.run import Outcome
from tests.cluster.test_faults import assert_whole, latest
from tests.rig.gate import Gate
from tests.rig.stage import Stage, breaking, faults, shop
from tests.rig.stage.runs import Run, run_again
from tests.rig.stage.stage import NAMESPACE

LONG = 600.0
"""Seconds to wait for what comes, on a machine with much to do."""
PLACES = {"deploy/web": "/files", "db-0": "/data", "db-1": "/data"}
"""Where the volumes of the application are."""


@pytest.fixture
def before(gated_stage: Stage) -> Iterator[Run]:
    """Return the newest run, which is good; check the order in which a test leaves things."""
    newest = Run(gated_stage)
    if newest.record.outcome is not Outcome.COMPLETED:  # the test before this one failed
        newest = run_again(gated_stage)
    yield newest
    gated_stage.wait("nothing of ours is left", lambda: not faults.leftovers(gated_stage))
    after = Run(gated_stage)
    assert after.record.outcome is Outcome.COMPLETED
    assert newest.commit in after.history()


def pod_of(started: faults.Started) -> str:
    """The youngest pod of a run; empty while there is none."""
    names = [str(pod["metadata"]["name"]) for pod in started.pods()]
    return names[-1] if names else ""


def digest(stage: Stage) -> str:
    """Of the policy version that the schedule of `shop` names now; empty without a schedule."""
    shown = stage.kubectl(
        "-n", NAMESPACE, "get", "cronjob", "backstay-shop", "--ignore-not-found", "-o", "json"
    )
    if not shown.strip():
        return ""
    return str(json.loads(shown)["metadata"]["annotations"]["backstay.dev/digest"])


def is_newer(stage: Stage, old: str) -> bool:
    """Whether the schedule names another version than that."""
    return digest(stage) not in ("", old)


def push_shop(stage: Stage) -> None:
    """The policy of `shop` as the stage has it, alone; waits for its schedule."""
    stage.push_policies({"shop.yaml": shop.policy(stage)})
    stage.wait("the CronJob of shop is there", lambda: digest(stage), seconds=LONG)


def other_policy(stage: Stage, name: str) -> str:
    """The Repository, and the same policy for a namespace of that name."""
    text = shop.policy(stage, namespaces=f"[{name}]")
    return text.replace("metadata: {name: shop}", f"metadata: {{name: {name}}}")


def test_the_api_server_is_killed_while_movers_work(
    gated_stage: Stage, gate: Gate, before: Run
) -> None:
    with gate.held("restic", "backup", pod=faults.MOVER) as hold:
        started = faults.start_run(gated_stage)
        started.wait_for("capturing")
        pod = pod_of(started)
        hold.wait(LONG)
        with breaking.api_away(gated_stage):
            gated_stage.wait(
                "the run has felt it",
                lambda: "it can't be asked, trying again" in breaking.said(gated_stage, pod),
                seconds=LONG,
            )
    assert started.finish().code == 0
    assert len(started.pods()) == 1, "no successor was needed"
    assert_whole(gated_stage, Run(gated_stage), started.run_id)


def test_the_network_of_a_runs_pod_is_cut_and_comes_back_and_is_cut_for_good(
    gated_stage: Stage, gate: Gate, before: Run
) -> None:
    with gate.held("restic", "backup", pod=faults.MOVER) as hold:
        started = faults.start_run(gated_stage)
        hold.wait(LONG)
        lost = pod_of(started)
        with breaking.network_cut(gated_stage, lost):
            gated_stage.wait("it is felt", lambda: breaking.unanswered(lost))
        gated_stage.wait("it has passed", lambda: not breaking.unanswered(lost))
        with breaking.network_cut(gated_stage, lost):
            gated_stage.wait("it is felt again", lambda: breaking.unanswered(lost))
            gated_stage.kubectl("-n", NAMESPACE, "delete", "pod", lost, "--grace-period=1")
        gated_stage.wait("its successor", lambda: pod_of(started) not in ("", lost), seconds=LONG)
    assert started.finish().code == 0
    (taken,) = started.events("taking over the lease of a dead run")
    assert taken["holder"] == f"{started.run_id}/{lost}"
    assert_whole(gated_stage, Run(gated_stage), started.run_id)


def test_the_disk_of_a_mover_is_full(gated_stage: Stage, gate: Gate, before: Run) -> None:
    for pod, folder in PLACES.items():  # what a repository has already needs no room
        shop.execute(gated_stage, pod, f"head -c 100000 /dev/urandom > {folder}/noise")
    with gate.held("restic", "backup", pod=faults.MOVER) as hold:
        started = faults.start_run(gated_stage)
        breaking.fill_disk(hold.wait(LONG).host)
    assert started.finish().code == 3
    partial = Run(gated_stage)
    assert partial.record.outcome is Outcome.PARTIALLY_FAILED
    (failed,) = [one for one in partial.volumes().values() if one.outcome is Outcome.FAILED]
    assert "no space left on device" in failed.reason
    assert "give the storage, the volume or the cache more room" in failed.reason
    for pod, folder in PLACES.items():
        shop.execute(gated_stage, pod, f"rm {folder}/noise")
    assert run_again(gated_stage).record.outcome is Outcome.COMPLETED


def test_a_policy_changes_and_goes_while_its_run_is_at_work(
    gated_stage: Stage, gate: Gate, before: Run
) -> None:
    old = digest(gated_stage)
    try:
        with gate.held("restic", "backup", pod=faults.MOVER) as hold:
            started = faults.start_run(gated_stage)
            hold.wait(LONG)
            newer = shop.policy(gated_stage, cron=shop.far_off(18))
            gated_stage.push_policies({"shop.yaml": newer})
            newer_there = partial(is_newer, gated_stage, old)
            gated_stage.wait("the newer version", newer_there, seconds=LONG)
            gated_stage.push_policies({"other.yaml": other_policy(gated_stage, "other")})
            gated_stage.wait("no CronJob", lambda: not digest(gated_stage), seconds=LONG)
            (job,) = gated_stage.objects("-n", NAMESPACE, "job", started.job)
            assert not job["metadata"].get("ownerReferences"), "it is nobody's, and goes on"
        assert started.finish().code == 0
        after = Run(gated_stage)
        assert_whole(gated_stage, after, started.run_id)
        assert after.record.policy.digest == old
    finally:
        push_shop(gated_stage)
    assert run_again(gated_stage).record.outcome is Outcome.COMPLETED


def test_a_job_of_an_old_template_whose_config_map_is_gone(gated_stage: Stage, before: Run) -> None:
    job: dict[str, Any] = faults.make_job(gated_stage)
    (volume,) = [v for v in job["spec"]["template"]["spec"]["volumes"] if v["name"] == "policy"]
    volume["configMap"]["name"] = "backstay-shop-0123456789"
    started = faults.create_run(gated_stage, job)
    ended = started.finish()
    assert ended.code == 2
    assert "this Job is of a version of policy shop whose ConfigMap was removed" in ended.said
    assert len(started.pods()) == 1, "trying again could not help"
    assert Run(gated_stage).commit == before.commit


def test_backstays_own_namespace_is_deleted_while_a_run_is_at_work(
    gated_stage: Stage, gate: Gate, before: Run
) -> None:
    with faults.last_mover_held(gated_stage, gate, len(PLACES)) as started:
        run_id = started.run_id
        gated_stage.kubectl("delete", "namespace", NAMESPACE, "--timeout=300s")
        left = {name.partition("/")[0] for name in faults.leftovers(gated_stage)}
        assert left == {"Job", "Pod", "Secret"}
        assert before.record.name in latest(gated_stage), "nobody needs it to restore"

        gated_stage.install()
        gated_stage.wait("its CronJob is back", lambda: digest(gated_stage), seconds=LONG)
        again = faults.start_run(gated_stage)
        removed = again.wait_for("mover of a dead run removed", len(PLACES))
        assert removed["run"] == run_id
    assert again.finish().code == 0
    after = Run(gated_stage)
    assert_whole(gated_stage, after, again.run_id)
    (told,) = after.record.warnings
    assert told.startswith(f"run {run_id} is not on the branch: it died before it could record")
    kept = faults.snapshots(gated_stage, "shop", run_id)
    assert len(kept) == len(PLACES) - 1
    assert all(f"shop/{found['id'][:8]}" in told for found in kept)
