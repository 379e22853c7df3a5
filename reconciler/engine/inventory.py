"""The inventory of a cluster: from the cluster itself, or from the branch that it publishes.

Both give the same values and both are complete or raise, so that whoever plans need not care
which it was. Nothing is written here: `reconciler.engine.inventorypublishing` does that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from reconciler import ports
from reconciler.engine import observe
from reconciler.engine.history import StoreReader
from reconciler.model import kinds
from reconciler.model.errors import Incomplete, Refused
from reconciler.model.inventory import Inventory, PointDigest
from reconciler.model.objects import Resource
from reconciler.plan import inventory, inventoryfiles
from reconciler.plan.inventory import About

_PREFIX = "inventory/"


def inventory_branch(cluster: str) -> str:
    """``inventory/<cluster>``."""
    return _PREFIX + cluster


def read_inventory(store: StoreReader, cluster: str) -> Inventory:
    """What a cluster published last, from a repository or a clone of it.

    Raises Refused where it has published nothing, InvalidInput (file, line) for what is no
    inventory.
    """
    branch = inventory_branch(cluster)
    tip = store.tip(branch)
    if tip is None:
        raise Refused(f"there is no branch {branch}", hint=_others(store, cluster))
    where = f"{branch}:"
    paths = store.tree(tip)
    inventoryfiles.check_paths(paths, where=where)
    files = store.read(tip, tuple(paths))
    found = inventoryfiles.parse_inventory(files, where=where)
    if found.cluster != cluster:
        raise Refused(
            f"branch {branch} holds the inventory of cluster {found.cluster}",
            hint="somebody copied or renamed the branch; the controller writes it anew when it is"
            " deleted",
        )
    return found


def read_head(store: StoreReader, cluster: str) -> Inventory | None:
    """The head of what a cluster published last, without namespaces; None where there is none."""
    branch = inventory_branch(cluster)
    tip = store.tip(branch)
    if tip is None:
        return None
    data = store.read(tip, [inventoryfiles.HEAD]).get(inventoryfiles.HEAD)
    return None if data is None else inventoryfiles.read_head(data, where=f"{branch}:")[0]


def clusters_with_inventory(store: StoreReader) -> tuple[str, ...]:
    """Names of the clusters that published one, sorted."""
    return tuple(sorted(name.removeprefix(_PREFIX) for name in store.branches(_PREFIX)))


def _others(store: StoreReader, cluster: str) -> str:
    names = ", ".join(clusters_with_inventory(store))
    if names:
        return f"inventories there: {names}; the name is cluster.name in Config"
    return (
        f"the controller of cluster {cluster} publishes it where its Config has inventory.url;"
        " docs/inventory.md says how"
    )


def observe_inventory(
    reader: ports.ClusterReader,
    about: About,
    points: Iterable[PointDigest] = (),
    *,
    check: Callable[[], None] = lambda: None,
) -> Inventory:
    """The inventory of a live cluster: six lists, whatever its size; complete or raises.

    ``check`` is called after each page of a list, and raises where it is not to go on.
    """

    def read(resource: Resource) -> list[dict[str, Any]]:
        return observe.read_all(reader, resource, inventory.slim, check=check)

    objects = inventory.Objects(
        namespaces=read(kinds.NAMESPACES),
        claims=read(kinds.CLAIMS),
        pods=[
            pod
            for pod in observe.read_all(reader, kinds.PODS, inventory.slim_pod, check=check)
            if pod is not None
        ],
        stateful_sets=observe.read_all(
            reader, kinds.STATEFUL_SETS, inventory.slim_set, check=check
        ),
        storage_classes=read(kinds.STORAGE_CLASSES),
        snapshot_classes=read(kinds.SNAPSHOT_CLASSES) if _has_snapshots(reader) else (),
    )
    try:
        found = inventory.make_inventory(about, objects, points)
    except (KeyError, TypeError, AttributeError) as error:
        raise Incomplete(
            f"an object of the cluster lacks what every one of its kind has: {error!r}",
            hint="look which aggregated API or proxy answers for the API server",
        ) from error
    if not found.uid:
        raise Refused("namespace kube-system does not exist: is this a Kubernetes cluster?")
    return found


def _has_snapshots(reader: ports.ClusterReader) -> bool:
    """Whether the cluster serves snapshot classes; raises where it does not say."""
    found = reader.discover()
    wanted = kinds.SNAPSHOT_CLASSES
    if any(gap.group == wanted.group for gap in found.failed):
        raise Incomplete(
            f"the API server did not say whether it serves {wanted}",
            hint="look at its health; without snapshots in the cluster remove their APIService",
        )
    return any(one.folder == wanted.folder for one in found.resources)
