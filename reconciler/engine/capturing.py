"""From the live cluster into an open commit: list, clean, compare with the tree, write the rest.

Only what changed is sent to Git. "Gone from a complete listing" is the whole deletion rule: a
path below a gap stays, and below `_cluster/`, whose content follows from references, nothing is
deleted while there is any gap. What the policy does not select any more leaves the tree too, and is
told apart from what was deleted (`reconciler.capture.choice`).
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from reconciler import ports
from reconciler.capture import canonical, choice, paths, quiet, references
from reconciler.engine import guards
from reconciler.engine.capturekinds import Kinds
from reconciler.engine.capturenamespaces import EVERYTHING, Namespaces
from reconciler.engine.captureredacted import Redactions
from reconciler.engine.capturetally import Tally
from reconciler.engine.context import RunPorts, RunRequest
from reconciler.engine.listing import Spread, Wanted, discovered, list_all
from reconciler.engine.patience import Patience, insist
from reconciler.engine.promisedkinds import groups_of
from reconciler.engine.runplan import RunPlan
from reconciler.engine.sealing import Sealed, Sealing
from reconciler.model import kinds
from reconciler.model.cluster import Claim
from reconciler.model.errors import Transient
from reconciler.model.objects import Gap, ObjectRef, Resource
from reconciler.model.policy import ClusterScoped, CopyMethod, ObjectSelector, SecretsMode
from reconciler.model.run import (
    ClusterScopedRecord,
    Counts,
    GuardsRecord,
    LeftOutCount,
    LeftOutKind,
    RedactedValue,
    Reference,
)
from reconciler.plan import folders
from reconciler.plan.observe import claim_of
from reconciler.plan.selection import decide_volume

_DISCOVERIES = 3
"""How often kinds that came meanwhile are listed as well."""
_LEFT = "it left the selection without a change of the policy: its files are gone from the tree"
_LEFT_AND_HELD = "it left the selection without a change of the policy: guards keep its files"
_LEFT_AND_ACCEPTED = "it left the selection, and guards.accept let its files go"
_UNSELECTED = "the policy was changed and does not select it any more: its files are gone"


@dataclass(frozen=True, slots=True)
class CapturedNamespace:
    """One namespace's part of the tree."""

    at: datetime
    counts: Counts
    left_out: tuple[LeftOutCount, ...]
    unselected: tuple[LeftOutCount, ...] = ()
    reasons: tuple[str, ...] = ()
    """Why it is not Completed, beside gaps."""


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
    left_out_kinds: tuple[LeftOutKind, ...] = ()
    guards: GuardsRecord | None = None
    selection: str = ""
    """Digest of what the policy selects."""
    warnings: tuple[str, ...] = ()
    """What a person should know."""
    secrets: tuple[bytes, ...] = field(repr=False)
    omitted: tuple[str, ...] = ()
    """``<namespace>/<name>`` of Secrets that the policy keeps nowhere."""
    sealed: Sealed = field(default_factory=Sealed)
    redacted: tuple[RedactedValue, ...] = ()


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
        self._omits = request.compiled.policy.manifests.secrets is SecretsMode.OMIT
        self._key = key
        self._omitted: set[str] = set()
        self._redactions = Redactions(request)
        self._stopped = stopped
        self._tree: dict[str, str] = dict(run.store.tree(parent)) if parent else {}
        self._selected = frozenset(plan.selection.names)
        self._objects = _granted(request.compiled.policy.selector.objects, plan)
        self._choice = choice.Choice(self._objects)
        self._kinds = Kinds(self._choice)
        self._seen: set[str] = set()
        self._sealing = Sealing(request, run, key, parent, self._tree)
        self._unselected: dict[str, str] = {}
        """Path → why the policy leaves out the object, which is there."""
        self._tally = Tally()
        self._secrets: dict[str, bytes] = {}
        self._claims: dict[str, Claim] = {}
        self._gaps: list[Gap] = []
        self._references = references.References(
            self._selected, without=self._choice.anchors_left_out()
        )
        self._before = guards.Before(request, run, self._objects)
        self._namespaces = Namespaces(plan, self._tree)
        self._held = guards.Held()
        self._candidates: dict[ObjectRef, tuple[Resource, dict[str, Any]]] = {}

    def capture(self) -> CapturedTree:
        self._list_all_kinds()
        referenced = self._take_what_is_needed()
        patience = self._patience("looking at the namespaces again")
        insist(lambda: self._namespaces.look_again(self._run.reader), patience)
        for gap in self._namespaces.gaps():
            self._add_gap(gap)
        # The last of the lists: `--at` must not give what came after the time it names.
        at = self._run.clock.now().replace(microsecond=0)
        left = self._delete_gone(at)
        tally = self._tally
        return CapturedTree(
            namespaces={
                name: CapturedNamespace(
                    at,
                    tally.counts(name),
                    tally.left_out_of(name),
                    tally.unselected_of(name),
                    tuple(filter(None, [self._held.reasons.get(name)])),
                )
                for name in sorted(self._selected)
            },
            left=left,
            cluster_scoped=ClusterScopedRecord(
                objects=tally.counts(""),
                references=tuple(sorted(referenced)),
                selection=str(self._choice.mode),
                left_out=tally.left_out_of(""),
                unselected=tally.unselected_of(""),
            ),
            # Lists end in any order; equal clusters give equal trees, records and snapshots.
            gaps=tuple(sorted(set(self._gaps))),
            claims=tuple(claim for _, claim in sorted(self._claims.items())),
            left_out_kinds=self._kinds.left_out(),
            guards=self._held.record,
            selection=self._before.selection,
            warnings=(*self._held.warnings, *self._warnings()),
            secrets=tuple(line + b"\n" for _, line in sorted(self._secrets.items())),
            omitted=tuple(sorted(self._omitted)),
            sealed=self._sealing.sealed,
            redacted=self._redactions.records(),
        )

    def _warnings(self) -> Iterator[str]:
        """What the selection did that nobody may overlook, and what the record does not list."""
        yield from self._redactions.warnings()
        yield from folders.warnings(self._seen)
        if self._objects != self._request.compiled.policy.selector.objects:
            yield (
                f"{choice.FIELD}.clusterScoped: All is not granted to folder"
                f" {self._plan.limited_by}: captured as with Referenced"
            )
        for glob in self._kinds.without_kind(self._objects.include):
            yield f"{choice.FIELD}.include: no kind that the cluster serves is called {glob}"
        for part in ("", *sorted(self._selected)):
            gone = [
                found
                for found in self._tally.unselected_of(part)
                if found.reason != choice.NOT_NEEDED
            ]
            if gone:
                kinds_gone = ", ".join(f"{found.count} {found.kind}" for found in gone)
                yield (
                    f"{part or 'cluster-scoped'}: files left the tree with the selection, whether"
                    f" or not their objects exist: {kinds_gone}"
                )

    def _list_all_kinds(self) -> None:
        """Every kind that is served, also one whose definition came while the others were listed.

        What is cluster-scoped comes last: what is needed is known only then.
        """
        names, total = tuple(sorted(self._selected)), self._plan.total_namespaces
        found = self._discover()
        self._run.reporter.event(
            "capturing",
            kinds=sum(kind.namespaced for kind in found),
            namespaces=len(names),
        )
        again: list[Resource] = []
        for _ in range(_DISCOVERIES):
            targets: list[Wanted] = [
                Spread(kind, names, total) for kind in found if kind.namespaced
            ]
            scoped = (kind for kind in (*found, *again) if not kind.namespaced)
            targets += map(self._namespaces.target, scoped)
            for resource, raw in self._listed(targets):
                self._take_listed(resource, raw)
            found = self._kinds.wait(self._discover, self._run.clock.sleep)
            if not found:
                break
            again = self._kinds.definitions  # that of a new kind may have come after the others
        for gap in self._kinds.gaps(found, lambda: groups_of(self._tree)):
            self._gaps = [old for old in self._gaps if not gap.folder or old.folder != gap.folder]
            self._add_gap(gap)

    def _discover(self) -> list[Resource]:
        """The kinds to be listed that were not known before."""
        reader, patience = self._run.reader, self._patience("discovering kinds")
        told = insist(lambda: discovered(reader), patience)
        return self._kinds.learn(told.resources, told.failed, told.groups)

    def _take_listed(self, resource: Resource, raw: dict[str, Any]) -> None:
        metadata = raw["metadata"]
        if not resource.namespaced:
            self._kinds.see(resource, raw)
            self._references.observe(resource, raw)
            if self._choice.mode is ClusterScoped.ALL and resource != kinds.NAMESPACES:
                self._take(resource, raw, "")
            else:
                ref = ObjectRef(group=resource.group, kind=resource.kind, name=metadata["name"])
                self._candidates[ref] = (resource, raw)
            return
        namespace = metadata.get("namespace", "")
        if namespace not in self._selected:
            return
        claim = claim_of(raw) if resource.folder == kinds.CLAIMS.folder else None
        reason = self._choice.object_left_out(resource, raw)
        if reason and not (claim and self._is_copied(claim)):
            self._leave_out(resource, raw, namespace, reason)
            return
        self._references.observe(resource, raw)
        if self._take(resource, raw, namespace) and claim:
            self._claims[f"{namespace}/{claim.name}"] = claim

    def _is_copied(self, claim: Claim) -> bool:
        """Whether the policy wants its data: without its manifest nobody could put them back."""
        volumes = self._request.compiled.policy.volumes
        return decide_volume(volumes, claim, None).method is not CopyMethod.SKIP

    def _leave_out(
        self, resource: Resource, raw: Mapping[str, Any], namespace: str, reason: str
    ) -> None:
        """By the policy; what the cluster makes by itself is counted as that, as ever."""
        own = quiet.object_left_out(raw, resource)
        metadata = raw["metadata"]
        self._tally.left_out(namespace, resource, str(metadata.get("uid", "")), own or reason)
        path = paths.object_path(resource, metadata)
        if own is None and path in self._tree:
            self._unselected[path] = reason

    def _take_what_is_needed(self) -> list[Reference]:
        """Cluster-scoped objects that something selected refers to, with why; all are known now."""
        taken = []
        wanted = self._references.wanted()
        for ref, (resource, raw) in self._candidates.items():
            if ref not in wanted:
                other = resource.folder == kinds.NAMESPACES.folder
                reason = choice.OTHER_NAMESPACE if other else choice.NOT_NEEDED
                self._leave_out(resource, raw, "", reason)
            else:
                self._take(resource, raw, "")
        self._count_other_namespaces()
        for ref, why in wanted.items():
            if paths.path_of("", ref.group, ref.kind, ref.name) in self._seen:
                taken.append(Reference(object=ref, why=why))
        return taken

    def _count_other_namespaces(self) -> None:
        listed = sum(
            kind.folder == kinds.NAMESPACES.folder for kind, _ in self._candidates.values()
        )
        others = self._namespaces.not_listed(listed)
        self._tally.others("", kinds.NAMESPACES, others, choice.OTHER_NAMESPACE)

    def _listed(self, targets: Iterable[Wanted]) -> Iterator[tuple[Resource, dict[str, Any]]]:
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
        key = None if self._omits and resource.folder == "secret" else self._key
        captured = self._sealing.seal(resource, self._redactions.capture(raw, resource, key))
        if isinstance(captured, canonical.LeftOut):
            uid = str(raw["metadata"].get("uid", ""))
            first = self._tally.left_out(namespace, resource, uid, captured.reason)
            if first and captured.fault:
                self._add_gap(_fault(resource, raw, captured.reason))
            elif captured.reason == canonical.SECRETS_OMITTED:
                self._omitted.add(f"{namespace}/{raw['metadata']['name']}")
                self._unselected[paths.object_path(resource, raw["metadata"])] = captured.reason
            return False
        path = captured.path
        if path in self._seen:
            return True
        self._seen.add(path)
        if captured.secret is not None:
            self._secrets[path] = captured.secret
        self._redactions.take(captured)
        self._tally.captured(namespace)
        before = self._tree.get(path)
        if captured.text and before != canonical.blob_id(captured.text):
            self._tally.written(namespace, new=before is None)
            self._commit.write(path, captured.text)
        return True

    def _delete_gone(self, at: datetime) -> Mapping[str, LeftNamespace]:
        """Deletes what complete listings do not have any more; returns namespaces that left.

        What the policy's guards hold stays, and then what is cluster-scoped, too.
        """
        going = list(self._going())
        left = {one.location.namespace for one in going} - {"", *self._selected}
        insisted = self._patience("comparing with the last good run")
        removed = insist(lambda: {one for one in left if self._is_removed(one)}, insisted)
        files = guards.Files(tree=self._tree, seen=self._seen, going=going)
        self._held = held = insist(
            lambda: guards.hold(
                self._request, self._run, self._before, files, self._selected, removed
            ),
            insisted,
        )
        for gap in held.gaps:
            self._add_gap(gap)
        deleted: Counter[str] = Counter()
        for one in going:
            namespace = one.location.namespace
            if one.path in held.paths or (held.paths and not namespace):
                continue
            self._commit.delete(one.path)
            if namespace in left:
                deleted[namespace] += 1
            elif one.reason:
                self._tally.unselected(namespace, one.location.folder, one.reason)
            else:
                self._tally.deleted(namespace)
        return {name: self._left(at, name, deleted[name], name in removed) for name in sorted(left)}

    def _going(self) -> Iterator[guards.Going]:
        """Files whose objects are not there, or not selected any more."""
        for path in self._tree:
            location = paths.parse_path(path)
            if location is None or path in self._seen or self._is_uncertain(location):
                continue
            reason = self._unselected.get(path) or self._kinds.unselected(location.folder)
            yield guards.Going(path, location, reason)

    def _is_removed(self, namespace: str) -> bool:
        return self._before.removed(namespace, self._namespaces.existing)

    def _left(self, at: datetime, name: str, count: int, intended: bool) -> LeftNamespace:
        self._run.reporter.warning("namespace left the selection", namespace=name, files=count)
        passed = {one.name: f" ({one.why})" for one in self._plan.selection.passed_over}
        held = self._held.record
        accepted = not intended and held is not None and held.accepted
        why = _UNSELECTED if intended else _LEFT if count else _LEFT_AND_HELD
        if accepted:
            why = _LEFT_AND_ACCEPTED
        return LeftNamespace(at, count, f"{why}{passed.get(name, '')}", intended or accepted)

    def _is_uncertain(self, location: paths.Location) -> bool:
        """Whether a gap covers a path, so that its absence proves nothing (I2)."""
        if not location.namespace and self._choice.mode is ClusterScoped.REFERENCED:
            # What is referenced follows from all that was read: any gap may hide a reference.
            return bool(self._gaps)
        return (not location.namespace or location.namespace in self._selected) and any(
            _covers(gap, location) for gap in self._gaps
        )


def _granted(objects: ObjectSelector, plan: RunPlan) -> ObjectSelector:
    """All would take what belongs to namespaces that the grant does not give: not from a policy
    that was compiled before such a grant was narrowed, either."""
    if plan.limited_by and objects.cluster_scoped is ClusterScoped.ALL:
        return replace(objects, cluster_scoped=ClusterScoped.REFERENCED)
    return objects


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
