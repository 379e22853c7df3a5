"""What a policy's ``selector.objects`` leaves out, in words for a plan. Pure.

Who executes it is `reconciler.capture.choice`. What every policy leaves out, such as Events, is not
said again for each: docs/captured.md lists it.
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.policy import ClusterScoped, ObjectSelector

_EVERY_KIND = ("*",)
_CLAIMS = "; claims whose data is copied are captured all the same"


def describe(objects: ObjectSelector) -> tuple[str, ...]:
    """A line per field that says more than the default; none for a policy without any."""
    return tuple(_lines(objects))


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
