"""`backstay doctor` on a real installation: quiet when all is well, and never touching anything."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.engine.applying import LEASE
from reconciler.model.volumes import MoveKind, MoveTask, RepositoryAccess
from reconciler.plan import moverjob
from tests.rig.stage import Stage, faults
from tests.rig.stage.runs import Run
from tests.rig.stage.stage import CAPTURES, NAMESPACE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "doctor.md"
COMMAND = Path(sys.executable).parent / "backstay"
BRANCH = "clusters/demo/_cluster"
PATIENT = ("-o", "json", "--timeout", "600")
"""A machine with much to do is not what is tested here."""
DEAD = "shop-20261121-010203-0dead"
Finding = dict[str, str]


def ask(stage: Stage, *args: str) -> tuple[dict[str, Finding], subprocess.CompletedProcess[str]]:
    """The command on a laptop with the cluster's own Config: id → the worst that it said.

    Empty where it said nothing.
    """
    config = str(stage.folder / "deploy" / "stage" / "backstay.yaml")
    done = stage.backstay("doctor", "--config", config, *PATIENT, *args, check=False)
    return by_id(json.loads(done.stdout)["findings"] if done.stdout else []), done


def examine(stage: Stage, *args: str, code: int) -> dict[str, Finding]:
    """The same where it ends with that code."""
    found, done = ask(stage, *args)
    assert found, done.stderr
    assert done.returncode == code, f"{wrong(found)}\n{done.stderr}"
    return found


def by_id(findings: list[Finding]) -> dict[str, Finding]:
    """The worst of each id."""
    order = ["ok", "info", "warning", "unknown", "problem"]
    ordered = sorted(findings, key=lambda one: order.index(one["level"]))
    return {one["id"]: one for one in ordered}


def wrong(found: dict[str, Finding]) -> list[Finding]:
    """What is neither ok nor only worth knowing."""
    return [one for one in found.values() if one["level"] not in ("ok", "info")]


def versions(stage: Stage) -> dict[str, object]:
    """Everything that a checkup could touch by mistake; of what has a status, its specification.

    The controller works meanwhile: it writes the end of a run into a policy's status, which takes
    its own Lease.
    """
    kinds = "cronjobs,jobs,configmaps,secrets,leases,serviceaccounts,pvc,deployments"
    found = stage.objects("-A", kinds)
    own = [raw["metadata"] | {"kind": raw["kind"]} for raw in found]
    return {
        f"{one['kind']}/{one['name']}": one.get("generation", one["resourceVersion"])
        for one in own
        if one["namespace"] in (NAMESPACE, "shop") and one["name"] != LEASE
    }


def references(stage: Stage) -> str:
    """All refs of the manifest repository."""
    done = subprocess.run(
        ["git", "-C", stage.sshd.path(CAPTURES), "for-each-ref"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def settle(stage: Stage) -> None:
    """Until what another module's tests disturbed is well again; what was not is told as a warning.

    The controller's cycle, for one, is told bad until the next one.
    """

    def is_well() -> bool:
        found, done = ask(stage)
        bad = wrong(found) if found else [done.stderr]
        if bad:
            warnings.warn(f"the doctor found {bad}", stacklevel=1)
        return not bad

    stage.wait("nothing is wrong", is_well, seconds=600)


@pytest.mark.filterwarnings("default:the doctor found")
def test_nothing_is_wrong_and_nothing_is_touched(stage: Stage, first: Run) -> None:
    settle(stage)
    before, refs = versions(stage), references(stage)
    log = stage.folder / "exec.log"
    seen = len(log.read_text().splitlines()) if log.exists() else 0
    found = examine(stage, code=0)
    assert wrong(found) == []
    assert found["rights/run"]["level"] == "ok"
    assert found["repositories/snapshots"]["level"] == "ok"
    assert versions(stage) == before
    assert references(stage) == refs
    assert stage.restic_output("shop", "list", "locks", "--no-lock").strip() == b""
    lines = [json.loads(line) for line in log.read_text().splitlines()[seen:]]
    restic = [line["argv"] for line in lines if line["argv"][0].endswith("restic")]
    asking = [argv for argv in restic if "version" not in argv]
    assert asking
    assert all("--no-lock" in argv for argv in asking)


def test_in_a_pod_it_asks_as_the_pod(stage: Stage, first: Run) -> None:
    block = PAGE.read_text().partition("```yaml\n")[2].partition("```")[0]
    job = yaml.safe_load(block)
    assert stage.image is not None
    (container,) = job["spec"]["template"]["spec"]["containers"]
    container["image"] = stage.image.name
    container["args"] += PATIENT
    stage.kubectl("create", "-f", "-", stdin=json.dumps(job))
    try:
        stage.wait("the doctor ends", lambda: ended(stage), seconds=400)
        text = stage.kubectl("-n", NAMESPACE, "logs", "job/doctor")
    finally:
        stage.kubectl("-n", NAMESPACE, "delete", "job", "doctor")
    assert text.startswith("{"), text
    said = json.loads(text)
    found = by_id(said["findings"])
    assert wrong(found) == []
    assert said["exitCode"] == 0
    assert said["who"] == f"system:serviceaccount:{NAMESPACE}:backstay-run"
    assert found["rights/run"]["level"] == "ok"
    assert found["rights/controller"]["level"] == "info"


def ended(stage: Stage) -> bool:
    """Whether the doctor's Job came to an end, good or bad."""
    (job,) = stage.objects("-n", NAMESPACE, "job", "doctor")
    conditions = job.get("status", {}).get("conditions") or ()
    return any(one["type"] in ("Complete", "Failed") for one in conditions)


