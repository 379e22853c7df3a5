"""A person says that a branch's history was rewritten on purpose: its new end is remembered.

They say which commit ends it: that it names the tip that it takes the place of proves nothing,
since that tip is no secret, and whoever may push can write such a commit. Only where that very
commit is on the branch, and takes the place of the very tip that is remembered, is it believed: one
that was made from an older tip has lost a run in between. What lies above it is not taken over: to
the next run it is what came since.

Where a run has found the loss already, and written that beside the tip, it has gone on: what is
remembered by then is on the branch, and nothing is proven by its place. Then the word of the person
who names a commit of the branch ends what was found up to there.
"""

from __future__ import annotations

from dataclasses import dataclass

from reconciler import ports
from reconciler.capture import message
from reconciler.engine.context import policy_branch
from reconciler.engine.tips import Memory, keep_tip, recall_tip
from reconciler.model import naming
from reconciler.model.errors import Refused, Transient
from reconciler.plan.rewinds import Rewind, unaccepted


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten:
    """A branch, and the commit that ends its rewritten history; empty: nothing is to be done."""

    branch: str
    tip: str
    memory: Memory
    mark: str
    new: str = ""
    """The commit that was named."""
    says_so: bool = False
    """Whether it says that it takes the place of the remembered tip."""
    above: int = 0
    """Commits that came on top of it."""
    ended: tuple[Rewind, ...] = ()
    """What was found to be lost, and is accepted with it, or is on the branch again."""
    left: tuple[Rewind, ...] = ()
    """What was found above it."""

    @property
    def empty(self) -> bool:
        """Whether nothing is to be written."""
        return not (self.mark or self.ended)


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
    rewrite, places = _find(store, branch, new)
    found, known = memory.rewinds, memory.tip in places or not memory.tip
    says = rewrite.old if rewrite is not None and rewrite.policy == policy else ""
    left = tuple(
        one
        for one in unaccepted(found, places, new)
        if one.expected != says and one.expected not in places
    )
    ended = tuple(one for one in found if one not in left)
    if not known and memory.tip not in (says, *(one.expected for one in ended)):
        raise Refused(
            f"branch {branch} is at {tip}, and its commit {new} does not say that it takes the"
            f" place of {memory.tip}, the tip that is remembered",
            hint="purge a clone that has that tip; if it is lost, and you know why: docs/purge.md",
        )
    return Rewritten(
        branch=branch, tip=tip, memory=memory, mark="" if known else new, new=new,
        says_so=says == memory.tip, above=0 if known else places[new], ended=ended, left=left,
    )  # fmt: skip


def _find(
    store: ports.ManifestStore, branch: str, new: str
) -> tuple[message.Rewrite | None, dict[str, int]]:
    """What commit ``new`` says, and the branch's commits: how many came on top of each."""
    places: dict[str, int] = {}
    rewrite = None
    for place, commit in enumerate(store.log(branch)):
        places[commit.sha] = place
        if commit.sha == new:
            rewrite = message.parse_rewrite(commit.trailers)
    if new not in places:
        raise Refused(
            f"branch {branch} has no commit {new}",
            hint="push the new history first, with the line that backstay purge printed; if you"
            " did, somebody has put another one in its place since",
        )
    return rewrite, places


def accept_rewrite(writer: ports.ClusterWriter, found: Rewritten, *, namespace: str) -> None:
    """Remembers the commit; no effect where there is nothing to accept.

    Raises Transient where a run wrote what it has seen meanwhile.
    """
    if found.empty:
        return
    memory, tip = found.memory, found.mark or found.memory.tip or found.tip
    if not keep_tip(writer, namespace, memory, found.branch, tip, found.left):
        raise Transient(
            f"the Lease {namespace}/{found.memory.lease} was written by somebody else meanwhile",
            hint="look again: run the same command once more",
        )
