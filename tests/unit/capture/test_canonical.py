"""One object from the API server to the bytes in Git, and back."""

from __future__ import annotations

import copy
import hashlib
from typing import Any

import orjson
import pytest
import yaml

from reconciler.capture import canonical, emitter, fingerprints
from reconciler.model.errors import Stalled
from tests.conftest import Golden
from tests.unit.capture import nasty
from tests.unit.capture.objects import live, managed, owned_by, resource

KEY = fingerprints.fingerprint_key(b"0123456789abcdef0123456789abcdef", "prod-eu")

WORKLOAD = live(
    "web",
    metadata={
        "labels": {"app.kubernetes.io/name": "web"},
        "annotations": {"deployment.kubernetes.io/revision": "4"},
    },
    spec={
        "replicas": 3,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"creationTimestamp": None, "labels": {"app": "web"}},
            "spec": {
                "containers": [
                    {
                        "name": "web",
                        "image": "registry.example.org/shop:1.8.2",
                        "args": ["--mode=on", "on", "8080", "no"],
                        "env": [{"name": "EMPTY", "value": ""}],
                        "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}},
                    }
                ]
            },
        },
    },
    status={"readyReplicas": 3},
)
CONFIG = live(
    "settings",
    data={
        "nginx.conf": "server {\n\tlisten 80;\n}\n",
        "no-newline": "a\nb",
        "windows.ini": "[a]\r\nb=c\r\n",
        "on": "yes",
        "port": "08",
    },
    binaryData={"logo": "iVBORw0KGgo="},
)
SERVICE = live(
    "web",
    metadata=managed({"f:ports": {'k:{"port":80,"protocol":"TCP"}': {"f:nodePort": {}}}}),
    spec={
        "type": "NodePort",
        "clusterIP": "10.96.1.2",
        "clusterIPs": ["10.96.1.2"],
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": "http", "nodePort": 30080}],
    },
)
SECRET = live(
    "db",
    type="Opaque",
    data={"password": "aHVudGVyMg==", "user": "c2hvcA=="},
    metadata={"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "aHVudGVyMg=="}},
)
WIDGET = live(
    "one",
    metadata=owned_by("WidgetSet", "all", "example.org/v1"),
    spec={
        "share": 1.0,
        "tiny": 1e-07,
        "big": 9007199254740993,
        "nothing": None,
        "deep": [[], [{}]],
    },
)


def captured(raw: dict[str, Any], folder: str, **options: Any) -> canonical.Captured:
    before = copy.deepcopy(raw)
    found = canonical.capture_object(raw, resource(folder, **options), fingerprint_key=KEY)
    assert raw == before
    assert isinstance(found, canonical.Captured)
    return found


@pytest.mark.parametrize(
    ("raw", "folder", "version"),
    [
        (WORKLOAD, "deployment.apps", "v1"),
        (CONFIG, "configmap", "v1"),
        (SERVICE, "service", "v1"),
        (SECRET, "secret", "v1"),
        (WIDGET, "widget.example.org", "v1beta1"),
    ],
)
def test_manifests_look_like_their_golden_files(
    raw: dict[str, Any], folder: str, version: str, golden: Golden
) -> None:
    found = captured(raw, folder, version=version)
    golden(f"capture/{folder}.yaml", found.text)
    again = canonical.read_manifest(found.text)
    if folder == "service":  # who chose the port stands in what a new object's manager wrote
        again["metadata"]["managedFields"] = raw["metadata"]["managedFields"]
    assert captured(again, folder, version=version).text == found.text


def test_the_order_in_which_a_server_sends_fields_does_not_matter() -> None:
    shuffled = orjson.loads(orjson.dumps(WORKLOAD, option=orjson.OPT_SORT_KEYS))
    assert captured(shuffled, "deployment.apps") == captured(WORKLOAD, "deployment.apps")


def test_a_secret_goes_to_restic_whole_and_to_git_without_values() -> None:
    found = captured(SECRET, "secret")
    assert found.path == "shop/secret/db.yaml"
    assert b"aHVudGVyMg" not in found.text
    assert found.secret is not None
    assert "aHVudGVyMg" not in repr(found), "nor to a log by accident"
    assert b"\n" not in found.secret
    assert orjson.loads(found.secret) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "db", "namespace": "shop"},
        "type": "Opaque",
        "data": {"password": "aHVudGVyMg==", "user": "c2hvcA=="},
    }