def may_make_jobs(stage: Stage) -> bool:
    """Whether the API server would let a run."""
    asked = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": f"system:serviceaccount:{NAMESPACE}:backstay-run",
            "groups": ["system:authenticated"],
            "resourceAttributes": {
                "namespace": "shop", "verb": "create", "group": "batch", "resource": "jobs",
            },
        },
    }  # fmt: skip
    answer = stage.kubectl("create", "-f", "-", "-o", "json", stdin=json.dumps(asked))
    return bool(json.loads(answer)["status"]["allowed"])


@contextlib.contextmanager
def without_right(stage: Stage) -> Iterator[None]:
    """A run may make no Job any more."""
    (role,) = stage.objects("clusterrole", "backstay-run")
    weaker = json.loads(json.dumps(role))
    for rule in weaker["rules"]:
        if rule["resources"] == ["jobs"]:
            rule["verbs"].remove("create")
    for one in (role, weaker):
        del one["metadata"]["resourceVersion"]
    stage.kubectl("replace", "-f", "-", stdin=json.dumps(weaker))
    try:
        # The API server judges by what its own watch has brought it.
        stage.wait("a run may not any more", lambda: not may_make_jobs(stage), seconds=600)
        yield
    finally:
        stage.kubectl("replace", "-f", "-", stdin=json.dumps(role))


@contextlib.contextmanager
def mover_of_a_dead_run(stage: Stage) -> Iterator[str]:
    """A suspended mover that nobody lets go; yields its name."""
    access = RepositoryAccess(
        name="main", namespace="shop", url="s3:x", secret="restic-main", environment={}
    )
    assert stage.image is not None
    task = MoveTask(
        kind=MoveKind.BACKUP, run_id=DEAD, policy="shop", namespace="shop", claim="files",
        access=access, host="demo/shop", image=stage.image.name,
    )  # fmt: skip
    job = moverjob.make_job(task, moverjob.MoverSettings(), suspend=True)
    stage.kubectl("create", "-f", "-", stdin=json.dumps(job))
    try:
        yield str(job["metadata"]["name"])
    finally:
        stage.kubectl("-n", "shop", "delete", "job", job["metadata"]["name"])


def test_a_missing_right_is_named_with_the_file_that_gives_it(stage: Stage, first: Run) -> None:
    with without_right(stage):
        found = examine(stage, "--only", "rights", code=1)
    (one,) = wrong(found)
    assert one["id"] == "rights/run/create/jobs.batch"
    assert "rbac-run.yaml" in one["hint"]


def test_a_mover_left_behind_is_named_and_its_command_removes_it(stage: Stage, first: Run) -> None:
    with mover_of_a_dead_run(stage) as name:
        found = examine(stage, "--only", "leftovers", code=0)
        (one,) = wrong(found)
        assert (one["id"], one["level"]) == ("leftovers/mover", "warning")
        assert one["where"] == f"Job shop/{name}"
        assert f"run {DEAD} is over" in one["message"]
        assert f"kubectl -n shop delete job {name}" in one["hint"]


def test_servers_that_are_away_and_a_password_that_changed(stage: Stage, first: Run) -> None:
    with faults.changed_password(stage):
        found = examine(stage, "--only", "repositories", code=1)
    opened = found["repositories/open"]
    assert "exit code 12" in opened["message"]
    assert "Secret restic-main, key RESTIC_PASSWORD" in opened["hint"]
    with faults.s3_away(stage):
        found = examine(stage, "--only", "repositories", code=1)
    assert found["repositories/secret"]["level"] == "ok"
    assert found["repositories/open"]["level"] == "problem"
    assert "is the storage up" in found["repositories/open"]["hint"]
    with faults.git_away(stage):
        found = examine(stage, "--only", "git", code=1)
    assert found["git/policies"]["level"] == found["git/manifests"]["level"] == "problem"
    assert found["git/push"]["level"] == found["git/cluster"]["level"] == "unknown"
    assert "check the server and the network" in found["git/manifests"]["hint"]


def test_a_marker_of_another_cluster_is_told_from_ours(stage: Stage, first: Run) -> None:
    clone = stage.clone_captures()
    stage.git("checkout", "--quiet", BRANCH, cwd=clone)
    good = (clone / "_cluster.yaml").read_text()
    marker: dict[str, Any] = yaml.safe_load(good)
    own = marker["uid"]
    marker["uid"] = "00000000-0000-4000-8000-000000000000"
    for text in (yaml.safe_dump(marker, sort_keys=False), good):
        (clone / "_cluster.yaml").write_text(text)
        stage.git("commit", "--quiet", "-am", "Change the marker", cwd=clone)
        stage.git("push", "--quiet", "origin", f"HEAD:{BRANCH}", cwd=clone)
        if text != good:
            found = examine(stage, "--only", "git", code=1)
            (one,) = wrong(found)
            assert one["id"] == "git/cluster"
            assert own in one["message"]
            assert "backstay adopt" in one["hint"]


def test_an_interrupt_ends_it_with_130(stage: Stage, first: Run) -> None:
    with faults.s3_frozen(stage):
        args = [str(COMMAND), "doctor", "--config", str(stage.config)]
        with subprocess.Popen(
            args, env=stage.environment(), cwd=stage.folder, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        ) as running:  # fmt: skip
            stage.wait("restic was started", lambda: _children(running.pid), seconds=600)
            running.send_signal(2)
            _, said = running.communicate(timeout=600)
    assert running.returncode == 130
    assert "interrupted after" in said


def _children(pid: int) -> bool:
    """Whether a restic of this process runs."""
    done = subprocess.run(
        ["ps", "-o", "comm=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return "restic" in done.stdout
