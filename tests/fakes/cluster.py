"""A Kubernetes API server in memory: ClusterReader and ClusterWriter with its semantics.

It has what Backstay relies on: discovery, pages, uids and resource versions, server-side apply
with field owners, conflicts, immutable ConfigMaps and pod templates, owners whose deletion takes
their dependents, namespaces that take everything, custom resources once their definition is there,
leases by compare-and-swap. It has no controllers: a test moves status along with `edit`.

Faults are put around it: see `tests.fakes.faults`.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler import ports
from reconciler.adapters import kubelease
from reconciler.model.cluster import ClusterIdentity, Discovery
from reconciler.model.errors import NotServed, Refused, Transient
from reconciler.model.kinds import BACKUP_POLICIES
from reconciler.model.objects import Gap, ObjectRef, Resource
from reconciler.model.rights import Right, Verdict
from tests.fakes import ownership
from tests.fakes.copying import copied
from tests.fakes.custom import as_core_event, merged_patch, without_status
from tests.fakes.kubekinds import BUILT_IN
from tests.fakes.kubeselectors import match_fields, match_labels

MANAGER = "backstay"
Key = tuple[str, str, str, str]
"""group, kind, namespace, name"""


class _Stored:
    """One object and the fields that each manager owns."""

    def __init__(self, obj: dict[str, Any], resource: Resource) -> None:
        self.obj = obj
        self.resource = resource
        self.owners: dict[str, frozenset[ownership.FieldPath]] = {}


class FakeCluster:
    """One cluster. ``now`` gives creation times and ends leases."""

    def __init__(
        self,
        *,
        uid: str = "7c1e9000-0000-4000-8000-000000000001",
        now: Callable[[], datetime] | None = None,
        page_size: int = 500,
    ) -> None:
        self._now = now or (lambda: datetime(2026, 11, 21, 4, 17, 3, tzinfo=UTC))
        self._page_size = page_size
        self._lock = threading.RLock()
        self._objects: dict[Key, _Stored] = {}
        self._version = 0
        self._seed = uid
        self.resources: list[Resource] = list(BUILT_IN)
        self._custom: set[tuple[str, str]] = set()
        """Kinds with a status subresource and generations: (group, kind)."""
        self._gone: set[tuple[str, str]] = {(BACKUP_POLICIES.group, BACKUP_POLICIES.kind)}
        """Kinds that a list of answers 404, until their definition is there."""
        self.failed: list[Gap] = []
        """What `discover` says did not answer."""
        self.log_lines: dict[tuple[str, str], str] = {}
        """(namespace, pod) → what `logs` gives."""
        self.denied: set[tuple[str, str, str]] = set()
        """(subject, verb, kind as in ``jobs.batch``) that `may` says no to."""
        self.impersonation = True
        """Whether others' rights may be asked for."""
        self.user = "kubernetes-admin"
        self.skew = 0.0
        """Seconds that the server's clock is ahead of the one here."""
        self.requests: Counter[str] = Counter()
        """Calls by method name."""
        self.writes: list[tuple[str, ObjectRef]] = []
        """Every write that changed something, in order: (verb, what)."""
        for name in ("kube-system", "default"):
            self.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        self._objects["", "Namespace", "", "kube-system"].obj["metadata"]["uid"] = uid
        self.writes.clear()

    # What tests do

    def put(self, obj: ports.KubeObject, *, manager: str = "kubectl") -> dict[str, Any]:
        """Creates or replaces an object as somebody else, who then owns all its fields."""
        with self._lock:
            resource = self._resource(obj)
            new = copied(dict(obj))
            key = _key(new, resource)
            old = self._objects.get(key)
            stored = self._store(key, new, resource, old)
            stored.owners = {manager: frozenset(path for path, _ in ownership.leaves(new))}
            return copied(stored.obj)

    def edit(
        self, obj: ports.KubeObject, change: Callable[[dict[str, Any]], object]
    ) -> dict[str, Any]:
        """Lets ``change`` alter the stored object in place, as a controller would."""
        with self._lock:
            stored = self._objects[_key(obj, self._resource(obj))]
            change(stored.obj)
            stored.obj["metadata"]["resourceVersion"] = self._next()
            return copied(stored.obj)

    def remove(self, obj: ports.KubeObject) -> None:
        """Deletes an object whatever its finalizers."""
        with self._lock:
            self._erase(_key(obj, self._resource(obj)))

    def serve(self, resource: Resource) -> None:
        """Serves one more kind."""
        self.resources.append(resource)

    def all(self, kind: str = "") -> list[dict[str, Any]]:
        """Every object (of a kind), as stored."""
        with self._lock:
            return [
                copied(stored.obj)
                for key, stored in sorted(self._objects.items())
                if kind in {"", key[1]}
            ]

    # ClusterReader

    def identity(self) -> ClusterIdentity:
        """The uid of kube-system."""
        self.requests["identity"] += 1
        home = self._objects["", "Namespace", "", "kube-system"].obj
        return ClusterIdentity(home["metadata"]["uid"], "v1.36.3")

    def discover(self) -> Discovery:
        """Every kind that is served and not in a failed group, preferred and in all versions."""
        self.requests["discover"] += 1
        failed = {gap.group for gap in self.failed if not gap.plural}
        listed = sorted({found for found in self.resources if found.group not in failed})
        # The version that was served first is the preferred one.
        first = {found.folder: found for found in reversed(self.resources)}
        best = tuple(found for found in listed if first[found.folder] == found)
        groups = frozenset((found.group, found.version) for found in listed)
        return Discovery(best, tuple(self.failed), tuple(listed), groups)

    def pages(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
    ) -> Iterator[list[dict[str, Any]]]:
        """By namespace and name, as etcd keeps them; the list is that of the first page."""
        with self._lock:  # lists are read by several threads
            self.requests["pages"] += 1
            if (resource.group, resource.kind) in self._gone:
                raise NotServed(f"list {resource}: HTTP 404 NotFound")
            found = [
                {**copied(stored.obj), "apiVersion": resource.api_version}
                for key, stored in sorted(self._objects.items())
                if key[:2] == (resource.group, resource.kind)
                and namespace in {"", key[2]}
                and match_labels(label_selector, stored.obj["metadata"].get("labels") or {})
                and match_fields(field_selector, stored.obj)
            ]
        for start in range(0, len(found), self._page_size):
            yield found[start : start + self._page_size]

    def count(self, resource: Resource) -> int | None:
        """As the real server tells it: the number of a list without a selector."""
        with self._lock:
            self.requests["count"] += 1
            if (resource.group, resource.kind) in self._gone:
                raise NotServed(f"list {resource}: HTTP 404 NotFound")
            return sum(key[:2] == (resource.group, resource.kind) for key in self._objects)

    def get(self, resource: Resource, name: str, *, namespace: str = "") -> dict[str, Any] | None:
        """A copy of the object."""
        self.requests["get"] += 1
        with self._lock:
            key = (resource.group, resource.kind, namespace if resource.namespaced else "", name)
            stored = self._objects.get(key)
            return copied(stored.obj) if stored else None

    def logs(self, namespace: str, pod: str, *, container: str = "", tail: int = 50) -> str:
        """The last lines of what a test put into `log_lines`, of whichever container."""
        del container
        self.requests["logs"] += 1
        lines = self.log_lines.get((namespace, pod), "").splitlines(keepends=True)
        return "".join(lines[-tail:])

    # ClusterProbe

    @property
    def host(self) -> str:
        """Where it would be."""
        return "https://fake.example.org"

    def may(self, right: Right, *, subject: str = "") -> Verdict:
        """Everybody has every right, but for `denied` ones."""
        self.requests["may"] += 1
        if subject and not self.impersonation:
            raise Refused(f"not allowed to ask in the name of {subject} (HTTP 403 Forbidden)")
        return Verdict((subject, right.verb, right.kind) not in self.denied)

    def whoami(self) -> str:
        """Whom a test says it is."""
        return self.user

    def server_time(self) -> datetime:
        """Its clock, in whole seconds, and off by `skew` of them."""
        return self._now().replace(microsecond=0) + timedelta(seconds=self.skew)

    # ClusterWriter

    def apply(self, obj: ports.KubeObject) -> dict[str, Any]:
        """As ``backstay``, never forced."""
        return self.apply_as(obj, MANAGER)

    def apply_as(
        self, obj: ports.KubeObject, manager: str, *, force: bool = False
    ) -> dict[str, Any]:
        """Server-side apply as any field manager."""
        self.requests["apply"] += 1
        with self._lock:
            resource = self._resource(obj)
            key = _key(obj, resource)
            wanted = _with_data(obj)
            old = self._objects.get(key)
            owners = old.owners if old else {}
            live = old.obj if old else {k: wanted[k] for k in ("apiVersion", "kind")}
            disputed = ownership.conflicts(live, wanted, owners, manager)
            if disputed and not force:
                told = "; ".join(f".{'.'.join(path)}: {other}" for path, other in disputed)
                raise Refused(f"patch {_ref(key)}: other field managers own fields: {told}")
            new = ownership.merged(live, wanted, owners, manager)
            new["metadata"] = {**new.get("metadata", {}), **_names(wanted)}
            owned = frozenset(path for path, _ in ownership.leaves(wanted))
            if force:
                owners = {other: fields - owned for other, fields in owners.items()}
            stored = self._store(key, new, resource, old)
            stored.owners = {**owners, manager: owned}
            return copied(stored.obj)

    def create(self, obj: ports.KubeObject) -> tuple[dict[str, Any], bool]:
        """The existing object where the name is taken."""
        self.requests["create"] += 1
        with self._lock:
            resource = self._resource(obj)
            key = _key(obj, resource)
            old = self._objects.get(key)
            if old:
                return copied(old.obj), False
            new = _with_data(obj)
            if key[:2] in self._custom:
                new = without_status(new)
            stored = self._store(key, new, resource, None)
            # An update and an apply of one name are two managers, as on the real server.
            stored.owners = {f"{MANAGER} (Update)": frozenset(p for p, _ in ownership.leaves(new))}
            return copied(stored.obj), True

    def delete(self, ref: ObjectRef, *, uid: str = "", orphan: bool = False) -> bool:
        """Dependents go as well unless ``orphan``; finalizers keep the object, marked."""
        self.requests["delete"] += 1
        with self._lock:
            key = (ref.group, ref.kind, ref.namespace, ref.name)
            stored = self._objects.get(key)
            if stored is None or (uid and stored.obj["metadata"]["uid"] != uid):
                return False
            self.writes.append(("delete", ref))
            if stored.obj["metadata"].get("finalizers"):
                stored.obj["metadata"].setdefault("deletionTimestamp", self._time())
                return True
            if orphan:
                self._disown(stored.obj["metadata"]["uid"])
            self._erase(key)
            return True

    def patch(
        self, ref: ObjectRef, changes: Mapping[str, Any], *, version: str, status: bool = False
    ) -> dict[str, Any] | None:
        """Takes fields from whoever has set them."""
        self.requests["patch"] += 1
        with self._lock:
            key = (ref.group, ref.kind, ref.namespace, ref.name)
            old = self._objects.get(key)
            if old is None or old.obj["metadata"]["resourceVersion"] != version:
                return None
            new = merged_patch(old.obj, changes, status=status and key[:2] in self._custom)
            return copied(self._store(key, new, old.resource, old).obj)

    def announce(self, event: ports.KubeObject) -> bool:
        """Kept as the core group's Event, which is the same object on a real server."""
        self.requests["announce"] += 1
        with self._lock:
            return self._create_event(as_core_event(event))

    def acquire_lease(
        self, namespace: str, name: str, holder: str, *, seconds: int, take_from: str = ""
    ) -> str:
        """The same decisions as the real adapter, on this cluster's versions."""
        return kubelease.acquire(
            lambda: self._lease(namespace, name),
            self._swap,
            self._now,
            namespace=namespace,
            name=name,
            holder=holder,
            seconds=seconds,
            take_from=take_from,
        )

    def release_lease(self, namespace: str, name: str, holder: str) -> None:
        """No effect if somebody else holds it."""
        kubelease.release(lambda: self._lease(namespace, name), self._swap, holder=holder)

    # Inside

    def _create_event(self, event: dict[str, Any]) -> bool:
        resource = self._resource(event)
        key = _key(event, resource)
        if key in self._objects:
            return False
        self._store(key, event, resource, None)
        return True

    def _lease(self, namespace: str, name: str) -> dict[str, Any] | None:
        with self._lock:
            stored = self._objects.get(("coordination.k8s.io", "Lease", namespace, name))
            return copied(stored.obj) if stored else None

    def _swap(self, lease: dict[str, Any]) -> bool:
        with self._lock:
            resource = self._resource(lease)
            key = _key(lease, resource)
            old = self._objects.get(key)
            read = lease["metadata"].get("resourceVersion")
            if read != (old.obj["metadata"]["resourceVersion"] if old else None):
                return False
            self._store(key, copied(lease), resource, old)
            return True

    def _resource(self, obj: ports.KubeObject) -> Resource:
        group, _, version = str(obj["apiVersion"]).rpartition("/")
        for found in self.resources:
            if (found.group, found.version, found.kind) == (group, version, obj["kind"]):
                return found
        raise Refused(f"the cluster does not serve {obj['kind']} in {obj['apiVersion']}")

    def _store(
        self, key: Key, new: dict[str, Any], resource: Resource, old: _Stored | None
    ) -> _Stored:
        if resource.namespaced and ("", "Namespace", "", key[2]) not in self._objects:
            raise Refused(f'create {_ref(key)}: HTTP 404 NotFound: namespaces "{key[2]}" not found')
        if old:
            _check_immutable(key, old.obj, new)
            new["metadata"] = {**new.get("metadata", {}), **_server_fields(old.obj)}
            if new == old.obj:
                return old
            if key[:2] in self._custom and new.get("spec") != old.obj.get("spec"):
                new["metadata"]["generation"] = old.obj["metadata"].get("generation", 1) + 1
            self.writes.append(("update", _ref(key)))
            old.obj = new
            new["metadata"]["resourceVersion"] = self._next()
            return old
        version = self._next()
        uid = hashlib.sha256(f"{self._seed}/{key}/{version}".encode()).hexdigest()
        new["metadata"] = {
            **new.get("metadata", {}),
            "uid": f"{uid[:8]}-{uid[8:12]}-4{uid[13:16]}-8{uid[17:20]}-{uid[20:32]}",
            "resourceVersion": version,
            "creationTimestamp": new.get("metadata", {}).get("creationTimestamp") or self._time(),
        }
        if key[:2] in self._custom:
            new["metadata"]["generation"] = 1
        stored = self._objects[key] = _Stored(new, resource)
        self.writes.append(("create", _ref(key)))
        if key[1] == "CustomResourceDefinition":
            self._define(new)
        return stored

    def _define(self, definition: dict[str, Any]) -> None:
        spec = definition["spec"]
        names = (spec["group"], spec["names"]["kind"])
        self._gone.discard(names)
        for version in spec["versions"]:
            if "status" in (version.get("subresources") or {}):
                self._custom.add(names)
            self.serve(
                Resource(
                    group=spec["group"],
                    version=version["name"],
                    kind=spec["names"]["kind"],
                    plural=spec["names"]["plural"],
                    namespaced=spec["scope"] == "Namespaced",
                )
            )
        definition["status"] = {"conditions": [{"type": "Established", "status": "True"}]}

    def _erase(self, key: Key) -> None:
        stored = self._objects.pop(key, None)
        if stored is None:
            return
        if key[1] == "CustomResourceDefinition":
            spec = stored.obj["spec"]
            names = (spec["group"], spec["names"]["kind"])
            self.resources = [r for r in self.resources if (r.group, r.kind) != names]
            self._gone.add(names)
            for other in [k for k in self._objects if k[:2] == names]:
                self._erase(other)
        if key[1] == "Namespace":
            for other in [k for k in self._objects if k[2] == key[3]]:
                self._erase(other)
        uid = stored.obj["metadata"]["uid"]
        for other, dependent in list(self._objects.items()):
            if any(owner["uid"] == uid for owner in _owners(dependent.obj)):
                self._erase(other)

    def _disown(self, uid: str) -> None:
        for stored in self._objects.values():
            kept = [owner for owner in _owners(stored.obj) if owner["uid"] != uid]
            if len(kept) != len(_owners(stored.obj)):
                stored.obj["metadata"]["ownerReferences"] = kept

    def _next(self) -> str:
        self._version += 1
        return str(self._version)

    def _time(self) -> str:
        return self._now().strftime("%Y-%m-%dT%H:%M:%SZ")


