"""A person's word for deletions that the brakes hold: ``Backstay-Approve: <digest>`` in a commit.

The digest is of the schedules that would be deleted (policy and uid), in which cluster, and after
which remembered revision. It stays the same from cycle to cycle, for the remembered revision stays
while a deletion is refused, and changes as soon as one more would go. Once it was followed neither
is ever the same again: who moves the branch back to a commit that approved approves nothing. It is
looked for in the message of the revision's own commit, the tip: it is the one that is applied, and
the one whose signature is checked. An approval in an older commit approved another revision.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.model import jsonform
from reconciler.model.plan import History

TRAILER = "Backstay-Approve"
_LINE = re.compile(rf"^{TRAILER}:[ \t]*([0-9a-f]{{32}})[ \t]*\r?$", re.MULTILINE)


def deletions_digest(cluster: str, gone: Mapping[str, str], last: str) -> str:
    """128 bits in hex over the cluster's name, the remembered revision, and what would go.

    ``gone``: policy → uid of its schedule, in any order.
    """
    delete = [list(one) for one in sorted(gone.items())]
    body = {"formatVersion": 1, "cluster": cluster, "after": last, "delete": delete}
    return hashlib.sha256(jsonform.dumps(body).encode()).hexdigest()[:32]


def read_approvals(message: str) -> frozenset[str]:
    """Every digest that a commit's message approves; a revision may be for several clusters."""
    return frozenset(_LINE.findall(message))


@dataclass(frozen=True, slots=True)
class Brakes:
    """Why nothing is deleted: ``firm`` stays whoever approves, ``soft`` goes by approval."""

    firm: tuple[str, ...] = ()
    soft: tuple[str, ...] = ()

    def asking(self, questions: tuple[str, ...]) -> Brakes:
        """The same with questions that hold as well."""
        return Brakes(self.firm, (*self.soft, *questions))

    @property
    def all(self) -> tuple[str, ...]:
        """Every reason."""
        return (*self.firm, *self.soft)


@dataclass(frozen=True, slots=True)
class Word:
    """Whether somebody approved what is held. ``given``: the policies that go by it."""

    digest: str = ""
    """What would approve it; empty where no word is needed, none could help, or none be given."""
    given: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def listen(held: Brakes, gone: Mapping[str, str], history: History, cluster: str) -> Word:
    """What the revision's commit says of the policies that would go (→ uid of the schedule).

    A source without commits, such as a folder, has no place for a word: none is asked for.
    """
    names = sorted(gone)
    if held.firm or not held.soft or not names or not history.has_message:
        return Word()
    digest = deletions_digest(cluster, gone, history.last)
    approvals = read_approvals(history.message)
    # Approved by this very revision, and cut short: what is left of it is approved as well.
    if digest in approvals or history.begun.issuperset(names):
        note = f"{history.revision} approves that {len(names)} of the policies go"
        return Word(digest, (*sorted({*names, *history.begun}),), (note,))
    other = (
        f"{history.revision} approves another plan than this: {', '.join(sorted(approvals)[:4])}"
    )
    return Word(digest, (), (other,) if approvals else ())


def render_trailer(digest: str) -> str:
    """The line that approves."""
    return f"{TRAILER}: {digest}"
