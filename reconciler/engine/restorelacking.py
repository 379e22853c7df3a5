"""Which Secrets a restore can't bring back, because their policy keeps them nowhere.

`manifests.secrets: Omit` is a choice for clusters where something else makes the Secrets. What is
there already is no trouble; what is not there is named before anybody says yes.
"""

from __future__ import annotations

from collections import defaultdict

from reconciler import ports
from reconciler.engine.observe import read_all
from reconciler.engine.restoresource import PointContent
from reconciler.model import kinds
from reconciler.model.errors import BackstayError
from reconciler.model.restore import RestorePlan

_SHOWN = 20
"""Secrets that are named; the record has them all."""


def tell_lost(
    reader: ports.ClusterReader, content: PointContent, plan: RestorePlan
) -> tuple[str, ...]:
    """A sentence with the Secrets of the plan's namespaces that neither the recovery point nor the
    cluster has; none where there is none.

    Whoever may not list Secrets gets the names of all that were omitted.
    """
    wanted = _omitted(content, plan)
    missing = []
    for namespace, names in sorted(wanted.items()):
        try:
            raws = read_all(reader, kinds.SECRETS, dict, namespace=namespace)
            there = {str(raw["metadata"]["name"]) for raw in raws}
        except BackstayError:
            there = set()
        missing += [f"{namespace}/{name}" for name in names if name not in there]
    if not missing:
        return ()
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    listed = f"{', '.join(missing[:_SHOWN])}{more}"
    told = f"and not in the cluster are {listed}: what needs them waits until somebody makes them"
    return (f"its policy keeps Secrets nowhere (manifests.secrets: Omit), {told}",)


def _omitted(content: PointContent, plan: RestorePlan) -> dict[str, list[str]]:
    """Namespace where they would be → names."""
    held = content.record.secrets
    to = {step.ref.namespace or step.ref.name for step in plan.steps}
    found: dict[str, list[str]] = defaultdict(list)
    for place in held.omitted if held else ():
        namespace, _, name = place.partition("/")
        target = content.renaming.names.get(namespace, namespace)
        if target in to:
            found[target].append(name)
    return found
