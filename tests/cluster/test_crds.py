"""The generated CRDs on a real API server: served, and their rules refuse what is wrong."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.model.policy import API_VERSION, Kind
from reconciler.policy.crds import crd_name
from reconciler.policy.referencetexts import EXAMPLES
from tests.rig.cluster import paths
from tests.rig.cluster.definitions import wait_established, wait_gone
from tests.rig.cluster.providers import Cluster

FOLDER = paths.REPOSITORY / "schemas/crds"
RETENTION = {"keepDaily": 7}
SELECTOR = {"namespaces": {"names": ["shop"]}}
SCHEDULE = {"cron": "17 4 * * *"}
RESTORE = yaml.safe_load(EXAMPLES["Restore"])
RESTORE["spec"]["from"]["at"] = "2026-11-21"
# Each: kind, spec, and what the API server says of it; nothing where it takes the object.
OBJECTS: list[tuple[str, dict[str, Any], str]] = [
    ("BackupPolicy", {"profile": "gold", "schedule": {"timeZone": "Europe/Berlin"}}, ""),
    (
        "BackupPolicy",
        {"schedule": SCHEDULE, "selector": SELECTOR, "retention": RETENTION},
        "",
    ),
    (
        "BackupPolicy",
        {"schedule": SCHEDULE, "selector": SELECTOR},
        "retention is missing, and there is no profile to give it",
    ),
    (
        "BackupPolicy",
        {"schedule": {"timeZone": "Etc/UTC"}, "selector": SELECTOR, "retention": RETENTION},
        "schedule.cron is missing, and there is no profile to give it",
    ),
    (
        "BackupPolicy",
        {"profile": "gold", "retention": {}},
        "is empty, which would keep nothing",
    ),
    (
        "BackupPolicy",
        {"profile": "gold", "volumes": {"rules": [{"match": {}, "copyMethod": "Skip"}]}},
        "has no condition: give claims or storageClass",
    ),
    ("BackupPolicy", {"profile": "gold", "volumes": {"copyMethod": "Tape"}}, "Unsupported value"),
    ("BackupPolicy", {"profile": "gold", "susspend": True}, 'unknown field "spec.susspend"'),
    ("Profile", {"schedule": {"timeZone": "Etc/UTC"}}, ""),
    ("Profile", {"retention": {}}, "is empty, which would keep nothing"),
    ("Repository", yaml.safe_load(EXAMPLES["Repository"])["spec"], ""),
    ("Repository", {"url": "ftp://x", "secretRef": {"name": "x"}}, "spec.url"),
    ("Exemption", {"match": {"namespaces": {}}, "reason": "x"}, "spec.owner"),
    ("Restore", RESTORE["spec"], ""),
    (
        "Restore",
        RESTORE["spec"] | {"from": {"at": "2026-11-21", "run": "shop-20261121-041703-7c1e9"}},
        "needs exactly one of at, run and commit",
    ),
]


@pytest.fixture(scope="module")
def served(cluster: Cluster) -> Iterator[Cluster]:
    """A cluster with the CRDs, until the module ends."""
    cluster.kubectl("apply", "--server-side", "-k", str(FOLDER))
    names = [crd_name(kind) for kind in Kind]
    wait_established(cluster.kubectl, *names)
    yield cluster
    cluster.kubectl("delete", "--timeout=300s", "-k", str(FOLDER))
    wait_gone(cluster.kubectl, *names)


def test_no_crd_is_accepted_with_a_doubt(served: Cluster) -> None:
    names = [f"crd/{crd_name(kind)}" for kind in Kind]
    listed = json.loads(served.kubectl("get", *names, "-o", "json"))["items"]
    for found in listed:
        state = {one["type"]: one["status"] for one in found["status"]["conditions"]}
        assert state["NamesAccepted"] == state["Established"] == "True"
        assert state.get("NonStructuralSchema", "False") == "False"


def test_objects_are_taken_and_refused_by_the_api_server(served: Cluster) -> None:
    bodies = [thing(kind, f"x{n}", spec) for n, (kind, spec, _) in enumerate(OBJECTS)]
    bodies.append(thing("Profile", "a.b", {}))
    done = kubectl(served, "create", "--dry-run=server", "-f", "-", bodies=bodies)
    taken = re.findall(r"/(x\d+) created", done.stdout)
    refused = done.stderr.splitlines()
    wrong = []
    for number, (kind, _, says) in enumerate(OBJECTS):
        name = f"x{number}"
        found = [line for line in refused if says and says in line]
        if (name in taken) is bool(says) or (says and not found):
            wrong.append((name, kind, says))
    assert not wrong, done.stdout + done.stderr
    assert "metadata.name is a DNS-1123 label" in done.stderr


def thing(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """An object of ours in the namespace default."""
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def kubectl(
    cluster: Cluster, *arguments: str, bodies: Sequence[dict[str, Any]]
) -> subprocess.CompletedProcess[str]:
    """kubectl with objects on its standard input; it may fail."""
    return subprocess.run(
        [
            str(Path(sys.executable).parent / "kubectl"), "--kubeconfig", str(cluster.kubeconfig),
            *arguments,
        ],
        input=yaml.safe_dump_all(bodies), capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def test_a_restore_is_never_changed_and_a_policy_has_a_status(served: Cluster) -> None:
    policy = thing("BackupPolicy", "shop", {"profile": "gold"})
    restore = thing("Restore", "once", RESTORE["spec"])
    served.kubectl("create", "-f", "-", input=yaml.safe_dump_all([policy, restore]))
    restore["spec"] |= {"cluster": "prod-us"}
    done = kubectl(
        served, "apply", "--server-side", "--force-conflicts", "-f", "-", bodies=[restore]
    )
    assert "a Restore is executed once" in done.stderr
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "Applied",
        "message": "its schedule is in force",
        "lastTransitionTime": "2026-11-21T04:17:03Z",
    }
    status = {
        "conditions": [ready],
        "schedule": {"cron": "17 4 * * *", "timeZone": "Etc/UTC"},
        "nextRun": "2026-11-22T04:17:00Z",
        "rpo": {"state": "Met", "promisedSeconds": 93600},
        "protected": {"namespaces": 2, "claims": 3},
    }
    served.kubectl(
        "-n", "default", "patch", "backuppolicy", "shop", "--subresource=status", "--type=merge",
        "-p", json.dumps({"status": status}),
    )  # fmt: skip
    head, row = served.kubectl("-n", "default", "get", "backuppolicies").splitlines()
    assert head.split()[:3] == ["NAME", "SCHEDULE", "LAST"]
    assert row.split()[:6] == ["shop", "17", "4", "*", "*", "*"]
    for shown in ("2026-11-22T04:17:00Z", "Met", "True"):
        assert shown in row
