"""Coverage for a terminal and for programs: the counts first, then the worst. Decides nothing.

The JSON form is a contract: one document with ``formatVersion``; fields may be added within a
version. docs/coverage.md shows all forms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from reconciler.model.finding import Finding
from reconciler.model.protection import (
    LastPoint,
    Protection,
    ProtectionLine,
    Protector,
    State,
    Subject,
    Waiver,
)
from reconciler.report.amounts import render_seconds
from reconciler.report.history import render_table

FORMAT_VERSION = 1
_DAY = 86400
_HEADS = {Subject.NAMESPACE: "NAMESPACES", Subject.CLAIM: "CLAIMS", Subject.TEMPLATE: "TEMPLATES"}


def render_text(protection: Protection, failed: Sequence[str] = ()) -> str:
    """Counts, what is unprotected, exempt and protected, notes, and what made it fail."""
    return "\n".join(_lines(protection, failed)) + "\n"


def title(protection: Protection) -> str:
    """What was judged: ``Coverage of prod-eu, policies at main@sha1:12…, as of …``."""
    parts = [f"Coverage of {protection.cluster or 'a cluster without a name'}"]
    if protection.revision:
        parts.append(f"policies at {protection.revision}")
    seen = protection.taken
    parts.append(f"cluster as of {show_time(seen)}" if seen else "as its manifests will make it")
    return ", ".join(parts)


def counts(protection: Protection) -> dict[State, dict[Subject, int]]:
    """Lines by state and subject; all of them named."""
    found = Counter((line.state, line.subject) for line in protection.lines)
    return {state: {subject: found[state, subject] for subject in Subject} for state in State}


def table(protection: Protection) -> list[list[str]]:
    """The counts as rows of cells, the first one is the head."""
    rows = [["", *_HEADS.values()]]
    for state, numbers in counts(protection).items():
        rows.append([str(state), *(str(numbers[subject]) for subject in Subject)])
    return rows


def _lines(protection: Protection, failed: Sequence[str]) -> Iterator[str]:
    yield title(protection)
    yield ""
    yield render_table(table(protection)).rstrip("\n")
    for state in State:
        found = list(protection.of(state))
        if found:
            yield ""
            yield str(state).capitalize()
        for line in found:
            yield from _line(line, protection)
    if protection.findings or protection.notes or failed:
        yield ""
    for finding in protection.findings:
        yield from _finding(finding)
    yield from (f"note: {note}" for note in protection.notes)
    yield from (f"failed: {one}" for one in failed)


def _line(line: ProtectionLine, protection: Protection) -> Iterator[str]:
    by = f" ({line.workload})" if line.subject is Subject.CLAIM and line.workload else ""
    head = f"  {line.title}{by}"
    told = [*explain(line, protection), *([line.note] if line.note else [])]
    if line.state is not State.UNPROTECTED and len(told) == 1:
        yield f"{head}: {told[0]}"
        return
    yield head
    yield from (f"    {one}" for one in told)


def explain(line: ProtectionLine, protection: Protection) -> Iterator[str]:
    """Why it counts as it does: one text per policy or reason, and what is kept of it."""
    if line.waiver is not None:
        yield show_waiver(line.waiver)
    for protector in line.protectors:
        yield show_protector(line, protector, protection)
    for reason in line.reasons:
        yield reason.why
    if line.state is State.UNPROTECTED and line.held is not None:
        yield (
            f"its last recovery point: {show_point(line.held, protection.now)},"
            f" of policy {line.held.policy}"
        )


def show_waiver(waiver: Waiver) -> str:
    """Why, who, until when."""
    if not waiver.exemption:
        return waiver.reason
    return (
        f"{waiver.reason} (exemption {waiver.exemption} of {waiver.owner}, until {waiver.expires})"
    )


def show_protector(line: ProtectionLine, protector: Protector, protection: Protection) -> str:
    """``policy shop, Direct (copyMethod Direct), last 2026-11-21T04:17:03Z (15h 43m ago)``."""
    method = f", {protector.method}" if protector.method else ""
    text = f"policy {protector.policy}{method} ({protector.why})"
    if protector.left_out:
        text += f", in part: it leaves out {'; '.join(protector.left_out)}"
    last = show_last(line, protector, protection)
    return f"{text}, {last}" if last else text


def show_last(line: ProtectionLine, protector: Protector, protection: Protection) -> str:
    """When it was backed up last; empty where nobody can know."""
    if protector.last is not None:
        late = ", older than its RPO" if protector.stale else ""
        return f"last {show_point(protector.last, protection.now)}{late}"
    if line.subject is Subject.TEMPLATE or not protection.points_known:
        return ""
    late = ", and its RPO is over" if protector.stale else ""
    if protector.older:
        return f"in none of the newest recovery points{late}"
    return f"no recovery point yet{late}"


def show_point(point: LastPoint, now: datetime) -> str:
    """``2026-11-21T04:17:03Z (15h 43m ago)``."""
    return f"{show_time(point.started)} ({age(point, now)} ago)"


def age(point: LastPoint, now: datetime) -> str:
    """``15h 43m``, ``3d``."""
    seconds = max((now - point.started).total_seconds(), 0)
    return f"{int(seconds // _DAY)}d" if seconds >= 2 * _DAY else render_seconds(seconds)


def show_time(moment: datetime) -> str:
    """UTC, to the second."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _finding(finding: Finding) -> Iterator[str]:
    place = f"  [{finding.place.file}:{finding.place.line}]" if finding.place else ""
    yield f"{finding.severity}: {finding.message}{place}"
    yield from (f"  {detail}" for detail in finding.details)
    if finding.hint:
        yield f"  hint: {finding.hint}"