def _key(obj: ports.KubeObject, resource: Resource) -> Key:
    metadata = obj.get("metadata") or {}
    namespace, name = metadata.get("namespace") or "", metadata.get("name") or ""
    if not name or bool(namespace) != resource.namespaced:
        raise Refused(f"{resource.kind} {name!r} can't be written: name or namespace is wrong")
    return resource.group, resource.kind, namespace, name


def _ref(key: Key) -> ObjectRef:
    return ObjectRef(group=key[0], kind=key[1], namespace=key[2], name=key[3])


def _names(obj: Mapping[str, Any]) -> dict[str, Any]:
    return {k: obj["metadata"][k] for k in ("name", "namespace") if k in obj["metadata"]}


def _owners(obj: Mapping[str, Any]) -> list[dict[str, Any]]:
    return obj["metadata"].get("ownerReferences") or []


def _server_fields(obj: Mapping[str, Any]) -> dict[str, Any]:
    return {k: obj["metadata"][k] for k in ("uid", "resourceVersion", "creationTimestamp")}


def _with_data(obj: ports.KubeObject) -> dict[str, Any]:
    new = copied(dict(obj))
    for key, value in (new.pop("stringData", None) or {}).items():
        new.setdefault("data", {})[key] = base64.b64encode(value.encode()).decode()
    if "resourceVersion" in new["metadata"]:
        raise Transient("an object to be written carries a resourceVersion")
    return new


def _check_immutable(key: Key, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    if old.get("immutable") and any(old.get(k) != new.get(k) for k in ("data", "binaryData")):
        raise Refused(f"patch {_ref(key)}: HTTP 422 Invalid: data: field is immutable")
    if key[1] == "Job":
        before, after = old.get("spec") or {}, new.get("spec") or {}
        if before.get("template") != after.get("template"):
            raise Refused(f"patch {_ref(key)}: HTTP 422 Invalid: spec.template: field is immutable")
