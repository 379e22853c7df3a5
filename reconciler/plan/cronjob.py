"""A policy as Kubernetes objects: one CronJob and the immutable ConfigMap that its runs read.

Pure. A desired schedule *is* a CronJob: backups go on while the controller or the policy
repository is down. Why each setting is as it is stands beside it; docs/controller.md shows the
result. Same policy, same Config, same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.model import jsonform, naming
from reconciler.model.config import Config, Resources
from reconciler.model.cronhash import compile_schedule
from reconciler.model.errors import (
    BackstayError,
    InvalidInput,
    PartialFailure,
    RepositoryLocked,
    RepositoryMissing,
    UsageError,
    WrongPassword,
)
from reconciler.model.policy import BackupPolicy
from reconciler.plan.intervals import shortest_interval

COMPONENT_POLICY = "policy"
COMPONENT_RUN = "run"
APPLIED = f"{naming.GROUP}/applied"
CONTAINER = "run"
POLICY_KEY = "policy.json"
POLICY_FOLDER = "/etc/backstay/policy"
CONFIG_FOLDER = "/etc/backstay/config"
SERVICE_ACCOUNT = "backstay-run"
RUN_DEADLINE = 12 * 3600
GRACE = 120
HISTORY = 3
BACKOFF = 3
DEFAULT_RESOURCES = Resources(requests={"cpu": "100m", "memory": "256Mi"}, limits={"memory": "1Gi"})
# These say "done, badly": starting the pod again would end the same way. Any other end, such as a
# kill or a lost node, starts a successor that goes on with the same run.
FINAL_EXIT_CODES = tuple(
    sorted(
        error.exit_code
        for error in (
            BackstayError,
            UsageError,
            PartialFailure,
            InvalidInput,
            RepositoryMissing,
            RepositoryLocked,
            WrongPassword,
        )
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedPolicy:
    """One policy in force: its compiled text and where that came from."""

    policy: BackupPolicy
    text: str
    digest: str
    revision: str
    source: str

    @property
    def annotations(self) -> dict[str, str]:
        """Full names and the origin, on everything that is made of this policy."""
        return {
            naming.DIGEST: self.digest,
            naming.POLICY: self.policy.name,
            naming.REVISION: self.revision,
            naming.SOURCE: self.source,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the objects go, and what their pods need to find there."""

    namespace: str
    config_map: str = "backstay-config"
    """The ConfigMap with ``backstay.yaml``, mounted into runs."""


def make_config_map(wanted: WantedPolicy, place: Place) -> dict[str, Any]:
    """The compiled policy, immutable: a run can't read another one than its schedule names."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": naming.configmap_name(wanted.policy.name, wanted.digest),
            "namespace": place.namespace,
            "labels": naming.labels(COMPONENT_POLICY, policy=wanted.policy.name),
            "annotations": wanted.annotations,
        },
        "immutable": True,
        "data": {POLICY_KEY: wanted.text},
    }


def make_cron_job(wanted: WantedPolicy, config: Config, place: Place) -> dict[str, Any]:
    """The schedule. Its annotation ``backstay.dev/applied`` is a hash of all the rest.

    The hash tells fields that we no longer want from fields that others have added.
    """
    policy = wanted.policy
    schedule = compile_schedule(policy, config.cluster.name)
    manifest: dict[str, Any] = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {
            "name": naming.cronjob_name(policy.name),
            "namespace": place.namespace,
            "labels": naming.labels(COMPONENT_POLICY, policy=policy.name),
            "annotations": _annotations(wanted, config),
        },
        "spec": {
            "schedule": schedule.cron,
            "timeZone": schedule.time_zone,
            "suspend": policy.suspend,
            # A run that is not over when the next is due: the next is left out, by Kubernetes.
            "concurrencyPolicy": "Forbid",
            "successfulJobsHistoryLimit": HISTORY,
            "failedJobsHistoryLimit": HISTORY,
            "jobTemplate": _job_template(wanted, config, place),
        },
    }
    interval = shortest_interval(schedule.cron)
    if interval is not None:
        # Later than that, the next run is nearer than the missed one.
        manifest["spec"]["startingDeadlineSeconds"] = interval // 2
    manifest["metadata"]["annotations"][APPLIED] = jsonform.digest(manifest)
    return manifest


def _annotations(wanted: WantedPolicy, config: Config) -> dict[str, str]:
    """Also the cluster that this is for: a run under another name would begin a new history."""
    return wanted.annotations | {naming.CLUSTER: config.cluster.name}


def _job_template(wanted: WantedPolicy, config: Config, place: Place) -> dict[str, Any]:
    labels = naming.labels(COMPONENT_RUN, policy=wanted.policy.name)
    return {
        "metadata": {"labels": labels, "annotations": _annotations(wanted, config)},
        "spec": {
            "backoffLimit": BACKOFF,
            "activeDeadlineSeconds": RUN_DEADLINE,
            "podFailurePolicy": {
                "rules": [
                    # First: an evicted pod may end with any exit code, and is no failure.
                    {
                        "action": "Ignore",
                        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                    },
                    {
                        "action": "FailJob",
                        "onExitCodes": {
                            "containerName": CONTAINER,
                            "operator": "In",
                            "values": list(FINAL_EXIT_CODES),
                        },
                    },
                ]
            },
            "template": {
                "metadata": {"labels": labels, "annotations": wanted.annotations},
                "spec": _pod(wanted, config, place),
            },
        },
    }


def _pod(wanted: WantedPolicy, config: Config, place: Place) -> dict[str, Any]:
    config_map = naming.configmap_name(wanted.policy.name, wanted.digest)
    return {
        "serviceAccountName": SERVICE_ACCOUNT,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(wanted, config)],
        "volumes": [
            # A Job of an old template may outlive its ConfigMap. Its pod shall start and say so:
            # one that waits for a volume says nothing, and keeps the next runs from starting.
            {"name": "policy", "configMap": {"name": config_map, "optional": True}},
            {"name": "config", "configMap": {"name": place.config_map}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }


def _container(wanted: WantedPolicy, config: Config) -> dict[str, Any]:
    return {
        "name": CONTAINER,
        "image": config.image,
        "imagePullPolicy": config.image_pull_policy,
        "args": [
            "run",
            wanted.policy.name,
            "--compiled",
            f"{POLICY_FOLDER}/{POLICY_KEY}",
            "--config",
            f"{CONFIG_FOLDER}/backstay.yaml",
        ],
        "env": [
            {"name": "HOME", "value": "/tmp"},  # noqa: S108 - the pod's own, see volumes
            _field("BACKSTAY_NAMESPACE", "metadata.namespace"),
            _field("BACKSTAY_POD", "metadata.name"),
            _field("BACKSTAY_POD_UID", "metadata.uid"),
            _field("BACKSTAY_JOB", "metadata.labels['batch.kubernetes.io/job-name']"),
        ],
        "resources": _resources(config.runs.resources or DEFAULT_RESOURCES),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "policy", "mountPath": POLICY_FOLDER, "readOnly": True},
            {"name": "config", "mountPath": CONFIG_FOLDER, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - an emptyDir
        ],
    }


def _field(name: str, path: str) -> dict[str, Any]:
    # Without apiVersion the server adds "v1"; list items by name, so that is no difference.
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def _resources(resources: Resources) -> dict[str, Mapping[str, str]]:
    parts = {"requests": dict(resources.requests), "limits": dict(resources.limits)}
    return {key: value for key, value in parts.items() if value}
