"""The Lease of a pod in which hooks are open: what must still run there, and who has to see to it.

It lies in Backstay's own namespace and is there before the first command of a pod starts, so that
whoever comes later, if its run is killed, knows what to execute. One pod has one Lease, by its
uid: that keeps two policies off one pod. It has no time: a holder is dead when its pod is. Only a
process at a terminal, which has no pod, says until when it holds it at most.

A pre command whose end nobody has seen may be at work for as long as it was given. So an open hook
says until when (``until``): a post command that ran before that moment may have been overtaken, and
runs once more when it has come. Only then is the hook closed. So it is with a post command whose
end nobody has seen: it could undo what another run quiesces.

A hook that its run can't end, while another of its hooks is open in the same pod, is ``given`` away
alone: the Lease stays the run's, and keeps others off the pod.

A post command that went wrong is not executed again, and must be told: it stays there with its
words (``failed``) until somebody has told them who can't be killed before that. A Lease in which
all have failed keeps nobody off the pod, and changes no more but for who tells of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler.model import jsonform, naming
from reconciler.model.errors import Refused
from reconciler.model.objects import ObjectRef
from reconciler.plan import podlife

COMPONENT_HOOK = "hook"
HOOKS = f"{naming.GROUP}/hooks"
"""The annotation with the commands."""
JOB = f"{naming.GROUP}/job"
"""The annotation with the Job of the run."""
OPENER = f"{naming.GROUP}/opened-by"
"""The annotation with the holder that made a Lease: whoever took it over is another."""
ANYBODY = "/"
"""As a holder: nobody yet."""
SELECTOR = f"{naming.COMPONENT}={COMPONENT_HOOK}"
_GROUP = "coordination.k8s.io"
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_MICRO = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenHook:
    """One hook whose pre command has been, or is about to be, started."""

    hook: str
    container: str
    command: tuple[str, ...] = ()
    """What must run after the copy; empty where the hook has no post command."""
    timeout: int = 0
    until: str = field(default="", compare=False, metadata=jsonform.WHEN_SET)
    """``2026-11-21T04:17:03Z``: until then its pre command may go on, as far as anybody knows.

    Empty: it was not started, or its end was seen. It is the same open hook with and without.
    """

    given: str = field(default="", compare=False, metadata=jsonform.WHEN_SET)
    """Its run could not end it, and goes on with others in this pod: who is to end it (`ANYBODY`),
    or who is at it, as a Lease's holder."""

    failed: str = field(default="", compare=False, metadata=jsonform.WHEN_SET)
    """Its post command was executed and went wrong, in these words; nobody executes it again."""

    def __post_init__(self) -> None:
        """Raises ValueError where ``until`` is no time."""
        _ = self.moment

    @property
    def moment(self) -> datetime | None:
        """``until`` as a time, if it says one."""
        return datetime.strptime(self.until, _TIME).replace(tzinfo=UTC) if self.until else None

    def is_unsure(self, now: datetime) -> bool:
        """Whether its pre command may quiesce the pod after a post command that runs now."""
        return self.moment is not None and now < self.moment

    def with_until(self, moment: datetime | None) -> OpenHook:
        """The same, with another moment; whole seconds, rounded up."""
        if moment is None:
            return replace(self, until="")
        whole = moment.astimezone(UTC) + timedelta(microseconds=999_999)
        return replace(self, until=whole.strftime(_TIME))


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietPod:
    """A pod, and its open hooks in the order of their beginning."""

    namespace: str
    pod: str
    uid: str
    open: tuple[OpenHook, ...] = ()

    @property
    def lease(self) -> str:
        """The name of its Lease."""
        digest = hashlib.sha256(f"{self.namespace}\0{self.uid}".encode()).hexdigest()
        return f"backstay-hook-{digest[:12]}"

    def with_open(self, hook: OpenHook) -> QuietPod:
        """With one more, or with what is known of it now; once only, however often it is said."""
        if hook not in self.open:
            return replace(self, open=(*self.open, hook))
        told = [_known(hook, one) if one == hook else one for one in self.open]
        return replace(self, open=tuple(told))

    def with_given(self, hooks: Iterable[OpenHook], to: str) -> QuietPod:
        """With a word at some of its open hooks who is to end them; empty: the Lease's holder."""
        given = tuple(hooks)
        return replace(
            self,
            open=tuple(replace(one, given=to) if one in given else one for one in self.open),
        )

    def without(self, hook: OpenHook) -> QuietPod:
        """With one less."""
        return replace(self, open=tuple(one for one in self.open if one != hook))


def _known(hook: OpenHook, before: OpenHook) -> OpenHook:
    """A hook as it is said to be now, with what it does not say itself."""
    return replace(hook, given=hook.given or before.given, failed=hook.failed or before.failed)


