"""Which method a claim gets where the policy leaves it open, and whether it can be had. Pure.

Decided in the plan, from the storage classes and the snapshot classes that there are, and never at
run time: what a run can't do then has failed, it is not done otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from reconciler.model.cluster import Claim
from reconciler.model.inventory import Inventory, SnapshotClass, StorageClass
from reconciler.model.policy import CopyMethod, Volumes

_OPEN = frozenset({CopyMethod.AUTO, CopyMethod.SNAPSHOT, CopyMethod.CLONE})


@dataclass(frozen=True, slots=True)
class Storage:
    """What a cluster's volumes are made of."""

    drivers: Mapping[str, str] = field(default_factory=dict)
    """Storage class → its provisioner."""
    snapshot_classes: Mapping[str, tuple[SnapshotClass, ...]] = field(default_factory=dict)
    """Driver → its snapshot classes, by name."""

    @classmethod
    def of(
        cls, classes: Iterable[StorageClass], snapshot_classes: Iterable[SnapshotClass]
    ) -> Storage:
        """Of what was listed."""
        found: dict[str, tuple[SnapshotClass, ...]] = {}
        for one in sorted(snapshot_classes, key=lambda one: one.name):
            found[one.driver] = (*found.get(one.driver, ()), one)
        return cls({one.name: one.provisioner for one in classes}, found)

    @classmethod
    def of_inventory(cls, inventory: Inventory) -> Storage | None:
        """As an inventory has it; None where it has no storage classes: of manifests, for one."""
        if not inventory.storage_classes:
            return None
        return cls.of(inventory.storage_classes, inventory.snapshot_classes)


@dataclass(frozen=True, slots=True)
class Choice:
    """The method, why so, and what keeps it from being done: empty where nothing does."""

    method: CopyMethod
    why: str = ""
    obstacle: str = ""
    snapshot_class: str = ""


def needs_storage(volumes: Volumes) -> bool:
    """Whether a policy leaves open what only the cluster's classes can tell."""
    return bool(_OPEN & {volumes.copy_method, *(rule.copy_method for rule in volumes.rules)})


def choose(method: CopyMethod, claim: Claim, storage: Storage) -> Choice:
    """What a claim gets whose rule says ``method``."""
    if method is CopyMethod.CLONE:
        known = claim.storage_class in storage.drivers
        return Choice(method, obstacle="" if known else _no_class(claim))
    if method not in _OPEN:
        return Choice(method)
    found, obstacle = _snapshot_class(claim, storage)
    if found is not None:
        why = f"snapshot class {found.name} of {found.driver}"
        return Choice(CopyMethod.SNAPSHOT, why, snapshot_class=found.name)
    driver = storage.drivers.get(claim.storage_class, "")
    if method is CopyMethod.AUTO and not storage.snapshot_classes.get(driver):
        return Choice(CopyMethod.DIRECT, f"Direct, because {obstacle}")
    return Choice(CopyMethod.SNAPSHOT, obstacle=obstacle)


def obstacle(claim: Claim) -> str:
    """Why no mover can read a copy of this claim, whatever its driver can; or an empty string."""
    if claim.phase == "Lost":
        return "its volume is lost (phase Lost)"
    if claim.volume_mode == "Block":
        return "it is a raw block volume, and movers copy files"
    return ""


def _snapshot_class(claim: Claim, storage: Storage) -> tuple[SnapshotClass | None, str]:
    """The driver's default one, else its only one; else why there is none to take."""
    driver = storage.drivers.get(claim.storage_class)
    if driver is None:
        return None, _no_class(claim)
    found = storage.snapshot_classes.get(driver, ())
    if not found:
        return None, f"{driver} has no VolumeSnapshotClass"
    defaults = tuple(one for one in found if one.default)
    if len(defaults) == 1:
        return defaults[0], ""
    if len(found) == 1:
        return found[0], ""
    names = ", ".join(one.name for one in defaults or found)
    told = "more than one is its default" if defaults else "none is its default"
    return None, f"{driver} has the VolumeSnapshotClasses {names}, and {told}"


def _no_class(claim: Claim) -> str:
    if not claim.storage_class:
        return "it has no storage class, so nobody knows its driver"
    return f"its storage class {claim.storage_class} is not there, so nobody knows its driver"
