"""Hooks in real pods: around a real copy, after a real SIGKILL, and without the right to.

Until when a command before the copy may be at work is written into a run's Lease before that run is
killed: so a test knows the moment, however long the machine takes for anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.adapters.kube import KubeClient
from reconciler.capture import record
from reconciler.model.run import Outcome, RunRecord
from reconciler.plan.hooklease import HOOKS, read_lease, render_pod
from tests.cluster import faroff
from tests.contract.podexec_suite import ExecWorld, assert_keeps_promises
from tests.rig.stage import Stage, faults, shop
from tests.rig.stage.runs import Run
from tests.rig.stage.stage import CAPTURES, NAMESPACE

CONFIG, POLICY = "backstay-config", "quiet"
LONG = 600.0
POD, CLAIM, LINES = "db-0", "data-db-0", "/data/hooks"
FILES = f"{LINES} /data/go /data/bad /data/ended /data/slow"
COMPONENT = Path(__file__).parents[2] / "deploy/components/hooks"
FINISHING = ("-n", NAMESPACE, "jobs", "-l", "backstay.dev/component=finish")
QUIET = f"""\
apiVersion: backstay.dev/v1alpha1
kind: BackupPolicy
metadata: {{name: quiet}}
spec:
  schedule: {{cron: "{faroff.CRON}"}}
  selector: {{namespaces: [shop]}}
  volumes:
    copyMethod: Direct
    rules:
      - {{match: {{claims: [data-db-0]}}, copyMethod: Direct}}
      - {{match: {{claims: ["*"]}}, copyMethod: Skip, reason: not looked at here}}
  hooks:
    - name: write
      pods: {{matchLabels: {{statefulset.kubernetes.io/pod-name: db-0}}}}
      pre: {{command: [/bin/sh, -c, "echo pre $0 >> /data/hooks; sync; echo told", "a b"]}}
      post: {{command: [/bin/sh, -c, "echo post >> /data/hooks; sync"]}}
    - name: wait
      pods: {{matchLabels: {{statefulset.kubernetes.io/pod-name: db-0}}}}
      pre: {{command: [/bin/sh, -c, "until [ -e /data/go ]; do sleep 0.2; done"], timeout: 10m}}
      post: {{command: [/bin/sh, -c, "[ ! -e /data/bad ] || exit 7; date +%s >> /data/ended"]}}
  retention: {{keepLast: 3}}
"""
SLOW = f"""\
apiVersion: backstay.dev/v1alpha1
kind: BackupPolicy
metadata: {{name: slow}}
spec:
  schedule: {{cron: "{faroff.cron(23)}"}}
  selector: {{namespaces: [shop]}}
  volumes: {{copyMethod: Direct}}
  hooks:
    - name: slow
      pods: {{matchLabels: {{statefulset.kubernetes.io/pod-name: db-0}}}}
      pre: {{command: [/bin/sh, -c, "exec sleep 300"], timeout: 30s}}
      post: {{command: [/bin/sh, -c, "echo post >> /data/slow; sync"]}}
  retention: {{keepLast: 3}}
"""
RIGHT = ("-n", shop.NAMESPACE, "rolebinding", "backstay-hooks")


def use(stage: Stage, grants: list[dict[str, object]]) -> None:
    """Gives the installation these grants; the controller sees them at once."""
    (found,) = stage.objects("-n", NAMESPACE, "configmap", CONFIG)
    config = yaml.safe_load(found["data"]["backstay.yaml"])
    config.pop("grants", None)
    config |= {"grants": grants} if grants else {}
    data = {"data": {"backstay.yaml": yaml.safe_dump(config, sort_keys=False)}}
    patch = ("--type=merge", "-p", json.dumps(data))
    stage.kubectl("-n", NAMESPACE, "patch", "configmap", CONFIG, *patch)
    # A kubelet looks at a changed pod at once, and at its mounts: else after a minute.
    version = stage.objects("-n", NAMESPACE, "configmap", CONFIG)[0]["metadata"]["resourceVersion"]
    selector = ("-l", "backstay.dev/component=controller")
    note = f"example.org/looked-at={version}"
    stage.kubectl("-n", NAMESPACE, "annotate", "--overwrite", "pod", *selector, note)


@pytest.fixture(scope="module")
def quiet(stage: Stage, first: Run) -> Iterator[Stage]:
    """Return the stage with a policy that has hooks, and all that they need but the last right."""
    assert first.record.outcome is Outcome.COMPLETED
    good = shop.policy(stage)
    for name in ("rbac.yaml", "admission-hooks.yaml"):
        stage.kubectl("apply", "-f", str(COMPONENT / name))
    use(
        stage,
        [{"path": ".", "admin": True, "namespaces": ["*"], "hooks": [shop.NAMESPACE]}],
    )
    stage.push_policies({"shop.yaml": good, "quiet.yaml": QUIET, "slow.yaml": SLOW})
    stage.wait(
        "the policies are in force",
        lambda: all(stage.exists("cronjob", f"backstay-{name}") for name in (POLICY, "slow")),
        seconds=LONG,
    )
    yield stage
    # One at a time: two of three would be more than a revision may delete.
    stage.push_policies({"shop.yaml": good, "quiet.yaml": QUIET})
    wait_gone(stage, "slow")
    stage.push_policies({"shop.yaml": good})
    wait_gone(stage, POLICY)
    use(stage, [])
    for name in ("rbac.yaml", "admission-hooks.yaml"):
        stage.kubectl("delete", "-f", str(COMPONENT / name))
    stage.kubectl("delete", *RIGHT)
    # A Job in which a post command failed is kept for a day, and doctor tells of it.
    stage.kubectl("delete", *FINISHING, "--cascade=foreground", "--wait")
    shop.execute(stage, POD, f"rm -f {FILES}")


def wait_gone(stage: Stage, policy: str) -> None:
    """Until the controller has removed a policy's schedule."""
    schedule = f"backstay-{policy}"
    stage.wait(f"{schedule} is gone", lambda: not stage.exists("cronjob", schedule), seconds=LONG)


