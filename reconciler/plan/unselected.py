"""Whether an object that a run's tree does not have may be left out by its policy. Pure.

A file leaves the tree when its object was deleted, and also when the policy, or a namespace's or an
object's labels, were changed so that it is not selected any more. The run's record tells the two
apart by kind; who reads differences must not take one for the other.
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.run import ClusterScopedRecord, NamespaceRecord, RunRecord

_BY_POLICY = "selector."
"""How the reasons begin that name the policy's field; others are of what is never captured."""


def why_not_there(record: RunRecord, namespace: str, folder: str) -> str:
    """What a run's record has against calling an object deleted; empty where it has nothing.

    ``namespace`` is empty for a cluster-scoped object, ``folder`` its kind (``deployment.apps``).
    """
    for kind in record.left_out_kinds:
        if kind.kind == folder and kind.reason.startswith(_BY_POLICY):
            return f"not selected, whether or not it exists: {kind.reason}"
    if not namespace:
        return _of_kind(record.cluster_scoped, folder) if record.cluster_scoped else ""
    part = next((found for found in record.namespaces if found.name == namespace), None)
    if part is None:
        return "its namespace was not captured: it is not selected, or was deleted"
    if not part.objects.captured and part.reasons:
        return f"its namespace, says the run: {'; '.join(part.reasons)}"
    return _of_kind(part, folder)


def _of_kind(part: NamespaceRecord | ClusterScopedRecord, folder: str) -> str:
    reasons = sorted(set(_reasons(part, folder)))
    return f"deleted, or not selected any more: {'; '.join(reasons)}" if reasons else ""


def _reasons(part: NamespaceRecord | ClusterScopedRecord, folder: str) -> Iterator[str]:
    for found in (*part.unselected, *part.left_out):
        if found.kind == folder and found.reason.startswith(_BY_POLICY):
            yield found.reason
