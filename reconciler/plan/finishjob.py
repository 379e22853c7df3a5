"""The Job that ends the hooks which a dead run has left open in a pod. Pure.

Its name is made of the Lease and a number, so it is started once however often that is asked for.
Where it is over and the Lease is still there, another one gets the next number
(`reconciler.plan.finishturns`).
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from reconciler.model import naming
from reconciler.model.config import Config
from reconciler.plan.cronjob import (
    CONFIG_FOLDER,
    CONTAINER,
    DEFAULT_RESOURCES,
    SERVICE_ACCOUNT,
    Place,
)
from reconciler.plan.hooklease import HookLease, QuietPod

COMPONENT_FINISH = "finish"
LEASE = f"{naming.GROUP}/lease"
"""The annotation with the Lease that a Job is for."""
POD = f"{naming.GROUP}/pod"
"""The annotation with the pod in which hooks are open: ``<namespace>/<name>``."""
_SLACK = 3600
"""Seconds of a Job's life for its pods to start, six times, and for an API server to come back."""
_AWAY = 600
"""Seconds that one hook may wait for the API server, at most: asking, executing and closing."""
_GRACE = 60
"""Seconds that a pod that is told to end gets, beside the longest command that may be at work."""
_KEPT = 24 * 3600
"""Seconds that an ended one is kept: one that failed shall be seen by somebody."""
POST_FAILED = 3
"""The exit code that says that a post command failed, and what came of the others was tried."""
_TRIES = 6


def finish_name(lease: HookLease, number: int = 1) -> str:
    """A Job of a Lease."""
    digest = hashlib.sha256(f"{lease.name}\0{lease.uid}".encode()).hexdigest()
    return f"backstay-finish-{digest[:12]}-{number}"


def finish_seconds(pod: QuietPod, now: datetime) -> int:
    """How long ending all hooks of a pod may take, with an API server that is away for a while.

    A command whose pre command may still be at work runs twice: now, and when that is over. One
    whose end nobody saw is waited for as long again.
    """
    moments = [hook.moment for hook in pod.open if hook.moment is not None]
    wait = max([0.0, *((moment - now).total_seconds() for moment in moments)])
    return int(wait) + sum(3 * hook.timeout + 2 * _AWAY for hook in pod.open)


def make_finish_job(
    lease: HookLease, config: Config, place: Place, *, number: int, now: datetime
) -> dict[str, Any]:
    """``backstay run POLICY --finish LEASE``, as the account of runs."""
    labels = naming.labels(COMPONENT_FINISH, policy=lease.policy, run_id=lease.run_id)
    annotations = {
        naming.POLICY: lease.policy,
        naming.RUN: lease.run_id,
        LEASE: lease.name,
        POD: f"{lease.pod.namespace}/{lease.pod.pod}",
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": finish_name(lease, number),
            "namespace": place.namespace,
            "labels": labels,
            "annotations": annotations,
        },
        "spec": {
            "backoffLimit": _TRIES,
            "activeDeadlineSeconds": _SLACK + finish_seconds(lease.pod, now),
            # A command whose end is known is not executed again, so another try is for nothing.
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
        "terminationGracePeriodSeconds": _GRACE
        + max([0, *(one.timeout for one in lease.pod.open)]),
        "enableServiceLinks": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [
            {"name": "config", "configMap": {"name": place.config_map}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }
