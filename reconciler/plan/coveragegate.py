"""Which conditions make `backstay coverage` fail, and what each finds. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model.protection import Protection
from reconciler.plan.exemptions import EXPIRED, EXPIRING, UNUSED
from reconciler.plan.protection import unprotected

UNPROTECTED = "unprotected"
STALE = "stale"
NEVER = "never"
PARTIAL = "partial"
CONDITIONS = (UNPROTECTED, PARTIAL, STALE, NEVER, EXPIRED, EXPIRING, UNUSED)
NEED_POINTS = frozenset({STALE, NEVER})
"""Conditions that can't be judged where recovery points are not known."""


def failing(protection: Protection, conditions: Iterable[str]) -> tuple[str, ...]:
    """``unprotected: 1 namespace, 2 claims`` for each that is met, in the order of `CONDITIONS`."""
    asked = frozenset(conditions)
    found = ((one, _count(protection, one)) for one in CONDITIONS if one in asked)
    return tuple(f"{one}: {count}" for one, count in found if count)


def _count(protection: Protection, condition: str) -> str:
    """What meets the condition; empty for nothing."""
    if condition == UNPROTECTED:
        found = unprotected(protection)
        return str(found) if found else ""
    if condition == PARTIAL:
        number = sum(line.partial for line in protection.lines)
        return f"{number} namespace{'s' * (number > 1)}" if number else ""
    if condition == STALE:
        return _lines(
            sum(line.stale for line in protection.lines),
            "whose last recovery point is older than promised",
        )
    if condition == NEVER:
        return _lines(sum(line.never for line in protection.lines), "that no recovery point holds")
    number = sum(finding.id == condition for finding in protection.findings)
    return f"{number} exemption{'s' * (number > 1)}" if number else ""


def _lines(number: int, what: str) -> str:
    return f"{number} {what}" if number else ""
