"""Hooks in real pods: around a real copy, after a real SIGKILL, and without the right to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from reconciler.adapters.kube import KubeClient
from reconciler.capture import record
from reconciler.model.run import Outcome, RunRecord
from tests.contract.podexec_suite import ExecWorld, assert_keeps_promises
from tests.rig.stage import Stage, faults, shop
from tests.rig.stage.runs import Run
from tests.rig.stage.stage import CAPTURES, NAMESPACE

CONFIG, POLICY = "backstay-config", "quiet"
LONG = 600.0
POD, CLAIM, LINES = "db-0", "data-db-0", "/data/hooks"
COMPONENT = Path(__file__).parents[2] / "deploy/components/hooks"
QUIET = """\
apiVersion: backstay.dev/v1alpha1
kind: BackupPolicy
metadata: {name: quiet}
spec:
  schedule: {cron: "17 4 * * *"}
  selector: {namespaces: [shop]}
  volumes:
    copyMethod: Direct
    rules:
      - {match: {claims: [data-db-0]}, copyMethod: Direct}
      - {match: {claims: ["*"]}, copyMethod: Skip, reason: not looked at here}
  hooks:
    - name: write
      pods: {matchLabels: {statefulset.kubernetes.io/pod-name: db-0}}
      pre: {command: [/bin/sh, -c, "echo pre $0 >> /data/hooks; sync; echo told", "a b"]}
      post: {command: [/bin/sh, -c, "echo post >> /data/hooks; sync"]}
    - name: wait
      pods: {matchLabels: {statefulset.kubernetes.io/pod-name: db-0}}
      pre: {command: [/bin/sh, -c, "until [ -e /data/go ]; do sleep 0.2; done"], timeout: 10m}
  retention: {keepLast: 3}
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
    use(stage, [{"path": ".", "admin": True, "namespaces": ["*"], "hooks": [shop.NAMESPACE]}])
    stage.push_policies({"shop.yaml": good, "quiet.yaml": QUIET})
    stage.wait(
        "the policy is in force",
        lambda: stage.exists("cronjob", f"backstay-{POLICY}"),
        seconds=LONG,
    )
    yield stage
    stage.push_policies({"shop.yaml": good})
    stage.wait(
        "the policy is gone",
        lambda: not stage.exists("cronjob", f"backstay-{POLICY}"),
        seconds=LONG,
    )
    use(stage, [])
    for name in ("rbac.yaml", "admission-hooks.yaml"):
        stage.kubectl("delete", "-f", str(COMPONENT / name))
    stage.kubectl("delete", *RIGHT)
    shop.execute(stage, POD, f"rm -f {LINES} /data/go")


def recorded(stage: Stage) -> RunRecord:
    """The newest record of the policy."""
    bare = stage.sshd.path(CAPTURES)
    text = stage.git("show", f"clusters/{stage.name}/{POLICY}:_run.yaml", cwd=bare)
    return record.parse_record(text.encode())


def lines(stage: Stage) -> list[str]:
    """What hooks have written into the volume."""
    return shop.execute(stage, POD, f"cat {LINES} 2>/dev/null || true").splitlines()


def leases(stage: Stage) -> list[str]:
    """Of pods with open hooks."""
    found = stage.objects("-n", NAMESPACE, "leases", "-l", "backstay.dev/component=hook")
    return [str(lease["spec"]["holderIdentity"]) for lease in found]


def test_without_the_right_nothing_is_copied_and_the_way_on_is_told(quiet: Stage) -> None:
    ended = faults.start_run(quiet, POLICY).finish()
    assert ended.code == 3, ended.said
    made = recorded(quiet)
    (part,) = made.namespaces
    assert part.outcome is Outcome.PARTIALLY_FAILED
    assert "kubectl create rolebinding backstay-hooks" in part.reasons[0]
    assert next(v for v in part.volumes if v.claim == CLAIM).outcome is Outcome.FAILED
    assert (lines(quiet), leases(quiet)) == ([], [])


def test_a_run_that_is_killed_between_pre_and_post(quiet: Stage) -> None:
    quiet.kubectl("apply", "-f", str(COMPONENT / "rolebinding.yaml"))
    job = faults.make_job(quiet, POLICY)
    job["spec"]["backoffLimit"] = 0  # nobody goes on with it
    started = faults.create_run(quiet, job)
    quiet.wait(
        "the second hook is at work",
        lambda: [one for one in started.events("hook starts") if one["hook"] == "wait"],
        seconds=LONG,
    )
    assert lines(quiet) == ["pre a b"]
    pod = started.kill()
    assert leases(quiet) == [f"{started.run_id}/{pod}"]
    quiet.wait("its hooks are ended", lambda: not leases(quiet), seconds=LONG)
    shop.execute(quiet, POD, "touch /data/go")
    assert lines(quiet) == ["pre a b", "post"]
    finishing = ("jobs", "-l", "backstay.dev/component=finish")
    (finish,) = quiet.objects("-n", NAMESPACE, *finishing)
    assert finish["metadata"]["annotations"]["backstay.dev/run"] == started.run_id


def test_the_copy_happens_between_the_commands(quiet: Stage) -> None:
    quiet.kubectl("apply", "-f", str(COMPONENT / "rolebinding.yaml"))
    shop.execute(quiet, POD, f"touch /data/go; rm -f {LINES}")
    started = faults.start_run(quiet, POLICY)
    ended = started.finish()
    assert ended.code == 0, ended.said
    (part,) = recorded(quiet).namespaces
    assert part.outcome is Outcome.COMPLETED
    told = [(hook.name, str(hook.phase), hook.exit_code, hook.output_bytes) for hook in part.hooks]
    assert told == [("write", "pre", 0, 5), ("wait", "pre", 0, 0), ("write", "post", 0, 0)]
    assert [one["line"] for one in started.events("hook says")] == ["told"]
    assert lines(quiet) == ["pre a b", "post"]
    (copy,) = [volume for volume in part.volumes if volume.claim == CLAIM]
    assert copy.snapshot is not None
    stored = quiet.restic_output(shop.NAMESPACE, "dump", copy.snapshot, f"/{CLAIM}/hooks")
    assert stored == b"pre a b\n"
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
