"""What `backstay verify` found: a report for an auditor, as text and as one JSON document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconciler.model.texts import for_log, visible
from reconciler.plan.pointnames import render_moment
from reconciler.plan.verify import Branch, Check, Verdict, Verification

FORMAT_VERSION = 1
_MOST_SHOWN = 20
_SENTENCES = {
    Verdict.PROVEN: "proven: all that was asked for",
    Verdict.PROBLEM: "PROBLEM: the repository does not hold what it says",
    Verdict.UNPROVEN: "NOT PROVEN: no problem was found, and not all could be answered",
}


def text_lines(found: Verification) -> Iterator[str]:
    """Lines with their ends: what was looked at, each check, and one sentence in the end."""
    yield _line(f"cluster {found.cluster}, {render_moment(found.at)}, {found.writer}")
    yield _line(f"read from {found.where}")
    for branch in found.branches:
        yield "\n"
        yield from map(_line, _branch(branch))
    if found.checks:
        yield "\n"
        for check in found.checks:
            yield from map(_line, _check(check, ""))
    counts = ", ".join(f"{found.counts.get(one, 0)} {one}" for one in Verdict)
    yield f"\n{counts}\n{_SENTENCES[found.verdict]}\n"
    skipped = {one.name for one in found.all_checks if one.verdict is Verdict.SKIPPED}
    if skipped:
        yield _line(f"not asked, so nothing is known of it: {', '.join(sorted(skipped))}")


def _line(text: str) -> str:
    return for_log(visible(text)) + "\n"


def _branch(branch: Branch) -> Iterator[str]:
    yield f"policy {branch.policy}: {branch.runs} runs in {branch.commits} commits"
    if branch.first is not None and branch.last is not None:
        yield f"  from {branch.root} ({render_moment(branch.first)})"
        yield f"  to   {branch.tip} ({render_moment(branch.last)})"
    for check in branch.checks:
        yield from _check(check, "  ")


def _check(check: Check, indent: str) -> Iterator[str]:
    yield f"{indent}{check.verdict:<10}  {check.name}: {check.message}"
    for problem in check.problems[:_MOST_SHOWN]:
        yield f"{indent}  ! {problem}"
    if len(check.problems) > _MOST_SHOWN:
        yield f"{indent}  ! and {len(check.problems) - _MOST_SHOWN} more: -o json has them"


def to_json(found: Verification) -> dict[str, Any]:
    """One document; fields may be added within a version."""
    return {
        "formatVersion": FORMAT_VERSION,
        "type": "verification",
        "cluster": found.cluster,
        "time": render_moment(found.at),
        "readFrom": found.where,
        "writer": found.writer,
        "verdict": str(found.verdict),
        "counts": {str(one): found.counts.get(one, 0) for one in Verdict},
        "policies": [_branch_json(branch) for branch in found.branches],
        "checks": [_check_json(check) for check in found.checks],
    }


def _branch_json(branch: Branch) -> dict[str, Any]:
    return {
        "policy": branch.policy,
        "runs": branch.runs,
        "commits": branch.commits,
        "root": branch.root,
        "tip": branch.tip,
        "first": render_moment(branch.first) if branch.first else None,
        "last": render_moment(branch.last) if branch.last else None,
        "checks": [_check_json(check) for check in branch.checks],
    }


def _check_json(check: Check) -> dict[str, Any]:
    return {
        "name": check.name,
        "verdict": str(check.verdict),
        "message": check.message,
        "problems": list(check.problems),
    }
