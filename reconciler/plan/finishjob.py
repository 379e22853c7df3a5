"""The Job that ends the hooks which a dead run has left open in a pod. Pure.

Its name is made of the Lease, so it is started once however often that is asked for; when it is
gone and the Lease is still there, it is started again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reconciler.model import naming
from reconciler.model.config import Config
from reconciler.plan import moverstatus
from reconciler.plan.cronjob import (
    CONFIG_FOLDER,
    CONTAINER,
    DEFAULT_RESOURCES,
    SERVICE_ACCOUNT,
    Place,
)
from reconciler.plan.hooklease import HookLease

COMPONENT_FINISH = "finish"
_DEADLINE = 3600
_KEPT = 600
"""Seconds that an ended one is kept: then, where its Lease is still there, another one starts."""
POST_FAILED = 3
"""The exit code that says that a post command failed and nothing is open any more."""
_TRIES = 6

Raw = Mapping[str, Any]


def finish_name(lease: HookLease) -> str:
    """The Job of a Lease."""
    digest = hashlib.sha256(f"{lease.name}\0{lease.uid}".encode()).hexdigest()
    return f"backstay-finish-{digest[:12]}"


def find_dead(leases: Iterable[HookLease], jobs: Sequence[Raw]) -> list[HookLease]:
    """Those whose run is over, or whose Job is gone, and that no Job ends yet."""
    by_name = {str(job["metadata"]["name"]): job for job in jobs}
    return [
        lease
        for lease in leases
        if not _is_alive(by_name.get(lease.job)) and finish_name(lease) not in by_name
    ]


def _is_alive(job: Raw | None) -> bool:
    """Whether its pods may still work; one that is being deleted lets them end first."""
    return job is not None and moverstatus.end_of(job) is None


def make_finish_job(lease: HookLease, config: Config, place: Place) -> dict[str, Any]:
    """``backstay run POLICY --finish LEASE``, as the account of runs."""
    labels = naming.labels(COMPONENT_FINISH, policy=lease.policy, run_id=lease.run_id)
    annotations = {naming.POLICY: lease.policy, naming.RUN: lease.run_id}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": finish_name(lease),
            "namespace": place.namespace,
            "labels": labels,
            "annotations": annotations,
        },
        "spec": {
            "backoffLimit": _TRIES,
            "activeDeadlineSeconds": _DEADLINE,
            # A command whose end is known is not executed again: another try would find nothing
            # open, and the Job would be Complete.
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "FailJob",
                        "onExitCodes": {
                            "containerName": CONTAINER,
                            "operator": "In",
                            "values": [POST_FAILED],
                        },
                    }
                ]
            },
            "ttlSecondsAfterFinished": _KEPT,
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": _pod(lease, config, place),
            },
        },
    }


def _pod(lease: HookLease, config: Config, place: Place) -> dict[str, Any]:
    fields = {"BACKSTAY_NAMESPACE": "metadata.namespace", "BACKSTAY_POD": "metadata.name"}
    env = [
        {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
        for name, path in fields.items()
    ]
    config_file = f"{CONFIG_FOLDER}/backstay.yaml"
    container = {
        "name": CONTAINER,
        "image": config.image,
        "imagePullPolicy": config.image_pull_policy,
        "args": ["run", lease.policy, "--finish", lease.name, "--config", config_file],
        "env": [{"name": "HOME", "value": "/tmp"}, *env],  # noqa: S108 - the pod's own
        "resources": {
            "requests": dict(DEFAULT_RESOURCES.requests), "limits": dict(DEFAULT_RESOURCES.limits)
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "config", "mountPath": CONFIG_FOLDER, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - an emptyDir
        ],
    }  # fmt: skip
    return {
        "serviceAccountName": SERVICE_ACCOUNT,
        "restartPolicy": "Never",
        "enableServiceLinks": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [
            {"name": "config", "configMap": {"name": place.config_map}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }
