"""A restore's plan and result, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconciler.model.restore import RestoreAction, RestorePlan
from reconciler.report.amounts import render_bytes


def render_plan(plan: RestorePlan) -> str:
    """What a person reads before saying yes."""
    return "\n".join(_lines(plan)) + "\n"


def _lines(plan: RestorePlan) -> Iterator[str]:
    yield f"Restore plan: {plan.run_id} ({plan.outcome}, started {plan.started})"
    for note in plan.notes:
        yield f"  note     {note}"
    fills = [fill for fill in plan.fills if fill.action is RestoreAction.CREATE]
    if fills:
        size = render_bytes(sum(fill.size for fill in fills))
        yield f"  volumes  {len(fills)} to fill, {size}"
        for fill in fills:
            amount = f"{render_bytes(fill.size)} in {fill.files} files"
            yield f"             {fill.namespace}/{fill.claim}: {amount} ({fill.why})"
    for fill in plan.fills:
        if fill.action is RestoreAction.SKIP:
            yield f"           ! {fill.namespace}/{fill.claim}: {fill.why}"
    yield f"  create   {plan.count(RestoreAction.CREATE)} objects"
    for step in plan.steps:
        if step.action is RestoreAction.CREATE:
            yield f"             {step.ref}"
    kept = [step for step in plan.steps if step.action is RestoreAction.KEEP]
    differing = [step for step in kept if step.differs]
    yield f"  keep     {len(kept)} objects ({len(kept) - len(differing)} are equal)"
    for step in differing:
        yield f"             {step.ref}: {step.why}"
    yield f"  skip     {plan.count(RestoreAction.SKIP)} objects"
    for step in plan.steps:
        if step.action is RestoreAction.SKIP:
            yield f"             {step.ref}: {step.why}"
    for warning in plan.warnings:
        yield f"  missing  {warning}"


def plan_document(plan: RestorePlan) -> dict[str, Any]:
    """The plan as one JSON document."""
    return {
        "formatVersion": 1,
        "type": "restorePlan",
        "policy": plan.policy,
        "run": plan.run_id,
        "commit": plan.commit,
        "outcome": plan.outcome,
        "started": plan.started,
        "objects": [
            {
                "object": str(step.ref),
                "path": step.path,
                "phase": step.phase.name.lower(),
                "action": str(step.action),
                "why": step.why,
                "differs": step.differs,
            }
            for step in plan.steps
        ],
        "volumes": [
            {
                "namespace": fill.namespace,
                "claim": fill.claim,
                "action": str(fill.action),
                "why": fill.why,
                "snapshot": fill.snapshot,
                "size": fill.size,
                "files": fill.files,
            }
            for fill in plan.fills
        ],
        "warnings": list(plan.warnings),
        "notes": list(plan.notes),
    }
