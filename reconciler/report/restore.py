"""A restore's plan and result, for people and as JSON."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from reconciler.model.restore import FillStep, RestoreAction, RestorePlan, RestoreStep
from reconciler.report.amounts import render_bytes, render_count


def render_plan(plan: RestorePlan) -> str:
    """What a person reads before saying yes."""
    return "\n".join(_lines(plan)) + "\n"


# Kinds of which a cluster has many, that never come back, for one and the same reason.
_COUNTED = frozenset({"PersistentVolume"})


def _lines(plan: RestorePlan) -> Iterator[str]:
    copied = f", copied until {plan.copied}" if plan.copied else ""
    yield f"Restore plan: {plan.run_id} ({plan.outcome}, started {plan.started}{copied})"
    for source, target in sorted(plan.mapping.items()):
        yield f"  copy     {source} → {target}; what is in {source} is not touched"
    for note in plan.notes:
        yield f"  note     {note}"
    fills = [fill for fill in plan.fills if fill.action is RestoreAction.CREATE]
    if fills:
        size = render_bytes(sum(fill.size for fill in fills))
        yield f"  volumes  {len(fills)} to fill, {size}"
        for fill in fills:
            amount = f"{render_bytes(fill.size)} in {render_count(fill.files, 'file')}"
            yield f"             {fill.namespace}/{fill.claim}: {amount} ({_origin(fill)})"
    for fill in plan.fills:
        if fill.action is RestoreAction.SKIP:
            yield f"           ! {fill.namespace}/{fill.claim}: {fill.why}"
    yield from _kept_claims(plan)
    yield f"  create   {render_count(plan.count(RestoreAction.CREATE), 'object')}"
    for step in plan.steps:
        if step.action is RestoreAction.CREATE:
            yield f"             {step.ref}"
    kept = [step for step in plan.steps if step.action is RestoreAction.KEEP]
    differing = [step for step in kept if step.differs]
    yield f"  keep     {render_count(len(kept), 'object')} ({len(kept) - len(differing)} equal)"
    for step in differing:
        yield f"             {step.ref}: {step.why}"
    yield from _ways_on(plan, differing)
    yield f"  skip     {render_count(plan.count(RestoreAction.SKIP), 'object')}"
    yield from _skipped(plan)
    yield from _told("change", plan, lambda step: step.changes)
    yield from _told("warning", plan, lambda step: step.warnings)
    for warning in plan.warnings:
        yield f"  missing  {warning}"
    for obstacle in plan.blocked:
        yield f"  blocked  {obstacle}"


# What is deleted together with all that is in it.
_HOLDERS = frozenset({"Namespace", "PersistentVolumeClaim"})


def _ways_on(plan: RestorePlan, differing: Sequence[RestoreStep]) -> Iterator[str]:
    """How to see what differs, and how to get what was captured; once for all of them."""
    if not differing:
        return
    # Of a Secret, Git holds fingerprints; a copy has another namespace than its manifest.
    shown = [step for step in differing if step.ref.kind != "Secret" and not step.source]
    if shown:
        place = shlex.quote(f"{plan.commit[:12]}:{shown[0].path}")
        yield "             to see how one differs, in a clone of the manifest repository:"
        yield f"             git show {place} | kubectl diff -f -"
    if any(step.ref.kind not in _HOLDERS for step in differing):
        yield "             to get the captured one: kubectl delete it, then restore again with"
        yield f"             --at {plan.run_id}"
    if any(step.ref.kind in _HOLDERS for step in differing):
        yield "             change a namespace or claim by hand: all that is in it goes with it"


def _origin(fill: FillStep) -> str:
    return f"{fill.why} of {fill.source}" if fill.source not in ("", fill.namespace) else fill.why


def _told(
    title: str, plan: RestorePlan, sentences: Callable[[RestoreStep], tuple[str, ...]]
) -> Iterator[str]:
    """What is said of copies; what is true of many stands there once, with the first of them."""
    whose: dict[str, list[str]] = {}
    for step in plan.steps:
        for sentence in sentences(step):
            whose.setdefault(sentence, []).append(str(step.ref))
    if whose:
        objects = {name for names in whose.values() for name in names}
        yield f"  {title:<7}  {render_count(len(objects), 'object')}"
    for sentence, names in whose.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        yield f"             {names[0]}{more}: {sentence}"


def _kept_claims(plan: RestorePlan) -> Iterator[str]:
    kept = [fill for fill in plan.fills if fill.action is RestoreAction.KEEP]
    for fill in kept:
        yield f"           = {fill.namespace}/{fill.claim}: {fill.why}"
    if any(fill.snapshot for fill in kept):
        yield "             for this recovery point's data, delete the claim and the workload that"
        yield "             uses it, then restore again"


def _skipped(plan: RestorePlan) -> Iterator[str]:
    counted: dict[tuple[str, str], int] = {}
    for step in plan.steps:
        if step.action is not RestoreAction.SKIP:
            continue
        if step.ref.kind in _COUNTED:
            told = (step.ref.kind, step.why)
            counted[told] = counted.get(told, 0) + 1
        else:
            yield f"             {step.ref}: {step.why}"
    for (kind, why), count in counted.items():
        yield f"             {render_count(count, kind)}: {why}"


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
        "copiedUntil": plan.copied,
        "mapping": dict(plan.mapping),
        "objects": [
            {
                "object": str(step.ref),
                "path": step.path,
                "phase": step.phase.name.lower(),
                "action": str(step.action),
                "why": step.why,
                "differs": step.differs,
                "source": step.source or step.path,
                "changes": list(step.changes),
                "warnings": list(step.warnings),
            }
            for step in plan.steps
        ],
        "volumes": [
            {
                "namespace": fill.namespace,
                "claim": fill.claim,
                "source": fill.source or fill.namespace,
                "repository": fill.repository.name if fill.repository else "",
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
        "blocked": list(plan.blocked),
    }
