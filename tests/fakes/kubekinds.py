"""The kinds that the fake cluster serves from the beginning."""

from __future__ import annotations

from reconciler.model.objects import Resource

_NAMESPACED = """
v1: ConfigMap Secret Service ServiceAccount Pod PersistentVolumeClaim Endpoints Event LimitRange
    ResourceQuota ReplicationController PodTemplate
apps/v1: Deployment StatefulSet DaemonSet ReplicaSet ControllerRevision
batch/v1: Job CronJob
networking.k8s.io/v1: Ingress NetworkPolicy
policy/v1: PodDisruptionBudget
rbac.authorization.k8s.io/v1: Role RoleBinding
coordination.k8s.io/v1: Lease
discovery.k8s.io/v1: EndpointSlice
autoscaling/v2: HorizontalPodAutoscaler
"""
_CLUSTER_SCOPED = """
v1: Namespace Node PersistentVolume
apiextensions.k8s.io/v1: CustomResourceDefinition
rbac.authorization.k8s.io/v1: ClusterRole ClusterRoleBinding
storage.k8s.io/v1: StorageClass CSIDriver
networking.k8s.io/v1: IngressClass
scheduling.k8s.io/v1: PriorityClass
admissionregistration.k8s.io/v1: MutatingWebhookConfiguration ValidatingWebhookConfiguration
"""


def _plural(kind: str) -> str:
    lower = kind.lower()
    if lower == "endpoints":
        return lower
    if lower.endswith(("s", "x")):
        return f"{lower}es"
    return f"{lower[:-1]}ies" if lower.endswith("y") else f"{lower}s"


def _read(text: str, *, namespaced: bool) -> list[Resource]:
    found: list[Resource] = []
    api = ""
    for word in text.split():
        if word.endswith(":"):
            api = word.removesuffix(":")
            continue
        group, _, version = api.rpartition("/")
        found.append(
            Resource(
                group=group, version=version, kind=word, plural=_plural(word), namespaced=namespaced
            )
        )
    return found


BUILT_IN = (*_read(_NAMESPACED, namespaced=True), *_read(_CLUSTER_SCOPED, namespaced=False))


def kind(name: str) -> Resource:
    """The built-in kind of this name."""
    return next(resource for resource in BUILT_IN if resource.kind == name)
