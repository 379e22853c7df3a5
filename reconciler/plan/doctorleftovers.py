"""What dead runs and restores left in the cluster, told from what living ones have there. Pure.

A leftover is named with what removes it, or with why it goes by itself. Nothing here is removed:
whether a holder is dead can only be told for sure by who takes its Lease.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from reconciler.model import naming
from reconciler.model.cluster import Claim, Namespace
from reconciler.model.doctor import Finding, Level
from reconciler.model.volumes import MoveKind
from reconciler.plan import doctorcopies, doctoropen, moverjob, moverstatus
from reconciler.plan.begun import policy_of_run, way_on
from reconciler.plan.cronjob import COMPONENT_RUN
from reconciler.plan.entries import annotations_of, labels_of
from reconciler.plan.hooklease import is_hook_lease
from reconciler.plan.podlife import moment_of

Raw = Mapping[str, Any]
RUN_LEASE = "backstay-run-"
RESTORE_LEASE = "backstay-restore"
PUSH_LEASE = "backstay-push-"
"""Of turns to push: nobody frees it, its time ends by itself."""
_PARTIAL = " (with --allow-partial, if it had that)"
_WHOLE = "; without --namespace all of the run comes back"
PENDING = timedelta(minutes=10)
"""How long a pod may take to start before a run counts as stuck."""
_ENDED = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds a Lease, and until when; ``pod`` is empty where the name tells of none."""

    namespace: str
    lease: str
    holder: str
    until: datetime

    @property
    def pod(self) -> str:
        """Of ``<run>/<pod>`` the pod."""
        return self.holder.rpartition("/")[2] if self.lease.startswith(RUN_LEASE) else ""

    @property
    def who(self) -> str:
        """``laptop/4711`` of ``laptop/4711@…``: what a person needs of it."""
        return self.holder.partition("@")[0]

    @property
    def run_id(self) -> str:
        """Of ``<run>/<pod>`` the run."""
        return self.holder.rpartition("/")[0] if self.lease.startswith(RUN_LEASE) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Raw objects, each list complete. ``alive``: ids of the runs that are at work."""

    namespace: str
    """Backstay's own."""
    now: datetime
    alive: frozenset[str]
    waiting: frozenset[str] = frozenset()
    """Those of them whose pod is gone and whose Job has not made the next one yet."""
    dead: frozenset[str] = frozenset()
    """Holders of Leases that are known to be dead, whatever their Lease says."""
    scheduled: frozenset[str] = frozenset()
    """Policies that have a CronJob: their next run cleans up."""
    leases: Sequence[Raw] = ()
    """Of Backstay's namespace, and of `default` where a first restore puts its own."""
    jobs: Sequence[Raw] = ()
    """Of Backstay's namespace."""
    pods: Sequence[Raw] = ()
    """Of Backstay's namespace."""
    movers: Sequence[Raw] = ()
    """Jobs of all namespaces that say they are movers."""
    copies: Sequence[Raw] = ()
    """Snapshots, their contents, and claims of all namespaces that say they are movers' copies."""
    credentials: Sequence[tuple[str, str, str]] = ()
    """(namespace, name, run) of every Secret that says it holds a mover's keys."""
    claims: Sequence[Claim] = ()
    namespaces: Sequence[Namespace] = ()
    events: Sequence[Raw] = ()
    """Warnings of Backstay's namespace; they only explain, so none where they can't be read."""


def find_leftovers(scene: Scene, *, policy: str = "") -> Iterator[Finding]:
    """All of them, or those of one policy."""
    restoring = restore_at_work(scene)
    yield from _leases(scene, policy)
    yield from doctoropen.find_open(
        scene.leases, scene.jobs, scene.pods, namespace=scene.namespace, now=scene.now,
        dead=scene.dead, policy=policy,
    )  # fmt: skip
    yield from _movers(scene, restoring, policy)
    yield from doctorcopies.find_copies(
        scene.copies, alive=scene.alive, waiting=scene.waiting, scheduled=scene.scheduled,
        policy=policy,
    )  # fmt: skip
    yield from _credentials(scene, restoring, policy)
    yield from _restoring(scene, restoring, policy)
    yield from _begun(scene, restoring, policy)
    yield from _pending(scene, policy)


