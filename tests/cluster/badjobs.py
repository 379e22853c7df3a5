"""Jobs that are a mover but for one thing: an account that may only make movers is refused each."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

Object = dict[str, Any]
Change = Callable[[Object], object]


def edited(body: Object, change: Change) -> Object:
    """A copy with one thing changed."""
    new = copy.deepcopy(body)
    change(new)
    return new


def pod_of(body: Object) -> Object:
    """The pod of a Job."""
    spec: Object = body["spec"]["template"]["spec"]
    return spec


def container_of(body: Object) -> Object:
    """The container of a Job."""
    container: Object = pod_of(body)["containers"][0]
    return container


def add_volume(body: Object, volume: Object) -> None:
    """One more volume."""
    pod_of(body)["volumes"].append({"name": "more", **volume})


BAD_JOBS: dict[str, Change] = {
    "without our label": lambda job: job["metadata"]["labels"].pop("backstay.dev/component"),
    "as another component": lambda job: job["metadata"]["labels"].update(
        {"backstay.dev/component": "run"}
    ),
    "with a token": lambda job: pod_of(job).update(automountServiceAccountToken=True),
    "with the default for tokens": lambda job: pod_of(job).pop("automountServiceAccountToken"),
    "as another account": lambda job: pod_of(job).update(serviceAccountName="admin"),
    "on the host's network": lambda job: pod_of(job).update(hostNetwork=True),
    "with the host's processes": lambda job: pod_of(job).update(hostPID=True),
    "with the host's files": lambda job: add_volume(job, {"hostPath": {"path": "/"}}),
    "with a foreign Secret": lambda job: add_volume(job, {"secret": {"secretName": "theirs"}}),
    "with a projected token": lambda job: add_volume(
        job, {"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
    ),
    "with two claims": lambda job: add_volume(
        job, {"persistentVolumeClaim": {"claimName": "other"}}
    ),
    "with two containers": lambda job: pod_of(job)["containers"].append(
        container_of(job) | {"name": "more"}
    ),
    "with an init container": lambda job: pod_of(job).update(
        initContainers=[container_of(job) | {"name": "more"}]
    ),
    "privileged": lambda job: container_of(job).update(securityContext={"privileged": True}),
    "without a security context": lambda job: container_of(job).pop("securityContext"),
    "with keys of others": lambda job: container_of(job).update(
        envFrom=[{"secretRef": {"name": "theirs"}}]
    ),
    "with a key of others": lambda job: container_of(job)["env"].append(
        {"name": "A", "valueFrom": {"secretKeyRef": {"name": "theirs", "key": "a"}}}
    ),
}
"""Refused in every namespace."""


def secure(job: Object, **settings: object) -> None:
    """Change the security context of the container."""
    container_of(job)["securityContext"].update(settings)


def secure_pod(job: Object, **settings: object) -> None:
    """Change the security context of the pod."""
    pod_of(job)["securityContext"].update(settings)


def capabilities(job: Object, *, drop: Iterable[str] = ("ALL",), add: Iterable[str] = ()) -> None:
    """Give the container these capabilities."""
    secure(job, capabilities={"drop": list(drop), "add": list(add)})


def mount_of_claim(job: Object) -> Object:
    """Where the container has the claim."""
    mounts: list[Object] = container_of(job)["volumeMounts"]
    return next(mount for mount in mounts if mount["name"] == "data")


ROOT = "is root only in a namespace with the annotation"
CAPABILITIES = "adds none but DAC_READ_SEARCH"
CONFINED = "is confined as"
READS = "only reads its claim"
BARE = "no pull secrets"

NOT_EVEN_ROOT: dict[str, tuple[str, Change]] = {
    "with a capability that writes": (
        CAPABILITIES,
        lambda job: capabilities(job, add=["DAC_READ_SEARCH", "DAC_OVERRIDE"]),
    ),
    "with SYS_ADMIN": (CAPABILITIES, lambda job: capabilities(job, add=["SYS_ADMIN"])),
    "with all capabilities": (CAPABILITIES, lambda job: capabilities(job, add=["ALL"])),
    "with the runtime's capabilities": (CAPABILITIES, lambda job: capabilities(job, drop=[])),
    "that drops some capabilities": (
        CAPABILITIES,
        lambda job: capabilities(job, drop=["MKNOD"]),
    ),
    "that says nothing of capabilities": (
        CAPABILITIES,
        lambda job: container_of(job)["securityContext"].pop("capabilities"),
    ),
    "without seccomp": (
        CONFINED,
        lambda job: secure_pod(job, seccompProfile={"type": "Unconfined"}),
    ),
    "with a container without seccomp": (
        CONFINED,
        lambda job: secure(job, seccompProfile={"type": "Unconfined"}),
    ),
    "without AppArmor": (
        CONFINED,
        lambda job: secure(job, appArmorProfile={"type": "Unconfined"}),
    ),
    "as another SELinux type": (
        CONFINED,
        lambda job: secure_pod(job, seLinuxOptions={"type": "spc_t"}),
    ),
    "that may write the claim": (READS, lambda job: mount_of_claim(job).update(readOnly=False)),
    "that mounts the claim as by default": (
        READS,
        lambda job: mount_of_claim(job).pop("readOnly"),
    ),
    "that mounts the claim twice": (
        READS,
        lambda job: container_of(job)["volumeMounts"].append(
            {"name": "data", "mountPath": "/again"}
        ),
    ),
    "with the claim as a device": (
        READS,
        lambda job: container_of(job).update(
            volumeMounts=[], volumeDevices=[{"name": "data", "devicePath": "/dev/claim"}]
        ),
    ),
    "with a pull secret": (
        BARE,
        lambda job: pod_of(job).update(imagePullSecrets=[{"name": "theirs"}]),
    ),
    "with names of hosts": (
        BARE,
        lambda job: pod_of(job).update(hostAliases=[{"ip": "10.0.0.1", "hostnames": ["s3"]}]),
    ),
    "with a port of the host": (
        BARE,
        lambda job: container_of(job).update(ports=[{"containerPort": 80, "hostPort": 80}]),
    ),
}
"""Refused even where root is allowed, for the reason beside it."""

ROOT_JOBS: dict[str, Change] = {
    "as user 0": lambda job: secure_pod(job, runAsNonRoot=True, runAsUser=0),
    "as whoever the image says": lambda job: pod_of(job)["securityContext"].pop("runAsNonRoot"),
    "with a pod that says nothing of users": lambda job: pod_of(job).update(
        securityContext={"seccompProfile": {"type": "RuntimeDefault"}}
    ),
    "with a container as user 0": lambda job: secure(job, runAsUser=0),
    "with a container that may be root": lambda job: secure(job, runAsNonRoot=False),
    "with the capability to read all": lambda job: capabilities(job, add=["DAC_READ_SEARCH"]),
}
"""Refused where the namespace's administrator has not allowed root."""
