"""One thing is broken at a time; `backstay doctor` names it, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.engine.history import read_points
from reconciler.model import naming
from reconciler.model.doctor import Finding, Level
from reconciler.model.errors import Refused
from reconciler.model.objects import ObjectRef
from reconciler.model.volumes import MoveKind, MoveResult, MoveState, ResticLock
from tests.fakes import kubelet
from tests.fakes.gitstore import FakeManifestStore, FakeRemote
from tests.unit.engine.doctor_world import POLICY_FILE, DoctorWorld
from tests.unit.engine.run_world import HOME, RUN_IDS, SYSTEM, manifest

ACCOUNT = f"system:serviceaccount:{SYSTEM}:backstay-"
Object = dict[str, Any]
Break = Callable[[DoctorWorld], object]


@pytest.fixture
def world() -> DoctorWorld:
    """Return an installation that nothing is wrong with."""
    return DoctorWorld()


def only(world: DoctorWorld, **options: Any) -> Finding:
    """The one thing that is wrong."""
    (found,) = world.wrong(**options)
    return found


def remove(world: DoctorWorld, kind: str, name: str = "") -> None:
    """Deletes what is there of a kind, or one."""
    for raw in world.cluster.all(kind):
        if name in ("", raw["metadata"]["name"]):
            world.cluster.remove(raw)


def edit(world: DoctorWorld, kind: str, change: Callable[[Object], object]) -> None:
    """Changes every object of a kind."""
    for raw in world.cluster.all(kind):
        world.cluster.edit(raw, change)


def deny(role: str, verb: str, kind: str) -> Break:
    """An account lacks a right."""
    return lambda world: world.cluster.denied.add((f"{ACCOUNT}{role}", verb, kind))


def suspend(raw: Object) -> None:
    """As `kubectl patch` does it."""
    raw["spec"]["suspend"] = True


def without_a_rule(raw: Object) -> None:
    """An admission policy that forbids less."""
    raw["spec"]["validations"].pop()


def audit_only(raw: Object) -> None:
    """A binding that denies nothing."""
    raw["spec"]["validationActions"] = ["Audit"]


def scale_to(replicas: int, ready: int) -> Callable[[Object], object]:
    """The controller's Deployment."""

    def change(raw: Object) -> None:
        raw["spec"]["replicas"] = replicas
        raw["status"] = {"readyReplicas": ready}

    return change


def with_image(raw: Object) -> None:
    """Another version than Config's."""
    raw["spec"]["template"]["spec"]["containers"][0]["image"] = "backstay:2"


def old_version(world: DoctorWorld) -> None:
    """Config's image is left behind."""
    edit(world, "Deployment", lambda raw: with_image(raw) if _is_controller(raw) else None)


def _is_controller(raw: Object) -> bool:
    return bool(raw["metadata"]["name"] == "backstay-controller")


def controller(change: Callable[[Object], object]) -> Break:
    """Changes the controller's Deployment."""
    return lambda world: edit(
        world, "Deployment", lambda raw: change(raw) if _is_controller(raw) else None
    )


def crash(world: DoctorWorld, code: int = 12) -> None:
    """A later run failed before it could record anything."""
    (cron_job,) = world.cluster.all("CronJob")
    template = cron_job["spec"]["jobTemplate"]
    metadata = {**template["metadata"], "name": "backstay-shop-2", "namespace": SYSTEM}
    job = manifest("batch/v1/Job", "backstay-shop-2", SYSTEM, spec=template["spec"])
    made = world.cluster.put({**job, "metadata": metadata})
    kubelet.end(
        world.cluster, made, exit_code=code, message='{"event":"x"}\nerror: wrong password\n'
    )


def lock(world: DoctorWorld, minutes: int, *, exclusive: bool = False) -> None:
    """Somebody locked the repository of shop so long ago."""
    when = world.clock.now() - timedelta(minutes=minutes)
    held = ResticLock(
        id="c" * 64, time=when, exclusive=exclusive, host="old-pod", user="root", pid=17
    )
    world.repository("shop").locks.append(held)


