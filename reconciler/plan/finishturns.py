"""Which Job is to end the hooks of which Lease now, and in which of them a command failed. Pure.

A Lease is looked after as long as its holder's pod may be at work, whatever a Job says of itself.
After that it gets a Job, and where that is over and the Lease is still there, the next one, each a
while later than the one before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from reconciler.model import naming
from reconciler.plan import podlife
from reconciler.plan.entries import annotations_of, labels_of
from reconciler.plan.finishjob import COMPONENT_FINISH, POD, finish_name
from reconciler.plan.hooklease import HookLease

_FIRST_PAUSE = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(minutes=30)
_COMMAND_FAILED = "PodFailurePolicy"
"""A Job's reason: one of its pods ended with `POST_FAILED`."""

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The Job of a Lease that is at work, or the next one."""

    number: int
    at_work: bool = False
    due: datetime | None = None
    """When the next one may begin; at once where None."""
    before: str = ""
    """The one before it, where that failed."""
    why: str = ""
    """Why it failed."""

    def is_due(self, now: datetime) -> bool:
        """Whether it is to be started now."""
        return not self.at_work and (self.due is None or self.due <= now)


def is_held(lease: HookLease, pods: Iterable[Raw], now: datetime) -> bool:
    """Whether its holder may be at work; ``pods`` are those of Backstay's own namespace."""
    pods = tuple(pods)
    if is_given_held(lease, pods, now):
        return True
    if lease.holder_pod:
        found = [pod for pod in pods if pod["metadata"]["name"] == lease.holder_pod]
        return podlife.is_at_work(found[0] if found else None, now)
    return lease.held_until is not None and now < lease.held_until


def is_given_held(lease: HookLease, pods: Iterable[Raw], now: datetime) -> bool:
    """Whether somebody may be at what its holder has given away alone."""
    return any(
        pod["metadata"]["name"] in lease.given_pods and podlife.is_at_work(pod, now) for pod in pods
    )


def find_turn(lease: HookLease, jobs: Iterable[Raw], pods: Sequence[Raw], now: datetime) -> Turn:
    """Which Job ends the hooks of a Lease whose holder is dead."""
    stem = finish_name(lease, 0).removesuffix("0")
    known = {str(job["metadata"]["name"]): job for job in jobs}
    numbers = [
        int(name.removeprefix(stem))
        for name in known
        if name.startswith(stem) and name.removeprefix(stem).isdecimal()
    ]
    if not numbers:
        return Turn(number=1)
    last = max(numbers)
    name = f"{stem}{last}"
    over = _over(known[name], pods, now)
    if over is None:
        return Turn(number=last, at_work=True)
    since, why = over
    pause = min(_FIRST_PAUSE * 2 ** min(last - 1, 16), _LONGEST_PAUSE)
    return Turn(
        number=last + 1,
        due=since + pause if since else None,
        before=name if why else "",
        why=why,
    )


def _over(job: Raw, pods: Sequence[Raw], now: datetime) -> tuple[datetime | None, str] | None:
    """(since when, why it failed); None while it is at work, or makes its next pod."""
    for kind in ("Complete", "Failed", "FailureTarget"):
        for found in (job.get("status") or {}).get("conditions") or ():
            if found.get("type") == kind and found.get("status") == "True":
                why = "" if kind == "Complete" else why_failed(job)
                return podlife.moment_of(found.get("lastTransitionTime")), why
    for pod in pods:
        owners = pod["metadata"].get("ownerReferences") or ()
        own = any(one.get("uid") == job["metadata"].get("uid") for one in owners)
        if own and podlife.is_lost(pod, now):
            why = f"its pod {pod['metadata']['name']} is lost with its node"
            return podlife.overdue_since(pod), why
    return None


def why_failed(job: Raw) -> str:
    """What its conditions say; empty where it has not failed."""
    for found in (job.get("status") or {}).get("conditions") or ():
        if found.get("type") in ("Failed", "FailureTarget") and found.get("status") == "True":
            if found.get("reason") == "PodFailurePolicy":
                return "a post command failed"
            told = (found.get("reason"), found.get("message"))
            return ": ".join(str(one) for one in told if one) or "no reason given"
    return ""


def find_dead(
    leases: Iterable[HookLease], jobs: Sequence[Raw], pods: Sequence[Raw], now: datetime
) -> list[tuple[HookLease, Turn]]:
    """Those to be ended by others than their holder, with the Job to be started for each now.

    One that is over gets a Job as well, unless one has told of it: its exit code is how it tells.
    """
    dead = [
        lease
        for lease in leases
        if (lease.given or not is_held(lease, pods, now)) and not is_told(lease, jobs)
    ]
    turns = [(lease, find_turn(lease, jobs, pods, now)) for lease in dead]
    return [(lease, turn) for lease, turn in turns if turn.is_due(now)]


def is_told(lease: HookLease, jobs: Iterable[Raw]) -> bool:
    """Whether nothing is left to be done but to read the Job that has told what failed."""
    if not lease.is_over:
        return False
    failed = [f"{one.job}-" for one in find_failed(jobs)]
    return all(any(pod.startswith(job) for job in failed) for pod in lease.tellers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """A Job that could not put an application back to work: a post command failed."""

    job: str
    policy: str
    run_id: str
    pod: str
    """``<namespace>/<name>``"""
    ended: datetime | None


def find_failed(jobs: Iterable[Raw]) -> Iterator[Unfinished]:
    """Those in which a command failed. Of any other failure the Lease that is left tells."""
    for job in jobs:
        told = [
            found
            for found in (job.get("status") or {}).get("conditions") or ()
            if (found.get("type"), found.get("status")) == ("Failed", "True")
            and found.get("reason") == "PodFailurePolicy"
        ]
        if told and labels_of(job).get(naming.COMPONENT) == COMPONENT_FINISH:
            said = annotations_of(job)
            yield Unfinished(
                job=str(job["metadata"]["name"]),
                policy=said.get(naming.POLICY, ""),
                run_id=said.get(naming.RUN, ""),
                pod=said.get(POD, ""),
                ended=podlife.moment_of(told[0].get("lastTransitionTime")),
            )
