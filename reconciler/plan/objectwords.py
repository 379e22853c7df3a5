"""What a policy's ``selector.objects`` leaves out, in words for plans, also of restores. Pure.

Who executes it is `reconciler.capture.choice`. What every policy leaves out, such as Events, is not
said again for each: docs/captured.md lists it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from reconciler.model.policy import OBJECTS_FIELD, ClusterScoped, ObjectSelector
from reconciler.model.run import RunRecord

_EVERY_KIND = ("*",)
_SHOWN = 8
"""Kinds that are named; `backstay show RUN --left-out` has them all."""
_BY_KIND = (f"{OBJECTS_FIELD}.include ", f"{OBJECTS_FIELD}.exclude: ")
_CLAIMS = "; claims whose data is copied are captured all the same"


def describe(objects: ObjectSelector) -> tuple[str, ...]:
    """A line per field that says more than the default; none for a policy without any."""
    return tuple(_lines(objects))


def narrowing(objects: ObjectSelector) -> tuple[str, ...]:
    """The same of what it leaves out only: ``clusterScoped: All`` takes more than the default."""
    if objects.cluster_scoped is ClusterScoped.ALL:
        objects = replace(objects, cluster_scoped=ClusterScoped.REFERENCED)
    return describe(objects)


def _lines(objects: ObjectSelector) -> Iterator[str]:
    labels = [f"{key}={value}" for key, value in sorted(objects.match_labels.items())]
    if labels:
        yield f"objects without {' and '.join(labels)} (matchLabels){_CLAIMS}"
    if objects.include != _EVERY_KIND:
        named = ", ".join(objects.include) or "none"
        yield f"kinds in namespaces other than {named} (include){_CLAIMS}"
    if objects.exclude:
        yield f"kinds {', '.join(objects.exclude)} (exclude)"
    if objects.cluster_scoped is ClusterScoped.NONE:
        yield "cluster-scoped objects but for the selected Namespaces (clusterScoped: None)"
    elif objects.cluster_scoped is ClusterScoped.ALL:
        yield "no cluster-scoped object but what every policy leaves out (clusterScoped: All)"


def tell_left_out(record: RunRecord) -> str:
    """What a recovery point lacks because its policy did not want it; empty where it has all."""
    left = list(_left_out(record))
    return f"its policy left out {'; '.join(left)}" if left else ""


def _left_out(record: RunRecord) -> Iterator[str]:
    kinds = [one.kind for one in record.left_out_kinds if one.reason.startswith(_BY_KIND)]
    if kinds:
        more = f" and {len(kinds) - _SHOWN} more" if len(kinds) > _SHOWN else ""
        yield f"kinds {', '.join(kinds[:_SHOWN])}{more}"
    by_label = f"{OBJECTS_FIELD}.matchLabels: "
    counted = sum(
        one.count
        for part in record.namespaces
        for one in part.left_out
        if one.reason.startswith(by_label)
    )
    if counted:
        yield f"{counted} objects without its labels"
    if record.cluster_scoped and record.cluster_scoped.selection == ClusterScoped.NONE:
        yield "what is cluster-scoped, but for the Namespaces"
