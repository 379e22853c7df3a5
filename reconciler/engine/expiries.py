"""What maintenance wrote down of the policies of a cluster, read once for a whole command.

Without `_retained` on the cluster's branch nothing ever expired, and that costs one look. What
can't be read, or nobody vouches for, expires nothing: whoever may push could else hide a point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from reconciler.capture import retained
from reconciler.capture.paths import cluster_branch
from reconciler.engine.history import StoreReader
from reconciler.model.errors import Stalled
from reconciler.plan.expiry import Expiry, seen_by


def _trust(commit: str) -> None:
    """Of who was not told whose signature is wanted."""
    del commit


class Expiries:
    """Of one cluster. ``vouch`` raises Refused for a commit that nobody signed who should have."""

    def __init__(
        self, store: StoreReader, cluster: str, vouch: Callable[[str], None] = _trust
    ) -> None:
        self._store = store
        self._branch = cluster_branch(cluster)
        self._vouch = vouch
        self._read: dict[str, retained.Retained] | None = None
        self.doubts: tuple[str, ...] = ()
        """What could not be read, once something was asked."""

    def of(self, policy: str, commits: Iterable[tuple[str, str]]) -> Expiry | None:
        """What was said of a policy's branch; None where nothing was.

        ``commits``: (id, run or ``""``) of its branch, newest first.
        """
        found = self._found().get(policy)
        if found is None:
            return None
        return Expiry(
            at=found.at,
            held={one.run: frozenset(one.namespaces) for one in found.held},
            below=seen_by(found.tip, commits),
        )

    def _found(self) -> dict[str, retained.Retained]:
        if self._read is None:
            # What is asked for again is not read again, also where it could not be read.
            self._read = {}
            try:
                self._read = self._read_all()
            except Stalled as error:
                self._doubt(f"what expired is not known: {error.message}")
        return self._read

    def _read_all(self) -> dict[str, retained.Retained]:
        tip = self._store.tip(self._branch)
        # The whole tree is small, and who has listed it reads from it without asking again.
        tree = self._store.tree(tip) if tip else {}
        names = sorted(path for path in tree if path.startswith(f"{retained.FOLDER}/"))
        if not tip or not names:
            return {}
        self._vouch(tip)
        found = {}
        for path, text in self._store.read(tip, names).items():
            try:
                one = retained.parse_retained(text, where=path)
            except Stalled as error:
                self._doubt(f"what expired is not known: {error.message}")
                continue
            if path == retained.path_of(one.policy):
                found[one.policy] = one
            else:
                self._doubt(f"{path} is of policy {one.policy}: it expires nothing")
        return found

    def _doubt(self, told: str) -> None:
        self.doubts = (*self.doubts, told)
