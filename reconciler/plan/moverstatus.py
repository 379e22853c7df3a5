"""What a mover's Job, its pods and their events say: still at work, a result, or why not. Pure.

Conditions and reasons are those of Kubernetes' Job API (batch/v1) and of the kubelet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.model import moverprotocol
from reconciler.model.errors import Interrupted
from reconciler.model.volumes import MoveResult, MoveState, MoveTask
from reconciler.plan.moverjob import CONTAINER, ENDED_BECAUSE

Raw = Mapping[str, Any]
_LONGEST = 500
_CLAIM = "PersistentVolumeClaim"
_NO_SECRET = "CreateContainerConfigError"  # noqa: S105 - a reason of the kubelet

_HINTS = (
    ("OOMKilled", "give movers more memory: movers.resources in Config"),
    ("ErrImagePull", "can this node pull the image that Config names?"),
    ("ImagePullBackOff", "can this node pull the image that Config names?"),
    ("ErrImageNeverPull", "load the image that Config names onto this node"),
    ("InvalidImageName", "correct the image in Config"),
    ("violates PodSecurity", "the namespace's Pod Security level does not allow this mover"),
    ("exceeded quota", "the namespace's ResourceQuota leaves no room for a mover"),
    ("failed quota", "the namespace's ResourceQuota wants more said: movers.resources in Config"),
    (" per Container is ", "the namespace's LimitRange refuses movers.resources of Config"),
    (" per Pod is ", "the namespace's LimitRange refuses movers.resources of Config"),
    ("denied the request", "let the namespace's admission policy or webhook allow movers"),
    ("denied request", "let the namespace's admission policy or webhook allow movers"),
    ("Insufficient", "the node has no room for a mover: movers.resources in Config"),
    ("untolerated taint", "the node's taints keep the mover away"),
    ("node(s) didn't match", "the node of the pod that uses the claim can't take the mover"),
    ("persistentvolumeclaim", "is the claim there and bound?"),
    ("FailedMount", "look at the volume: kubectl describe pvc"),
    ("FailedAttachVolume", "look at the volume: kubectl describe volumeattachment"),
    ("NodeNotReady", "is the node up? If it is gone for good, delete it: kubectl delete node"),
    ("DeadlineExceeded", "give the copy more time, or find out what holds it up"),
)

_REFUSED_FOR_GOOD = (
    "violates PodSecurity",
    "must specify ",
    " per Container is ",
    " per Pod is ",
    "denied the request",
    "denied request",
)
"""In the message of an admission that says no whenever it is asked. A full quota may still pass."""
_WAITS_FOR_GOOD = ("InvalidImageName", "ErrImageNeverPull")
"""Reasons of the kubelet for a container that waits for what somebody must change."""


@dataclass(frozen=True, slots=True)
class End:
    """How a Job ended: ``reason`` and ``message`` of its condition."""

    complete: bool
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a pod has not started."""

    text: str
    lacks_secret: bool
    lacks_claim: bool = False
    for_good: bool = False
    """Nothing but a person's change lets it start."""


def is_suspended(job: Raw) -> bool:
    """Whether it waits to be let go; one that has ended does not."""
    return bool((job.get("spec") or {}).get("suspend")) and end_of(job) is None


def end_of(job: Raw) -> End | None:
    """The end, or None while the Job may still start another pod."""
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition.get("status") == "True" and condition.get("type") in {"Complete", "Failed"}:
            return End(
                condition["type"] == "Complete",
                str(condition.get("reason") or ""),
                str(condition.get("message") or ""),
            )
    return None


