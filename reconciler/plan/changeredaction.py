"""Findings about ``manifests.redact``: what comes to stand in Git in clear. Pure.

What got into the history does not leave it by itself, so whoever reviews must see this before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.model.finding import Finding, Place, Severity
from reconciler.model.policy import BackupPolicy
from reconciler.model.redaction import KeepRule, Redact, RedactRule
from reconciler.plan.changewhy import Sides

KEPT = "kept-in-clear"
LESS = "redacts-less"
_SHOWN = 20


def redaction_findings(sides: Sides, former: Mapping[str, str]) -> Iterator[Finding]:
    """By policy; ``former``: policy of the head → its name in the base."""
    for name, policy in sorted(sides.after.policies.items()):
        was = sides.before.policies.get(former.get(name, name))
        new, old = _redact(policy), _redact(was)
        known = {(one.kinds, one.names, one.paths) for one in old.keep}
        for number, one in enumerate(new.keep):
            if (one.kinds, one.names, one.paths) not in known:
                place = sides.at(name, f"manifests.redact.keep[{number}]")
                yield kept(name, one, place)
        gone = _pairs(old.rules)
        for pair in _pairs(new.rules):
            gone.pop(pair, None)
        if gone:
            yield _less(name, gone, sides.at(name, "manifests.redact"))


def kept(policy: str, rule: KeepRule, place: Place | None = None) -> Finding:
    """One entry of ``keep``."""
    named = f" called {', '.join(rule.names)}" if rule.names else ""
    return Finding(
        id=KEPT,
        severity=Severity.WARNING,
        message=f"policy {policy} keeps in clear what a default rule may take for a credential:"
        f" {_paths(rule.paths)} of {', '.join(rule.kinds)}{named} (keep {rule.name}:"
        f" {rule.reason})",
        hint="whatever value stands there goes into Git's history as it is, now and later",
        policy=policy,
        place=place,
        details=tuple(rule.paths) if len(rule.paths) > 1 else (),
        facts={"keep": rule.name, "paths": str(len(rule.paths))},
    )


def all_kept(policy: BackupPolicy) -> tuple[KeepRule, ...]:
    """What a policy keeps in clear, in its order."""
    return _redact(policy).keep


def _redact(policy: BackupPolicy | None) -> Redact:
    return (policy.manifests.redact if policy else None) or Redact()


def _pairs(rules: tuple[RedactRule, ...]) -> dict[tuple[str, str], str]:
    """(kind, path) → the rule's name."""
    return {(kind, path): one.name for one in rules for kind in one.kinds for path in one.paths}


def _less(policy: str, gone: Mapping[tuple[str, str], str], place: Place | None) -> Finding:
    names = sorted(set(gone.values()))
    lines = [f"{path} of {kind}" for kind, path in gone]
    more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return Finding(
        id=LESS,
        severity=Severity.WARNING,
        message=f"policy {policy} no longer redacts {_paths(tuple(lines))}"
        f" ({'rules' if len(names) > 1 else 'rule'} {', '.join(names)})",
        hint="with its next run these values stand in Git in clear, unless a default rule finds"
        " them",
        policy=policy,
        place=place,
        details=(*lines[:_SHOWN], *more) if len(lines) > 1 else (),
        facts={"rules": ",".join(names), "paths": str(len(lines))},
    )


def _paths(paths: tuple[str, ...]) -> str:
    return paths[0] if len(paths) == 1 else f"{len(paths)} places"
