"""The default StorageClass: local-path-provisioner, as k3s and kind have it.

Volumes are folders on the node; `WaitForFirstConsumer`, `ReadWriteOnce` only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.rig.cluster.api import Api
from tests.rig.cluster.control import ETC, ControlPlane
from tests.rig.cluster.images import BUSYBOX

NAMESPACE = "local-path-storage"
ACCOUNT = "local-path-provisioner-service-account"
FOLDER = "/var/lib/local-path"
SETUP = '#!/bin/sh\nset -eu\nmkdir -m 0777 -p "$VOL_DIR"\n'
TEARDOWN = '#!/bin/sh\nset -eu\nrm -rf "$VOL_DIR"\n'
HELPER: Mapping[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "helper-pod"},
    "spec": {
        "containers": [{"name": "helper-pod", "image": BUSYBOX, "imagePullPolicy": "IfNotPresent"}]
    },
}
CONFIG = {"nodePathMap": [{"node": "DEFAULT_PATH_FOR_NON_LISTED_NODES", "paths": [FOLDER]}]}


def start(control: ControlPlane, api: Api) -> None:
    """Create its objects and start it; the apiserver must be ready."""
    core = f"/api/v1/namespaces/{NAMESPACE}"
    api.create("/api/v1/namespaces", _object("v1", "Namespace", NAMESPACE))
    api.create(f"{core}/serviceaccounts", _object("v1", "ServiceAccount", ACCOUNT))
    scripts = {"setup": SETUP, "teardown": TEARDOWN, "config.json": json.dumps(CONFIG)}
    config = _object("v1", "ConfigMap", "local-path-config") | {"data": scripts}
    api.create(f"{core}/configmaps", config)
    api.create("/apis/storage.k8s.io/v1/storageclasses", _storage_class())
    etc = control.machine.state / "etc"
    (etc / "local-path.json").write_text(json.dumps(CONFIG))
    (etc / "local-path-helper.json").write_text(json.dumps(HELPER))
    user = control.kubeconfig("local-path-provisioner", "system:masters")
    (etc / "local-path.kubeconfig").write_text(user)
    control.machine.start(
        "local-path-provisioner",
        [
            "local-path-provisioner",
            "start",
            f"--config={ETC}/local-path.json",
            f"--kubeconfig={ETC}/local-path.kubeconfig",
            f"--helper-image={BUSYBOX}",
            f"--helper-pod-file={ETC}/local-path-helper.json",
            f"--namespace={NAMESPACE}",
            f"--service-account-name={ACCOUNT}",
        ],
    )


def _object(version: str, kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}}


def _storage_class() -> dict[str, Any]:
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "local-path", "annotations": default},
        "provisioner": "rancher.io/local-path",
        "volumeBindingMode": "WaitForFirstConsumer",
        "reclaimPolicy": "Delete",
    }