def holders(leases: Iterable[Raw]) -> Iterator[Holder]:
    """Every Lease of ours that names a holder, expired or not."""
    for raw in leases:
        spec = raw.get("spec") or {}
        holder = str(spec.get("holderIdentity") or "")
        renewed = moment_of(spec.get("renewTime"))
        if not holder or renewed is None:
            continue
        yield Holder(
            namespace=raw["metadata"].get("namespace", ""),
            lease=raw["metadata"]["name"],
            holder=holder,
            until=renewed + timedelta(seconds=int(spec.get("leaseDurationSeconds") or 0)),
        )


def living_holders(leases: Iterable[Raw], pods: Iterable[Raw], now: datetime) -> Iterator[str]:
    """Ids of the runs that hold their policy's Lease, with a pod that has not ended."""
    there = _living(pods)
    for held in holders(leases):
        if held.run_id and held.until > now and held.pod in there:
            yield held.run_id


def restore_at_work(scene: Scene) -> str:
    """Who holds the restore's Lease now; empty when nobody does."""
    for held in holders(scene.leases):
        living = held.until > scene.now and held.holder not in scene.dead
        if held.lease == RESTORE_LEASE and living:
            return held.holder
    return ""


def _leases(scene: Scene, policy: str) -> Iterator[Finding]:
    living = _living(scene.pods)
    # Those of pods with open hooks have a check of their own.
    for held in holders(raw for raw in scene.leases if not is_hook_lease(raw)):
        where = f"Lease {held.namespace}/{held.lease}"
        expired = held.until <= scene.now
        if held.lease == RESTORE_LEASE:
            if not policy:
                over = expired or held.holder in scene.dead
                yield _restore_lease(held, where, over=over, free=expired)
        elif held.run_id:
            if policy not in ("", policy_of_run(held.run_id)):
                continue
            if held.pod not in living:
                yield Finding(
                    id="leftovers/lease",
                    level=Level.INFO,
                    where=where,
                    message=f"run {held.run_id} was killed while it held it",
                    hint="nothing: the next run takes it over",
                )
            elif expired:
                yield Finding(
                    id="leftovers/lease",
                    level=Level.WARNING,
                    where=where,
                    message=f"run {held.run_id} has not renewed it since {_text(held.until)},"
                    f" and its pod {held.pod} is still there",
                    hint=f"kubectl -n {held.namespace} logs {held.pod}; without its Lease it"
                    " pushes nothing",
                )
        elif expired and not policy and not held.lease.startswith(PUSH_LEASE):
            yield Finding(
                id="leftovers/lease",
                level=Level.INFO,
                where=where,
                message=f"{held.who} was killed while it held it; free since {_text(held.until)}",
                hint="nothing: whoever needs it takes it",
            )


def _restore_lease(held: Holder, where: str, *, over: bool, free: bool) -> Finding:
    if not over:
        return Finding(
            id="leftovers/restore",
            level=Level.INFO,
            where=where,
            message=f"a restore is at work, or ended without a word just now: {held.who}",
            hint=f"wait; without a renewal it is free at {_text(held.until)}",
        )
    return Finding(
        id="leftovers/restore",
        level=Level.WARNING,
        where=where,
        message=f"the restore of {held.who} was killed; its Lease is free"
        f" {'since' if free else 'for this machine now, for others at'} {_text(held.until)}",
        hint="run the same restore again: it goes on from there",
    )


def _goes_on(mark: str, namespace: str) -> str:
    """What goes on with a namespace, or a claim in it, that carries this mark."""
    _, source = naming.restoring_of(mark)
    return f"{way_on(mark, namespace)} goes on{_PARTIAL}{'' if source else _WHOLE}"


