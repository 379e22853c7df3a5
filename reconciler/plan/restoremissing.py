"""What a partial recovery point lacks, and the newest point that has it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from reconciler.model.objects import Gap
from reconciler.model.restore import FillStep, RestoreAction, RestorePlan
from reconciler.model.run import Outcome, RunRecord


@dataclass(frozen=True, slots=True)
class MissingClaim:
    """The data of a claim, where it was captured."""

    namespace: str
    claim: str

    def is_in(self, record: RunRecord) -> bool:
        """Whether this run stored it."""
        return any(
            volume.snapshot is not None
            for part in record.namespaces
            if part.name == self.namespace
            for volume in part.volumes
            if volume.claim == self.claim
        )


@dataclass(frozen=True, slots=True)
class MissingKind:
    """The objects of a kind that could not be listed, everywhere or in one namespace."""

    gap: Gap

    def is_in(self, record: RunRecord) -> bool:
        """Whether this run saw them all, of a namespace that it looked at."""
        where = self.gap.namespace
        looked = not where or any(part.name == where for part in record.namespaces)
        return looked and not any(self._covers(other) for other in record.gaps)

    def _covers(self, other: Gap) -> bool:
        return (
            other.group == self.gap.group
            and (not other.plural or not self.gap.plural or other.plural == self.gap.plural)
            and (
                not other.namespace
                or not self.gap.namespace
                or other.namespace == self.gap.namespace
            )
        )


Missing = MissingClaim | MissingKind


def find_missing(plan: RestorePlan, record: RunRecord) -> tuple[Missing, ...]:
    """Every part that the chosen point lacks."""
    claims = [_claim_of(fill) for fill in plan.fills if _lacks_data(fill)]
    return (*claims, *(MissingKind(gap) for gap in record.gaps))


def tell_missing(
    plan: RestorePlan, record: RunRecord, found: Mapping[Missing, RunRecord]
) -> RestorePlan:
    """The plan with the newest point that has it beside each part that is missing."""
    fills = tuple(
        replace(fill, why=f"{fill.why}; {_newest(found.get(_claim_of(fill)))}")
        if _lacks_data(fill)
        else fill
        for fill in plan.fills
    )
    gaps = tuple(
        f"{gap}: as an older run saw them, if at all; {_newest(found.get(MissingKind(gap)))}"
        for gap in record.gaps
    )
    return replace(plan, fills=fills, warnings=(*plan.warnings, *gaps))


def _newest(record: RunRecord | None) -> str:
    if record is None:
        return "no other recovery point has it"
    partial = "" if record.outcome is Outcome.COMPLETED else " --allow-partial"
    return f"newest that has: {record.name} (--at {record.name}{partial})"


def _lacks_data(fill: FillStep) -> bool:
    return fill.action is RestoreAction.SKIP and not fill.snapshot


def _claim_of(fill: FillStep) -> MissingClaim:
    return MissingClaim(fill.source or fill.namespace, fill.claim)
