"""Kubernetes: `reconciler.ports.ClusterReader` and `ClusterWriter` on one API server.

Objects stay what the server sent, parsed once by orjson. A list that did not reach its end raises;
nothing it yielded before proves that something else is gone (invariant I2). Nothing is ever forced:
what another field manager owns is theirs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from reconciler import ports
from reconciler.adapters import kubeaccess, kubelease
from reconciler.adapters.clock import SystemClock
from reconciler.adapters.kubediscovery import ACCEPT, Catalogue, read_catalogue
from reconciler.adapters.kubeerrors import Answer, Call, call, explain, explain_list, read_status
from reconciler.adapters.kubeexec import KubeExec
from reconciler.adapters.kubepod import in_cluster
from reconciler.adapters.kubetransport import Access, Transport
from reconciler.adapters.kubewatch import KubeWatch
from reconciler.model import kinds
from reconciler.model.cluster import ClusterIdentity, Discovery
from reconciler.model.errors import Incomplete, Refused, Transient
from reconciler.model.objects import ObjectRef, Resource
from reconciler.model.rights import Right, Verdict

FIELD_MANAGER = "backstay"
PAGE = 500
_FIRST_PAGE = 100
_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
_PAGE_BYTES = 4 * 1024 * 1024
"""What a page should weigh: 500 Secrets of Helm would be half a gigabyte."""
_LOG_BYTES = 64 * 1024
_RACES = 5
_NOT_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


class KubeClient:
    """One cluster, read and written. Safe to share between threads."""

    def __init__(self, transport: Transport, *, clock: ports.Clock) -> None:
        self._transport = transport
        self._clock = clock
        self._catalogue: Catalogue | None = None

    @classmethod
    def connect(
        cls,
        kubeconfig: Path | None = None,
        context: str | None = None,
        *,
        clock: ports.Clock | None = None,
        version: str = "",
    ) -> KubeClient:
        """The cluster of ``kubeconfig``, or the one this pod runs in. Raises Refused.

        ``version`` of Backstay, for the user agent. Sends nothing yet.
        """
        clock = clock or SystemClock()
        access = _of_file(kubeconfig, context) if kubeconfig else in_cluster()
        agent = f"{FIELD_MANAGER}/{version}" if version else FIELD_MANAGER
        return cls(Transport(access, clock=clock, user_agent=agent), clock=clock)

    @property
    def requests(self) -> Mapping[str, int]:
        """HTTP requests sent so far, by method."""
        return self._transport.requests

    @property
    def host(self) -> str:
        """The API server's address."""
        return self._transport.host

    def watch(self) -> KubeWatch:
        """The same cluster, watched; its requests are counted here."""
        return KubeWatch(self._transport)

    def execute(self) -> KubeExec:
        """The same cluster, for programs in its containers; its requests are counted here."""
        return KubeExec(self._transport)

    def close(self) -> None:
        """Closes idle connections."""
        self._transport.close()

    # Reading

    def identity(self) -> ClusterIdentity:
        """The uid of kube-system and the server's version."""
        home = self.get(kinds.NAMESPACES, "kube-system")
        if home is None:
            raise Refused("namespace kube-system does not exist: is this a Kubernetes cluster?")
        told = self._read("/version", Call(verb="get", kind="the server's version"))
        return ClusterIdentity(str(home["metadata"]["uid"]), str(told.get("gitVersion", "")))

    def discover(self) -> Discovery:
        """Every kind that can be listed, asked now. A root that can't be read raises."""
        self._catalogue = read_catalogue(self._discovery_document)
        return self._catalogue.discovery()

    def pages(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
    ) -> Iterator[list[dict[str, Any]]]:
        """See `reconciler.ports.ClusterReader`; empty pages are not yielded."""
        what = Call(verb="list", resource=resource, namespace=namespace)
        path = _path(resource, namespace)
        selectors = [("labelSelector", label_selector), ("fieldSelector", field_selector)]
        fixed = [(key, value) for key, value in selectors if value]
        limit, token = _FIRST_PAGE, ""
        while True:
            paging = [("limit", str(limit)), *([("continue", token)] if token else [])]
            weight, body = self._page(path, [*paging, *fixed], what)
            items = body.get("items") or []
            if items:  # a page that the selectors emptied says nothing of the next
                limit = next_limit(weight, len(items))
            for item in items:
                # The server leaves both out of the items of a list of built-in kinds.
                item["apiVersion"] = resource.api_version
                item["kind"] = resource.kind
            if items:
                yield items
            token = str((body.get("metadata") or {}).get("continue") or "")
            if not token:
                return

    def count(self, resource: Resource) -> int | None:
        """See `reconciler.ports.ClusterReader`: a page of one object, of its metadata only."""
        what = Call(verb="list", resource=resource)
        _, body = self._page(_path(resource, ""), [("limit", "1")], what, accept=_METADATA)
        metadata = body.get("metadata") or {}
        here = len(body.get("items") or ())
        if not metadata.get("continue"):
            return here
        rest = metadata.get("remainingItemCount")
        return here + rest if isinstance(rest, int) else None

    def get(self, resource: Resource, name: str, *, namespace: str = "") -> dict[str, Any] | None:
        """One raw object, or None if it or its kind is not there."""
        what = Call(verb="get", resource=resource, namespace=namespace, name=name)
        answer = self._transport.send("GET", _path(resource, namespace, name))
        if answer.status == 404:
            return None
        return _body(answer, what)

    def logs(self, namespace: str, pod: str, *, container: str = "", tail: int = 50) -> str:
        """The last lines of a container's log; empty when the pod is gone or has not begun."""
        query = [("tailLines", str(tail)), ("limitBytes", str(_LOG_BYTES))]
        if container:
            query.append(("container", container))
        path = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(pod)}/log"
        answer = self._transport.send("GET", path, query=query, accept="*/*")
        if answer.status in {400, 404}:
            return ""
        if not answer.ok:
            ref = ObjectRef(group="", kind="pods/log", namespace=namespace, name=pod)
            raise explain(answer, call("get", ref))
        return answer.data.decode("utf-8", "replace")

    # Asking about the server itself: `reconciler.ports.ClusterProbe`

    def may(self, right: Right, *, subject: str = "") -> Verdict:
        """Whether ``subject``, or this client, has the right."""
        return kubeaccess.review(self._transport, right, subject)

    def whoami(self) -> str:
        """This client's user name, or empty where the API server does not tell."""
        return kubeaccess.whoami(self._transport)

    def server_time(self) -> datetime:
        """The API server's clock."""
        return kubeaccess.server_time(self._transport)

    # Writing

    def apply(self, obj: ports.KubeObject) -> dict[str, Any]:
        """Server-side apply as ``backstay``, never forced."""
        resource = self._lookup(obj)
        namespace, name = _place(obj, resource)
        answer = self._transport.send(
            "PATCH",
            _path(resource, namespace, name),
            query=[("fieldManager", FIELD_MANAGER), ("force", "false")],
            body=_as_yaml(_encode(obj)),
            content_type="application/apply-patch+yaml",
        )
        return _body(answer, Call(verb="patch", resource=resource, namespace=namespace, name=name))

    def create(self, obj: ports.KubeObject) -> tuple[dict[str, Any], bool]:
        """(object, True), or (the one that had the name, False).

        After a lost answer the object found may be the one that this very call made: whoever must
        know compares labels or annotations.
        """
        resource = self._lookup(obj)
        namespace, name = _place(obj, resource)
        what = Call(verb="create", resource=resource, namespace=namespace, name=name)
        for _ in range(_RACES):
            answer = self._transport.send(
                "POST",
                _path(resource, namespace),
                query=[("fieldManager", FIELD_MANAGER)],
                body=_encode(obj),
            )
            if answer.status != 409 or read_status(answer).reason != "AlreadyExists":
                return _body(answer, what), True
            existing = self.get(resource, name, namespace=namespace)
            if existing is not None:
                return existing, False
        raise Transient(f"{what}: the name is taken and given back again and again")

    def delete(self, ref: ObjectRef, *, uid: str = "", orphan: bool = False) -> bool:
        """False if it was gone or has another uid."""
        resource = self._find(ref.group, ref.kind)
        options: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Orphan" if orphan else "Background",
        }
        if uid:
            options["preconditions"] = {"uid": uid}
        path = _path(resource, ref.namespace, ref.name)
        answer = self._transport.send("DELETE", path, body=orjson.dumps(options))
        if answer.status == 404 or (answer.status == 409 and uid):
            return False
        if not answer.ok:
            what = Call(verb="delete", resource=resource, namespace=ref.namespace, name=ref.name)
            raise explain(answer, what)
        return True

    def patch(
        self, ref: ObjectRef, changes: Mapping[str, Any], *, version: str, status: bool = False
    ) -> dict[str, Any] | None:
        """See `reconciler.ports.ClusterWriter`."""
        try:
            resource = self._find(ref.group, ref.kind)
        except Refused:
            return None
        metadata = {**(changes.get("metadata") or {}), "resourceVersion": version}
        path = _path(resource, ref.namespace, ref.name) + ("/status" if status else "")
        answer = self._transport.send(
            "PATCH",
            path,
            query=[("fieldManager", FIELD_MANAGER)],
            body=_encode({**changes, "metadata": metadata}),
            content_type="application/merge-patch+json",
        )
        if answer.status in {404, 409}:
            return None
        return _body(
            answer, Call(verb="patch", resource=resource, namespace=ref.namespace, name=ref.name)
        )

    def announce(self, event: ports.KubeObject) -> bool:
        """False if an Event of its name is there."""
        namespace, name = event["metadata"]["namespace"], event["metadata"]["name"]
        path = f"/apis/events.k8s.io/v1/namespaces/{quote(namespace, safe='')}/events"
        answer = self._transport.send(
            "POST", path, query=[("fieldManager", FIELD_MANAGER)], body=_encode(event)
        )
        if answer.status == 409 and read_status(answer).reason == "AlreadyExists":
            return False
        _body(answer, Call(verb="create", kind="Event", namespace=namespace, name=name))
        return True

    def acquire_lease(
        self, namespace: str, name: str, holder: str, *, seconds: int, take_from: str = ""
    ) -> str:
        """Who holds it now; see `reconciler.ports.ClusterWriter`."""
        return kubelease.acquire(
            lambda: self.get(kinds.LEASES, name, namespace=namespace),
            self._swap_lease,
            self._now,
            namespace=namespace,
            name=name,
            holder=holder,
            seconds=seconds,
            take_from=take_from,
        )

    def release_lease(self, namespace: str, name: str, holder: str) -> None:
        """Frees a Lease that ``holder`` still holds."""
        kubelease.release(
            lambda: self.get(kinds.LEASES, name, namespace=namespace),
            self._swap_lease,
            holder=holder,
        )

    # Inside

    def _now(self) -> datetime:
        return self._clock.now()

    def _swap_lease(self, lease: dict[str, Any]) -> bool:
        namespace, name = lease["metadata"]["namespace"], lease["metadata"]["name"]
        new = "resourceVersion" not in lease["metadata"]
        answer = self._transport.send(
            "POST" if new else "PUT",
            _path(kinds.LEASES, namespace, "" if new else name),
            query=[("fieldManager", FIELD_MANAGER)],
            body=orjson.dumps(lease),
        )
        if answer.status == 409 or (answer.status == 404 and not new):
            return False
        verb = "create" if new else "update"
        _body(answer, Call(verb=verb, resource=kinds.LEASES, namespace=namespace, name=name))
        return True

    def _page(
        self,
        path: str,
        query: Sequence[tuple[str, str]],
        what: Call,
        *,
        accept: str = "application/json",
    ) -> tuple[int, dict[str, Any]]:
        """Its weight in bytes and the list."""
        try:
            answer = self._transport.send("GET", path, query=query, accept=accept)
            if answer.ok:
                return len(answer.data), answer.json(str(what))
        except Transient as error:
            raise Incomplete(f"{what}: {error.message}", hint=error.hint) from error
        raise explain_list(answer, what)

    def _discovery_document(self, path: str) -> dict[str, Any]:
        accept = ACCEPT if path in {"/api", "/apis"} else "application/json"
        return self._read(path, Call(verb="get", kind=f"discovery of {path}"), accept=accept)

    def _read(self, path: str, what: Call, *, accept: str = "application/json") -> dict[str, Any]:
        return _body(self._transport.send("GET", path, accept=accept), what)

    def _lookup(self, obj: ports.KubeObject) -> Resource:
        group, _, version = str(obj["apiVersion"]).rpartition("/")
        return self._find(group, str(obj["kind"]), version)

    def _find(self, group: str, kind: str, version: str = "") -> Resource:
        known = self._catalogue
        found = known.find(group, kind, version) if known else None
        if found is None:
            # Discovered late: a CustomResourceDefinition may have been made meanwhile.
            self.discover()
            found = self._catalogue.find(group, kind, version) if self._catalogue else None
        if found is None:
            served = "/".join(part for part in (group, version) if part)
            raise Refused(
                f"the cluster does not serve {kind} in {served or 'the core API'}",
                hint="install what defines this kind, or look at: kubectl api-resources",
            )
        return found


