"""Findings about what is kept of what stays protected: files and objects left out. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.finding import Finding, Severity
from reconciler.model.policy import BackupPolicy, ClusterScoped, ObjectSelector
from reconciler.plan.changewhy import Sides

EXCLUDED = "excluded-more"
OBJECTS = "objects-left-out"
_EVERY_KIND = "*"
_WIDTH = (ClusterScoped.NONE, ClusterScoped.REFERENCED, ClusterScoped.ALL)


def data_findings(sides: Sides, old: BackupPolicy, new: BackupPolicy) -> Iterator[Finding]:
    """Both of one policy, suspended or not; ``old`` may have another name."""
    yield from _objects(sides, old, new)
    patterns = new.volumes.exclude
    added = [one for one in patterns if one not in old.volumes.exclude]
    if not added:
        return
    everything = next((one for one in added if _is_everything(one)), "")
    what = "every file" if everything else "files that it kept before"
    yield Finding(
        id=EXCLUDED,
        severity=Severity.ERROR if everything else Severity.WARNING,
        message=f"policy {new.name} leaves {what} out of its claims' data: {', '.join(added)}",
        hint="its claims still count as protected" if everything else "",
        policy=new.name,
        place=sides.at(new.name, f"volumes.exclude[{patterns.index(everything or added[0])}]"),
        facts={"patterns": str(len(added))},
    )


def _is_everything(pattern: str) -> bool:
    """Whether a pattern is ``*``, in any number of folders."""
    return [part for part in pattern.split("/") if part != "**"] in ([], ["*"])


def _objects(sides: Sides, old: BackupPolicy, new: BackupPolicy) -> Iterator[Finding]:
    less = dict(_narrowed(old.selector.objects, new.selector.objects))
    if not less:
        return
    yield Finding(
        id=OBJECTS,
        severity=Severity.WARNING,
        message=f"policy {new.name} captures fewer objects: {'; '.join(less.values())}",
        hint="their manifests leave the tree with the next run; older recovery points keep them",
        policy=new.name,
        place=sides.at(new.name, f"selector.objects.{next(iter(less))}"),
        facts={"fields": ",".join(less)},
    )


def _narrowed(old: ObjectSelector, new: ObjectSelector) -> Iterator[tuple[str, str]]:
    """(field, what it takes away); a glob that another one has in it counts by its letters."""
    labels = [
        f"{k}={v}" for k, v in sorted(new.match_labels.items()) if old.match_labels.get(k) != v
    ]
    if labels:
        yield "matchLabels", f"only those with {', '.join(labels)}"
    lost = [glob for glob in old.include if glob not in new.include]
    if lost and _EVERY_KIND not in new.include:
        named = ", ".join(new.include) or "none"
        yield "include", f"kinds {named} in place of {', '.join(old.include)}"
    added = [glob for glob in new.exclude if glob not in old.exclude]
    if added:
        yield "exclude", f"not kinds {', '.join(added)}"
    if _WIDTH.index(new.cluster_scoped) < _WIDTH.index(old.cluster_scoped):
        yield (
            "clusterScoped",
            f"clusterScoped {new.cluster_scoped} in place of {old.cluster_scoped}",
        )
