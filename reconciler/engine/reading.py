"""What differs between two recovery points, read bit by bit from the manifest store.

Only files whose content differs are read, some megabytes at a time: two trees of 50,000 objects
cost two lists of names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Protocol

from reconciler.capture import loading, paths
from reconciler.capture.paths import policy_branch
from reconciler.engine.expiries import Expiries
from reconciler.engine.history import (
    StoreReader,
    copied_until,
    read_points,
    read_record,
    read_record_of,
)
from reconciler.model.errors import Refused, Stalled, UsageError
from reconciler.model.objects import Gap
from reconciler.model.run import RunRecord
from reconciler.model.store import TouchedFiles
from reconciler.plan.diff import Kind, ObjectChange, compare_objects
from reconciler.plan.objectnames import kind_names
from reconciler.plan.pointnames import PointName, find_named
from reconciler.plan.recoverypoints import RecoveryPoint, find_point
from reconciler.plan.unselected import why_not_there

CLUSTER_SCOPED = paths.CLUSTER_FOLDER
_SHORT = re.compile("[0-9a-f]{1,6}")
"""What may be the begin of a commit's id, and is too short to be taken for one."""
UNREADABLE = "no manifest that can be read"
ENCRYPTED_ANEW = "the same, encrypted anew"


class HistoryReader(StoreReader, Protocol):
    """A store whose history can be walked with what each commit changed."""

    def changes(self, branch: str, paths: Sequence[str] = ()) -> Iterator[TouchedFiles]:
        """Commits that touched these files or folders (none: all commits), newest first.

        Raises OverBound at one that changes more than a run does.
        """
        ...

    def commits(self, branch: str) -> Iterator[TouchedFiles]:
        """All commits, oldest first; one that changes more than a run does says so in `unread`."""
        ...

    def blobs(self, ids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """(id, bytes) in the order asked for; what is held at a time is bounded."""
        ...


@dataclass(frozen=True, slots=True)
class NamedPoint:
    """A recovery point that was named, with its record."""

    policy: str
    point: RecoveryPoint
    record: RunRecord


class PointFinder:
    """Finds recovery points of one cluster by name; each branch is read once.

    ``shallow``: whether older runs may be missing, which is told with what is not found. With
    ``expiries`` the points know what expired.
    """

    def __init__(
        self,
        store: StoreReader,
        cluster: str,
        *,
        shallow: bool = False,
        expiries: Expiries | None = None,
    ) -> None:
        self._expiries = expiries
        self._store = store
        self._cluster = cluster
        self._shallow = shallow
        self._read: dict[str, tuple[RecoveryPoint, ...]] = {}

    def points(self, policy: str) -> tuple[RecoveryPoint, ...]:
        """All of a policy, newest first; raises Refused where it has no branch."""
        if policy not in self._read:
            branch = policy_branch(self._cluster, policy)
            try:
                self._read[policy] = read_points(self._store, branch, self._expiries)
            except Refused as error:
                if _SHORT.fullmatch(policy):
                    error.hint += "; a commit needs its first 7 digits at least"
                raise
        return self._read[policy]

    def policies(self) -> tuple[str, ...]:
        """Names of all policies that ever had a run, sorted."""
        prefix = policy_branch(self._cluster, "")
        names = (branch.removeprefix(prefix) for branch in self._store.branches(prefix))
        return tuple(sorted(name for name in names if name[:1] != "_" and "/" not in name))

    def find_recorded(self, name: PointName) -> RecoveryPoint:
        """The same as `find` without its record; a run that is named need be no recovery point."""
        with self._telling_cut():
            name = self._of_policy(name)
            if name.is_exact:
                return find_point(self.points(name.policy), name.at, policy=name.policy)
            return find_named(self.points(name.policy), name, copied_until(self._store))

    @contextmanager
    def _telling_cut(self) -> Iterator[None]:
        try:
            yield
        except Refused as error:
            if self._shallow:
                told = "this clone is shallow and lacks older runs: git fetch --unshallow"
                error.hint = "; ".join(part for part in (error.hint, told) if part)
            raise

    def _of_policy(self, name: PointName) -> PointName:
        if name.is_commit:
            return PointName(self._policy_of(name.at), name.at, name.back)
        if not name.policy:
            raise UsageError(
                f"{name.at} is of which policy?", hint=f"write POLICY@{name.at}, or give --policy"
            )
        return name

    def find(self, name: PointName) -> NamedPoint:
        """Raises Refused where there is none, UsageError where nobody said whose it is."""
        with self._telling_cut():
            name = self._of_policy(name)
            point = find_named(self.points(name.policy), name, copied_until(self._store))
        record = read_record_of(
            self._store, point.commit, run_id=point.run_id, outcome=point.outcome
        )
        return NamedPoint(name.policy, point, record)

    def _policy_of(self, commit: str) -> str:
        """Whose run made a commit."""
        known = self.policies()
        for policy in known:
            if any(point.commit.startswith(commit) for point in self.points(policy)):
                return policy
        raise Refused(
            f"no run made a commit {commit}",
            hint=f"policies with runs: {', '.join(known) or 'none'}; list them with: backstay log",
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which objects are asked for. Both take shell patterns; empty is all.

    A kind is ``deployment``, ``deployments`` or ``deployment.apps``; the namespace of what is
    cluster-scoped is ``_cluster``.
    """

    namespaces: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()

    @property
    def names_any(self) -> bool:
        """Whether some namespaces or kinds were named, which one side should have."""
        return bool(self.namespaces or self.kinds)

    def takes(self, location: paths.Location) -> bool:
        """Whether an object there is asked for."""
        namespace = location.namespace or CLUSTER_SCOPED
        return self.takes_namespace(namespace) and self.takes_kind(location.folder)

    def takes_namespace(self, name: str) -> bool:
        """Whether anything of the namespace is asked for."""
        return _matches(name, self.namespaces)

    def takes_kind(self, folder: str) -> bool:
        """Whether a kind (``deployment.apps``) is asked for."""
        return not self.kinds or any(_is_kind(folder, pattern) for pattern in self.kinds)


def _matches(text: str, patterns: Iterable[str]) -> bool:
    asked = tuple(patterns)
    return not asked or any(fnmatchcase(text, pattern) for pattern in asked)


def _is_kind(folder: str, pattern: str) -> bool:
    pattern = pattern.lower()
    singular = (folder, folder.partition(".")[0])
    # A pattern is not held against plurals: `*s` would take everything.
    return pattern in kind_names(folder) or any(fnmatchcase(name, pattern) for name in singular)


def _may_be(gap: Gap, pattern: str) -> bool:
    if gap.folder:
        return _is_kind(gap.folder, pattern)
    return not gap.plural or gap.plural in kind_names(pattern) or _is_kind(gap.plural, pattern)


@dataclass(frozen=True, slots=True)
class Known:
    """What the sides of a comparison have; ``gaps`` are what they could not read."""

    namespaces: frozenset[str]
    folders: frozenset[str]
    gaps: tuple[Gap, ...] = ()


def known_at(store: StoreReader, named: NamedPoint) -> Known:
    """What a recovery point has."""
    places = [place for path in store.tree(named.point.commit) if (place := paths.parse_path(path))]
    names = {place.namespace for place in places} | {part.name for part in named.record.namespaces}
    folders = frozenset(place.folder for place in places)
    return Known(frozenset(names - {""}), folders, tuple(named.record.gaps))


def hold_known(wanted: Wanted, known: Sequence[Known]) -> None:
    """A name that no side knows would look like no difference; raises UsageError.

    A kind that some side could not list is known, and so is each where a whole group was away.
    """
    names = sorted({CLUSTER_SCOPED}.union(*(side.namespaces for side in known)))
    for pattern in wanted.namespaces:
        if not any(_matches(name, [pattern]) for name in names):
            raise UsageError(
                f"--namespace {pattern}: neither side has such a namespace",
                hint=f"there are: {', '.join(names)}",
            )
    gaps = [gap for side in known for gap in side.gaps]
    folders = sorted(set().union(*(side.folders for side in known)))
    for pattern in wanted.kinds:
        away = any(_may_be(gap, pattern) for gap in gaps)
        if not away and not any(_is_kind(folder, pattern) for folder in folders):
            raise UsageError(
                f"--kind {pattern}: neither side has an object of such a kind",
                hint=f"there are: {', '.join(folders) or 'none'}",
            )


def changed_objects(
    store: HistoryReader, old: str, new: str, wanted: Wanted
) -> Iterator[ObjectChange]:
    """What differs between the trees of two commits, sorted by path; only objects count.

    What is gone has a note where the record of ``new`` says that it may only not be selected.
    """
    before, after = store.tree(old), store.tree(new)
    changed = [path for path in sorted({*before, *after}) if before.get(path) != after.get(path)]
    found = [(path, place) for path in changed if (place := paths.parse_path(path)) is not None]
    asked = [path for path, place in found if wanted.takes(place)]
    both = [path for path in asked if path in before and path in after]
    ids = [sha for path in both for sha in (before[path], after[path])]
    texts = store.blobs(ids)
    record = record_at(store, new) if any(path not in after for path in asked) else None
    for path in asked:
        if path not in before:
            yield change_at(path, Kind.ADDED)
        elif path not in after:
            yield gone_at(path, record)
        else:
            _, first = next(texts)
            _, second = next(texts)
            change = compare_texts(path, first, second)
            if change.note != ENCRYPTED_ANEW:
                yield change


def change_at(path: str, kind: Kind) -> ObjectChange:
    """An object that is there on one side only, by its path."""
    place = paths.parse_path(path)
    if place is None:
        raise Refused(f"{path} is no path of a manifest")
    name = place.name or path.rpartition("/")[2].removesuffix(paths.SUFFIX)
    return ObjectChange(
        path=path, namespace=place.namespace, folder=place.folder, name=name, kind=kind
    )


def record_at(store: StoreReader, commit: str) -> RunRecord | None:
    """The record in a commit, None where it can't be read: it only explains."""
    try:
        return read_record(store, commit)
    except Stalled:
        return None


def gone_at(path: str, record: RunRecord | None) -> ObjectChange:
    """An object that the tree of a record's run does not have any more."""
    found = change_at(path, Kind.REMOVED)
    if record is None:
        return found
    return replace(found, note=why_not_there(record, found.namespace, found.folder))


def compare_texts(path: str, old: bytes, new: bytes) -> ObjectChange:
    """What differs between two texts of one object."""
    found = change_at(path, Kind.CHANGED)
    first, second = read_quietly(path, old), read_quietly(path, new)
    if first is None or second is None:
        return replace(found, note=UNREADABLE)
    try:
        fields = compare_objects(first, second)
    except RecursionError:
        return replace(found, note="nested too deeply to be compared")
    if not fields and first.get("kind") == "Secret":
        from reconciler.capture import sealedsecrets

        if sealedsecrets.is_sealed_text(old) or sealedsecrets.is_sealed_text(new):
            return replace(found, note=ENCRYPTED_ANEW)
    # Git saw a difference: another version of Backstay may have written the same otherwise.
    return replace(found, fields=fields, note="" if fields else "the same, in another form")


def read_quietly(path: str, text: bytes) -> dict[str, Any] | None:
    """The object in a text, None where somebody else wrote it and it can't be read.

    Of a Secret that is encrypted its view: fingerprints in place of values.
    """
    try:
        found = loading.read_manifest(text, where=path)
        if found.get("kind") != "Secret":
            return found
        # Loads what encrypts, which few differences need.
        from reconciler.capture import sealedsecrets

        return sealedsecrets.view_of(found)
    except Stalled:
        return None