def _movers(scene: Scene, restoring: str, policy: str) -> Iterator[Finding]:
    marks = {(claim.namespace, claim.name): claim.restoring for claim in scene.claims}
    for raw in sorted(scene.movers, key=_place):
        annotations = annotations_of(raw)
        run_id, claim = annotations.get(naming.RUN, ""), annotations.get(naming.CLAIM, "")
        owner = annotations.get(naming.POLICY, "")
        namespace, name = raw["metadata"]["namespace"], raw["metadata"]["name"]
        if policy not in ("", owner):
            continue
        source = annotations.get(naming.NAMESPACE, namespace)
        kind = moverjob.kind_of(name, run_id=run_id, namespace=source, claim=claim)
        delete = f"kubectl -n {namespace} delete job {name}"
        message, hint, level = "", delete, Level.WARNING
        if kind is None:
            message = "it carries the label of Backstay's movers and is none of them"
            hint = f"find out who made it; to remove it: {delete}"
        elif kind is MoveKind.BACKUP and run_id in scene.waiting:
            message = f"mover of claim {claim}, {_state(raw)}; run {run_id} has lost its pod"
            hint, level = "nothing: the run's next pod goes on with it", Level.INFO
        elif kind is MoveKind.BACKUP and run_id not in scene.alive:
            message = f"mover of claim {claim}, {_state(raw)}; run {run_id} is over"
            if owner in scene.scheduled:
                hint = f"the next run of policy {owner} removes it; at once: {delete}"
        elif kind is MoveKind.RESTORE and not restoring:
            message = (
                f"mover of claim {claim}, {_state(raw)}; it restores run {run_id}, and no"
                " restore is at work"
            )
            mark = marks.get((namespace, claim), "")
            half = naming.restoring_of(mark)[0] == run_id
            hint = (
                f"{way_on(mark, namespace)} goes on with it{_PARTIAL}; to remove it: {delete}"
                if half
                else "its claim is not half filled, so nothing needs it; to remove it: " + delete
            )
        if message:
            yield Finding(
                id="leftovers/mover",
                level=level,
                where=f"Job {namespace}/{name}",
                message=message,
                hint=hint,
            )


def _state(job: Raw) -> str:
    if why := moverstatus.ended_because(job):
        return f"ended before its time ({_sentence(why)})"
    end = moverstatus.end_of(job)
    if end is not None:
        return "ended well" if end.complete else "failed"
    return "never started" if moverstatus.is_suspended(job) else "still at work"


def _credentials(scene: Scene, restoring: str, policy: str) -> Iterator[Finding]:
    """Keys whose Job is gone; those beside a Job go with it."""
    there = {_place(raw) for raw in scene.movers}
    for namespace, name, run_id in sorted(scene.credentials):
        if policy not in ("", policy_of_run(run_id)):
            continue
        if (namespace, name) in there or run_id in scene.alive or restoring:
            continue
        yield Finding(
            id="leftovers/credentials",
            level=Level.WARNING,
            where=f"Secret {namespace}/{name}",
            message=f"keys of a restic repository, of a mover of run {run_id} that is gone",
            hint="Kubernetes removes it with its Job, within minutes; at once:"
            f" kubectl -n {namespace} delete secret {name}",
        )


def _restoring(scene: Scene, restoring: str, policy: str) -> Iterator[Finding]:
    for claim in scene.claims:
        run_id, _ = naming.restoring_of(claim.restoring)
        if not run_id or policy not in ("", policy_of_run(run_id)):
            continue
        name = f"{claim.namespace}/{claim.name}"
        if restoring:
            yield Finding(
                id="leftovers/restoring-claim",
                level=Level.INFO,
                where=f"PersistentVolumeClaim {name}",
                message=f"a restore fills it from run {run_id}",
                hint="wait for it",
            )
            continue
        yield Finding(
            id="leftovers/restoring-claim",
            level=Level.WARNING,
            where=f"PersistentVolumeClaim {name}",
            message=f"half filled from run {run_id}, and no restore is at work; runs do not back it"
            " up",
            hint=f"{_goes_on(claim.restoring, claim.namespace)}; if its data is"
            f" right as it is: kubectl -n {claim.namespace} annotate pvc {claim.name}"
            f" {naming.RESTORING}-",
        )


