"""VolumeMover: restic in a Kubernetes Job beside the volume.

Level-triggered: every look asks the cluster, so a run that was killed at any point is continued by
whoever asks next, with the same Job (its name is made of run, namespace and claim). The order of
what is created is argued for in `reconciler.plan.moverjob`.

A result is the mover's own word in its termination message. Where there is none (no image, no
node, no memory, no time) it is FAILED with what the pod, the Job and the events say. A Job whose
pod can never start, or has not for `MoveTask.start_timeout`, is ended before its time: it says why
in an annotation, so the result stays the same for whoever looks next.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from reconciler import ports
from reconciler.model import kinds, naming
from reconciler.model.errors import BackstayError, Refused
from reconciler.model.objects import ObjectRef
from reconciler.model.volumes import (
    CopyKind,
    Leftover,
    MoveKind,
    MoveResult,
    MoveState,
    MoveTask,
)
from reconciler.plan import moverjob, moverstatus
from reconciler.plan.begun import policy_of_run

_JOB_LABEL = "batch.kubernetes.io/job-name"
_RUNNING = MoveResult(state=MoveState.RUNNING)

Raw = Mapping[str, Any]


class JobMover:
    """One Job per task, in the claim's namespace."""

    def __init__(
        self,
        reader: ports.ClusterReader,
        writer: ports.ClusterWriter,
        settings: moverjob.MoverSettings | None = None,
        *,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """``seconds`` of any clock that only goes forward; no other machine's time is compared."""
        self._reader = reader
        self._writer = writer
        self._settings = settings or moverjob.MoverSettings()
        self._waited: dict[str, str] = {}
        """Job uid → why its pod last waited: the pod is gone when its time is over."""
        self._seconds = seconds
        self._idle: dict[str, float] = {}
        """Job uid → since when no pod of it was seen at work."""

    def ensure(self, task: MoveTask) -> MoveResult:
        """Begins the copy or looks at it. Raises Refused where something else has its name."""
        job = self.hold(task)
        if "deletionTimestamp" in job["metadata"]:
            return _RUNNING  # it is being removed; the next look begins anew
        if why := moverstatus.ended_because(job):
            return moverstatus.never_started(task, why)
        if moverstatus.is_suspended(job):
            self._release(task, job)
            return _RUNNING
        return self._look(task, job)

    def hold(self, task: MoveTask, *, first: Callable[[], object] = lambda: None) -> dict[str, Any]:
        """The task's Job as it is; a new one is suspended, until `ensure` lets it go.

        ``first`` is called before one is made. Raises Refused where something else has its name.
        """
        job = self._job(task)
        if job is None:
            first()
            return self._writer.apply(moverjob.make_job(task, self._settings, suspend=True))
        if not moverjob.belongs_to(task, job):
            raise Refused(
                f"Job {moverjob.place_of(task)}/{moverjob.mover_name(task)} is not the mover of"
                f" claim {task.namespace}/{task.claim}",
                hint="somebody made a Job of this name: delete it",
            )
        return job

    def stop(self, task: MoveTask, why: str) -> MoveResult:
        """FAILED, for good: a Job that never went says why, and stays suspended."""
        why = moverstatus.cut(why)
        told = self._tell(task, moverjob.end_changes(why))
        return moverstatus.never_started(task, why) if told else _RUNNING

    def keep(self, task: MoveTask, result: MoveResult) -> bool:
        """Puts the result of a Job that has ended beside it, then removes its pods.

        A claim can't go while there is a pod that names it, even one that has ended. False, and
        nothing is removed, where somebody changed the Job meanwhile: look again.
        """
        job = self._job(task)
        untold = job is not None and moverjob.result_of(job) is None
        if untold and not self._tell(task, moverjob.result_changes(result)):
            return False
        for pod in self._pods(task):
            if "deletionTimestamp" not in pod["metadata"]:
                name = pod["metadata"]["name"]
                where = _ref("", "Pod", moverjob.place_of(task), name)
                self._writer.delete(where, uid=_uid(pod))
        return True

    def drop_keys(self, one: MoveTask | Leftover) -> None:
        """Removes the Secret with the repository's keys, if it is this one's own."""
        self._remove_keys(one, moverjob.name_of(one))

    def cleanup(self, task: MoveTask) -> None:
        """Removes Job, pods and Secret, if they are this task's own."""
        name = moverjob.mover_name(task)
        job = self._job(task)
        if job is not None and moverjob.belongs_to(task, job):
            self._forget(job)
            place = moverjob.place_of(task)
            self._writer.delete(_ref("batch", "Job", place, name), uid=_uid(job))
        self._remove_keys(task, name)

    def leftovers(self, policy: str) -> tuple[Leftover, ...]:
        """As the port says: Jobs with our labels whose name is that of a mover."""
        selector = ",".join(
            f"{key}={value}"
            for key, value in naming.labels(moverjob.COMPONENT_MOVER, policy=policy).items()
        )
        pages = self._reader.pages(kinds.JOBS, label_selector=selector)
        found = [left for raw in _flat(pages) if (left := _leftover(raw)) is not None]
        # A label's value may be cut; the annotation has the whole name.
        return tuple(sorted((left for left in found if left.policy == policy), key=_by_place))

    def remove(self, left: Leftover) -> bool:
        """As the port says: the Job, its pods and its Secret."""
        job = _ref("batch", "Job", moverjob.place_of(left), left.name)
        removed = self._writer.delete(job, uid=left.uid)
        if removed:  # else they may be the keys of a later Job of that name
            self._remove_keys(left, left.name)
        return removed

    def _tell(self, task: MoveTask, changes: Mapping[str, Any]) -> bool:
        """Changes the task's Job and not its template, which another task may have made."""
        job = self._job(task)
        if job is None or not moverjob.belongs_to(task, job):
            return False
        where = _ref("batch", "Job", moverjob.place_of(task), moverjob.mover_name(task))
        version = str(job["metadata"]["resourceVersion"])
        return self._writer.patch(where, changes, version=version) is not None

    def _job(self, task: MoveTask) -> dict[str, Any] | None:
        place = moverjob.place_of(task)
        return self._reader.get(kinds.JOBS, moverjob.mover_name(task), namespace=place)

    def _remove_keys(self, task: MoveTask | Leftover, name: str) -> None:
        """The cluster would collect the Secret with the Job, later: keys go now."""
        place = moverjob.place_of(task)
        secret = self._reader.get(kinds.SECRETS, name, namespace=place)
        credentials = moverjob.COMPONENT_CREDENTIALS
        if secret is not None and moverjob.belongs_to(task, secret, credentials):
            self._writer.delete(_ref("", "Secret", place, name), uid=_uid(secret))

    def _release(self, task: MoveTask, job: Raw) -> None:
        """Gives a suspended Job its keys and lets it go."""
        self._writer.apply(moverjob.make_secret(task, _uid(job)))
        try:
            self._writer.apply(moverjob.make_job(task, self._settings, suspend=False))
        except Refused:
            if moverjob.image_of(job) == task.image:
                raise
            # Left by a run of another version: a Job's pods can't be changed, and it has none yet.
            where = _ref("batch", "Job", moverjob.place_of(task), moverjob.mover_name(task))
            self._writer.delete(where, uid=_uid(job))

    def _look(self, task: MoveTask, job: Raw) -> MoveResult:
        end = moverstatus.end_of(job)
        if end is None and moverstatus.has_ready_pod(job):
            self._forget(job)
            return _RUNNING
        # Those of a Job of the same name that was removed may be there for a while.
        pods = moverstatus.pods_of(job, self._pods(task))
        if end is None:
            return self._wait(task, job, pods)
        found = moverstatus.result_of(pods)
        if found is not None:
            return found
        events = self._events(task, job)
        waited = self._waited.get(_uid(job), "")
        return moverstatus.failure(task, end, pods, events, waited=waited)

    def _wait(self, task: MoveTask, job: Raw, pods: list[dict[str, Any]]) -> MoveResult:
        if moverstatus.is_at_work(pods):
            self._forget(job)
            return _RUNNING
        waiting = moverstatus.waiting_of(pods)
        if waiting is not None:
            self._waited[_uid(job)] = waiting.text
            if waiting.lacks_secret:
                self._writer.apply(moverjob.make_secret(task, _uid(job)))
            if waiting.for_good or (waiting.lacks_claim and not self._has_claim(task)):
                return self._end(task, job, waiting.text)
        now = self._seconds()
        late = now - self._idle.setdefault(_uid(job), now) >= task.start_timeout
        events = self._events(task, job) if late or not pods else []
        if not pods and (refused := moverstatus.refused_pod(events)):
            return self._end(task, job, refused)
        waited = waiting.text if waiting else ""
        if late:
            return self._end(task, job, moverstatus.never_began(task, waited, events))
        return MoveResult(state=MoveState.RUNNING, message=waited)

    def _end(self, task: MoveTask, job: Raw, why: str) -> MoveResult:
        """FAILED, for good: the Job is told that its time is over, and why."""
        why = moverstatus.cut(why)
        self._forget(job)
        with contextlib.suppress(Refused):  # it has failed all the same, and goes with the run
            self._writer.apply(moverjob.make_job(task, self._settings, suspend=False, ended=why))
        return moverstatus.never_started(task, why)

    def _forget(self, job: Raw) -> None:
        self._waited.pop(_uid(job), None)
        self._idle.pop(_uid(job), None)

    def _has_claim(self, task: MoveTask) -> bool:
        """Asks the API server: the scheduler's own view may lag behind a claim just made."""
        name = f"metadata.name={moverjob.mounted(task)}"
        place = moverjob.place_of(task)
        pages = self._reader.pages(kinds.CLAIMS, namespace=place, field_selector=name)
        return bool(_flat(pages))

    def _pods(self, task: MoveTask) -> list[dict[str, Any]]:
        selector = f"{_JOB_LABEL}={moverjob.mover_name(task)}"
        place = moverjob.place_of(task)
        pages = self._reader.pages(kinds.PODS, namespace=place, label_selector=selector)
        return [pod for page in pages for pod in page]

    def _events(self, task: MoveTask, job: Raw) -> list[Raw]:
        """Warnings about the Job and its pods, oldest first; none where they can't be read."""
        name = moverjob.mover_name(task)
        try:
            pages = list(
                self._reader.pages(
                    kinds.EVENTS,
                    namespace=moverjob.place_of(task),
                    field_selector="type=Warning",
                )
            )
        except BackstayError:
            return []  # they only explain what is known already
        return moverstatus.events_about(_flat(pages), name, _uid(job))


def _flat(pages: Iterable[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [raw for page in pages for raw in page]


def _uid(raw: Raw) -> str:
    return str(raw["metadata"]["uid"])


def _ref(group: str, kind: str, namespace: str, name: str) -> ObjectRef:
    return ObjectRef(group=group, kind=kind, namespace=namespace, name=name)


def _by_place(left: Leftover) -> tuple[str, str]:
    return left.namespace, left.name


def _leftover(raw: Raw) -> Leftover | None:
    metadata = raw["metadata"]
    annotations = metadata.get("annotations") or {}
    home, name = metadata["namespace"], metadata["name"]
    namespace = annotations.get(naming.NAMESPACE, home)
    run_id, claim = annotations.get(naming.RUN, ""), annotations.get(naming.CLAIM, "")
    policy, copy = annotations.get(naming.POLICY, ""), moverjob.copy_of(raw, home=home)
    kind = moverjob.kind_of(name, run_id=run_id, namespace=namespace, claim=claim)
    across = copy is not None and copy.method is CopyKind.SNAPSHOT
    if kind is None or (namespace != home and not across):
        return None
    if kind is MoveKind.BACKUP and policy_of_run(run_id) != policy:
        return None  # its run is another policy's, and may be alive
    return Leftover(
        kind=kind,
        run_id=run_id,
        policy=policy,
        namespace=namespace,
        claim=claim,
        name=name,
        uid=_uid(raw),
        ended=moverstatus.end_of(raw) is not None,
        copy=copy,
    )
