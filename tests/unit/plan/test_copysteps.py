"""What comes next for a copy: every combination of what the cluster may have."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

import pytest

from reconciler.model import kinds, naming
from reconciler.model.volumes import CopyKind, VolumeCopy
from reconciler.plan import copyobjects, copysteps
from reconciler.plan.copysteps import Fail, Make, Mount, Remove, Seen, Unretain, Wait
from reconciler.plan.moverjob import MoverSettings, make_job, mover_name
from tests.unit.kube.test_moverprotocol import task

COPY = VolumeCopy(
    method=CopyKind.SNAPSHOT, home="backstay-system", snapshot_class="fast", storage_class="csi"
)
TASK = replace(task(), copy=COPY)
CLONE = replace(TASK, copy=replace(COPY, method=CopyKind.CLONE))
NAME = mover_name(TASK)
JOB = "job-uid"
STATES = ("none", "ours", "going", "foreign", "ready")


def bound(policy: str = "Retain") -> dict[str, Any]:
    """The content that the cluster makes for our snapshot."""
    ref = {"name": NAME, "namespace": "shop", "uid": "snapshot-uid"}
    return {
        "metadata": {"name": "snapcontent-1", "uid": "bound-uid", "resourceVersion": "7"},
        "spec": {"deletionPolicy": policy, "driver": "csi.example.org", "volumeSnapshotRef": ref},
        "status": {"snapshotHandle": "snap-1"},
    }


def made(kind: str, state: str) -> dict[str, Any] | None:
    """One of the objects of a copy, as it may be found."""
    if state == "none":
        return None
    makers = {
        "snapshot": lambda: copyobjects.make_snapshot(TASK, COPY),
        "content": lambda: copyobjects.make_content(TASK, COPY, bound()),
        "handover": lambda: copyobjects.make_handover(TASK, COPY, JOB),
        "claim": lambda: copyobjects.make_claim(TASK, COPY, JOB),
    }
    raw = makers[kind]()
    raw["metadata"] |= {"uid": f"{kind}-uid", "creationTimestamp": "2026-11-21T04:17:03Z"}
    if state == "foreign":
        raw["metadata"]["annotations"] = {}
    if state == "going":
        raw["metadata"]["deletionTimestamp"] = "2026-11-21T04:17:03Z"
    if state == "ready":
        raw["status"] = {
            "readyToUse": True,
            "creationTime": "2026-11-21T04:17:05Z",
            "boundVolumeSnapshotContentName": "snapcontent-1",
            "restoreSize": "2Gi",
            "phase": "Bound",
        }
    return raw


@dataclass(frozen=True)
class Case:
    """One combination."""

    states: tuple[str, ...]
    bound: dict[str, Any] | None

    @property
    def seen(self) -> Seen:
        """As the adapter would have it."""
        names = ("snapshot", "content", "handover", "claim")
        found = {name: made(name, state) for name, state in zip(names, self.states, strict=True)}
        return Seen(**found, bound=self.bound)


CASES = [
    Case(states, content)
    for states in itertools.product(STATES, repeat=4)
    for content in (None, bound(), bound("Delete"))
]


def test_foreign_objects_are_never_written_or_removed() -> None:
    for case in CASES:
        seen = case.seen
        ours = {
            raw["metadata"]["uid"]
            for raw in (seen.snapshot, seen.content, seen.handover, seen.claim)
            if raw is not None and copyobjects.is_copy_of(TASK, raw)
        }
        step = copysteps.next_step(TASK, COPY, seen, JOB)
        if isinstance(step, Make):
            kind, place = step.obj["kind"], step.obj["metadata"].get("namespace", "")
            taken = [seen.snapshot, seen.content, seen.handover, seen.claim]
            assert not any(
                raw and (raw["kind"], raw["metadata"].get("namespace", "")) == (kind, place)
                for raw in taken
            ), case
        for patient in (False, True):
            undo = copysteps.next_undo(TASK, seen, patient=patient)
            if isinstance(undo, Remove):
                assert undo.uid in ours, case
            if isinstance(undo, Unretain):
                assert undo.ref.name == "snapcontent-1"
                assert "snapshot-uid" in ours


def test_nothing_is_removed_before_what_needs_it() -> None:
    order = ["claim-uid", "handover-uid", "content-uid", "snapshot-uid"]
    for case in CASES:
        undo = copysteps.next_undo(TASK, case.seen, patient=True)
        if isinstance(undo, Remove | Unretain):
            at = order.index(undo.uid if isinstance(undo, Remove) else "snapshot-uid")
            snapshot, content, handover, claim = case.states
            before = [claim, handover, content, snapshot][:at]
            assert set(before) <= {"none", "foreign"}, case


def test_a_mover_mounts_only_what_is_whole_and_ours() -> None:
    found = [
        case for case in CASES if isinstance(copysteps.next_step(TASK, COPY, case.seen, JOB), Mount)
    ]
    assert {case.states[0] for case in found} == {"ready"}
    assert {case.states[1] for case in found} == {"ours", "ready"}
    assert {case.states[2] for case in found} == {"ready"}
    assert {case.states[3] for case in found} == {"ours", "ready"}
    assert all(case.bound and case.bound["spec"]["deletionPolicy"] == "Delete" for case in found)


def test_what_is_mounted_is_of_the_moment_that_the_storage_says() -> None:
    case = Case(("ready", "ready", "ready", "ready"), bound("Delete"))
    step = copysteps.next_step(TASK, COPY, case.seen, JOB)
    assert step == Mount("2026-11-21T04:17:05Z", cut=True)


def test_the_content_goes_with_the_snapshot_before_anything_else_is_made() -> None:
    for state in ("ours", "ready"):
        case = Case((state, "none", "none", "none"), bound())
        step = copysteps.next_step(TASK, COPY, case.seen, JOB)
        assert isinstance(step, Unretain)
        assert step.version == "7"


def test_the_second_content() -> None:
    case = Case(("ready", "none", "none", "none"), bound("Delete"))
    step = copysteps.next_step(TASK, COPY, case.seen, JOB)
    assert isinstance(step, Make)
    assert step.obj["spec"] == {
        "deletionPolicy": "Retain",
        "driver": "csi.example.org",
        "source": {"snapshotHandle": "snap-1"},
        "sourceVolumeMode": "Filesystem",
        "volumeSnapshotRef": {"name": NAME, "namespace": "backstay-system"},
    }
    assert "namespace" not in step.obj["metadata"]


def test_of_another_snapshot_it_is_not_used() -> None:
    other = bound("Delete")
    other["status"] = {"snapshotHandle": "snap-2"}
    case = Case(("ready", "ours", "none", "none"), other)
    step = copysteps.next_step(TASK, COPY, case.seen, JOB)
    assert isinstance(step, Fail)
    assert "another snapshot" in step.why


@pytest.mark.parametrize("kind", ["handover", "claim"])
def test_what_an_earlier_job_owns_goes_with_it(kind: str) -> None:
    states = {"snapshot": "ready", "content": "ready", "handover": "ready", "claim": "ready"}
    found = {name: made(name, state) for name, state in states.items()}
    owner = found[kind]
    assert owner is not None
    owner["metadata"]["ownerReferences"] = [{"uid": "earlier"}]
    step = copysteps.next_step(TASK, COPY, Seen(**found, bound=bound("Delete")), JOB)
    assert isinstance(step, Wait)
    assert "earlier Job" in step.why


def test_errors_are_quoted() -> None:
    raw = made("snapshot", "ours")
    assert raw is not None
    raw["status"] = {"readyToUse": False, "error": {"message": "no\n room"}}
    step = copysteps.next_step(TASK, COPY, Seen(snapshot=raw), JOB)
    assert step == Wait(f"snapshot shop/{NAME} is not ready: no room")


def test_a_clone_is_a_claim_beside_its_own() -> None:
    assert CLONE.copy is not None
    step = copysteps.next_step(CLONE, CLONE.copy, Seen(), JOB)
    assert isinstance(step, Make)
    metadata, spec = step.obj["metadata"], step.obj["spec"]
    assert metadata["namespace"] == "shop"
    assert metadata["ownerReferences"][0]["uid"] == JOB
    assert spec["dataSource"] == {"kind": "PersistentVolumeClaim", "name": "data"}
    seen = Seen(claim={**step.obj, "status": {"phase": "Pending"}})
    assert copysteps.next_step(CLONE, CLONE.copy, seen, JOB) == Mount("", cut=False)


def test_where_the_job_is_and_what_it_mounts() -> None:
    places = {}
    for one in (TASK, CLONE, task()):
        job = make_job(one, MoverSettings(), suspend=True)
        volume = job["spec"]["template"]["spec"]["volumes"][0]["persistentVolumeClaim"]
        places[job["metadata"]["namespace"], volume["claimName"]] = one
    assert set(places) == {("backstay-system", NAME), ("shop", NAME), ("shop", "data")}
    told = make_job(TASK, MoverSettings(), suspend=True)["metadata"]["annotations"]
    assert told[naming.NAMESPACE] == "shop"
    assert told[naming.METHOD] == "Snapshot"
    assert kinds.SNAPSHOTS.folder == "volumesnapshot.snapshot.storage.k8s.io"