def recorded(stage: Stage, policy: str = POLICY) -> RunRecord:
    """The newest record of a policy."""
    bare = stage.sshd.path(CAPTURES)
    text = stage.git("show", f"clusters/{stage.name}/{policy}:_run.yaml", cwd=bare)
    return record.parse_record(text.encode())


def lines(stage: Stage, path: str = LINES) -> list[str]:
    """What hooks have written into the volume."""
    return shop.execute(stage, POD, f"cat {path} 2>/dev/null || true").splitlines()


def leases(stage: Stage) -> list[dict[str, Any]]:
    """Of pods with open hooks."""
    return stage.objects("-n", NAMESPACE, "leases", "-l", "backstay.dev/component=hook")


def open_leases(stage: Stage) -> list[dict[str, Any]]:
    """Without those that are there to be told, and no more."""
    return [raw for raw in leases(stage) if not read_lease(raw).is_over]


def kill_between(stage: Stage, after: timedelta) -> tuple[str, datetime]:
    """Kills a run while the pre command of the second hook is at work, and nobody goes on with it.

    Returns the run, and until when its Lease says that the command may be: ``after`` from now.
    """
    stage.kubectl("apply", "-f", str(COMPONENT / "rolebinding.yaml"))
    shop.execute(stage, POD, f"rm -f {LINES} /data/go /data/ended")
    job = faults.make_job(stage, POLICY)
    job["spec"]["backoffLimit"] = 0
    started = faults.create_run(stage, job)
    stage.wait(
        "the second hook is at work",
        lambda: [one for one in started.events("hook starts") if one["hook"] == "wait"],
        seconds=LONG,
    )
    run_id, (pod,) = started.run_id, started.pods()
    assert lines(stage) == ["pre a b"]
    (raw,) = open_leases(stage)
    lease = read_lease(raw)
    assert lease.holder == f"{run_id}/{pod['metadata']['name']}"
    first, second = lease.pod.open
    assert (first.moment, second.moment is None) == (None, False)
    until = datetime.now(UTC).replace(microsecond=0) + after
    changed = lease.pod.with_open(second.with_until(until))
    stage.kubectl(
        "-n", NAMESPACE, "annotate", "--overwrite", "lease", lease.name,
        f"{HOOKS}={render_pod(changed)}",
    )  # fmt: skip
    started.kill()
    return run_id, until


def finishing(stage: Stage, run_id: str) -> list[dict[str, Any]]:
    """The Jobs that end what a run has left open."""
    return [job for job in stage.objects(*FINISHING) if faults.run_of(job) == run_id]


def assert_ended(stage: Stage) -> None:
    """The first hook's post ran; again only where a connection broke and nobody saw its end."""
    first, *more = lines(stage)
    assert (first, set(more)) == ("pre a b", {"post"})


def test_without_the_right_nothing_is_copied_and_the_way_on_is_told(
    quiet: Stage,
) -> None:
    ended = faults.start_run(quiet, POLICY).finish()
    assert ended.code == 3, ended.said
    made = recorded(quiet)
    (part,) = made.namespaces
    assert part.outcome is Outcome.PARTIALLY_FAILED
    assert "kubectl create rolebinding backstay-hooks" in part.reasons[0]
    assert next(v for v in part.volumes if v.claim == CLAIM).outcome is Outcome.FAILED
    assert (lines(quiet), leases(quiet)) == ([], [])


