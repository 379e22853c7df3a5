"""The newest commit that was seen of each branch, remembered in the cluster.

A branch of the manifest store only moves forward. Who may push there can all the same replace its
history or throw it away, and a clone of today can't tell: it sees what is there. So a run writes
down, in a Lease of Backstay's own namespace that nobody holds, the tip that it has pushed; the next
one, in a new pod, looks whether the branch still has it. Where it has not, the run raises an alarm,
in its log and in its record, and goes on: from then on nothing would be backed up otherwise.

What was found is written into that Lease too, at once, and stays there (`reconciler.plan.rewinds`)
until the branch has the lost commit again or a person has said that it is right as it is: the
controller shows it meanwhile.

A Lease, because a run may write those and no ConfigMaps. What can't be remembered is only told: the
older tip that is remembered stays true.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Any

from reconciler import ports
from reconciler.engine.context import RunPorts, RunRequest, cluster_branch
from reconciler.model import kinds, naming
from reconciler.model.errors import BackstayError, Interrupted
from reconciler.model.objects import ObjectRef
from reconciler.model.store import parse_revision, render_revision
from reconciler.plan.rewinds import (
    COMPONENT_STATE,
    Rewind,
    add_rewind,
    read_rewinds,
    render_rewinds,
)

_NEAR = 50
"""Commits that are asked for first: most often the remembered one is among them."""
_RACES = 3


@dataclass(frozen=True, slots=True)
class Memory:
    """What a Lease says of a branch; ``tip`` is empty where it says nothing of it."""

    lease: str
    tip: str = ""
    version: str = ""
    """Of the Lease; empty where there is none."""
    rewinds: tuple[Rewind, ...] = ()
    """What the branch has lost, and nobody has seen to yet."""
    told: str = ""
    """The same as it stands there, also where that is of another branch, or nonsense."""
    created: str = ""
    """When the Lease was made: before, nobody remembered anything."""


class Tips:
    """The branches of one run: its policy's, and the cluster's own."""

    def __init__(self, request: RunRequest, run: RunPorts) -> None:
        self._request = request
        self._run = run
        self._memories: dict[str, Memory] = {}
        self._alarms: dict[str, str] = {}
        self._seen: dict[str, str | None] = {}
        self._rewinds: dict[str, tuple[Rewind, ...]] = {}
        """Branch → what is to be written of it."""

    @property
    def alarms(self) -> tuple[str, ...]:
        """What is to be said of branches that have lost their tip."""
        return tuple(self._alarms.values())

    def recall(self) -> None:
        """Reads what is remembered: before the branches, which may be moved on meanwhile."""
        leases = {
            self._request.branch: naming.tip_lease_name(self._request.compiled.policy.name),
            cluster_branch(self._request.cluster): naming.CLUSTER_TIP_LEASE,
        }
        self._memories = {branch: self._recall(branch, name) for branch, name in leases.items()}

    def _recall(self, branch: str, lease: str) -> Memory:
        return recall_tip(self._run.reader, self._request.namespace, lease, branch)

    def check(self, branch: str, tip: str | None) -> None:
        """Raises the alarm where ``tip`` has no longer what is remembered of the branch.

        Writes that into the Lease, and takes away there what is mended. Where that can't be
        written the run goes on, and tries once more when it remembers the tip.
        """
        self._seen[branch] = tip
        if branch in self._alarms:
            return
        for _ in range(_RACES):
            memory = self._memories[branch]
            lost = bool(self._missing(branch, tip, {memory.tip} - {""}))
            rewinds = self._standing(branch, tip, memory)
            if lost:
                rewinds = add_rewind(rewinds, self._rewind(memory.tip, tip))
            if self._write(branch, rewinds):
                break
        if lost:
            self._alarm(branch, memory.tip, tip)

    def _missing(self, branch: str, tip: str | None, wanted: Iterable[str]) -> set[str]:
        """Which of these commits the branch, at ``tip``, does not have."""
        missing = set(wanted) - {tip}
        for limit in (_NEAR, 0) if tip is not None else ():
            if not missing:
                break
            missing -= {commit.sha for commit in self._run.store.log(branch, limit=limit)}
        return missing

    def _standing(self, branch: str, tip: str | None, memory: Memory) -> tuple[Rewind, ...]:
        """What was written and is still so. No run fails because that can't be found out."""
        if not memory.rewinds:
            return ()
        try:
            missing = self._missing(branch, tip, {one.expected for one in memory.rewinds})
        except Interrupted:
            raise
        except BackstayError as error:
            self._run.reporter.warning("lost tip not looked for", branch=branch, why=error.message)
            return memory.rewinds
        return tuple(one for one in memory.rewinds if one.expected in missing)

    def _rewind(self, expected: str, tip: str | None) -> Rewind:
        now = self._run.clock.now().astimezone(UTC)
        return Rewind(
            expected=expected,
            found=tip or "",
            at=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            run=self._request.run_id,
        )

    def _write(self, branch: str, rewinds: tuple[Rewind, ...]) -> bool:
        """False where somebody else wrote first: what that one wrote is to be judged anew."""
        self._rewinds[branch] = rewinds
        memory = self._memories[branch]
        text = render_rewinds(branch, rewinds)
        if text == memory.told:
            return True
        try:
            written = self._run.writer.patch(
                _ref(self._request.namespace, memory.lease),
                {"metadata": {"annotations": {naming.REWOUND: text or None}}},
                version=memory.version,
            )
            if written is None:
                self._memories[branch] = self._recall(branch, memory.lease)
                return False
        except Interrupted:
            raise
        except BackstayError as error:
            self._run.reporter.warning("rewind not written", branch=branch, why=error.message)
            return True
        version = str(written["metadata"]["resourceVersion"])
        self._memories[branch] = replace(memory, version=version, rewinds=rewinds, told=text)
        if memory.rewinds and not rewinds:
            self._run.reporter.event("branch has its lost tip again", branch=branch)
        return True

    def _alarm(self, branch: str, remembered: str, tip: str | None) -> None:
        now = f"is at {tip}, which does not have it" if tip else "is gone"
        self._run.reporter.warning("branch rewound", branch=branch, remembered=remembered, now=tip)
        self._alarms[branch] = (
            f"branch {branch} was rewound or replaced: its tip was commit {remembered}, and it"
            f" {now}; whoever has that commit can push it to a branch of another name"
        )

    def remember(self, branch: str, tip: str | None) -> None:
        """What the branch has now. Where somebody else wrote meanwhile, that one's word stays."""
        memory = self._memories.get(branch)
        if memory is None or tip is None:
            return
        rewinds = self._rewinds.get(branch, memory.rewinds)
        if memory.tip == tip and render_rewinds(branch, rewinds) == memory.told:
            return
        try:
            keep_tip(self._run.writer, self._request.namespace, memory, branch, tip, rewinds)
        except BackstayError as error:
            self._run.reporter.warning("tip not remembered", branch=branch, why=error.message)

    def remember_seen(self, branch: str) -> None:
        """The tip that was checked, once the alarm that it may have raised is recorded."""
        self.remember(branch, self._seen.get(branch))


