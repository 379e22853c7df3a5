"""``renamedFrom``: what can't be a policy's former name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from reconciler.model.policy import Kind
from reconciler.policy import nodes, problems
from reconciler.policy.drafts import Draft
from reconciler.policy.nodes import Path

_FROM: Path = ("spec", "renamedFrom")
_CLUSTERS: Path = ("spec", "clusters")
_HINT = (
    "it is the name of a policy that is gone; once a run under the new name is recorded, the line"
    " can go as well"
)


def check(drafts: Iterable[Draft], *, config: bool) -> None:
    """Refuses its own name, one that is still there, and one that two policies claim.

    So no two policies can say it of each other. One that another cluster takes is another one's;
    without a ``config`` nobody knows who takes a policy that chooses clusters.
    """
    taken = [
        draft
        for draft in drafts
        if draft.kind == Kind.BACKUP_POLICY
        and draft.judged
        and not draft.elsewhere
        and (config or nodes.find(draft.tree, _CLUSTERS) is None)
    ]
    there = {draft.name: draft for draft in reversed(taken)}
    claims: defaultdict[str, list[Draft]] = defaultdict(list)
    for draft in taken:
        if former := draft.text_at(_FROM):
            claims[former].append(draft)
    for former, heirs in claims.items():
        for draft in heirs:
            message = _why_not(former, draft, there, heirs)
            if message:
                before = draft.found
                draft.found = list(before)
                draft.problem(_FROM, message, _HINT)
                draft.found = problems.merge(before, draft.found[len(before) :])


def _why_not(former: str, draft: Draft, there: dict[str, Draft], heirs: list[Draft]) -> str:
    if former == draft.name:
        return f"`renamedFrom` is the policy's own name, {former}"
    if former in there:
        return f"policy {former} is still there, at {there[former].where}"
    other = next((other for other in heirs if other is not draft), None)
    if other is None:
        return ""
    return f"policy {other.name} is renamed from {former}, too, at {other.where}"
