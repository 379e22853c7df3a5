"""What `backstay doctor` makes of what lies in the cluster: every kind of leftover, and none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reconciler.model import naming
from reconciler.model.cluster import Claim, Namespace
from reconciler.model.doctor import Finding, Level
from reconciler.plan import moverjob
from reconciler.plan.begun import policy_of_run
from reconciler.plan.doctor import IDS
from reconciler.plan.doctorleftovers import Scene, find_leftovers

OWN = "backstay-system"
NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
RUN = "shop-20261121-041703-7c1e9"
EMPTY = Scene(namespace=OWN, now=NOW, alive=frozenset())
Object = dict[str, Any]


def tell(scene: Scene, *, policy: str = "") -> list[Finding]:
    """All leftovers; every id is a known one, and everything but good news has a next step."""
    found = list(find_leftovers(scene, policy=policy))
    for one in found:
        assert one.id in IDS
        assert one.hint
        assert one.where
    return found


def lease(name: str, holder: str, *, ago: float = 10.0, namespace: str = OWN) -> Object:
    """A Lease of 60 s that was renewed so many seconds ago."""
    renewed = (NOW - timedelta(seconds=ago)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 60, "renewTime": renewed}
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec}


def pod(name: str, phase: str = "Running", owner: str = "", **status: Any) -> Object:
    """A pod of Backstay's namespace."""
    owners = [{"uid": owner}] if owner else []
    metadata = {"name": name, "namespace": OWN, "ownerReferences": owners}
    return {"metadata": metadata, "status": {"phase": phase, **status}}


def mover(
    kind: str = "backup", run_id: str = RUN, *, claim: str = "files", **fields: Any
) -> Object:
    """A mover's Job."""
    annotations = {naming.RUN: run_id, naming.CLAIM: claim, naming.POLICY: policy_of_run(run_id)}
    name = naming.mover_name(run_id, "shop", claim, kind)
    return {"metadata": {"name": name, "namespace": "shop", "annotations": annotations}, **fields}


def run_job(name: str, *, age: timedelta, **fields: Any) -> Object:
    """A Job of a policy's CronJob."""
    created = (NOW - age).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata = {
        "name": name, "namespace": OWN, "uid": "u1", "creationTimestamp": created,
        "labels": {naming.COMPONENT: "run"}, "annotations": {naming.POLICY: "shop"},
    }  # fmt: skip
    return {"metadata": metadata, **fields}


def ended(kind: str) -> Object:
    """A Job's status with this condition."""
    return {"conditions": [{"type": kind, "status": "True"}]}


def test_an_empty_cluster_has_no_leftovers() -> None:
    assert tell(EMPTY) == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "still at work"),
        ({"status": ended("Failed")}, "failed"),
        ({"status": ended("Complete")}, "ended well"),
        ({"spec": {"suspend": True}}, "never started"),
    ],
)
def test_a_mover_of_a_dead_run_is_named_with_what_removes_it(fields: Object, said: str) -> None:
    job = mover(**fields)
    scene = replace(EMPTY, movers=[job], scheduled=frozenset({"shop"}))
    (found,) = tell(scene)
    name = job["metadata"]["name"]
    assert (found.id, found.level) == ("leftovers/mover", Level.WARNING)
    assert found.where == f"Job shop/{name}"
    assert found.message == f"mover of claim files, {said}; run {RUN} is over"
    assert found.hint == (
        f"the next run of policy shop removes it; at once: kubectl -n shop delete job {name}"
    )


def test_a_mover_whose_run_waits_for_its_next_pod_is_no_leftover_yet() -> None:
    scene = replace(EMPTY, movers=[mover()], alive=frozenset({RUN}), waiting=frozenset({RUN}))
    (found,) = tell(scene)
    assert (found.id, found.level) == ("leftovers/mover", Level.INFO)
    assert found.message.endswith(f"run {RUN} has lost its pod")
    assert "next pod goes on with it" in found.hint


