"""What differs between a recovery point and the cluster as it is now: drift.

Live objects go through the same cleaning and the same emitter as a capture's, so what a run would
write to Git is compared with what a run has written. Nothing is written anywhere.

What could not be listed is a gap: nothing below it is called removed (I2). An object that the point
does not have is called added only where the run would have captured it: not of a kind that its
policy leaves out, and a cluster-scoped one only if the run took all of them (``clusterScoped:
All``), or something in the namespaces needs it (`reconciler.engine.driftscope`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from reconciler import ports
from reconciler.capture import (
    canonical,
    paths,
    quiet,
    redactpolicy,
    redactrecorded,
    sealedsecrets,
)
from reconciler.engine.driftscope import Scope
from reconciler.engine.listing import Spread, Target, discovered, list_all
from reconciler.engine.observe import observe_namespaces
from reconciler.engine.reading import (
    HistoryReader,
    NamedPoint,
    Wanted,
    change_at,
    compare_texts,
)
from reconciler.model.objects import Gap, Resource
from reconciler.model.policy import SecretsMode
from reconciler.model.run import RunRecord
from reconciler.plan.diff import Kind, ObjectChange

OMITTED = "Secrets are not compared: the policy keeps them nowhere"
NO_KEY = "Secrets are not compared: the key of their fingerprints is not at hand"
_AT_ONCE = 200
_MOST_REDACTED = 1000
"""A record that lists as many redacted values may lack some."""


@dataclass(slots=True)
class Drift:
    """What was found, sorted by path; ``notes`` say what is not known."""

    changes: list[ObjectChange] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_drift(
    store: HistoryReader,
    named: NamedPoint,
    reader: ports.ClusterReader,
    wanted: Wanted,
    key: bytes | None,
) -> Drift:
    """From the point to the cluster. ``key``: the one of fingerprints; None leaves Secrets out."""
    return _Look(store, named, reader, wanted, key).look()


class _Look:
    def __init__(
        self,
        store: HistoryReader,
        named: NamedPoint,
        reader: ports.ClusterReader,
        wanted: Wanted,
        key: bytes | None,
    ) -> None:
        self._store = store
        self._record = named.record
        self._reader = reader
        self._wanted = wanted
        omits = named.record.secrets is not None and named.record.secrets.mode == SecretsMode.OMIT
        self._key = key
        self._omits = omits
        self._without_key = OMITTED if omits else NO_KEY
        self._tree = {
            path: sha
            for path, sha in store.tree(named.point.commit).items()
            if (place := paths.parse_path(path)) is not None and wanted.takes(place)
        }
        captured = (part.name for part in named.record.namespaces if part.objects.captured)
        self._names = tuple(name for name in captured if wanted.takes_namespace(name))
        self._seen: set[str] = set()
        self._differ: dict[str, tuple[Resource, Mapping[str, Any]]] = {}
        self._scope = Scope(named.record, wanted, self._names, self._tree)
        self._doubtful = _may_redact_more(named.record)
        self._found = Drift()

    def look(self) -> Drift:
        """Lists, compares, and says what is gone."""
        uid = self._reader.identity().uid
        if uid != self._record.cluster.uid:
            self._found.notes.append("it is another cluster than the one that the run read")
        served = discovered(self._reader)
        self._found.gaps += served.failed
        self._scope.learn(served)
        with closing(list_all(self._reader, self._targets(served.resources))) as pages:
            for item in pages:
                if isinstance(item, Gap):
                    self._found.gaps.append(item)
                    continue
                for raw in item.items:
                    self._take(item.resource, raw)
                if len(self._differ) >= _AT_ONCE:
                    self._compare()
        self._compare()
        self._found.changes += (change_at(path, Kind.ADDED) for path in self._scope.needed())
        self._found.gaps += [*self._scope.untold(served, self._found.gaps)]
        self._tell_gone()
        self._found.changes.sort(key=lambda change: change.path)
        return self._found

    def _targets(self, resources: tuple[Resource, ...]) -> Iterator[Target | Spread]:
        """Every kind in the namespaces of the point; cluster-scoped kinds that it has, or more."""
        total = len(observe_namespaces(self._reader))
        for resource in resources:
            if quiet.kind_left_out(resource) is not None:
                continue
            if not resource.namespaced:
                if self._scope.lists(resource):
                    yield resource, ""
            elif self._names and (self._scope.follows or self._wanted.takes_kind(resource.folder)):
                yield Spread(resource, self._names, max(total, len(self._names)))

    def _take(self, resource: Resource, raw: Mapping[str, Any]) -> None:
        path = paths.object_path(resource, raw["metadata"])
        foreign = resource.namespaced and raw["metadata"].get("namespace") not in self._names
        if path in self._seen or foreign:
            return
        self._scope.see(resource, raw, path)
        if not self._is_taken(resource, path):
            self._scope.may_be_needed(resource, raw, path)
            return
        found = canonical.capture_object(raw, resource, fingerprint_key=self._key_of(resource))
        if isinstance(found, canonical.LeftOut):
            if found.reason == canonical.SECRETS_OMITTED or found.fault:
                # It is there; what it holds can't be said.
                self._seen.add(path)
                note = f"{path}: {found.reason}" if found.fault else self._without_key
                if note not in self._found.notes:
                    self._found.notes.append(note)
            return
        self._seen.add(path)
        before = self._tree.get(path)
        if before is None:
            if not self._scope.is_left_out(resource):
                self._found.changes.append(change_at(path, Kind.ADDED))
        elif before != canonical.blob_id(found.text):
            self._differ[path] = resource, raw

    def _is_taken(self, resource: Resource, path: str) -> bool:
        """Whether the point has it or, as an addition, would have it for certain."""
        if resource.namespaced:
            return self._wanted.takes_kind(resource.folder)
        return path in self._tree or self._scope.takes_new(resource)

    def _key_of(self, resource: Resource) -> bytes | None:
        """Credentials elsewhere are kept, and compared, whatever is done with Secrets."""
        return None if self._omits and resource.folder == "secret" else self._key

    def _compare(self) -> None:
        texts = self._store.blobs([self._tree[path] for path in self._differ])
        for (path, (kind, raw)), (_, text) in zip(self._differ.items(), texts, strict=True):
            recorded = sealedsecrets.view_text(text)
            # What is redacted there is redacted here, wherever it stands, whatever rules say now.
            live = canonical.capture_like(
                raw,
                kind,
                recorded,
                fingerprint_key=self._key_of(kind),
                rules=redactrecorded.RecordedRules(recorded, doubtful=self._doubtful),
            )
            if isinstance(live, canonical.LeftOut):
                self._found.notes.append(f"{path}: {live.reason}")
            elif live.text != recorded:
                self._found.changes.append(compare_texts(path, recorded, live.text))
        self._differ.clear()

    def _tell_gone(self) -> None:
        for path in self._tree:
            place = paths.parse_path(path)
            if path in self._seen or place is None:
                continue
            if not any(_covers(gap, place) for gap in self._found.gaps):
                self._found.changes.append(change_at(path, Kind.REMOVED))


def _may_redact_more(record: RunRecord) -> bool:
    """Whether the policy may have rules of its own, which redact what was not there yet.

    Each path of such a rule is in the record, by what it redacted or as one that matches nothing;
    unless something could not be listed, or there was too much.
    """
    return (
        bool(record.gaps)
        or len(record.redacted) >= _MOST_REDACTED
        or any(one.rule.startswith(redactpolicy.PREFIX) for one in record.redacted)
        or any(one.startswith(redactpolicy.FIELD) for one in record.warnings)
    )


def _covers(gap: Gap, place: paths.Location) -> bool:
    if gap.namespace not in ("", place.namespace):
        return False
    if gap.folder:
        return gap.folder == place.folder
    return gap.group == place.folder.partition(".")[2]
