"""Credentials outside Secrets, from the cluster through Git and restic and back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from reconciler.capture import record
from reconciler.engine.drift import Drift, find_drift
from reconciler.engine.reading import PointFinder, Wanted
from reconciler.engine.restoresource import fingerprint_key
from reconciler.engine.secretstore import SECRETS_PATH
from reconciler.model.errors import PartialFailure, Refused
from reconciler.model.policy import Manifests, SecretsMode
from reconciler.model.run import Outcome, RedactedValue
from reconciler.plan.pointnames import PointName
from reconciler.report.history import render_run
from tests.fakes.faults import FaultyReader
from tests.fakes.gitstore import FakeManifestStore
from tests.unit.engine.run_world import CLUSTER, MARKER, RunWorld, deployment, manifest

TOKEN = "t0ken-of-the-shop"
NAMESPACE = {"metadata": {"annotations": {"example.org/api-token": "of-the-N4mespace"}}}
FIELD = "spec.template.spec.containers[web].env[TOKEN].value"
REDACTED = (
    RedactedValue(
        object="_cluster/namespace/shop.yaml",
        field="metadata.annotations['example.org/api-token']",
        rule="annotation",
    ),
    RedactedValue(object="shop/configmap/mail.yaml", field="data.password", rule="config-name"),
    RedactedValue(object="shop/deployment.apps/api.yaml", field=FIELD, rule="env"),
)


def leaking_world() -> RunWorld:
    """A shop with credentials where they should not be."""
    world = RunWorld()
    put_leaks(world)
    return world


def put_leaks(world: RunWorld, namespace: str = "shop") -> None:
    world.cluster.put(manifest("Namespace", namespace, "", **NAMESPACE))
    data = {"password": "m4il-password", "colour": "green"}
    world.cluster.put(manifest("ConfigMap", "mail", namespace, data=data))
    api = deployment("api", "files", namespace)
    api["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "TOKEN", "value": TOKEN}]
    world.cluster.put(api)


def leaks(world: RunWorld) -> list[Any]:
    """The three values as the cluster has them."""
    (mail,) = (one for one in world.cluster.all("ConfigMap") if one["metadata"]["name"] == "mail")
    (api,) = (one for one in world.cluster.all("Deployment") if one["metadata"]["name"] == "api")
    (shop,) = (one for one in world.cluster.all("Namespace") if one["metadata"]["name"] == "shop")
    container = api["spec"]["template"]["spec"]["containers"][0]
    return [
        mail["data"]["password"],
        container["env"][0]["value"],
        shop["metadata"]["annotations"]["example.org/api-token"],
    ]


def drift(world: RunWorld, *, key: bool = True) -> Drift:
    store = FakeManifestStore(world.remote)
    named = PointFinder(store, CLUSTER).find(PointName("shop", "latest"))
    found = fingerprint_key(world.keyring, named.record) if key else None
    return find_drift(store, named, world.cluster, Wanted(), found)


def test_git_has_fingerprints_restic_the_objects_and_the_record_says_which() -> None:
    world = leaking_world()
    values = leaks(world)
    world.run()
    texts = b"".join(world.tree().values())
    assert not [value for value in (*values, MARKER) if value.encode() in texts]
    made = world.record()
    assert made.outcome is Outcome.COMPLETED
    assert made.redacted == REDACTED
    assert record.parse_record(record.render_record(made)).redacted == REDACTED
    assert made.secrets is not None
    assert made.secrets.count == 4
    (stored,) = world.log.of("values stored")
    assert stored["objects"] == 4
    assert "Secrets  values of 4 objects in snapshot" in render_run(made, "c" * 40)
    (snapshot,) = world.repository("_cluster").snapshots
    lines = world.repository("_cluster").trees[snapshot.id][SECRETS_PATH[1:]].data
    assert all(value.encode() in lines for value in values)
    kinds = sorted(json.loads(line)["kind"] for line in lines.splitlines())
    assert kinds == ["ConfigMap", "Deployment", "Namespace", "Secret"]


def test_a_second_run_changes_nothing_but_its_record() -> None:
    world = leaking_world()
    world.run(1)
    world.run(2)
    assert world.changed_paths() == {"_run.yaml"}


def test_a_changed_value_changes_its_fingerprint_and_no_other() -> None:
    world = leaking_world()
    world.run(1)
    world.cluster.put(manifest("ConfigMap", "mail", data={"password": "n3w", "colour": "green"}))
    world.run(2)
    assert world.changed_paths() == {"_run.yaml", "shop/configmap/mail.yaml"}


def test_everything_comes_back_with_its_values() -> None:
    world = leaking_world()
    values = leaks(world)
    world.run()
    world.lose_shop()
    result = world.restored()
    assert leaks(world) == values
    assert result.differing == ()
    plan = world.restore().plan()
    assert plan.empty
    assert not any(step.differs for step in plan.steps)
    world.run(2)
    assert world.changed_paths() == {"_run.yaml"}


def test_a_copy_has_the_values_and_is_equal() -> None:
    world = leaking_world()
    values = leaks(world)
    world.run()
    restore = world.restore(map_namespaces={"shop": "shop2"})
    restore.execute(restore.plan())
    copies = [
        one
        for kind in ("ConfigMap", "Deployment")
        for one in world.cluster.all(kind)
        if one["metadata"]["namespace"] == "shop2"
    ]
    text = json.dumps(copies)
    assert all(value in text for value in values[:2])
    assert "hmac-sha256:" not in text
    again = world.restore(map_namespaces={"shop": "shop2"}).plan()
    assert again.empty
    assert not any(step.differs for step in again.steps)


def test_a_value_that_is_not_the_one_of_git_stops_everything() -> None:
    world = leaking_world()
    world.run()
    stored = world.repository("_cluster")
    (files,) = stored.trees.values()
    held = files[SECRETS_PATH[1:]]
    spoilt = held.data.replace(TOKEN.encode(), b"another-0ne-of-it")
    files[SECRETS_PATH[1:]] = replace(held, data=spoilt)
    world.lose_shop()
    restore = world.restore()
    plan = restore.plan()
    world.cluster.writes.clear()
    with pytest.raises(Refused, match=r"env\[TOKEN\]\.value in restic is not the one"):
        restore.execute(plan)
    assert world.deeds() == []


def test_where_secrets_are_omitted_these_are_kept_all_the_same() -> None:
    """Nobody else makes them: without its values a workload could not be restored."""
    world = leaking_world()
    values = leaks(world)
    world.policy = replace(world.policy, manifests=Manifests(SecretsMode.OMIT))
    world.run()
    assert world.record().redacted == REDACTED
    assert not [text for text in world.tree().values() if TOKEN.encode() in text]
    (files,) = world.repository("_cluster").trees.values()
    assert MARKER.encode() not in b"".join(node.data for node in files.values())
    assert drift(world).changes == []
    world.lose_shop()
    world.restored()
    assert leaks(world) == values
    assert world.cluster.all("Secret") == []


def test_nothing_is_created_with_a_fingerprint_in_place_of_its_value() -> None:
    world = leaking_world()
    world.run(1)
    reader = FaultyReader(
        world.cluster, lambda resource, _: resource.kind in ("ConfigMap", "Deployment")
    )
    world.run(2, reader=reader)
    assert world.record().outcome is Outcome.PARTIALLY_FAILED
    world.lose_shop()
    restore = world.restore(allow_partial=True)
    plan = restore.plan()
    with pytest.raises(PartialFailure, match=r"shop/configmap/mail.yaml: the value of data"):
        restore.execute(plan)
    names = {one["metadata"]["name"] for one in world.cluster.all("ConfigMap")}
    assert "mail" not in names
    assert {one["metadata"]["name"] for one in world.cluster.all("Deployment")} == {"web"}


@pytest.mark.parametrize("key", [True, False])
def test_drift_compares_without_showing(key: bool) -> None:
    world = leaking_world()
    world.run()
    assert drift(world, key=key).changes == []
    put_new = {"password": "n3w-password", "token": "a-N3w-token", "colour": "red"}
    world.cluster.put(manifest("ConfigMap", "mail", data=put_new))
    (change,) = drift(world, key=key).changes
    shown = repr(change)
    assert "n3w-password" not in shown
    assert "a-N3w-token" not in shown
    assert "red" in shown