def test_a_mover_that_a_run_ended_says_why() -> None:
    job = mover(spec={"suspend": True})
    job["metadata"]["annotations"][moverjob.ENDED_BECAUSE] = "its pod never started"
    (found,) = tell(replace(EMPTY, movers=[job]))
    assert "ended before its time (its pod never started); run" in found.message


def test_without_a_schedule_only_a_person_removes_a_mover() -> None:
    job = mover()
    (found,) = tell(replace(EMPTY, movers=[job]))
    assert found.hint == f"kubectl -n shop delete job {job['metadata']['name']}"


def test_a_mover_of_a_living_run_is_none() -> None:
    assert tell(replace(EMPTY, movers=[mover()], alive=frozenset({RUN}))) == []


def test_a_restores_mover_is_left_over_once_no_restore_is_at_work() -> None:
    job = mover("restore")
    (found,) = tell(replace(EMPTY, movers=[job], alive=frozenset({RUN})))
    assert "no restore is at work" in found.message
    delete = f"to remove it: kubectl -n shop delete job {job['metadata']['name']}"
    assert found.hint == f"its claim is not half filled, so nothing needs it; {delete}"
    half = Claim(namespace="shop", name="files", restoring=f"{RUN}/blog")
    scene = replace(EMPTY, movers=[job], claims=[half], alive=frozenset({RUN}))
    found, _ = tell(scene)
    copy = "--namespace blog --map-namespace blog=shop"
    assert found.hint == (
        f"backstay restore shop --at {RUN} {copy} goes on with it (with --allow-partial, if it had"
        f" that); {delete}"
    )
    other = replace(half, restoring="shop-20261120-041703-11111")
    found, _ = tell(replace(scene, claims=[other]))
    assert found.hint.startswith("its claim is not half filled")
    at_work = replace(EMPTY, movers=[job], leases=[lease("backstay-restore", "laptop/1")])
    assert [one.id for one in tell(at_work)] == ["leftovers/restore"]


def test_what_only_looks_like_a_mover_is_told_apart() -> None:
    job = mover()
    job["metadata"]["name"] = "somebody-elses"
    (found,) = tell(replace(EMPTY, movers=[job], alive=frozenset({RUN})))
    assert "is none of them" in found.message


def test_keys_without_their_mover_are_named() -> None:
    name = mover()["metadata"]["name"]
    scene = replace(EMPTY, credentials=[("shop", name, RUN)])
    (found,) = tell(scene)
    assert (found.id, found.level) == ("leftovers/credentials", Level.WARNING)
    assert f"kubectl -n shop delete secret {name}" in found.hint
    assert tell(replace(scene, alive=frozenset({RUN}))) == []
    # Beside their Job they go with it.
    assert [one.id for one in tell(replace(scene, movers=[mover()]))] == ["leftovers/mover"]


def test_the_lease_of_a_killed_run_needs_nothing() -> None:
    scene = replace(EMPTY, leases=[lease("backstay-run-shop", f"{RUN}/pod-1")])
    (found,) = tell(scene)
    assert (found.id, found.level) == ("leftovers/lease", Level.INFO)
    assert found.message == f"run {RUN} was killed while it held it"
    assert tell(replace(scene, pods=[pod("pod-1", "Failed")])) == [found]
    assert tell(replace(scene, pods=[pod("pod-1")])) == []


def test_a_run_that_lives_and_does_not_renew_is_a_warning() -> None:
    leases = [lease("backstay-run-shop", f"{RUN}/pod-1", ago=120)]
    (found,) = tell(replace(EMPTY, leases=leases, pods=[pod("pod-1")]))
    assert found.level is Level.WARNING
    assert "logs pod-1" in found.hint


def test_a_lease_that_was_given_back_is_none() -> None:
    free = lease("backstay-run-shop", "")
    assert tell(replace(EMPTY, leases=[free])) == []


def test_other_leases_count_once_they_have_expired() -> None:
    leases = [lease("backstay-controller", "pod/uid"), lease("backstay-repositories", "x", ago=90)]
    (found,) = tell(replace(EMPTY, leases=leases))
    assert (found.where, found.level) == (f"Lease {OWN}/backstay-repositories", Level.INFO)


