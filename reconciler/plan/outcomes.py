"""How a run ended, counted per namespace. Pure; each reason is a sentence that people read.

``Completed`` means that all of it is there and was proven. What was skipped by rule, or holds
no data, does not spoil it; what is missing without a rule does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reconciler.model.objects import Gap
from reconciler.model.run import NamespaceRecord, Outcome, VolumeRecord, worst


@dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome and why it is not Completed."""

    outcome: Outcome
    reasons: tuple[str, ...] = ()


def judge_namespace(
    namespace: str, volumes: Sequence[VolumeRecord], gaps: Iterable[Gap]
) -> Verdict:
    """The verdict on one namespace that is selected."""
    reasons = [
        f"volume {volume.claim}: {volume.reason or volume.outcome}"
        for volume in volumes
        if volume.outcome not in (Outcome.COMPLETED, Outcome.SKIPPED)
    ]
    reasons += [f"not captured: {gap}" for gap in gaps if gap.namespace in ("", namespace)]
    return Verdict(Outcome.PARTIALLY_FAILED if reasons else Outcome.COMPLETED, tuple(reasons))


def judge_left(why: str, *, intended: bool) -> Verdict:
    """On one that is not selected any more, and whose files therefore go: by a person, or not."""
    return Verdict(Outcome.SKIPPED if intended else Outcome.PARTIALLY_FAILED, (why,))


def judge_run(namespaces: Sequence[NamespaceRecord]) -> Outcome:
    """The policy shows the worst of its namespaces."""
    return worst(record.outcome for record in namespaces)