@dataclass(frozen=True, slots=True, kw_only=True)
class HookLease:
    """A Lease as it was read: who has it, for which run, and what is open there."""

    name: str
    uid: str
    version: str
    holder: str
    """``<run id>/<pod>``: the pod that sees to it; ``finish/<pod>``, or ``<host>/<process>@…``."""
    policy: str
    run_id: str
    job: str
    pod: QuietPod
    held_until: datetime | None = None
    """When a holder without a pod is dead at the latest."""
    opener: str = ""
    """The holder that made it; what is open in a Lease of another holder, that one did not open."""

    @property
    def given(self) -> tuple[OpenHook, ...]:
        """What others are to end though its holder may be at work."""
        return tuple(hook for hook in self.pod.open if hook.given and not hook.failed)

    @property
    def failed(self) -> tuple[OpenHook, ...]:
        """What is to be told, and not executed."""
        return tuple(hook for hook in self.pod.open if hook.failed)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be executed, ever: it is there to be told, and no more."""
        return bool(self.pod.open) and len(self.failed) == len(self.pod.open)

    @property
    def tellers(self) -> frozenset[str]:
        """The pods that have seen what failed, in Backstay's namespace; ``""`` where none has."""
        own = "" if is_process(self.holder) else self.holder
        return frozenset((hook.given or own).rpartition("/")[2] for hook in self.failed)

    def given_to(self, hook: OpenHook) -> str:
        """Who may write of this one beside its holder; empty where that has not given it away."""
        return next((one.given for one in self.pod.open if one == hook), "")

    @property
    def given_pods(self) -> frozenset[str]:
        """Pods that are at what was given away, in Backstay's namespace."""
        return frozenset(hook.given.rpartition("/")[2] for hook in self.given) - {""}

    @property
    def ref(self) -> ObjectRef:
        """What it is, but for its namespace."""
        return ObjectRef(group=_GROUP, kind="Lease", name=self.name)

    @property
    def holder_pod(self) -> str:
        """The pod that sees to it, in Backstay's namespace; empty where that is a process."""
        return "" if is_process(self.holder) else self.holder.rpartition("/")[2]

    @property
    def who(self) -> str:
        """The holder, as it is told: ``pod run-1-a``, ``laptop/4711``, or ``nobody``."""
        if self.holder_pod:
            return f"pod {self.holder_pod}"
        return self.holder.partition("@")[0] if is_process(self.holder) else "nobody"


def make_lease(
    pod: QuietPod,
    *,
    namespace: str,
    holder: str,
    policy: str,
    run_id: str,
    job: str,
    now: datetime,
    name: str = "",
) -> dict[str, Any]:
    """The whole object; ``namespace`` is Backstay's own, ``name`` another than its pod's."""
    return {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "Lease",
        "metadata": {
            "name": name or pod.lease,
            "namespace": namespace,
            "labels": naming.labels(COMPONENT_HOOK, policy=policy, run_id=run_id),
            "annotations": {
                naming.POLICY: policy, naming.RUN: run_id, JOB: job, OPENER: holder,
                HOOKS: render_pod(pod),
            },
        },
        "spec": {
            "holderIdentity": holder,
            "acquireTime": now.astimezone(UTC).strftime(_MICRO),
        },
    }  # fmt: skip


def set_aside(lease: HookLease, *, namespace: str, now: datetime) -> dict[str, Any]:
    """The same under another name, so that its pod's is free; only of one that `is_over`."""
    made = make_lease(
        lease.pod,
        namespace=namespace,
        holder=lease.holder,
        policy=lease.policy,
        run_id=lease.run_id,
        job=lease.job,
        now=now,
        # Made once of each, however often that is tried.
        name=f"{lease.name}-{hashlib.sha256(lease.uid.encode()).hexdigest()[:8]}",
    )
    made["metadata"]["annotations"][OPENER] = lease.opener
    return made


def render_pod(pod: QuietPod) -> str:
    """The annotation's text."""
    return jsonform.dumps(jsonform.to_json(pod))


def is_process(holder: str) -> bool:
    """Whether a holder is a process at a terminal (``reconciler.cli.holders``), and no pod."""
    return "@" in holder


def is_hook_lease(raw: Mapping[str, Any]) -> bool:
    """Whether a raw Lease is one of these."""
    return (raw["metadata"].get("labels") or {}).get(naming.COMPONENT) == COMPONENT_HOOK


def take_over(holder: str, *, seconds: int = 0, now: datetime) -> dict[str, Any]:
    """What changes in a Lease that gets another holder; ``seconds`` 0 where that is a pod."""
    moment = now.astimezone(UTC).strftime(_MICRO) if seconds else None
    return {
        "spec": {
            "holderIdentity": holder,
            "renewTime": moment,
            "leaseDurationSeconds": seconds or None,
        }
    }


def give_up(run_id: str, pod: QuietPod, now: datetime) -> dict[str, Any]:
    """What changes in a Lease that is nobody's: no pod and no Job is at it; whose it was stays."""
    annotations = {JOB: "", HOOKS: render_pod(pod)}
    return {"metadata": {"annotations": annotations}} | take_over(f"{run_id}/", now=now)


def read_lease(raw: Mapping[str, Any]) -> HookLease:
    """What a raw Lease says. Raises Refused where it does not say it in these words."""
    metadata = raw["metadata"]
    annotations = metadata.get("annotations") or {}
    try:
        pod = jsonform.from_json(QuietPod, jsonform.loads_object(annotations.get(HOOKS, "")))
    except ValueError as error:
        raise Refused(
            f"Lease {metadata['name']} is not a hook's, or was changed: {error}",
            hint="look which pod it is for, run its post command by hand, and delete the Lease",
        ) from error
    spec = raw.get("spec") or {}
    renewed, seconds = podlife.moment_of(spec.get("renewTime")), spec.get("leaseDurationSeconds")
    return HookLease(
        name=str(metadata["name"]),
        uid=str(metadata.get("uid", "")),
        version=str(metadata.get("resourceVersion", "")),
        holder=str(spec.get("holderIdentity") or ""),
        policy=str(annotations.get(naming.POLICY, "")),
        run_id=str(annotations.get(naming.RUN, "")),
        job=str(annotations.get(JOB, "")),
        pod=pod,
        held_until=renewed + timedelta(seconds=int(seconds)) if renewed and seconds else None,
        opener=str(annotations.get(OPENER, "")),
    )