def _begun(scene: Scene, restoring: str, policy: str) -> Iterator[Finding]:
    """Namespaces that a restore has begun to make."""
    for namespace in scene.namespaces:
        mark = namespace.annotations.get(naming.RESTORING, "")
        run_id, _ = naming.restoring_of(mark)
        if not run_id or policy not in ("", policy_of_run(run_id)):
            continue
        yield Finding(
            id="leftovers/restoring-namespace",
            level=Level.INFO if restoring else Level.WARNING,
            where=f"Namespace {namespace.name}",
            message=f"a restore makes it from run {run_id}"
            if restoring
            else f"begun from run {run_id}, and no restore is at work",
            hint="wait for it"
            if restoring
            else f"{_goes_on(mark, namespace.name)}; if it is right as it is:"
            f" kubectl annotate namespace {namespace.name} {naming.RESTORING}-",
        )


def _pending(scene: Scene, policy: str) -> Iterator[Finding]:
    for job in sorted(scene.jobs, key=_place):
        if labels_of(job).get(naming.COMPONENT) != COMPONENT_RUN:
            continue
        if policy not in ("", annotations_of(job).get(naming.POLICY, "")):
            continue
        over = moverstatus.end_of(job) is not None or "deletionTimestamp" in job["metadata"]
        since, why = ("", "") if over else _waiting(job, scene)
        waits_since = moment_of(since)
        if waits_since is None or scene.now - waits_since < PENDING:
            continue
        namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
        yield Finding(
            id="leftovers/pending-run",
            level=Level.PROBLEM,
            where=f"Job {namespace}/{name}",
            message=f"has waited since {_text(waits_since)} and keeps later runs of"
            f" {annotations_of(job).get(naming.POLICY, 'its policy')} from starting: {why}",
            hint=f"kubectl -n {namespace} describe job,pod -l batch.kubernetes.io/job-name={name}",
        )


def _waiting(job: Raw, scene: Scene) -> tuple[str, str]:
    """(since when, why) none of its pods works; two empty texts where one does.

    A pod that took a lost one's place has its own time to start.
    """
    metadata = job["metadata"]
    created, uid = str(metadata.get("creationTimestamp", "")), str(metadata.get("uid", ""))
    if (job.get("spec") or {}).get("suspend"):
        return created, "somebody suspended it"
    own = [
        pod
        for pod in scene.pods
        if any(o.get("uid") == uid for o in pod["metadata"].get("ownerReferences") or ())
    ]
    told = moverstatus.events_about(scene.events, metadata["name"], uid)[-1:]
    events = [_sentence(one.get("reason"), one.get("message")) for one in told]
    if not own:
        return created, next(iter(events), "it has no pod")
    phases = {(pod.get("status") or {}).get("phase") for pod in own}
    if phases - {"Pending", *_ENDED} or "Pending" not in phases:
        return "", ""
    waiting = [pod for pod in own if (pod.get("status") or {}).get("phase") == "Pending"]
    since = max(str(pod["metadata"].get("creationTimestamp") or created) for pod in waiting)
    reasons = [reason for pod in waiting for reason in _reasons(pod)]
    return since, next(iter((*reasons, *events)), "its pod does not start")


def _reasons(pod: Raw) -> Iterator[str]:
    status = pod.get("status") or {}
    for container in status.get("containerStatuses") or ():
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            yield _sentence(waiting.get("reason"), waiting.get("message"))
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            yield _sentence(condition.get("reason"), condition.get("message"))


def _living(pods: Iterable[Raw]) -> frozenset[str]:
    return frozenset(
        pod["metadata"]["name"]
        for pod in pods
        if (pod.get("status") or {}).get("phase") not in _ENDED
    )


def _place(raw: Raw) -> tuple[str, str]:
    return raw["metadata"].get("namespace", ""), raw["metadata"]["name"]


def _sentence(*parts: object) -> str:
    text = ": ".join(" ".join(str(part).split()) for part in parts if part)
    return text if len(text) <= 300 else f"{text[:300]}…"


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