def test_a_killed_restore_is_a_warning_and_its_claims_are_named() -> None:
    claim = Claim(namespace="shop", name="files", restoring=RUN)
    scene = replace(EMPTY, claims=[claim], leases=[lease("backstay-restore", "laptop/1", ago=300)])
    lease_, half = tell(scene)
    assert (lease_.id, lease_.level) == ("leftovers/restore", Level.WARNING)
    assert "free since 2026-11-21T11:56:00Z" in lease_.message
    assert (half.id, half.level) == ("leftovers/restoring-claim", Level.WARNING)
    assert half.where == "PersistentVolumeClaim shop/files"
    assert f"backstay restore shop --at {RUN} --namespace shop goes on" in half.hint
    assert "without --namespace all of the run comes back" in half.hint
    assert "annotate pvc files backstay.dev/restoring-" in half.hint


def test_a_restore_that_is_known_to_be_dead_is_not_waited_for() -> None:
    claim = Claim(namespace="shop", name="files", restoring=RUN)
    scene = replace(
        EMPTY,
        claims=[claim],
        leases=[lease("backstay-restore", "laptop/1")],
        dead=frozenset({"laptop/1"}),
    )
    lease_, half = tell(scene)
    assert lease_.level is half.level is Level.WARNING
    assert "free for this machine now, for others at 2026-11-21T12:00:50Z" in lease_.message


def test_a_namespace_that_a_restore_has_only_begun_is_named() -> None:
    begun = Namespace(name="shop", annotations={naming.RESTORING: RUN})
    scene = replace(EMPTY, namespaces=[begun, Namespace(name="other")])
    (found,) = tell(scene)
    assert (found.id, found.level) == ("leftovers/restoring-namespace", Level.WARNING)
    assert f"backstay restore shop --at {RUN} --namespace shop goes on" in found.hint
    assert "annotate namespace shop backstay.dev/restoring-" in found.hint
    assert tell(scene, policy="mail") == []
    at_work = replace(scene, leases=[lease("backstay-restore", "laptop/1")])
    assert {one.level for one in tell(at_work)} == {Level.INFO}


def test_a_half_made_copy_is_gone_on_with_by_the_mapping_that_made_it() -> None:
    claim = Claim(namespace="shop2", name="files", restoring=f"{RUN}/shop")
    begun = Namespace(name="shop2", annotations={naming.RESTORING: f"{RUN}/shop"})
    found = tell(replace(EMPTY, claims=[claim], namespaces=[begun]), policy="shop")
    command = f"backstay restore shop --at {RUN} --namespace shop --map-namespace shop=shop2"
    for one in found:
        assert f"{command} goes on" in one.hint
        assert "without --namespace" not in one.hint
        assert f"from run {RUN}, " in one.message
    assert len(found) == 2


def test_a_restore_at_work_is_no_leftover() -> None:
    claim = Claim(namespace="shop", name="files", restoring=RUN)
    for namespace in (OWN, "default"):
        held = lease("backstay-restore", "laptop/1", namespace=namespace)
        found = tell(replace(EMPTY, claims=[claim], leases=[held]))
        assert {one.level for one in found} == {Level.INFO}


WAITING = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
UNSCHEDULED = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}


@pytest.mark.parametrize(
    ("pods", "fields", "said"),
    [
        ([], {}, "it has no pod"),
        ([], {"spec": {"suspend": True}}, "somebody suspended it"),
        ([pod("p", "Pending", "u1")], {}, "its pod does not start"),
        (
            [pod("p", "Pending", "u1", containerStatuses=[WAITING])],
            {},
            "ImagePullBackOff: no such image",
        ),
        ([pod("p", "Pending", "u1", conditions=[UNSCHEDULED])], {}, "Unschedulable"),
    ],
)
def test_a_run_that_does_not_start_is_a_problem(
    pods: list[Object], fields: Object, said: str
) -> None:
    old = run_job("backstay-shop-1", age=timedelta(minutes=11), **fields)
    (found,) = tell(replace(EMPTY, jobs=[old], pods=pods))
    assert (found.id, found.level) == ("leftovers/pending-run", Level.PROBLEM)
    assert found.message.endswith(f"keeps later runs of shop from starting: {said}")
    young = run_job("backstay-shop-1", age=timedelta(minutes=9), **fields)
    assert tell(replace(EMPTY, jobs=[young], pods=pods)) == []