def outsider(world: DoctorWorld) -> None:
    """Somebody else commits on the policy's branch."""
    store = world.make_store()
    branch = "clusters/prod-eu/shop"
    sha = store.commit(branch, store.tip(branch), [], "Fix it by hand\n", when=world.clock.now())
    store.push({branch: sha})


def foreign(world: DoctorWorld) -> None:
    """Another cluster wrote the marker."""
    commit = world.remote.commits[world.remote.heads[HOME]]
    text = commit.files["_cluster.yaml"].decode().replace("7c1e9000", "00000000")
    files = {**commit.files, "_cluster.yaml": text.encode()}
    world.remote.commits[commit.sha] = replace(commit, files=files)


def unlabelled(world: DoctorWorld) -> None:
    """The namespace of the policy is gone."""
    world.lose_shop()


def stuck_claim(world: DoctorWorld) -> None:
    """A claim that waits for its volume."""
    edit(world, "PersistentVolumeClaim", lambda raw: raw.update(status={"phase": "Lost"}))


def fail_runs(world: DoctorWorld) -> None:
    """The last run has a part missing."""
    world.mover._effect = lambda _: MoveResult(
        state=MoveState.FAILED, message="disk full", exit_code=1
    )
    world.run(2)


def edit_config(world: DoctorWorld, text: str) -> None:
    """The cluster's own Config."""

    def change(raw: Object) -> None:
        if raw["metadata"]["name"] == "backstay-config":
            raw["data"]["backstay.yaml"] = text

    edit(world, "ConfigMap", change)


def call(world: DoctorWorld, name: str, renamed_from: str = "") -> None:
    """The Config given to doctor is of another name than the installation's."""
    called = replace(world.config.cluster, name=name, renamed_from=renamed_from)
    world.config = replace(world.config, cluster=called)


