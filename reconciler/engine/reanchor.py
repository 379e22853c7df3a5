"""A person says that a branch's history was rewritten on purpose: its new end is remembered.

They say which commit ends it: that it names the tip that it takes the place of proves nothing,
since that tip is no secret, and whoever may push can write such a commit. Only where that very
commit is on the branch, and takes the place of the very tip that is remembered, is it believed: one
that was made from an older tip has lost a run in between. What lies above it is not taken over: to
the next run it is what came since.
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
    """A branch, and the commit that ends its rewritten history; empty: nothing is to be done."""

    branch: str
    tip: str
    memory: Memory
    mark: str
    above: int = 0
    """Commits that came on top of it."""


def look_at_rewrite(
    store: ports.ManifestStore,
    reader: ports.ClusterReader,
    cluster: str,
    policy: str,
    *,
    new: str,
    namespace: str,
) -> Rewritten:
    """What there is to accept of the rewritten history that ends with ``new``; changes nothing.

    Raises Refused where the branch does not have that commit (a full id), or the commit does not
    say that it takes the remembered tip's place.
    """
    branch = policy_branch(cluster, policy)
    memory = recall_tip(reader, namespace, naming.tip_lease_name(policy), branch)
    tip = store.tip(branch)
    if tip is None:
        raise Refused(f"there is no branch {branch}", hint="push the new history first")
    rewrite, remembered, above = _find(store, branch, new, memory.tip)
    if remembered or not memory.tip:
        return Rewritten(branch=branch, tip=tip, memory=memory, mark="")
    if rewrite is None or (rewrite.policy, rewrite.old) != (policy, memory.tip):
        raise Refused(
            f"branch {branch} is at {tip}, and its commit {new} does not say that it takes the"
            f" place of {memory.tip}, the tip that is remembered",
            hint="purge a clone that has that tip; if it is lost, and you know why: docs/purge.md",
        )
    return Rewritten(branch=branch, tip=tip, memory=memory, mark=new, above=above)


def _find(
    store: ports.ManifestStore, branch: str, new: str, remembered: str
) -> tuple[message.Rewrite | None, bool, int]:
    """What commit ``new`` says, whether the branch has ``remembered``, how many came since."""
    found: tuple[message.Rewrite | None, int] | None = None
    holds = False
    for place, commit in enumerate(store.log(branch)):
        holds = holds or commit.sha == remembered
        if commit.sha == new:
            found = message.parse_rewrite(commit.trailers), place
    if found is None:
        raise Refused(
            f"branch {branch} has no commit {new}",
            hint="push the new history first, with the line that backstay purge printed; if you"
            " did, somebody has put another one in its place since",
        )
    return found[0], holds, found[1]


def accept_rewrite(writer: ports.ClusterWriter, found: Rewritten, *, namespace: str) -> None:
    """Remembers the commit; no effect where there is nothing to accept.

    Raises Transient where a run wrote what it has seen meanwhile.
    """
    if found.mark and not keep_tip(writer, namespace, found.memory, found.branch, found.mark):
        raise Transient(
            f"the Lease {namespace}/{found.memory.lease} was written by somebody else meanwhile",
            hint="look again: run the same command once more",
        )
