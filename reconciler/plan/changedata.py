"""Findings about what is kept of a claim that stays protected: files that are left out. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.finding import Finding, Severity
from reconciler.model.policy import BackupPolicy
from reconciler.plan.changewhy import Sides

EXCLUDED = "excluded-more"


def data_findings(sides: Sides, old: BackupPolicy, new: BackupPolicy) -> Iterator[Finding]:
    """`EXCLUDED` of one policy, suspended or not; ``old`` may have another name."""
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
