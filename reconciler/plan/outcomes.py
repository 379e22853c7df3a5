"""How a run ended, counted per namespace. Pure; each reason is a sentence that people read.

``Completed`` means that all of it is there and was proven. What was skipped by rule, or holds
no data, does not spoil it; what is missing without a rule does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reconciler.model import naming
from reconciler.model.objects import Gap
from reconciler.model.run import NamespaceRecord, Outcome, VolumeRecord, worst

_NEEDS_ROOT = (
    "no mover has root here: let the workload run as a user that may read these files, or the"
    " namespace's administrator allow root: kubectl annotate namespace {} {}=true"
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome and why it is not Completed."""

    outcome: Outcome
    reasons: tuple[str, ...] = ()


def judge_namespace(
    namespace: str,
    volumes: Sequence[VolumeRecord],
    gaps: Iterable[Gap],
    *,
    privileged: bool = False,
    hooks: Iterable[str] = (),
) -> Verdict:
    """The verdict on one namespace that is selected; ``privileged``: its movers may be root.

    ``hooks``: what went wrong in its pods around the copy, and matters by the policy's word.
    Where they may not, and a file kept itself from one, the way on is said once.
    """
    reasons = list(hooks)
    told = privileged
    for volume in volumes:
        if volume.outcome in (Outcome.COMPLETED, Outcome.SKIPPED):
            continue
        reasons.append(f"volume {volume.claim}: {volume.reason or volume.outcome}")
        if not told and _was_denied(volume):
            reasons.append(_NEEDS_ROOT.format(namespace, naming.PRIVILEGED_MOVERS))
            told = True
    reasons += [f"not captured: {gap}" for gap in gaps if gap.namespace in ("", namespace)]
    return Verdict(Outcome.PARTIALLY_FAILED if reasons else Outcome.COMPLETED, tuple(reasons))


def _was_denied(volume: VolumeRecord) -> bool:
    """Whether a file or folder of it said no; storage may deny too, and that is another matter."""
    path = re.escape(f"/data/{volume.claim}")
    return re.search(rf"{path}[/:].*permission denied", volume.reason, re.IGNORECASE) is not None


def judge_left(why: str, *, intended: bool) -> Verdict:
    """On one that is not selected any more, and whose files therefore go: by a person, or not."""
    return Verdict(Outcome.SKIPPED if intended else Outcome.PARTIALLY_FAILED, (why,))


def judge_run(namespaces: Sequence[NamespaceRecord]) -> Outcome:
    """The policy shows the worst of its namespaces."""
    return worst(record.outcome for record in namespaces)