def pods_of(job: Raw, pods: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """This very Job's pods; what others of its name said is nothing that it did."""
    uid = job["metadata"]["uid"]
    return [
        pod
        for pod in pods
        if any(owner["uid"] == uid for owner in pod["metadata"].get("ownerReferences") or ())
    ]


def has_ready_pod(job: Raw) -> bool:
    """Whether a pod is at work."""
    return bool((job.get("status") or {}).get("ready"))


def result_of(pods: Iterable[Raw]) -> MoveResult | None:
    """What the last pod that came to an end of its own said; one that was told to end did not."""
    for pod in sorted(pods, key=_created, reverse=True):
        found = moverprotocol.parse_result(_terminated(pod).get("message") or "")
        if found is not None and found.exit_code != Interrupted.exit_code:
            return found
    return None


def waiting_of(pods: Iterable[Raw]) -> Waiting | None:
    """Why the newest pod waits, if it does."""
    for pod in sorted(pods, key=_created, reverse=True)[:1]:
        status = pod.get("status") or {}
        if status.get("phase") != "Pending":
            return None
        waiting = (_container_status(pod).get("state") or {}).get("waiting") or {}
        reason = waiting.get("reason") or ""
        if reason and reason not in {"ContainerCreating", "PodInitializing"}:
            text = _sentence(reason, waiting.get("message"))
            lacks_secret = reason == _NO_SECRET and "secret" in text
            return Waiting(text, lacks_secret, for_good=reason in _WAITS_FOR_GOOD)
        for condition in status.get("conditions") or ():
            if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
                return _unscheduled(condition)
    return None


def _unscheduled(condition: Raw) -> Waiting:
    text = _sentence(condition.get("reason"), condition.get("message"))
    about_claim = "persistentvolumeclaim" in text
    return Waiting(
        text,
        False,
        lacks_claim=about_claim and "not found" in text,
        for_good=about_claim and "is being deleted" in text,
    )


def is_at_work(pods: Iterable[Raw]) -> bool:
    """Whether the newest pod runs; one whose node has gone silent runs and is not ready."""
    for pod in sorted(pods, key=_created, reverse=True)[:1]:
        status = pod.get("status") or {}
        unready = any(
            condition.get("type") == "Ready" and condition.get("status") != "True"
            for condition in status.get("conditions") or ()
        )
        return status.get("phase") == "Running" and not unready
    return False


def ended_because(job: Raw) -> str:
    """Why a run has ended the Job before its time, if one has."""
    return str((job["metadata"].get("annotations") or {}).get(ENDED_BECAUSE, ""))


def events_about(events: Iterable[Raw], job: str, uid: str) -> list[Raw]:
    """Those about the Job, one of its pods or the claim of its copy, oldest first."""
    found = [
        event
        for event in events
        if (about := event.get("involvedObject") or {}).get("uid") == uid
        or (about.get("kind") == "Pod" and str(about.get("name", "")).startswith(f"{job}-"))
        or (about.get("kind") == _CLAIM and about.get("name") == job)
    ]
    return sorted(found, key=_when)


def refused_pod(events: Sequence[Raw]) -> str:
    """Why no pod can ever be made, if the newest refusal says so; a full quota may still pass."""
    for event in reversed(events):
        if event.get("reason") == "FailedCreate":
            message = str(event.get("message") or "")
            return message if any(sign in message for sign in _REFUSED_FOR_GOOD) else ""
    return ""


def never_began(task: MoveTask, waited: str, events: Sequence[Raw]) -> str:
    """What is said of a Job that had no pod at work for too long."""
    # A container that waits says it in its status; a volume that can't be mounted, by events only.
    claims = [one for one in events if (one.get("involvedObject") or {}).get("kind") == _CLAIM]
    # Of a claim that is not bound the pod only says that it waits for it.
    told = _last_warning(claims) or waited or _last_warning(events) or "nobody says why"
    return f"no pod at work for {task.start_timeout} s: {told}"


def never_started(task: MoveTask, why: str) -> MoveResult:
    """FAILED before any pod was there."""
    return _failed(task, cut(why), exit_code=1)


def failure(
    task: MoveTask, end: End, pods: Sequence[Raw], events: Sequence[Raw], *, waited: str
) -> MoveResult:
    """FAILED without a word of the mover: what everybody else says."""
    exit_code = 1
    parts = []
    if end.complete:
        parts.append("the mover ended well, but its pod and its result are gone")
    elif end.reason == "DeadlineExceeded":
        parts.append(f"DeadlineExceeded: not done after {task.timeout} s")
    newest = sorted(pods, key=_created)[-1:]
    for pod in newest:
        ended = _terminated(pod)
        if ended:
            code = ended.get("exitCode")
            exit_code = code if isinstance(code, int) and code else 1
            said = moverprotocol.parse_result(ended.get("message") or "")
            told = _sentence(ended.get("reason"), said.message if said else ended.get("message"))
            parts.append(f"container ended with exit code {code}: {told}")
        status = pod.get("status") or {}
        if status.get("reason"):
            parts.append(_sentence(status["reason"], status.get("message")))
    if not newest or not _terminated(newest[0]):
        told = waited or _last_warning(events)
        if told:
            parts.append(told)
    if not parts:
        parts.append(_sentence(end.reason, end.message))
    return _failed(task, "; ".join(parts), exit_code=exit_code)


def _failed(task: MoveTask, why: str, *, exit_code: int) -> MoveResult:
    hint = next((f" ({hint})" for sign, hint in _HINTS if sign in why), "")
    message = f"mover of {task.namespace}/{task.claim}: {why}{hint}"
    return MoveResult(state=MoveState.FAILED, exit_code=exit_code, message=message)


def _last_warning(events: Sequence[Raw]) -> str:
    if not events:
        return ""
    return _sentence(events[-1].get("reason"), events[-1].get("message"))


def _container_status(pod: Raw) -> Raw:
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        if status.get("name") == CONTAINER and isinstance(status, Mapping):
            return status
    return {}


def _terminated(pod: Raw) -> Raw:
    found = (_container_status(pod).get("state") or {}).get("terminated")
    return found if isinstance(found, Mapping) else {}


def _created(pod: Raw) -> tuple[str, str]:
    metadata = pod["metadata"]
    return str(metadata.get("creationTimestamp", "")), str(metadata.get("name", ""))


def _when(event: Raw) -> str:
    series = event.get("series") or {}
    for value in (
        event.get("lastTimestamp"),
        series.get("lastObservedTime"),
        event.get("eventTime"),
    ):
        if value:
            return str(value)
    return str((event.get("metadata") or {}).get("creationTimestamp") or "")


def _sentence(reason: object, message: object) -> str:
    return ": ".join(cut(part) for part in (reason, message) if part)


def cut(text: object) -> str:
    """One line that fits into a record and an annotation."""
    plain = " ".join(str(text).split())
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}…"