def to_json(protection: Protection, failed: Sequence[str] = ()) -> dict[str, Any]:
    """Everything, as plain values; ages are whole seconds."""
    seen = protection.taken
    return {
        "formatVersion": FORMAT_VERSION,
        "kind": "Coverage",
        "cluster": protection.cluster,
        "revision": protection.revision,
        "now": show_time(protection.now),
        "taken": show_time(seen) if seen else None,
        "recoveryPointsKnown": protection.points_known,
        "summary": {
            str(state): {_plural(subject): number for subject, number in numbers.items()}
            for state, numbers in counts(protection).items()
        },
        "failed": list(failed),
        "lines": [_line_json(line, protection.now) for line in protection.lines],
        "findings": [_finding_json(finding) for finding in protection.findings],
        "notes": list(protection.notes),
    }


def _plural(subject: Subject) -> str:
    return f"{subject}s"


def _line_json(line: ProtectionLine, now: datetime) -> dict[str, Any]:
    waiver = line.waiver
    return {
        "subject": str(line.subject),
        "namespace": line.namespace,
        "name": line.name,
        "workload": line.workload,
        "state": str(line.state),
        "policies": [
            {
                "policy": found.policy,
                "method": found.method,
                "why": found.why,
                "lastRecoveryPoint": _point_json(found.last, now),
                "stale": found.stale,
                "leavesOut": list(found.left_out),
            }
            for found in line.protectors
        ],
        "exemption": None
        if waiver is None
        else {
            "name": waiver.exemption,
            "reason": waiver.reason,
            "owner": waiver.owner,
            "expires": waiver.expires,
        },
        "reasons": [
            {
                "cause": str(reason.cause),
                "why": reason.why,
                "policy": reason.policy,
                "exemption": reason.exemption,
            }
            for reason in line.reasons
        ],
        "lastRecoveryPoint": _point_json(line.held, now),
        "note": line.note,
    }


def _point_json(point: LastPoint | None, now: datetime) -> dict[str, Any] | None:
    if point is None:
        return None
    return {
        "policy": point.policy,
        "run": point.run,
        "started": show_time(point.started),
        "outcome": str(point.outcome),
        "ageSeconds": int((now - point.started).total_seconds()),
    }


def _finding_json(finding: Finding) -> dict[str, Any]:
    place = finding.place
    return {
        "id": finding.id,
        "severity": str(finding.severity),
        "message": finding.message,
        "hint": finding.hint,
        "file": place.file if place else "",
        "line": place.line if place else 0,
        "details": list(finding.details),
        "facts": dict(sorted(finding.facts.items())),
    }
