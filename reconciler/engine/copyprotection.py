"""Which schedules will protect a copy: a name may match the selector of a policy, or of none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconciler import ports
from reconciler.engine.observe import read_all
from reconciler.model import kinds, naming
from reconciler.model.cluster import Namespace
from reconciler.model.errors import BackstayError
from reconciler.model.policy import BackupPolicy, load_compiled
from reconciler.plan import observe
from reconciler.plan.cronjob import COMPONENT_POLICY, POLICY_KEY
from reconciler.plan.restore import Stored
from reconciler.plan.selection import select_namespaces

_LABELS = f"{naming.COMPONENT}={COMPONENT_POLICY}"


def tell_protection(
    reader: ports.ClusterReader, stored: Iterable[Stored], *, namespace: str
) -> tuple[str, ...]:
    """One sentence for each copied namespace; none where no schedule is, or can be read.

    ``namespace`` is Backstay's own. What is told is of the policies that are in force here now.
    """
    copies = [
        observe.namespace_of(found.manifest)
        for found in stored
        if found.folder == "namespace" and found.source
    ]
    try:
        policies = tuple(_policies(reader, namespace))
    except (BackstayError, ValueError):
        return ()  # told by `doctor`; a restore works without schedules
    return tuple(_tell(copy, policies, namespace) for copy in copies) if policies else ()


def _policies(reader: ports.ClusterReader, namespace: str) -> Iterator[BackupPolicy]:
    jobs = read_all(reader, kinds.CRON_JOBS, dict, namespace=namespace, label_selector=_LABELS)
    for job in jobs:
        annotations = job["metadata"].get("annotations") or {}
        name = naming.configmap_name(
            annotations.get(naming.POLICY, ""), annotations.get(naming.DIGEST, "")
        )
        found = reader.get(kinds.CONFIG_MAPS, name, namespace=namespace)
        if found is not None:
            yield load_compiled(found["data"][POLICY_KEY]).policy


def _tell(copy: Namespace, policies: Iterable[BackupPolicy], namespace: str) -> str:
    for policy in policies:
        chosen = select_namespaces(policy.selector.namespaces, [copy], own_namespace=namespace)
        for selected in chosen.namespaces:
            return f"{copy.name} is protected by policy {policy.name} as well ({selected.why})"
    return f"{copy.name} is protected by no policy"
