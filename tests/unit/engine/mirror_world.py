"""A controller whose cluster serves BackupPolicy objects, with an application to protect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reconciler.model.policy import Kind
from reconciler.plan.mirrorstatus import conditions_of
from reconciler.policy.crds import crd_name, make_crd
from tests.unit.engine.controller_world import NAMESPACE, ControllerWorld

Object = dict[str, Any]


class MirrorWorld(ControllerWorld):
    """``world.mirror("shop")`` is the object of a policy."""

    def __init__(self) -> None:
        super().__init__()
        self.serve()
        self.cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        self.cluster.put(claim("data"))
        self.cluster.writes.clear()

    def serve(self) -> None:
        """Applies the CRD."""
        self.cluster.apply(make_crd(Kind.BACKUP_POLICY))
        self.cluster.writes.clear()

    def unserve(self) -> None:
        """Deletes it, and every object with it."""
        self.cluster.remove(
            {
                "apiVersion": "apiextensions.k8s.io/v1",
                "kind": "CustomResourceDefinition",
                "metadata": {"name": crd_name(Kind.BACKUP_POLICY)},
            }
        )
        self.cluster.writes.clear()

    def mirror(self, name: str = "shop") -> Object:
        """The object of a policy."""
        (found,) = [m for m in self.cluster.all("BackupPolicy") if m["metadata"]["name"] == name]
        return found

    def status(self, name: str = "shop") -> Object:
        """Its status."""
        found: Object = self.mirror(name)["status"]
        return found

    def conditions(self, name: str = "shop") -> dict[str, tuple[str, str]]:
        """Type → (status, reason)."""
        found = conditions_of(self.status(name))
        return {kind: (one["status"], one["reason"]) for kind, one in found.items()}

    def message(self, kind: str, name: str = "shop") -> str:
        """What a condition says."""
        return str(conditions_of(self.status(name))[kind]["message"])

    def events(self, name: str = "shop") -> list[tuple[str, str]]:
        """(type, reason) of all Events about a policy, oldest first."""
        found = [e for e in self.cluster.all("Event") if e["involvedObject"]["name"] == name]
        found.sort(key=lambda event: (int(event["metadata"]["resourceVersion"]), event["reason"]))
        return [(event["type"], event["reason"]) for event in found]

    def written(self) -> list[str]:
        """What was written since the last call: ``create BackupPolicy/shop``; no Leases."""
        found = [f"{verb} {ref.kind}/{ref.name}" for verb, ref in self.cluster.writes]
        self.cluster.writes.clear()
        return [one for one in found if "Lease/" not in one]

    def edit(
        self, change: Callable[[Object], object], *, name: str = "shop", by: str = "", at: str = ""
    ) -> None:
        """Somebody changes a mirror; ``by`` then owns the field ``at`` (``spec.suspend``)."""

        def edit(raw: Object) -> None:
            before = raw.get("spec")
            spec = repr(before)
            change(raw)
            if repr(raw.get("spec")) != spec:
                raw["metadata"]["generation"] = raw["metadata"].get("generation", 1) + 1
            if by:
                owned: Object = {}
                for part in reversed(at.split(".")):
                    owned = {f"f:{part}": owned}
                raw["metadata"]["managedFields"] = [{"manager": by, "fieldsV1": owned}]

        self.cluster.edit(self.mirror(name), edit)
        self.cluster.writes.clear()

    def run(self, number: int, *, code: int = 0, policy: str = "shop", seconds: int = 60) -> str:
        """A Job of a run that begins now and ends ``seconds`` later; returns the Job's name."""
        started = self.clock.now()
        self.clock.sleep(seconds)
        ended = self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata = {
            "name": f"{policy}-{number}",
            "namespace": NAMESPACE,
            "creationTimestamp": started.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "labels": {"backstay.dev/component": "run", "backstay.dev/policy": policy},
            "annotations": {"backstay.dev/policy": policy},
        }
        message = f"Container run for pod x failed with exit code {code} matching FailJob rule"
        condition = {"status": "True", "lastTransitionTime": ended} | (
            {"type": "Failed", "message": message} if code else {"type": "Complete"}
        )
        self.cluster.put(
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": metadata,
                "spec": {},
                "status": {"conditions": [condition]},
            }
        )
        self.cluster.writes.clear()
        return metadata["name"] if isinstance(metadata["name"], str) else ""


def claim(name: str, namespace: str = "shop") -> Object:
    """A bound claim."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"accessModes": ["ReadWriteOnce"]},
        "status": {"phase": "Bound"},
    }


def with_rpo(data: bytes, rpo: str = "26h") -> bytes:
    """A policy that promises something."""
    return data.replace(b"  retention:", f"  objectives: {{rpo: {rpo}}}\n  retention:".encode())