def test_without_a_key_no_secret_gets_out() -> None:
    found = canonical.capture_object(SECRET, resource("secret"))
    assert found == canonical.LeftOut(canonical.SECRETS_OMITTED)


def test_only_a_real_secret_is_treated_as_one() -> None:
    raw = live("x", data={"colour": "Z3JlZW4="})
    found = captured(raw, "secret.example.org")
    assert found.secret is None
    assert found.path == "shop/secret.example.org/x.yaml"


def test_left_out_objects_have_their_reason() -> None:
    found = canonical.capture_object(
        live("web-x", metadata=owned_by("ReplicaSet", "web")), resource("pod")
    )
    assert found == canonical.LeftOut("made by its owner, and made again with it")


def test_an_object_that_is_too_deep_is_a_fault_and_no_crash() -> None:
    deep: dict[str, Any] = {}
    for _ in range(1500):
        deep = {"a": deep}
    found = canonical.capture_object(live("x", spec=deep), resource("widget.example.org"))
    assert found == canonical.LeftOut(canonical.TOO_DEEP, fault=True)


def test_blob_ids_are_gits_own() -> None:
    assert canonical.blob_id(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert canonical.blob_id(b"what is up, doc?") == "bd9dbf5aae1a3862dd1526723246b20206e5fc37"
    assert canonical.blob_id(b"x") != hashlib.sha1(b"x", usedforsecurity=False).hexdigest()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"- a\n", "shop/x.yaml: not a mapping"),
        (b"a: b\n  c: 'hunter2\n", "shop/x.yaml:2: no YAML that can be read"),
        (b"a: \xff\n", "no YAML that can be read"),
        (b"a: !!python/object:os.system {}\n", "tags are not read"),
        (b"a: !!str 1\n", "tags are not read"),
        (b"a: b\n---\nc: d\n", "more than one document"),
        (b"? [a]\n: b\n", "a key is no text"),
        (b"a: " + b"[" * 1001, "nested too deeply"),
        (b"", "not a mapping"),
        (b"a: &x [1]\nb: *x\n", "aliases are not read"),
        (b"a: &x {b: *x}\n", "aliases are not read"),
        (b"a: &a [" + b"1," * 9 + b"]\nb: &b [*a,*a,*a]\nc: [*b,*b,*b]\n", "aliases are not read"),
    ],
)
def test_a_broken_manifest_is_named_and_not_quoted(text: bytes, message: str) -> None:
    with pytest.raises(Stalled, match=message) as caught:
        canonical.read_manifest(text, where="shop/x.yaml")
    assert "hunter2" not in str(caught.value)


def test_what_a_person_left_unquoted_is_read_as_text() -> None:
    found = canonical.read_manifest(
        b"on: yes\nday: 2026-11-21\nport: 010\nsum: 1_000\nlot: 1e3\ntime: 12:30\nhex: 0x1F\n"
    )
    texts = {"on": "yes", "day": "2026-11-21", "port": "010", "sum": "1_000"}
    assert found == {**texts, "lot": "1e3", "time": "12:30", "hex": "0x1F"}


def test_what_we_write_is_read_as_any_reader_reads_it() -> None:
    numbers: list[Any] = [0, -1, 2**63, 1.0, -0.5, 1e-07, 1e22, True, False, None, "1", "null"]
    text = emitter.emit({"numbers": numbers, "odd": nasty.SHORT, "values": nasty.VALUES})
    found = canonical.read_manifest(text)
    assert found == yaml.load(text, yaml.CSafeLoader)
    assert [(type(value), value) for value in found["numbers"]] == [(type(n), n) for n in numbers]
