"""A simulation for a terminal, for a pull request, and for machines. Decides nothing.

docs/schedules.md shows them. The JSON form is a contract: one document with
``formatVersion``; fields may be added within a version.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from reconciler.model.durations import render_duration
from reconciler.model.finding import Place
from reconciler.plan.clockchanges import Irregular, hours
from reconciler.plan.runtimes import Gap
from reconciler.plan.simulation import Collision, Load, PolicyRuns, Simulation
from reconciler.policy.text import for_log
from reconciler.report.annotations import annotation
from reconciler.report.history import render_table
from reconciler.report.timeline import time_line

FORMAT_VERSION = 1
WIDTH = 100
_NARROWEST = 24
_SHOWN = 10
_HEAD = ("Policy", "Schedule", "Runs", "Worst gap", "RPO")


def render_text(simulation: Simulation, *, width: int = WIDTH) -> str:
    """Lines of about ``width`` characters: time line, gaps, load, collisions, and a summary."""
    return "\n".join(_lines(simulation, width)) + "\n"


def _lines(found: Simulation, width: int) -> Iterator[str]:
    yield title(found)
    if found.policies:
        yield ""
        yield from draw(found, width)
        yield ""
        head = [cell.upper() for cell in _HEAD]
        yield render_table([head, *map(_row, found.policies)]).rstrip("\n")
    warnings = list(_warnings(found))
    if warnings:
        yield ""
    yield from (f"warning: {warning}" for _, warning in warnings)
    for load in found.loads:
        yield ""
        yield from _load_lines(load)
    if found.collisions:
        yield ""
    yield from map(_collision, found.collisions[:_SHOWN])
    if len(found.collisions) > _SHOWN:
        yield f"and {len(found.collisions) - _SHOWN} more collisions: -o json has them all"
    yield ""
    yield summary(found)


def title(found: Simulation) -> str:
    """What was asked."""
    where = f" on cluster {found.cluster}" if found.cluster else ""
    days = _count((found.until - found.since).days, "day")
    policies = _count(len(found.policies), "policy")
    return f"Simulation of {policies}{where}, {days} from {_time(found.since)}"


def draw(found: Simulation, width: int = WIDTH) -> Iterator[str]:
    """The ruler and one row per policy."""
    names = max(len(policy.name) for policy in found.policies)
    line = time_line(found.since, found.until, max(width - names - 2, _NARROWEST))
    yield f"{' ' * names}  {line.ruler()}".rstrip()
    for policy in found.policies:
        row = "suspended" if policy.suspended else line.row(policy.runs)
        yield f"{policy.name:<{names}}  {row}"
    yield f"a column is {line.unit} (UTC), a digit the runs that start in it"


def _row(policy: PolicyRuns) -> tuple[str, ...]:
    return (
        policy.name,
        _schedule(policy),
        "none: suspended" if policy.suspended else str(len(policy.runs)),
        f"{hours(policy.gap.seconds)} from {_time(policy.gap.begin)}" if policy.gap else "none",
        _rpo(policy),
    )


def _schedule(policy: PolicyRuns) -> str:
    text = f"{policy.compiled.cron} ({policy.compiled.time_zone})"
    return text if policy.compiled == policy.written else f"{text} for {policy.written.cron}"


def _rpo(policy: PolicyRuns) -> str:
    if policy.rpo is None:
        return "none promised"
    promised = render_duration(policy.rpo)
    if policy.keeps_rpo is None or policy.gap is None:
        return promised
    if not policy.keeps_rpo:
        return f"{promised}: can't be kept"
    left = policy.rpo - policy.gap.seconds
    return f"{promised}: leaves {hours(left) if left else 'no time'} for a run"


def _warnings(found: Simulation) -> Iterator[tuple[str, str]]:
    """Policy, and what is to be said of it."""
    for policy in found.policies:
        if policy.keeps_rpo is False and policy.rpo is not None and policy.gap is not None:
            promise = f"objectives.rpo promises {render_duration(policy.rpo)}"
            gap = f"its schedule has {hours(policy.gap.seconds)} without a run"
            yield policy.name, f"policy {policy.name}: {promise}, and {gap}"
        yield from ((policy.name, f"policy {policy.name}: {one}") for one in policy.irregular)


def _load_lines(load: Load) -> Iterator[str]:
    yield f"Repository {load.repository}: {_load_text(load)}"
    if load.runs:
        width = max(2, *(len(str(count)) for count in load.by_hour))
        yield "  hour" + "".join(f" {hour:>{width}}" for hour in range(len(load.by_hour)))
        yield "  runs" + "".join(f" {count or '·':>{width}}" for count in load.by_hour)


def _load_text(load: Load) -> str:
    text = f"{_count(load.policies, 'policy')}, {_count(load.runs, 'run')}"
    if load.busiest is None:
        return text
    return f"{text}, at most {load.most} in one hour, first from {_time(load.busiest)}"


def _collision(one: Collision) -> str:
    shown = ", ".join(one.policies[:_SHOWN])
    more = f" and {len(one.policies) - _SHOWN} more" if len(one.policies) > _SHOWN else ""
    times = _count(one.times, "time")
    return f"collision on {one.repository}: {shown}{more}, {times}, first {_time(one.first)}"


def summary(found: Simulation) -> str:
    """One line: ``2 policies, 60 runs; 1 can't keep its RPO; 1 collision within 15m``."""
    text = _count(len(found.policies), "policy")
    text += f", {_count(sum(len(policy.runs) for policy in found.policies), 'run')}"
    if found.broken:
        text += (
            f"; {len(found.broken)} can't keep {'its' if len(found.broken) == 1 else 'their'} RPO"
        )
    if found.collisions:
        within = render_duration(found.within)
        text += f"; {_count(len(found.collisions), 'collision')} within {within}"
    return text


