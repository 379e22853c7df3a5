"""Reads what volumes are made of, where a policy leaves their method open: complete or raises."""

from __future__ import annotations

from reconciler import ports
from reconciler.engine.observe import read_all
from reconciler.model import kinds
from reconciler.model.errors import NotServed
from reconciler.plan.copymethods import Storage
from reconciler.plan.inventory import snapshot_class_of, storage_class_of


def observe_storage(reader: ports.ClusterReader) -> Storage:
    """Storage classes and snapshot classes; of the latter none where they are not served."""
    classes = read_all(reader, kinds.STORAGE_CLASSES, storage_class_of)
    try:
        snapshots = read_all(reader, kinds.SNAPSHOT_CLASSES, snapshot_class_of)
    except NotServed:
        snapshots = []
    return Storage.of(classes, snapshots)
