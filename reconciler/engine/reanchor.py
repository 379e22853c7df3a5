"""A person says that a branch's history was rewritten on purpose: its tip of now is remembered.

Only where the branch says so itself, and of the very tip that is remembered: whoever pushed a
history without that, or one made from an older tip (a run in between would be lost), is not
believed.
"""

from __future__ import annotations

from dataclasses import dataclass

from reconciler import ports
from reconciler.capture import message
from reconciler.engine.context import policy_branch
from reconciler.engine.tips import Memory, keep_tip, recall_tip
from reconciler.model import naming
from reconciler.model.errors import Refused, Transient


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten:
    """A branch, and the commit that ends its rewritten history; empty: nothing was rewritten."""

    branch: str
    tip: str
    memory: Memory
    mark: str


def look_at_rewrite(
    store: ports.ManifestStore,
    reader: ports.ClusterReader,
    cluster: str,
    policy: str,
    *,
    namespace: str,
) -> Rewritten:
    """What there is to accept; changes nothing.

    Raises Refused where the branch is gone, or does not say that it takes the remembered tip's
    place.
    """
    branch = policy_branch(cluster, policy)
    memory = recall_tip(reader, namespace, naming.tip_lease_name(policy), branch)
    tip = store.tip(branch)
    if tip is None:
        raise Refused(f"there is no branch {branch}", hint="push the new history first")
    mark = ""
    for commit in store.log(branch):
        if not memory.tip or commit.sha == memory.tip:
            return Rewritten(branch=branch, tip=tip, memory=memory, mark="")
        rewrite = message.parse_rewrite(commit.trailers)
        if rewrite is not None and (rewrite.policy, rewrite.old) == (policy, memory.tip):
            mark = commit.sha
    if not mark:
        raise Refused(
            f"branch {branch} is at {tip}, and no commit of it says that it takes the place of"
            f" {memory.tip}, the tip that is remembered",
            hint="purge a clone that has that tip; if it is lost, and you know why: docs/purge.md",
        )
    return Rewritten(branch=branch, tip=tip, memory=memory, mark=mark)


def accept_rewrite(writer: ports.ClusterWriter, found: Rewritten, *, namespace: str) -> None:
    """Remembers the tip; no effect where there is nothing to accept.

    Raises Transient where a run wrote what it has seen meanwhile.
    """
    if found.mark and not keep_tip(writer, namespace, found.memory, found.branch, found.tip):
        raise Transient(
            f"the Lease {namespace}/{found.memory.lease} was written by somebody else meanwhile",
            hint="look again: run the same command once more",
        )
