"""The whole path on a real cluster: a policy in Git, a run, a recovery point, a restore.

The controller runs as a Deployment from `deploy/`, with the very image that the Dockerfile gives.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from reconciler.capture import canonical
from reconciler.model.run import Outcome
from tests.rig.stage import Stage, faults, shop
from tests.rig.stage.runs import Run, run_again
from tests.rig.stage.stage import NAMESPACE

RESTORED = "configmaps,secrets,services,pvc,deployments,statefulsets,products"
"""What a restore could touch by mistake."""
CLAIM = """\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: mail}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
"""


def test_commit_record_and_restic_agree_in_both_directions(stage: Stage, first: Run) -> None:
    made = first.record
    assert made.outcome is Outcome.COMPLETED
    trailers = first.trailers()
    assert trailers["Backstay-Run"] == made.name
    assert trailers["Backstay-Outcome"] == "Completed"
    assert trailers["Backstay-Policy"] == "shop"
    assert trailers["Backstay-Revision"] == made.policy.revision
    named = {v.snapshot: v for v in first.volumes().values() if v.snapshot}
    of_run = ("--tag", f"run:{made.name}")
    listed = {s["id"]: s for s in stage.restic("shop", "snapshots", *of_run)}
    assert set(named) == set(listed)
    for identifier, volume in named.items():
        snapshot = listed[identifier]
        assert snapshot["hostname"] == "demo/shop"
        assert snapshot["paths"] == [f"/data/{volume.claim}"]
        assert sorted(snapshot["tags"]) == sorted(
            ["policy:shop", f"run:{made.name}", f"claim:{volume.claim}"]
        )
    assert made.secrets is not None
    (kept,) = stage.restic("_cluster", "snapshots", *of_run)
    assert kept["id"] == made.secrets.snapshot
    assert kept["paths"] == ["/secrets.jsonl"]
    assert sorted(kept["tags"]) == ["policy:shop", f"run:{made.name}"]


def test_every_part_of_the_application_is_captured(first: Run) -> None:
    names = {path for path in first.files() if path.startswith("shop/")}
    expected = {
        "configmap/web", "secret/db", "serviceaccount/web", "deployment.apps/web",
        "statefulset.apps/db", "service/web", "service/db", "cronjob.batch/report",
        "role.rbac.authorization.k8s.io/web", "rolebinding.rbac.authorization.k8s.io/web",
        "ingress.networking.k8s.io/web", "networkpolicy.networking.k8s.io/web",
        "poddisruptionbudget.policy/db", "product.shop.example.org/tea",
        "product.shop.example.org/cake", "persistentvolumeclaim/files",
        "persistentvolumeclaim/data-db-0", "persistentvolumeclaim/data-db-1",
    }  # fmt: skip
    assert {f"shop/{name}.yaml" for name in expected} <= names
    crd = "_cluster/customresourcedefinition.apiextensions.k8s.io/products.shop.example.org.yaml"
    assert crd in first.files()
    service = canonical.read_manifest(first.file("shop/service/web.yaml"))
    assert service["spec"]["ports"][0]["nodePort"] == shop.NODE_PORT
    assert not any(path.split("/")[1] in ("pod", "replicaset.apps", "event") for path in names)


def test_log_and_show_need_nothing_but_a_clone(stage: Stage, first: Run) -> None:
    clone = str(stage.clone_captures())
    lines = stage.backstay("log", "shop", "--clone", clone).stdout.splitlines()
    assert any(first.record.name in line and "Completed" in line for line in lines)
    said = json.loads(stage.backstay("log", "shop", "--clone", clone, "-o", "json").stdout)
    assert first.commit in [run["commit"] for run in said["runs"]]
    shown = stage.backstay("show", "run", first.record.name, "--clone", clone).stdout
    assert "claim files: Direct (copyMethod Direct), Completed" in shown
    assert "claim page-cache: Skip (rule 1: rebuilt on start), Skipped" in shown


def test_a_small_change_is_a_small_commit_and_a_small_snapshot(stage: Stage, first: Run) -> None:
    before = run_again(stage)
    stage.kubectl("-n", "shop", "patch", "configmap", "web", "-p", '{"data":{"greeting":"moin"}}')
    shop.execute(stage, "deploy/web", "echo '<h1>shop two</h1>' > /files/index.html; sync")
    after = run_again(stage)
    assert after.changed_since(before) == ["_run.yaml", "shop/configmap/web.yaml"]
    diff = stage.git(
        "diff", "-U0", before.commit, after.commit, "--", "shop/", cwd=after.bare
    ).splitlines()
    changes = [line for line in diff if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    assert changes == ["-  greeting: hello", "+  greeting: moin"]
    assert 0 < after.volumes()["files"].added < 20_000
    assert after.volumes()["files"].size > 100_000_000


def test_i7_a_run_without_a_change_writes_its_record_and_nothing_else(
    stage: Stage, first: Run
) -> None:
    before, after = run_again(stage), run_again(stage)
    assert after.changed_since(before) == ["_run.yaml"]


def test_it_comes_back_data_and_all(stage: Stage, first: Run, marker: str) -> None:
    good = run_again(stage)
    files, allocated = shop.listing(stage), shop.allocated(stage, "/files/sparse")
    stage.kubectl("delete", "namespace", "shop", "--timeout=300s")
    stage.kubectl("delete", "crd", "products.shop.example.org")

    gone = stage.backstay("run", "shop", check=False)
    assert gone.returncode == 1
    assert "selects no namespace" in gone.stdout
    assert Run(stage).commit == good.commit

    plan = stage.backstay("restore", "shop", "--plan").stdout
    assert "3 to fill" in plan
    assert good.record.name in plan
    unanswered = stage.backstay("restore", "shop", check=False)
    assert unanswered.returncode == 2
    assert "--yes" in unanswered.stderr
    stage.backstay("restore", "shop", "--yes")
    shop.wait_ready(stage)
    assert "shop" in shop.page(stage)
    assert shop.listing(stage) == files
    assert shop.allocated(stage, "/files/sparse") <= allocated + 4096
    secret = stage.kubectl(
        "-n", "shop", "get", "secret", "db", "-o", "go-template={{.data.password|base64decode}}"
    )
    assert secret == marker

    again = json.loads(stage.backstay("restore", "shop", "--plan", "-o", "json").stdout)
    actions = {entry["action"] for entry in again["objects"]}
    assert actions == {"keep", "skip"}
    assert not [entry for entry in again["objects"] if entry["differs"]]
    versions = shop.versions(stage, RESTORED)
    assert "Nothing to do" in stage.backstay("restore", "shop", "--yes").stdout
    assert shop.versions(stage, RESTORED) == versions
    following = run_again(stage)
    changed = [p for p in following.changed_since(good) if "/persistentvolume/" not in p]
    assert changed == ["_run.yaml"]


def test_another_cluster_writes_nothing_until_it_is_adopted(stage: Stage, first: Run) -> None:
    good = run_again(stage)
    clone = stage.clone_captures()
    branch = "clusters/demo/_cluster"
    stage.git("checkout", "--quiet", branch, cwd=clone)
    marker = yaml.safe_load((clone / "_cluster.yaml").read_text())
    own, marker["uid"] = marker["uid"], "00000000-0000-4000-8000-000000000000"
    (clone / "_cluster.yaml").write_text(yaml.safe_dump(marker, sort_keys=False))
    stage.git("commit", "--quiet", "-am", "As the cluster before this one left it", cwd=clone)
    stage.git("push", "--quiet", "origin", f"HEAD:{branch}", cwd=clone)

    refused = stage.backstay("run", "shop", check=False)
    assert refused.returncode == 4
    assert "backstay adopt" in refused.stdout
    assert Run(stage).commit == good.commit

    assert own in stage.backstay("adopt", "--yes").stdout
    assert run_again(stage).record.outcome is Outcome.COMPLETED


def coverage(stage: Stage) -> dict[str, dict[str, Any]]:
    """Every line of `backstay coverage`, none twice."""
    found = json.loads(stage.backstay("coverage", "--json").stdout)
    assert found["recoveryPointsKnown"], found["notes"]
    lines = {f"{one['subject']} {one['namespace']}/{one['name']}": one for one in found["lines"]}
    assert len(lines) == len(found["lines"])
    return lines


def state(line: dict[str, Any]) -> tuple[str, str | None]:
    """How it counts, and the run that holds it last."""
    last = line["lastRecoveryPoint"]
    return line["state"], last and last["run"]


def test_a_new_namespace_that_matches_is_in_the_next_run(stage: Stage, first: Run) -> None:
    stage.kubectl("create", "namespace", "shop-two")
    stage.kubectl("-n", "shop-two", "create", "configmap", "second", "--from-literal=a=b")
    stage.kubectl("create", "namespace", "other")
    stage.kubectl("-n", "other", "apply", "-f", "-", stdin=CLAIM)
    before = coverage(stage)
    assert state(before["namespace shop-two/"]) == ("protected", None)
    assert state(before["namespace other/"]) == ("unprotected", None)
    assert before["claim other/mail"]["reasons"][0]["cause"] == "unmatched"

    joined = run_again(stage)
    assert [part.name for part in joined.record.namespaces] == ["shop", "shop-two"]
    assert "shop-two/configmap/second.yaml" in joined.files()
    after = coverage(stage)
    for title in ("namespace shop-two/", "claim shop/data-db-0"):
        assert state(after[title]) == ("protected", joined.record.name)
    assert state(after["template shop/data"]) == ("protected", None)
    gate = stage.backstay("coverage", "--fail-on", "unprotected", "-n", "other", check=False)
    assert gate.returncode == 1
    assert "failed: unprotected: 1 namespace, 1 claim" in gate.stdout
    assert "; `backstay coverage` names them" in stage.backstay("plan").stdout
    stage.kubectl("delete", "namespace", "other", "--timeout=300s")

    stage.kubectl("delete", "namespace", "shop-two", "--timeout=300s")
    left = run_again(stage, code=3)
    assert left.record.outcome is Outcome.PARTIALLY_FAILED
    assert not any(path.startswith("shop-two/") for path in left.files())
    assert run_again(stage).record.outcome is Outcome.COMPLETED


def test_a_typo_stops_its_policy_only_and_an_empty_folder_deletes_nothing(
    stage: Stage, first: Run, tmp_path: Path
) -> None:
    good = shop.policy(stage)
    broken = good.replace("keepDaily", "keepDaly")
    other = good.split("---\n")[1].replace("{name: shop}", "{name: other}")
    line = next(n for n, text in enumerate(broken.splitlines(), 1) if "keepDaly" in text)
    column = broken.splitlines()[line - 1].index("keepDaly") + 1
    spot = f"policies/shop.yaml:{line}:{column}"

    stage.push_policies({"shop.yaml": broken, "other.yaml": other})
    stage.wait("the other policy is applied", lambda: stage.exists("cronjob", "backstay-other"))
    schedule = stage.objects("-n", NAMESPACE, "cronjob", "backstay-shop")[0]["spec"]["schedule"]
    assert schedule == shop.CRON
    logs = ("-n", NAMESPACE, "logs", "deploy/backstay-controller", "--tail=500")
    stage.wait("the log names the line", lambda: spot in stage.kubectl(*logs), seconds=300)
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "shop.yaml").write_text(broken)
    (tmp_path / "policies" / "other.yaml").write_text(other)
    said = stage.backstay("validate", str(tmp_path), check=False)
    assert said.returncode == 4
    assert f"shop.yaml:{line}:{column}" in said.stdout + said.stderr
    assert "did you mean `keepDaily`?" in said.stdout + said.stderr

    empty = stage.push_policies({})
    stage.wait("the empty revision was seen", lambda: empty in stage.kubectl(*logs), seconds=300)
    assert stage.exists("cronjob", "backstay-shop")
    assert stage.exists("cronjob", "backstay-other")

    stage.push_policies({"shop.yaml": good})
    stage.wait(
        "only the policy that left is unscheduled",
        lambda: not stage.exists("cronjob", "backstay-other"),
    )
    assert stage.exists("cronjob", "backstay-shop")


def test_a_controller_collects_no_dead_processes(stage: Stage, first: Run) -> None:
    """A git that fails leaves the shell behind with which it started ssh: process 1 takes it in."""
    logs = ("-n", NAMESPACE, "logs", "deploy/backstay-controller")
    before = stage.kubectl(*logs).count("cycle failed")
    with faults.git_away(stage):
        more = "a look at Git has failed"
        stage.wait(more, lambda: stage.kubectl(*logs).count("cycle failed") > before)
    count = "cat /proc/[0-9]*/stat | grep -c ' (.*) Z ' || true"
    shell = ("-n", NAMESPACE, "exec", "deploy/backstay-controller", "--", "sh", "-c", count)
    stage.wait("there is none", lambda: int(stage.kubectl(*shell)) == 0, seconds=300)
