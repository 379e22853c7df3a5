"""Reads what volumes are made of, where a policy leaves their method open: complete or raises."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from reconciler import ports
from reconciler.engine.observe import read_all
from reconciler.model import kinds
from reconciler.model.errors import NotServed
from reconciler.model.inventory import SnapshotClass, StorageClass
from reconciler.model.policy import Volumes
from reconciler.plan.copymethods import Storage, needs_storage
from reconciler.plan.inventory import snapshot_class_of, storage_class_of


def observe_storage(reader: ports.ClusterReader) -> Storage:
    """Storage classes and snapshot classes; of the latter none where they are not served."""
    return Storage.of(*observe_classes(reader))


def observe_classes(
    reader: ports.ClusterReader,
) -> tuple[list[StorageClass], list[SnapshotClass]]:
    """The same, as an inventory has them."""
    classes = read_all(reader, kinds.STORAGE_CLASSES, storage_class_of)
    try:
        snapshots = read_all(reader, kinds.SNAPSHOT_CLASSES, snapshot_class_of)
    except NotServed:
        snapshots = []
    return classes, snapshots


@dataclass(frozen=True)
class StorageOnce:
    """Read when the first policy wants it, and once for all of them."""

    reader: ports.ClusterReader

    def wanted_by(self, volumes: Volumes) -> Storage | None:
        """None where the policy leaves no method open; complete or raises."""
        return self._found if needs_storage(volumes) else None

    @cached_property
    def _found(self) -> Storage:
        return observe_storage(self.reader)
