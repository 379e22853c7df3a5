"""Which method a claim gets, from the classes that a cluster has."""

from __future__ import annotations

import pytest

from reconciler.model.cluster import Claim
from reconciler.model.inventory import Inventory, SnapshotClass, StorageClass
from reconciler.model.policy import CopyMethod, VolumeRule, Volumes
from reconciler.plan import copymethods
from reconciler.plan.copymethods import Choice, Storage

CSI, LOCAL = "csi.example.org", "rancher.io/local-path"
CLASSES = (StorageClass(name="csi", provisioner=CSI), StorageClass(name="local", provisioner=LOCAL))
AUTO, SNAPSHOT, CLONE = CopyMethod.AUTO, CopyMethod.SNAPSHOT, CopyMethod.CLONE
DIRECT = CopyMethod.DIRECT


def found(name: str, driver: str = CSI, *, default: bool = False) -> SnapshotClass:
    return SnapshotClass(name=name, driver=driver, default=default)


def claim(storage_class: str = "csi", mode: str = "Filesystem", phase: str = "Bound") -> Claim:
    return Claim(
        namespace="shop", name="data", storage_class=storage_class, volume_mode=mode, phase=phase
    )


ONE = (found("only"),)
DEFAULT = (found("a"), found("b", default=True), found("c"))
TWO = (found("a"), found("b"))
DEFAULTS = (found("a", default=True), found("b", default=True))
OTHERS = (found("theirs", "other.example.org", default=True),)

TAKEN = "snapshot class {} of csi.example.org"
NONE = "csi.example.org has no VolumeSnapshotClass"
OPEN = "csi.example.org has the VolumeSnapshotClasses a, b, and none is its default"
BOTH = "csi.example.org has the VolumeSnapshotClasses a, b, and more than one is its default"


@pytest.mark.parametrize(
    ("method", "classes", "expected"),
    [
        (AUTO, ONE, Choice(SNAPSHOT, TAKEN.format("only"), "", "only")),
        (AUTO, DEFAULT, Choice(SNAPSHOT, TAKEN.format("b"), "", "b")),
        (AUTO, (), Choice(DIRECT, f"Direct, because {NONE}")),
        (AUTO, OTHERS, Choice(DIRECT, f"Direct, because {NONE}")),
        (AUTO, TWO, Choice(SNAPSHOT, obstacle=OPEN)),
        (AUTO, DEFAULTS, Choice(SNAPSHOT, obstacle=BOTH)),
        (SNAPSHOT, ONE, Choice(SNAPSHOT, TAKEN.format("only"), "", "only")),
        (SNAPSHOT, DEFAULT, Choice(SNAPSHOT, TAKEN.format("b"), "", "b")),
        (SNAPSHOT, (), Choice(SNAPSHOT, obstacle=NONE)),
        (SNAPSHOT, OTHERS, Choice(SNAPSHOT, obstacle=NONE)),
        (SNAPSHOT, TWO, Choice(SNAPSHOT, obstacle=OPEN)),
        (SNAPSHOT, DEFAULTS, Choice(SNAPSHOT, obstacle=BOTH)),
        (CLONE, (), Choice(CLONE)),
        (DIRECT, ONE, Choice(DIRECT)),
        (CopyMethod.SKIP, ONE, Choice(CopyMethod.SKIP)),
    ],
)
def test_choice(method: CopyMethod, classes: tuple[SnapshotClass, ...], expected: Choice) -> None:
    assert copymethods.choose(method, claim(), Storage.of(CLASSES, classes)) == expected
    backwards = Storage.of(reversed(CLASSES), reversed(classes))
    assert copymethods.choose(method, claim(), backwards) == expected


@pytest.mark.parametrize("method", [SNAPSHOT, CLONE])
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "it has no storage class, so nobody knows its driver"),
        ("gone", "its storage class gone is not there, so nobody knows its driver"),
    ],
)
def test_a_claim_whose_driver_nobody_knows(method: CopyMethod, name: str, why: str) -> None:
    storage = Storage.of(CLASSES, ONE)
    assert copymethods.choose(method, claim(name), storage) == Choice(method, obstacle=why)
    auto = copymethods.choose(AUTO, claim(name), storage)
    assert auto == Choice(DIRECT, f"Direct, because {why}")


def test_an_inventory_tells_the_same() -> None:
    inventory = Inventory(
        cluster="prod", uid="1", storage_classes=CLASSES, snapshot_classes=DEFAULT
    )
    assert Storage.of_inventory(inventory) == Storage.of(CLASSES, DEFAULT)


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (claim(), ""),
        (claim(mode="Block"), "it is a raw block volume, and movers copy files"),
        (claim(phase="Lost"), "its volume is lost (phase Lost)"),
    ],
)
def test_what_no_copy_helps_against(one: Claim, told: str) -> None:
    assert copymethods.obstacle(one) == told


@pytest.mark.parametrize("method", list(CopyMethod))
def test_only_open_methods_need_the_classes(method: CopyMethod) -> None:
    wanted = method in (AUTO, SNAPSHOT, CLONE)
    rule = VolumeRule(copy_method=method)
    assert copymethods.needs_storage(Volumes(repository="m", copy_method=method)) is wanted
    ruled = Volumes(repository="m", copy_method=DIRECT, rules=(rule,))
    assert copymethods.needs_storage(ruled) is wanted
