"""The newest commit that was seen of each branch, remembered in the cluster.

A branch of the manifest store only moves forward. Who may push there can all the same replace its
history or throw it away, and a clone of today can't tell: it sees what is there. So a run writes
down, in a Lease of Backstay's own namespace that nobody holds, the tip that it has pushed; the next
one, in a new pod, looks whether the branch still has it. Where it has not, the run raises an alarm,
in its log and in its record, and goes on: from then on nothing would be backed up otherwise.

A Lease, because a run may write those and no ConfigMaps. What can't be remembered is only told: the
older tip that is remembered stays true.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reconciler import ports
from reconciler.engine.context import RunPorts, RunRequest, cluster_branch
from reconciler.model import kinds, naming
from reconciler.model.errors import BackstayError
from reconciler.model.objects import ObjectRef
from reconciler.model.store import parse_revision, render_revision

_NEAR = 50
"""Commits that are asked for first: most often the remembered one is among them."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a Lease says of a branch; ``tip`` is empty where it says nothing of it."""

    lease: str
    tip: str = ""
    version: str = ""
    """Of the Lease; empty where there is none."""


class Tips:
    """The branches of one run: its policy's, and the cluster's own."""

    def __init__(self, request: RunRequest, run: RunPorts) -> None:
        self._request = request
        self._run = run
        self._memories: dict[str, Memory] = {}
        self._alarms: dict[str, str] = {}
        self._seen: dict[str, str | None] = {}

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
        self._memories = {
            branch: recall_tip(self._run.reader, self._request.namespace, name, branch)
            for branch, name in leases.items()
        }

    def check(self, branch: str, tip: str | None) -> None:
        """Raises the alarm where ``tip`` has no longer what is remembered of the branch."""
        self._seen[branch] = tip
        memory = self._memories[branch]
        if branch in self._alarms or not memory.tip or memory.tip == tip:
            return
        if tip is not None:
            for limit in (_NEAR, 0):
                commits = self._run.store.log(branch, limit=limit)
                if any(commit.sha == memory.tip for commit in commits):
                    return
        now = f"is at {tip}, which does not have it" if tip else "is gone"
        self._run.reporter.warning("branch rewound", branch=branch, remembered=memory.tip, now=tip)
        self._alarms[branch] = (
            f"branch {branch} was rewound or replaced: its tip was commit {memory.tip}, and it"
            f" {now}; whoever has that commit can push it to a branch of another name"
        )

    def remember(self, branch: str, tip: str | None) -> None:
        """What the branch has now. Where somebody else wrote meanwhile, that one's word stays."""
        memory = self._memories.get(branch)
        if memory is None or tip is None or memory.tip == tip:
            return
        try:
            keep_tip(self._run.writer, self._request.namespace, memory, branch, tip)
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
    told = str((metadata.get("annotations") or {}).get(naming.TIP, ""))
    try:
        of, tip = parse_revision(told)
    except ValueError:
        of, tip = "", ""
    # Another branch: the cluster was renamed since.
    return Memory(lease, tip if of == branch else "", version)


def keep_tip(
    writer: ports.ClusterWriter, namespace: str, memory: Memory, branch: str, tip: str
) -> bool:
    """Writes down a tip in place of what was remembered; False where somebody else wrote first."""
    annotations = {naming.TIP: render_revision(branch, tip)}
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


def _make(namespace: str, name: str, annotations: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": naming.labels("state"),
            "annotations": annotations,
        },
    }
