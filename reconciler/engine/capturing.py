"""From the live cluster into an open commit: list, clean, compare with the tree, write the rest.

Only what changed is sent to Git. "Gone from a complete listing" is the whole deletion rule: a
path below a gap stays, and below `_cluster/`, whose content follows from references, nothing is
deleted while there is any gap.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from reconciler import ports
from reconciler.capture import canonical, message, paths, quiet, references
from reconciler.engine.context import RunPorts, RunRequest
from reconciler.engine.history import read_record_of
from reconciler.engine.listing import Target, discovered, list_all
from reconciler.engine.observe import observe_namespaces
from reconciler.engine.patience import Patience, insist
from reconciler.engine.runplan import RunPlan
from reconciler.model import kinds
from reconciler.model.cluster import Claim
from reconciler.model.errors import Stalled, Transient
from reconciler.model.objects import Gap, ObjectRef, Resource
from reconciler.model.run import ClusterScopedRecord, Counts, LeftOutCount, Outcome, Reference
from reconciler.plan.observe import claim_of
from reconciler.plan.selection import list_cluster_wide

EVERYTHING = "*"
"""As a gap's group: all that a namespace holds."""
_LOOK_BACK = 100
"""Commits that are searched for the run that made the tree: so many in a row would have failed."""
_LEFT = "it left the selection without a change of the policy: its files are gone from the tree"
_UNSELECTED = "the policy was changed and does not select it any more: its files are gone"


@dataclass(frozen=True, slots=True)
class CapturedNamespace:
    """One namespace's part of the tree."""

    at: datetime
    counts: Counts
    left_out: tuple[LeftOutCount, ...]


@dataclass(frozen=True, slots=True)
class LeftNamespace:
    """A namespace of the tree that is not selected any more; ``intended`` by a changed policy."""

    at: datetime
    deleted: int
    why: str
    intended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedTree:
    """What a capture found. ``secrets`` are JSON lines with their values: never to be written."""

    namespaces: Mapping[str, CapturedNamespace]
    left: Mapping[str, LeftNamespace]
    cluster_scoped: ClusterScopedRecord
    gaps: tuple[Gap, ...]
    claims: tuple[Claim, ...]
    """Claims in the tree, also those that the run did not know when it decided on volumes."""
    secrets: tuple[bytes, ...] = field(repr=False)


