"""A cluster as one of Backstay's accounts may use it: what `deploy/` does not grant can't be asked.

The fake cluster has no rights of its own, so code that asks for too much would be found on a real
one only. This looks each request up in the table of `reconciler.plan.rights`, which a test holds
against the RBAC of `deploy/` in both directions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from reconciler.model.cluster import ClusterIdentity, Discovery
from reconciler.model.objects import ObjectRef, Resource
from reconciler.model.rights import Right
from reconciler.plan.rights import Need
from reconciler.ports import KubeObject
from tests.fakes.cluster import FakeCluster

_LEASES = "coordination.k8s.io"


def granted(path: Path) -> tuple[Need, ...]:
    """The rules of every role in a file of RBAC, as if they were bound everywhere."""
    return tuple(
        Need(Right(verb=verb, group=group, resource=resource, name=name), path.name)
        for role in yaml.safe_load_all(path.read_text())
        for rule in role.get("rules") or ()
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames") or ("",)
    )


class Entitled:
    """A ClusterReader and ClusterWriter of an account with these rights, in ``namespace``.

    What it may not raises AssertionError, which nobody takes for a refusal of the cluster's.
    """

    def __init__(self, inner: FakeCluster, needs: Iterable[Need], namespace: str) -> None:
        self._inner = inner
        self._needs = tuple(needs)
        self._namespace = namespace

    def identity(self) -> ClusterIdentity:
        """The uid of a namespace that may be read by its name."""
        self._check("get", "", "namespaces", name="kube-system")
        return self._inner.identity()

    def discover(self) -> Discovery:
        """Everybody may."""
        return self._inner.discover()

    def pages(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
    ) -> Iterator[list[dict[str, Any]]]:
        """A list, of one namespace or of all."""
        self._check("list", resource.group, resource.plural, namespace=namespace)
        return self._inner.pages(
            resource,
            namespace=namespace,
            label_selector=label_selector,
            field_selector=field_selector,
        )

    def count(self, resource: Resource) -> int | None:
        """A list of one object."""
        self._check("list", resource.group, resource.plural)
        return self._inner.count(resource)

    def get(self, resource: Resource, name: str, *, namespace: str = "") -> dict[str, Any] | None:
        """One by its name."""
        self._check("get", resource.group, resource.plural, namespace=namespace, name=name)
        return self._inner.get(resource, name, namespace=namespace)

    def logs(self, namespace: str, pod: str, *, container: str = "", tail: int = 50) -> str:
        """A subresource of pods."""
        self._check("get", "", "pods/log", namespace=namespace, name=pod)
        return self._inner.logs(namespace, pod, container=container, tail=tail)

    def apply(self, obj: KubeObject) -> dict[str, Any]:
        """A patch, and a create where nothing is there yet."""
        self._check_object("create", obj)
        self._check_object("patch", obj)
        return self._inner.apply(obj)

    def create(self, obj: KubeObject) -> tuple[dict[str, Any], bool]:
        """A name can't be asked for on create; who finds it taken reads what is there."""
        self._check_object("create", obj)
        made = self._inner.create(obj)
        if not made[1]:
            self._check_object("get", obj)
        return made

    def delete(self, ref: ObjectRef, *, uid: str = "", orphan: bool = False) -> bool:
        """One by its name."""
        self._check(
            "delete", ref.group, self._plural(ref.group, ref.kind),
            namespace=ref.namespace, name=ref.name,
        )  # fmt: skip
        return self._inner.delete(ref, uid=uid, orphan=orphan)

    def patch(
        self, ref: ObjectRef, changes: Mapping[str, Any], *, version: str, status: bool = False
    ) -> dict[str, Any] | None:
        """The status is a subresource."""
        part = "/status" if status else ""
        self._check(
            "patch", ref.group, self._plural(ref.group, ref.kind) + part,
            namespace=ref.namespace, name=ref.name,
        )  # fmt: skip
        return self._inner.patch(ref, changes, version=version, status=status)

    def announce(self, event: KubeObject) -> bool:
        """An Event of the newer group."""
        namespace = str(event["metadata"].get("namespace", ""))
        self._check("create", "events.k8s.io", "events", namespace=namespace)
        return self._inner.announce(event)

    def acquire_lease(
        self, namespace: str, name: str, holder: str, *, seconds: int, take_from: str = ""
    ) -> str:
        """Reads it, and makes or replaces it."""
        for verb in ("get", "create", "update"):
            self._check(verb, _LEASES, "leases", namespace=namespace, name=name)
        return self._inner.acquire_lease(
            namespace, name, holder, seconds=seconds, take_from=take_from
        )

    def release_lease(self, namespace: str, name: str, holder: str) -> None:
        """Reads it, and replaces it."""
        for verb in ("get", "update"):
            self._check(verb, _LEASES, "leases", namespace=namespace, name=name)
        self._inner.release_lease(namespace, name, holder)

    def _check_object(self, verb: str, obj: KubeObject) -> None:
        group, _, _ = str(obj["apiVersion"]).rpartition("/")
        metadata = obj["metadata"]
        self._check(
            verb, group, self._plural(group, str(obj["kind"])),
            namespace=str(metadata.get("namespace", "")), name=str(metadata["name"]),
        )  # fmt: skip

    def _check(
        self, verb: str, group: str, resource: str, *, namespace: str = "", name: str = ""
    ) -> None:
        if not any(
            need.right.verb == verb
            and need.right.group in {"*", group}
            and need.right.resource in {"*", resource}
            and (not need.own or namespace == self._namespace)
            and (not need.right.name or need.right.name == name)
            for need in self._needs
        ):
            where = f" in namespace {namespace}" if namespace else ""
            raise AssertionError(
                f"no right to {verb} {resource}.{group or 'core'} {name}{where}:"
                " deploy/ does not grant it"
            )

    def _plural(self, group: str, kind: str) -> str:
        found = {(one.group, one.kind): one.plural for one in self._inner.resources}
        return found.get((group, kind), kind.lower() + "s")