def test_a_run_that_is_killed_between_pre_and_post(quiet: Stage) -> None:
    run_id, until = kill_between(quiet, timedelta(seconds=20))
    quiet.wait("its hooks are ended", lambda: not open_leases(quiet), seconds=LONG)
    shop.execute(quiet, POD, "touch /data/go")
    assert_ended(quiet)
    # Its pre command was at work: what ended it first may have been overtaken.
    assert float(lines(quiet, "/data/ended")[-1]) >= until.timestamp()
    assert finishing(quiet, run_id)


def test_a_post_command_that_fails_in_the_job_is_told(quiet: Stage) -> None:
    shop.execute(quiet, POD, "touch /data/bad")
    run_id, _ = kill_between(quiet, timedelta())
    quiet.wait("its hooks are ended", lambda: not open_leases(quiet), seconds=LONG)
    shop.execute(quiet, POD, "touch /data/go; rm /data/bad")

    def failed() -> list[dict[str, Any]]:
        (job,) = finishing(quiet, run_id)
        told = job.get("status", {}).get("conditions") or ()
        return [one for one in told if one["type"] == "Failed" and one["status"] == "True"]

    (condition,) = quiet.wait("the Job has failed", failed, seconds=LONG)
    assert condition["reason"] == "PodFailurePolicy"
    assert_ended(quiet)
    (job,) = finishing(quiet, run_id)
    name = job["metadata"]["name"]
    pods = quiet.objects("-n", NAMESPACE, "pods", "-l", f"batch.kubernetes.io/job-name={name}")
    # Written down before the Job's pod ended: whoever is killed, it is told.
    (kept,) = [read_lease(raw) for raw in leases(quiet)]
    assert ([hook.hook for hook in kept.failed], kept.run_id) == (["wait"], run_id)
    codes = [
        one["state"]["terminated"]["exitCode"]
        for pod in pods
        for one in pod["status"]["containerStatuses"]
    ]
    assert 3 in codes
    reason = ("--field-selector", "reason=HookPostFailed")
    quiet.wait(
        "the policy's object tells of it",
        lambda: [
            event
            for event in quiet.objects("-n", NAMESPACE, "events", *reason)
            if event["involvedObject"]["name"] == POLICY and name in event["message"]
        ],
        seconds=LONG,
    )


def test_a_pre_command_that_takes_too_long_is_ended_now_and_once_more(
    quiet: Stage,
) -> None:
    quiet.kubectl("apply", "-f", str(COMPONENT / "rolebinding.yaml"))
    ended = faults.start_run(quiet, "slow").finish()
    assert ended.code == 3, ended.said
    (part,) = recorded(quiet, "slow").namespaces
    assert part.outcome is Outcome.PARTIALLY_FAILED
    told = [(str(hook.phase), str(hook.outcome)) for hook in part.hooks]
    assert told == [("pre", "TimedOut"), ("post", "Completed")]
    assert {volume.snapshot for volume in part.volumes} == {None}
    quiet.wait("its hook is ended for good", lambda: not open_leases(quiet), seconds=LONG)
    assert lines(quiet, "/data/slow").count("post") > 1


def test_the_copy_happens_between_the_commands(quiet: Stage) -> None:
    quiet.kubectl("apply", "-f", str(COMPONENT / "rolebinding.yaml"))
    shop.execute(quiet, POD, f"touch /data/go; rm -f {LINES}")
    started = faults.start_run(quiet, POLICY)
    ended = started.finish()
    assert ended.code == 0, ended.said
    (part,) = recorded(quiet).namespaces
    assert part.outcome is Outcome.COMPLETED
    told = [(hook.name, str(hook.phase), hook.exit_code, hook.output_bytes) for hook in part.hooks]
    assert told == [
        ("write", "pre", 0, 5), ("wait", "pre", 0, 0),
        ("wait", "post", 0, 0), ("write", "post", 0, 0),
    ]  # fmt: skip
    assert [one["line"] for one in started.events("hook says")] == ["told"]
    assert lines(quiet) == ["pre a b", "post"]
    (copy,) = [volume for volume in part.volumes if volume.claim == CLAIM]
    assert copy.snapshot is not None
    stored = quiet.restic_output(shop.NAMESPACE, "dump", copy.snapshot, f"/{CLAIM}/hooks")
    assert stored == b"pre a b\n"
    # What an earlier run's Job could not end is in the record, and is not kept any more.
    assert leases(quiet) == []
    # The fake and the loopback's server keep the same promises: tests/contract/test_pod_exec.py.
    assert_keeps_promises(
        ExecWorld(
            execute=KubeClient.connect(quiet.cluster.kubeconfig).execute(),
            namespace=shop.NAMESPACE, pod=POD, container="db",
            tell=("printf", "%s\\n"), fail=("sh", "-c", "echo out; echo err >&2; exit 3"),
            endless=("sleep", "30"),
        )
    )  # fmt: skip
