"""Whatever an API server lets be named so, an inventory of it is written and read back."""

from __future__ import annotations

import string
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.cluster import Claim, Namespace
from reconciler.model.errors import InvalidInput
from reconciler.model.inventory import (
    ClaimTemplate,
    Inventory,
    NamespaceInventory,
    PointDigest,
    SnapshotClass,
    StorageClass,
)
from reconciler.model.run import Outcome
from reconciler.plan.inventoryfiles import parse_inventory, published, render_inventory
from tests.unit.plan.test_inventory_files import files_of

LOW = string.ascii_lowercase + string.digits
words = st.text(LOW, min_size=1, max_size=8)
names = st.builds("-".join, st.lists(words, min_size=1, max_size=3))
dotted = st.builds(".".join, st.lists(names, min_size=1, max_size=2))
device_names = st.sampled_from(["aux", "con", "nul", "com1", "prn"])
values = st.text(LOW + string.ascii_uppercase, max_size=12)
keys = st.builds("{}/{}".format, dotted, words) | words
labels = st.dictionaries(keys, values, max_size=3)
sizes = st.integers(0, 2**62)
flags = st.booleans()
times = st.integers(0, 2**31).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@st.composite
def parts(draw: st.DrawFn, name: str) -> NamespaceInventory:
    claims = draw(st.lists(dotted, unique=True, max_size=4))
    allowed = draw(flags)
    workloads = {claim: f"StatefulSet/{draw(names)}" for claim in claims if draw(flags)}
    return NamespaceInventory(
        namespace=Namespace(
            name=name,
            labels=draw(labels),
            annotations={"backstay.dev/privileged-movers": "true"} if allowed else {},
            terminating=draw(flags),
            uid="1",
        ),
        claims=tuple(
            Claim(
                namespace=name,
                name=claim,
                storage_class=draw(dotted | st.just("")),
                phase=draw(st.sampled_from(["", "Bound", "Pending", "Lost"])),
                volume_mode=draw(st.sampled_from(["Filesystem", "Block"])),
                access_modes=tuple(draw(st.lists(st.sampled_from(["ReadWriteOnce"]), max_size=1))),
                size=draw(sizes),
                terminating=draw(flags),
            )
            for claim in sorted(claims)
        ),
        workloads=workloads,
        templates=tuple(
            ClaimTemplate(
                workload=draw(names), name=draw(names), size=draw(sizes), replicas=draw(sizes)
            )
            for _ in range(draw(st.integers(0, 2)))
        ),
    )


@st.composite
def points(draw: st.DrawFn) -> PointDigest:
    policy = draw(names | device_names)
    namespaces = draw(st.dictionaries(names, st.sampled_from(Outcome), max_size=3))
    claims = {
        name: tuple(sorted(held))
        for name in namespaces
        if (held := draw(st.lists(dotted, unique=True, max_size=3)))
    }
    return PointDigest(
        policy=policy,
        run=f"{policy}-1",
        started=draw(times),
        outcome=draw(st.sampled_from(Outcome)),
        namespaces=namespaces,
        claims=claims,
    )


@st.composite
def inventories(draw: st.DrawFn) -> Inventory:
    found = draw(st.lists(names | device_names, unique=True, max_size=4))
    digests = draw(st.lists(points(), max_size=4))
    classes = sorted(draw(st.lists(dotted, unique=True, max_size=3)))
    return Inventory(
        cluster=draw(names),
        uid=draw(words),
        labels=draw(labels),
        taken=draw(st.none() | times),
        revision=draw(st.sampled_from(["", "main@sha1:" + "a" * 40])),
        own_namespace=draw(names),
        namespaces=tuple(draw(parts(name)) for name in sorted(found)),
        storage_classes=tuple(
            StorageClass(name=name, provisioner=draw(dotted), default=draw(flags))
            for name in classes
        ),
        snapshot_classes=tuple(SnapshotClass(name=name, driver="csi") for name in classes),
        points=tuple(sorted(digests, key=lambda one: (one.started, one.policy, one.run))),
    )


@settings(max_examples=15)
@given(inventories())
def test_what_is_written_is_read_back(inventory: Inventory) -> None:
    found = parse_inventory(files_of(inventory))
    assert found == published(inventory)
    assert published(found) == found
    assert render_inventory(found) == render_inventory(inventory)


@settings(max_examples=15)
@given(inventories(), st.data())
def test_a_damaged_file_is_read_or_refused_and_nothing_else(
    inventory: Inventory, data: st.DataObject
) -> None:
    files = files_of(inventory)
    path = data.draw(st.sampled_from(sorted(files)))
    text = files[path]
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 20)))
    files[path] = text[:start] + data.draw(st.binary(max_size=6)) + text[end:]
    try:
        found = parse_inventory(files)
    except InvalidInput as error:
        problem = error.problems[0]
        assert problem.file == path or problem.file == "inventory.json"
        assert 1 <= problem.line <= files[path].count(b"\n") + 1 or problem.file != path
    else:
        assert replace(found) == published(found)