@contextmanager
def _no_collector() -> Iterator[None]:
    """Parsing JSON makes millions of short-lived dicts without cycles: the GC costs 80 %."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def capture(
    request: RunRequest,
    run: RunPorts,
    plan: RunPlan,
    commit: ports.OpenCommit,
    parent: str | None,
    key: bytes,
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> CapturedTree:
    """Writes the difference between the cluster and ``parent``'s tree into ``commit``.

    Raises Interrupted when ``stopped`` turns true while the API server is away.
    """
    with _no_collector():
        return _Capture(request, run, plan, commit, parent, key, stopped).capture()


class _Capture:
    def __init__(
        self,
        request: RunRequest,
        run: RunPorts,
        plan: RunPlan,
        commit: ports.OpenCommit,
        parent: str | None,
        key: bytes,
        stopped: Callable[[], bool],
    ) -> None:
        self._request = request
        self._run = run
        self._plan = plan
        self._commit = commit
        self._parent = parent
        self._key = key
        self._stopped = stopped
        self._tree: dict[str, str] = dict(run.store.tree(parent)) if parent else {}
        self._selected = frozenset(plan.selection.names)
        self._seen: set[str] = set()
        self._changes: Counter[tuple[str, str]] = Counter()
        self._left_out: Counter[tuple[str, str, str]] = Counter()
        self._left_out_uids: set[str] = set()
        """A list that began again gives them twice."""
        self._secrets: dict[str, bytes] = {}
        self._claims: dict[str, Claim] = {}
        self._gaps: list[Gap] = []
        self._references = references.References(self._selected)

    def capture(self) -> CapturedTree:
        resources, failed = insist(
            lambda: discovered(self._run.reader), self._patience("discovering kinds")
        )
        self._gaps.extend(failed)
        wanted = [found for found in resources if quiet.kind_left_out(found) is None]
        referenced = self._capture_all(wanted)
        self._look_at_namespaces_again()
        # The last of the lists: `--at` must not give what came after the time it names.
        at = self._run.clock.now().replace(microsecond=0)
        left = self._delete_gone(at)
        return CapturedTree(
            namespaces={
                name: CapturedNamespace(at, self._counts(name), self._left_out_of(name))
                for name in sorted(self._selected)
            },
            left=left,
            cluster_scoped=ClusterScopedRecord(
                objects=self._counts(""), references=tuple(sorted(referenced))
            ),
            # Lists end in any order; equal clusters give equal trees, records and snapshots.
            gaps=tuple(sorted(self._gaps)),
            claims=tuple(claim for _, claim in sorted(self._claims.items())),
            secrets=tuple(line + b"\n" for _, line in sorted(self._secrets.items())),
        )

    def _look_at_namespaces_again(self) -> None:
        """A namespace deleted meanwhile gives empty lists, not errors: that proves nothing (I2)."""
        patience = self._patience("looking at the namespaces again")
        found_now = insist(lambda: observe_namespaces(self._run.reader), patience)
        now = {found.name: found for found in found_now}
        for chosen in self._plan.selection.namespaces:
            found = now.get(chosen.name)
            if found is None:
                reason = "the namespace was deleted while it was captured"
            elif found.terminating or found.uid != chosen.namespace.uid:
                reason = "the namespace is being deleted or was replaced while it was captured"
            else:
                continue
            self._add_gap(Gap(group=EVERYTHING, namespace=chosen.name, reason=reason))

    def _capture_all(self, resources: list[Resource]) -> list[Reference]:
        """Everything of the selected namespaces, and what of the cluster they need, with why.

        One listing of all, what is cluster-scoped last: what is needed is known only then.
        """
        plan = self._plan
        wide = list_cluster_wide(len(self._selected), plan.total_namespaces)
        names = ("",) if wide else tuple(sorted(self._selected))
        namespaced = [found for found in resources if found.namespaced]
        candidates = [found for found in resources if references.is_candidate(found)]
        self._run.reporter.event(
            "capturing",
            kinds=len(namespaced),
            namespaces=len(self._selected),
            listing="whole kinds" if wide else "per namespace",
        )
        targets = [(found, name) for found in namespaced for name in names]
        targets += [(found, "") for found in candidates]
        seen: dict[ObjectRef, tuple[Resource, dict[str, Any]]] = {}
        for resource, raw in self._listed(targets):
            self._references.observe(resource, raw)
            if resource.namespaced:
                self._take_namespaced(resource, raw)
            else:
                name = raw["metadata"]["name"]
                ref = ObjectRef(group=resource.group, kind=resource.kind, name=name)
                seen[ref] = (resource, raw)
        return [
            Reference(object=ref, why=why)
            for ref, why in self._references.wanted().items()
            if ref in seen and self._take(*seen[ref], "")
        ]

    def _take_namespaced(self, resource: Resource, raw: Mapping[str, Any]) -> None:
        namespace = raw["metadata"].get("namespace", "")
        if namespace in self._selected:
            taken = self._take(resource, raw, namespace)
            if taken and resource.folder == kinds.CLAIMS.folder:
                claim = claim_of(raw)
                self._claims[f"{namespace}/{claim.name}"] = claim

    def _listed(self, targets: Iterable[Target]) -> Iterator[tuple[Resource, dict[str, Any]]]:
        """Every object once; what could not be listed becomes a gap."""
        with closing(list_all(self._run.reader, targets, self._was_away)) as found:
            for item in found:
                if isinstance(item, Gap):
                    self._add_gap(item)
                    continue
                for raw in item.items:
                    yield item.resource, raw

    def _was_away(self, unwanted: Callable[[], bool]) -> bool:
        """Whether the API server was away; waits until it is back, at most until the deadline."""
        reader = self._run.reader
        try:
            reader.identity()
        except Transient:
            patience = self._patience("listing", lambda: unwanted() or self._stopped())
            insist(reader.identity, patience)
            return True
        return False

    def _patience(self, what: str, stopped: Callable[[], bool] | None = None) -> Patience:
        return Patience(
            what=what,
            clock=self._run.clock,
            reporter=self._run.reporter,
            deadline=self._request.deadline,
            stopped=stopped or self._stopped,
        )

    def _add_gap(self, gap: Gap) -> None:
        self._gaps.append(gap)
        self._run.reporter.warning("not captured", what=str(gap))

    def _take(self, resource: Resource, raw: Mapping[str, Any], namespace: str) -> bool:
        captured = canonical.capture_object(raw, resource, fingerprint_key=self._key)
        if isinstance(captured, canonical.LeftOut):
            uid = str(raw["metadata"].get("uid", ""))
            if uid in self._left_out_uids:
                return False
            self._left_out_uids.add(uid)
            self._left_out[namespace, resource.folder, captured.reason] += 1
            if captured.fault:
                self._add_gap(_fault(resource, raw, captured.reason))
            return False
        path = captured.path
        if path in self._seen:
            return True
        self._seen.add(path)
        if captured.secret is not None:
            self._secrets[path] = captured.secret
        self._changes[namespace, "captured"] += 1
        before = self._tree.get(path)
        if before is None or before != canonical.blob_id(captured.text):
            self._changes[namespace, "created" if before is None else "changed"] += 1
            self._commit.write(path, captured.text)
        return True

    def _delete_gone(self, at: datetime) -> Mapping[str, LeftNamespace]:
        """Deletes what complete listings do not have any more; returns namespaces that left."""
        left: Counter[str] = Counter()
        for path in self._tree:
            location = paths.parse_path(path)
            if location is None or path in self._seen or self._is_uncertain(location):
                continue
            self._commit.delete(path)
            if location.namespace and location.namespace not in self._selected:
                left[location.namespace] += 1
            else:
                self._changes[location.namespace, "deleted"] += 1
        for name, count in left.items():
            self._run.reporter.warning("namespace left the selection", namespace=name, files=count)
        if not left:
            return {}
        intended = self._policy_changed()
        why = _UNSELECTED if intended else _LEFT
        return {
            name: LeftNamespace(at, count, why, intended) for name, count in sorted(left.items())
        }

    def _is_uncertain(self, location: paths.Location) -> bool:
        """Whether a gap covers a path, so that its absence proves nothing (I2)."""
        if not location.namespace:
            # What is referenced follows from all that was read: any gap may hide a reference.
            return bool(self._gaps)
        return location.namespace in self._selected and any(
            _covers(gap, location) for gap in self._gaps
        )

    def _policy_changed(self) -> bool:
        """Whether the tree below was captured with another policy than this one.

        A Failed run keeps the tree of the run before it, so its own policy says nothing.
        """
        for commit in self._run.store.log(self._request.branch, limit=_LOOK_BACK):
            try:
                summary = message.parse_summary(commit.trailers)
            except Stalled:
                continue  # somebody else's commit that looks like a run's; `log` passes it too
            if summary is not None and summary.outcome is not Outcome.FAILED:
                return self._other_policy(summary, commit.sha)
        return False

    def _other_policy(self, summary: message.Summary, commit: str) -> bool:
        """False also where nobody can tell: a namespace must not leave unseen."""
        try:
            before = read_record_of(
                self._run.store, commit, run_id=summary.run_id, outcome=summary.outcome
            )
        except Stalled as error:
            self._run.reporter.warning(
                "commit passed over, no run made it", commit=commit, why=error.message
            )
            return False
        return before.policy.digest != self._request.policy.digest

    def _counts(self, namespace: str) -> Counts:
        def number(what: str) -> int:
            return self._changes[namespace, what]

        left_out = sum(n for (part, _, _), n in self._left_out.items() if part == namespace)
        return Counts(
            captured=number("captured"),
            created=number("created"),
            changed=number("changed"),
            deleted=number("deleted"),
            left_out=left_out,
        )

    def _left_out_of(self, namespace: str) -> tuple[LeftOutCount, ...]:
        return tuple(
            LeftOutCount(kind=kind, reason=reason, count=count)
            for (part, kind, reason), count in sorted(self._left_out.items())
            if part == namespace
        )


def _covers(gap: Gap, location: paths.Location) -> bool:
    if gap.namespace not in ("", location.namespace):
        return False
    if gap.group == EVERYTHING:
        return True
    if gap.folder:
        return gap.folder == location.folder
    _, _, group = location.folder.partition(".")
    return gap.group == group


def _fault(resource: Resource, raw: Mapping[str, Any], reason: str) -> Gap:
    metadata = raw["metadata"]
    return Gap(
        group=resource.group,
        plural=resource.plural,
        namespace=metadata.get("namespace", ""),
        folder=resource.folder,
        reason=f"{metadata['name']}: {reason}",
    )