def render_markdown(found: Simulation) -> str:
    """For a comment or a page: the same, with tables."""
    return "\n".join(_markdown(found)) + "\n"


def _markdown(found: Simulation) -> Iterator[str]:
    yield f"### {title(found)}"
    yield ""
    yield f"**{summary(found)}**"
    for _, warning in _warnings(found):
        yield f"- :warning: {warning}"
    if found.policies:
        yield ""
        yield from _markdown_table(_HEAD, [_marked(policy) for policy in found.policies])
        yield ""
        yield "```"
        yield from draw(found)
        yield "```"
    if found.loads:
        yield ""
        rows = [(load.repository, _load_text(load)) for load in found.loads]
        yield from _markdown_table(("Repository", "Load"), rows)
    if found.collisions:
        yield ""
    yield from (f"- {_collision(one)}" for one in found.collisions[:_SHOWN])
    if len(found.collisions) > _SHOWN:
        yield f"- and {len(found.collisions) - _SHOWN} more collisions"


def render_github(found: Simulation, places: Mapping[str, Place]) -> str:
    """A warning of GitHub's per missed promise, clock change and pile-up, and the summary.

    ``places``: policy → the line of its document.
    """
    told = [("simulate", name, text) for name, text in _warnings(found)]
    told += (("collision", one.policies[0], _collision(one)) for one in found.collisions[:_SHOWN])
    lines = [_annotation(title, places.get(name), text) for title, name, text in told]
    if len(found.collisions) > _SHOWN:
        lines.append(f"and {len(found.collisions) - _SHOWN} more collisions\n")
    return "".join((*lines, f"{for_log(summary(found))}\n"))


def _annotation(title: str, place: Place | None, text: str) -> str:
    where: dict[str, str | int] = {"file": place.file, "line": place.line} if place else {}
    return annotation(for_log(text), level="warning", title=title, **where)


def _marked(policy: PolicyRuns) -> tuple[str, ...]:
    name, schedule, *rest = _row(policy)
    return (name, f"`{schedule}`", *rest)


def _markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def to_json(found: Simulation) -> dict[str, Any]:
    """Everything, with every run; seconds are integers."""
    return {
        "formatVersion": FORMAT_VERSION,
        "kind": "Simulation",
        "cluster": found.cluster,
        "since": _time(found.since),
        "until": _time(found.until),
        "withinSeconds": found.within,
        "policies": [_policy_json(policy) for policy in found.policies],
        "repositories": [_load_json(load) for load in found.loads],
        "collisions": [
            {
                "repository": one.repository,
                "policies": list(one.policies),
                "times": one.times,
                "first": _time(one.first),
            }
            for one in found.collisions
        ],
    }


def _policy_json(policy: PolicyRuns) -> dict[str, Any]:
    return {
        "name": policy.name,
        "cron": policy.written.cron,
        "compiledCron": policy.compiled.cron,
        "timeZone": policy.compiled.time_zone,
        "repository": policy.repository,
        "suspended": policy.suspended,
        "rpoSeconds": policy.rpo,
        "keepsRpo": policy.keeps_rpo,
        "worstGap": _gap_json(policy.gap),
        "clockChanges": [_irregular_json(one) for one in policy.irregular],
        "runs": [_time(run) for run in policy.runs],
    }


def _gap_json(gap: Gap | None) -> dict[str, Any] | None:
    if gap is None:
        return None
    return {"seconds": gap.seconds, "begin": _time(gap.begin), "end": _time(gap.end)}


def _irregular_json(one: Irregular) -> dict[str, Any]:
    return {
        "effect": str(one.effect),
        "localTimes": [f"{wall:%Y-%m-%dT%H:%M}" for wall in one.walls],
        "gap": _gap_json(one.gap),
        "message": str(one),
    }


def _load_json(load: Load) -> dict[str, Any]:
    return {
        "name": load.repository,
        "policies": load.policies,
        "runs": load.runs,
        "runsByHour": list(load.by_hour),
        "busiestHour": _time(load.busiest) if load.busiest else None,
        "runsInBusiestHour": load.most,
    }


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _count(number: int, word: str) -> str:
    plural = {"policy": "policies"}.get(word, f"{word}s")
    return f"{number} {word if number == 1 else plural}"