PROBLEM, WARNING = Level.PROBLEM, Level.WARNING
CASES: dict[str, tuple[Break, str, Level, str, str]] = {
    "skew": (
        lambda w: setattr(w.cluster, "skew", 400.0), "cluster/clock", PROBLEM,
        "400 s behind", "NTP",
    ),
    "a bit of skew": (
        lambda w: setattr(w.cluster, "skew", -90.0), "cluster/clock", WARNING,
        "ahead of the API server", "timedatectl",
    ),
    "no git": (
        lambda w: w.programs.update(git="2.20.1"), "versions/git", PROBLEM, "too old", "newer git",
    ),
    "old restic": (
        lambda w: w.programs.update(restic="0.16.4"), "versions/restic", PROBLEM,
        "0.17.1 is needed", "newer restic",
    ),
    "another version": (
        lambda w: setattr(w, "writer", "backstay 0.9"), "versions/backstay", WARNING,
        "written by backstay test, and this is backstay 0.9", "the same version",
    ),
    "image": (old_version, "versions/image", WARNING, "backstay:2", "`image` in Config"),
    "controller's right": (
        deny("controller", "patch", "cronjobs.batch"), "rights/controller/patch/cronjobs.batch",
        PROBLEM, "may not patch cronjobs.batch in namespace backstay-system", "rbac-controller",
    ),
    "run's right": (
        deny("run", "create", "jobs.batch"), "rights/run/create/jobs.batch", PROBLEM,
        "may not create jobs.batch", "rbac-run.yaml",
    ),
    "restore account": (
        lambda w: w.cluster.denied.clear(), "rights/restore-account", WARNING,
        "as strong as cluster-admin", "delete clusterrolebinding backstay-restore",
    ),
    "no account": (
        lambda w: remove(w, "ServiceAccount", "backstay-run"), "installation/accounts", PROBLEM,
        "no service account backstay-run", "apply -k",
    ),
    "no Config": (
        lambda w: remove(w, "ConfigMap", "backstay-config"), "installation/config", PROBLEM,
        "is not there", "apply -k",
    ),
    "Config that is none": (
        lambda w: edit_config(w, "cluster: [1"), "installation/config", PROBLEM,
        "", "",
    ),
    "another name in the cluster": (
        lambda w: w.put_config("prod-us"), "installation/config", PROBLEM,
        "names the cluster prod-us, and the Config given here names it prod-eu",
        "cluster.name: prod-us",
    ),
    "no admission policy": (
        lambda w: remove(w, "ValidatingAdmissionPolicy"), "installation/admission", PROBLEM,
        "is not there", "admission-run.yaml",
    ),
    "no admission binding": (
        lambda w: remove(w, "ValidatingAdmissionPolicyBinding"), "installation/admission", PROBLEM,
        "may write any Job and Secret", "admission-run.yaml",
    ),
    "binding that audits": (
        lambda w: edit(w, "ValidatingAdmissionPolicyBinding", audit_only),
        "installation/admission", PROBLEM, "does not deny", "admission-run.yaml",
    ),
    "weaker admission": (
        lambda w: edit(w, "ValidatingAdmissionPolicy", without_a_rule), "installation/admission",
        WARNING, "differs", "kubectl diff",
    ),
    "no controller": (
        lambda w: w.cluster.remove(w.controller), "installation/controller", PROBLEM,
        "is not there", "apply -k",
    ),
    "controller at 0": (
        controller(scale_to(0, 0)), "installation/controller", PROBLEM, "scaled to 0",
        "--replicas=1",
    ),
    "controller not ready": (
        controller(scale_to(1, 0)), "installation/controller", PROBLEM, "not ready", "describe",
    ),
    "two controllers": (
        controller(scale_to(2, 2)), "installation/controller", WARNING, "2 replicas",
        "--replicas=1",
    ),
    "cycle failed": (
        lambda w: w.log_cycle("cycle failed", error="cannot fetch", hint="the network"),
        "installation/cycle", PROBLEM, "failed: cannot fetch", "the network",
    ),
    "no cycle": (
        lambda w: w.cluster.log_lines.clear(), "installation/cycle", WARNING, "no cycle", "logs",
    ),
    "read-only key": (
        lambda w: setattr(w.remote, "read_only", True), "git/push", PROBLEM, "cannot push",
        "--only git",
    ),
    "foreign cluster": (foreign, "git/cluster", PROBLEM, "another cluster", "backstay adopt"),
    "outsider": (outsider, "git/branches", WARNING, "no run made the newest commit", "git log"),
    "policy problem": (
        lambda w: w.push_policies(POLICY_FILE.replace(b"keepDaily", b"keepDaly")),
        "policies/valid", PROBLEM, "keepDaly", "keepDaily",
    ),
    "default class": (
        lambda w: remove(w, "StorageClass"), "storage/default-class", WARNING, "there is none",
        "is-default-class=true",
    ),
    "claim": (stuck_claim, "storage/claims", PROBLEM, "can't be copied", "copyMethod: Skip"),
    "run crashed": (crash, "policies/last-run", PROBLEM, "no record: wrong password", "logs job/"),
    "run partial": (fail_runs, "policies/last-run", WARNING, "disk full", "backstay show run"),
    "stale exclusive lock": (
        lambda w: lock(w, 31, exclusive=True), "leftovers/restic-lock", PROBLEM,
        "every copy fails", "backstay password shop",
    ),
    "stale lock": (
        lambda w: lock(w, 31), "leftovers/restic-lock", WARNING, "root@old-pod, process 17",
        "restic unlock",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_each_thing_that_breaks_is_named_with_its_next_step(world: DoctorWorld, name: str) -> None:
    damage, identifier, level, message, hint = CASES[name]
    damage(world)
    found = world.wrong()
    assert identifier in {one.id for one in found}, found
    named = next(one for one in found if one.id == identifier)
    assert named.level is level
    assert message in named.message
    assert hint in named.hint
    allowed = {"policies/applied"} if name == "policy problem" else set()
    allowed |= {"rights/restore"} if name == "restore account" else set()
    assert {one.id for one in found} - allowed == {identifier}


def test_a_missing_namespace_says_that_nothing_is_installed(world: DoctorWorld) -> None:
    world.cluster.remove(manifest("Namespace", SYSTEM, ""))
    found = {one.id: one for one in world.wrong()}
    assert "not installed here" in found["installation/accounts"].message
    assert found["installation/controller"].level is PROBLEM


def test_what_may_not_be_asked_is_unknown_with_the_command_that_asks(world: DoctorWorld) -> None:
    world.cluster.impersonation = False
    made = world.doctor()
    unknown = [one.id for one in made.findings if one.level is Level.UNKNOWN]
    assert unknown == ["rights/controller", "rights/run", "rights/restore-account"]
    assert made.exit_code == 3


def test_in_a_pod_of_a_run_its_own_rights_are_asked(world: DoctorWorld) -> None:
    world.cluster.user = f"{ACCOUNT}run"
    world.cluster.impersonation = False
    assert world.wrong() == []
    world.cluster.denied.add(("", "list", "secrets"))
    world.cluster.denied.add(("", "list", "everything"))
    found = only(world)
    assert found.id == "rights/run/list"
    assert "may not list secrets:" in found.message


def test_a_person_who_cannot_restore_is_told(world: DoctorWorld) -> None:
    world.cluster.denied.add(("", "bind", "clusterroles.rbac.authorization.k8s.io"))
    found = only(world)
    assert (found.id, found.level) == (
        "rights/restore/bind/clusterroles.rbac.authorization.k8s.io", WARNING
    )  # fmt: skip


def test_listing_every_kind_by_hand_is_as_good(world: DoctorWorld) -> None:
    world.cluster.denied.add((f"{ACCOUNT}run", "list", "everything"))
    assert world.wrong() == []


def test_a_policy_without_a_namespace(world: DoctorWorld) -> None:
    world.lose_shop()
    found = {one.id: one for one in world.wrong()}
    assert found["policies/selection"].level is PROBLEM


def test_changes_that_wait_for_the_controller(world: DoctorWorld) -> None:
    world.push_policies(POLICY_FILE.replace(b"17 4", b"18 4"))
    found = only(world)
    assert (found.id, found.level) == ("policies/applied", WARNING)
    assert "is not applied yet: " in found.message
    assert "logs deploy/backstay-controller" in found.hint


def test_a_schedule_that_somebody_suspended(world: DoctorWorld) -> None:
    edit(world, "CronJob", suspend)
    found = {one.id: one for one in world.wrong()}
    assert "somebody suspended" in found["policies/schedule"].message
    assert "patch cronjob backstay-shop" in found["policies/schedule"].hint


def test_a_policy_that_is_suspended_in_git_is_in_order(world: DoctorWorld) -> None:
    world.push_policies(POLICY_FILE.replace(b'schedule: "', b'suspend: true\n  schedule: "'))
    world.apply()
    for _ in range(2):
        world.clock.advance(timedelta(days=4).total_seconds())
        world.apply()
    world.log_cycle("cycle done")
    assert world.wrong() == []


def test_missed_runs_are_counted(world: DoctorWorld) -> None:
    world.clock.advance(timedelta(hours=24, minutes=20).total_seconds())
    world.log_cycle("cycle done")
    found = only(world)
    assert (found.id, found.level) == ("policies/overdue", WARNING)
    assert "1 run was missed, the first at 2026-11-22T04:17:00Z" in found.message
    world.clock.advance(timedelta(days=2).total_seconds())
    world.log_cycle("cycle done")
    found = only(world)
    assert (found.level, found.message[:6]) == (PROBLEM, "3 runs")


def test_a_promise_that_is_broken(world: DoctorWorld) -> None:
    world.push_policies(
        POLICY_FILE.replace(b"  retention", b"  objectives: {rpo: 2h}\n  retention")
    )
    world.apply()
    found = world.wrong()
    if any(one.id == "policies/valid" for one in found):
        pytest.fail(found[0].message)
    (late,) = found
    assert (late.id, late.level) == ("policies/overdue", PROBLEM)
    assert "objectives.rpo promises 2 h" in late.message


def test_a_run_at_work_misses_nothing_and_its_mover_is_no_leftover(world: DoctorWorld) -> None:
    (cron_job,) = world.cluster.all("CronJob")
    template = cron_job["spec"]["jobTemplate"]
    world.clock.advance(timedelta(hours=24).total_seconds())
    metadata = {**template["metadata"], "name": "backstay-shop-2", "namespace": SYSTEM}
    job = manifest("batch/v1/Job", "backstay-shop-2", SYSTEM, spec=template["spec"])
    made = world.cluster.put({**job, "metadata": metadata})
    kubelet.start(world.cluster, made)
    world.clock.advance(timedelta(minutes=30).total_seconds())
    world.log_cycle("cycle done")
    assert world.wrong() == []


def test_a_dead_runs_mover_and_keys_in_a_real_list(world: DoctorWorld) -> None:
    run_id = RUN_IDS[6]
    name = naming.mover_name(run_id, "shop", "files", MoveKind.BACKUP.value)
    notes = {naming.RUN: run_id, naming.CLAIM: "files", naming.POLICY: "shop"}
    for kind, component, more in (
        ("batch/v1/Job", "mover", {"spec": {}}),
        ("Secret", "credentials", {"data": {"RESTIC_PASSWORD": "c2VjcmV0LTQ3MTE="}}),
    ):
        labels = naming.labels(component, policy="shop", run_id=run_id)
        metadata = {"labels": labels, "annotations": notes}
        world.cluster.put(manifest(kind, name, metadata=metadata, **more))
    found = only(world)
    assert (found.id, found.where) == ("leftovers/mover", f"Job shop/{name}")
    assert "the next run of policy shop removes it" in found.hint
    world.cluster.delete(
        ObjectRef(group="batch", kind="Job", namespace="shop", name=name), orphan=True
    )
    found = only(world)
    assert found.id == "leftovers/credentials"
    assert "c2VjcmV0" not in json.dumps([str(one) for one in world.doctor().findings])


def test_a_wrong_name_in_config_is_found_in_the_cluster_and_in_git(world: DoctorWorld) -> None:
    call(world, "prod-us")
    found = {one.id: one for one in world.wrong()}
    assert found["installation/config"].level is PROBLEM
    other = found["git/cluster"]
    assert (other.level, other.where) == (PROBLEM, f"branch {HOME}")
    assert "by this very cluster" in other.message
    assert "which Config calls prod-us" in other.message
    assert "cluster.name: prod-eu" in other.hint
    assert "cluster.renamedFrom: prod-eu" in other.hint


def test_a_name_that_config_says_is_new_is_no_problem_in_git(world: DoctorWorld) -> None:
    call(world, "prod-us", renamed_from="prod-eu")
    assert "git/cluster" not in {one.id for one in world.wrong()}


def test_another_clusters_branches_are_no_news(world: DoctorWorld) -> None:
    foreign(world)
    call(world, "prod-us")
    world.put_config("prod-us")
    assert "git/cluster" not in {one.id for one in world.wrong()}


def test_the_name_of_a_cluster_that_has_no_branches_leads_to_those_that_have(
    world: DoctorWorld,
) -> None:
    with pytest.raises(Refused) as caught:
        read_points(world.make_store(), "clusters/prod-us/shop")
    assert "no branch clusters/prod-us/shop" in caught.value.message
    assert "clusters that have branches: prod-eu;" in caught.value.hint
    with pytest.raises(Refused) as caught:
        read_points(FakeManifestStore(FakeRemote()), "clusters/prod-us/shop")
    assert caught.value.hint == "no run was recorded yet"