def recall_tip(reader: ports.ClusterReader, namespace: str, lease: str, branch: str) -> Memory:
    """What is remembered of a branch. One request."""
    found = reader.get(kinds.LEASES, lease, namespace=namespace)
    if found is None:
        return Memory(lease)
    metadata = found["metadata"]
    version = str(metadata.get("resourceVersion", ""))
    annotations = metadata.get("annotations") or {}
    try:
        of, tip = parse_revision(str(annotations.get(naming.TIP, "")))
    except ValueError:
        of, tip = "", ""
    told = str(annotations.get(naming.REWOUND, ""))
    rewound = read_rewinds(told)
    # Another branch: the cluster was renamed since.
    rewinds = rewound.rewinds if rewound is not None and rewound.branch == branch else ()
    created = str(metadata.get("creationTimestamp") or "")
    return Memory(lease, tip if of == branch else "", version, rewinds, told, created)


def keep_tip(
    writer: ports.ClusterWriter,
    namespace: str,
    memory: Memory,
    branch: str,
    tip: str,
    rewinds: Sequence[Rewind] = (),
) -> bool:
    """Writes down a tip in place of what was remembered; False where somebody else wrote first.

    In the same write what the branch has lost: a tip that is remembered hides that otherwise.
    """
    annotations: dict[str, str | None] = {naming.TIP: render_revision(branch, tip)}
    text = render_rewinds(branch, rewinds)
    if text != memory.told:
        annotations[naming.REWOUND] = text or None
    if memory.version:
        done = writer.patch(
            _ref(namespace, memory.lease),
            {"metadata": {"annotations": annotations}},
            version=memory.version,
        )
        return done is not None
    writer.create(_make(namespace, memory.lease, annotations))
    return True


def _ref(namespace: str, name: str) -> ObjectRef:
    return ObjectRef(group=kinds.LEASES.group, kind="Lease", namespace=namespace, name=name)


def _make(namespace: str, name: str, annotations: dict[str, str | None]) -> dict[str, Any]:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": naming.labels(COMPONENT_STATE),
            "annotations": annotations,
        },
    }
