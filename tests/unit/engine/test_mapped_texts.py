"""I6: a copy, as the cluster holds it, is captured as the very text that its plan compares with."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.capture import canonical, emitter, paths
from reconciler.engine.renaming import Renaming
from reconciler.model import kinds
from reconciler.model.objects import ObjectRef, Resource
from reconciler.plan import mapping
from reconciler.plan.mappingtaken import Taken
from reconciler.plan.restore import Stored
from tests.fakes.kubekinds import kind
from tests.unit.capture import nasty

KEY = b"k" * 32
NAMES = {"shop": "shop2"}
THING = Resource(group="x.org", version="v1", kind="Thing", plural="things", namespaced=True)
SERVERS = {
    "uid": "9d0f8f6a-6c1e-4a55-b3ab-5c8d3a3c9f10",
    "resourceVersion": "81234",
    "creationTimestamp": "2026-11-21T04:17:03Z",
    "generation": 1,
}


def path_of(ref: ObjectRef) -> str:
    return paths.path_of(ref.namespace, ref.group, ref.kind, ref.name)


def live(resource: Resource, **fields: Any) -> dict[str, Any]:
    metadata = {"name": "web", **SERVERS, **fields.pop("metadata", {})}
    if resource.namespaced:
        metadata["namespace"] = "shop"
    api = f"{resource.group}/{resource.version}" if resource.group else resource.version
    return {"apiVersion": api, "kind": resource.kind, "metadata": metadata, **fields}


def captured(raw: dict[str, Any], resource: Resource) -> canonical.Captured:
    found = canonical.capture_object(raw, resource, fingerprint_key=KEY)
    assert isinstance(found, canonical.Captured)
    return found


def copy_of(raw: dict[str, Any], resource: Resource) -> Stored:
    """Through Git and back, and mapped."""
    text = captured(raw, resource)
    manifest = canonical.read_manifest(text.text)
    namespace = str(manifest["metadata"].get("namespace", ""))
    ref = ObjectRef(
        group=resource.group, kind=resource.kind, namespace=namespace, name=raw["metadata"]["name"]
    )
    found = Stored(path=text.path, folder=resource.folder, ref=ref, manifest=manifest)
    (made,) = mapping.map_stored([found], NAMES, Taken(), path_of=path_of)
    return made


def stored_by_server(manifest: Any) -> dict[str, Any]:
    """As the API server gives back what was created."""
    return {**manifest, "metadata": {**manifest["metadata"], **SERVERS}, "status": {"x": 1}}


def check(raw: dict[str, Any], resource: Resource) -> None:
    made = copy_of(raw, resource)
    again = captured(stored_by_server(made.manifest), resource)
    assert again.path == made.path
    assert again.text == emitter.emit(made.manifest)


LABELS = {
    "labels": {"app.kubernetes.io/managed-by": "Helm", "app": "web"},
    "annotations": {"meta.helm.sh/release-name": "web", "x": "shop/web"},
    "ownerReferences": [{"kind": "Shop", "name": "a", "uid": "u", "apiVersion": "x.org/v1"}],
}


@pytest.mark.parametrize(
    ("resource", "fields"),
    [
        (kinds.NAMESPACES, {"metadata": {**LABELS, "name": "shop"}}),
        (kinds.CONFIG_MAPS, {"metadata": LABELS, "data": {"a": "b"}}),
        (kinds.SERVICE_ACCOUNTS, {"metadata": LABELS, "imagePullSecrets": [{"name": "pull"}]}),
        (kinds.CLAIMS, {"spec": {"volumeName": "disk-7", "accessModes": ["ReadWriteOnce"]}}),
        (
            kind("Service"),
            {"spec": {"type": "ExternalName", "externalName": "db.shop.svc.cluster.local"}},
        ),
        (
            kind("RoleBinding"),
            {"subjects": [{"kind": "ServiceAccount", "name": "web", "namespace": "shop"}]},
        ),
        (
            kind("ClusterRoleBinding"),
            {"subjects": [{"kind": "ServiceAccount", "name": "web", "namespace": "shop"}]},
        ),
        (kind("Deployment"), {"metadata": LABELS, "spec": {"template": {"metadata": LABELS}}}),
    ],
    ids=lambda value: str(value) if isinstance(value, Resource) else "",
)
def test_a_copy_of_each_kind_is_equal_to_its_plan(
    resource: Resource, fields: dict[str, Any]
) -> None:
    check(live(resource, **fields), resource)


@given(value=st.sampled_from(nasty.VALUES), text=st.sampled_from(nasty.STRINGS))
def test_whatever_stands_in_a_copy_it_is_equal_to_its_plan(value: Any, text: str) -> None:
    spec = {"value": value, "ref": {"name": text, "namespace": "shop"}, text or "x": [text]}
    check(live(THING, spec=spec, metadata={"annotations": {"note": text}}), THING)
    check(live(kinds.CONFIG_MAPS, data={"a": text, "b": "db.shop.svc"}), kinds.CONFIG_MAPS)


@given(password=st.binary(min_size=8, max_size=30))
def test_a_copied_secret_is_equal_where_its_value_is(password: bytes) -> None:
    value = base64.b64encode(password).decode()
    raw = live(
        kinds.SECRETS,
        data={"password": value},
        metadata={"annotations": {"note": f"is {value}", "meta.helm.sh/release-name": "web"}},
    )
    taken = captured(raw, kinds.SECRETS)
    assert taken.secret is not None
    renaming = Renaming(names=NAMES)
    made = copy_of(raw, kinds.SECRETS)
    whole = renaming.copy_secret({**raw, "metadata": {**raw["metadata"]}})
    assert whole["data"] == {"password": value}
    assert whole["metadata"]["annotations"] == {"note": f"is {value}"}
    wanted = emitter.emit(
        {**made.manifest, "metadata": {**made.manifest["metadata"], "namespace": "shop"}}
    )
    seen = renaming.as_captured(stored_by_server(whole), kinds.SECRETS)
    assert captured(seen, kinds.SECRETS).text == wanted
    other = {**whole, "data": {"password": base64.b64encode(password + b"x").decode()}}
    assert captured(renaming.as_captured(other, kinds.SECRETS), kinds.SECRETS).text != wanted


def test_nothing_but_copied_secrets_is_moved_back() -> None:
    renaming = Renaming(names=NAMES)
    for resource, namespace in ((kinds.SECRETS, "other"), (kinds.CONFIG_MAPS, "shop2")):
        raw = {"metadata": {"name": "a", "namespace": namespace}}
        assert renaming.as_captured(raw, resource) is raw
    assert renaming.source_of("shop2") == "shop"
    assert renaming.source_of("other") == "other"
    secret = {"metadata": {"name": "a", "namespace": "other"}}
    assert renaming.copy_secret(secret) is secret