def _of_file(kubeconfig: Path, context: str | None) -> Access:
    from reconciler.adapters import kubeconfig as files  # takes longer than a whole short command

    return files.from_kubeconfig(kubeconfig, context)


def next_limit(weight: int, items: int) -> int:
    """How many objects to ask for, after a page of so many bytes and objects."""
    return max(1, min(PAGE, _PAGE_BYTES * items // max(weight, 1)))


def _encode(obj: ports.KubeObject) -> bytes:
    """JSON; raises Refused for what JSON can't hold."""
    try:
        return orjson.dumps(obj)
    except TypeError:
        pass  # numbers beyond 64 bits and keys that are no strings: the slow encoder takes them
    try:
        return json.dumps(obj).encode()
    except (TypeError, ValueError, RecursionError) as error:
        name = (obj.get("metadata") or {}).get("name")
        raise Refused(f"{obj.get('kind')} {name!r} can't be written as JSON: {error}") from error


def _as_yaml(text: bytes) -> bytes:
    """JSON as the server's YAML reader takes it: it refuses `_NOT_YAML` or folds it to a space."""
    return _NOT_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", text.decode()).encode()


def _body(answer: Answer, what: Call) -> dict[str, Any]:
    if not answer.ok:
        raise explain(answer, what)
    return answer.json(str(what))


def _place(obj: ports.KubeObject, resource: Resource) -> tuple[str, str]:
    """Namespace and name of an object that is to be written. Raises Refused."""
    metadata = obj.get("metadata") or {}
    namespace, name = str(metadata.get("namespace") or ""), str(metadata.get("name") or "")
    if not name or bool(namespace) != resource.namespaced:
        wants = "a namespace" if resource.namespaced else "no namespace"
        raise Refused(f"{resource.kind} {name!r} can't be written: it needs a name and {wants}")
    return namespace, name


def _path(resource: Resource, namespace: str, name: str = "") -> str:
    root = f"/apis/{resource.group}" if resource.group else "/api"
    parts = [root, resource.version]
    if namespace and resource.namespaced:
        parts += ["namespaces", quote(namespace, safe="")]
    parts.append(resource.plural)
    if name:
        parts.append(quote(name, safe=""))
    return "/".join(parts)