def event(about: str, reason: str, message: str, *, at: int = 0) -> Object:
    """A Warning about a pod of the Job ``u1``, or, by that uid, about the Job itself."""
    involved = {"uid": about} if about == "u1" else {"kind": "Pod", "name": about}
    when = (NOW + timedelta(seconds=at)).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata = {"name": f"e{at}", "namespace": OWN}
    return {
        "metadata": metadata, "involvedObject": involved, "reason": reason, "message": message,
        "lastTimestamp": when,
    }  # fmt: skip


def test_what_events_say_of_a_pod_that_does_not_start_is_told() -> None:
    job = run_job("backstay-shop-1", age=timedelta(minutes=11))
    events = [
        event("backstay-shop-1-x", "FailedMount", 'configmap "backstay-config" not found', at=2),
        event("backstay-shop-1-x", "FailedMount", "an older one", at=1),
        event("backstay-mail-1-x", "FailedMount", "somebody else's", at=3),
    ]
    pods = [pod("backstay-shop-1-x", "Pending", "u1")]
    (found,) = tell(replace(EMPTY, jobs=[job], pods=pods, events=events))
    assert found.message.endswith('starting: FailedMount: configmap "backstay-config" not found')
    quota = [event("u1", "FailedCreate", "exceeded quota: pods")]
    (found,) = tell(replace(EMPTY, jobs=[job], events=quota))
    assert found.message.endswith("starting: FailedCreate: exceeded quota: pods")


def test_what_the_pod_itself_says_comes_before_its_events() -> None:
    job = run_job("backstay-shop-1", age=timedelta(minutes=11))
    pods = [pod("backstay-shop-1-x", "Pending", "u1", containerStatuses=[WAITING])]
    events = [event("backstay-shop-1-x", "BackOff", "Back-off pulling image")]
    (found,) = tell(replace(EMPTY, jobs=[job], pods=pods, events=events))
    assert found.message.endswith("ImagePullBackOff: no such image")


def test_a_pod_that_took_a_lost_ones_place_has_its_own_time_to_start() -> None:
    job = run_job("backstay-shop-1", age=timedelta(hours=3))
    lost, young = pod("a", "Failed", "u1"), pod("b", "Pending", "u1")
    young["metadata"]["creationTimestamp"] = "2026-11-21T11:55:00Z"
    scene = replace(EMPTY, jobs=[job], pods=[lost, young])
    assert tell(scene) == []
    (found,) = tell(replace(scene, now=NOW + timedelta(minutes=6)))
    assert found.message.startswith("has waited since 2026-11-21T11:55:00Z and keeps")


def test_a_run_at_work_and_one_that_ended_are_not_pending() -> None:
    age = timedelta(hours=3)
    at_work = replace(EMPTY, jobs=[run_job("a", age=age)], pods=[pod("p", owner="u1")])
    assert tell(at_work) == []
    over = replace(EMPTY, jobs=[run_job("a", age=age, status=ended("Failed"))])
    assert tell(over) == []


def test_one_policy_is_looked_at_alone() -> None:
    other = "mail-20261121-041703-7c1e9"
    claims = [Claim(namespace="mail", name="box", restoring=other)]
    scene = replace(
        EMPTY,
        movers=[mover(), mover(run_id=other)],
        claims=claims,
        leases=[
            lease("backstay-run-shop", f"{RUN}/pod-1"),
            lease("backstay-run-mail", f"{other}/pod-2"),
            lease("backstay-controller", "c", ago=90),
        ],
        jobs=[run_job("a", age=timedelta(hours=1))],
    )
    mine = tell(scene, policy="shop")
    assert [one.id for one in mine] == [
        "leftovers/lease", "leftovers/mover", "leftovers/pending-run"
    ]  # fmt: skip
    assert len(tell(scene, policy="mail")) == 3
