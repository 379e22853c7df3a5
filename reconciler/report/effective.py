"""The effective policy for people, for programs, and as YAML that says where each line is from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from reconciler.model import durations, jsonform
from reconciler.model.effective import EffectiveField, EffectivePolicy, Origin
from reconciler.model.grants import Grant
from reconciler.model.policy import API_VERSION

FORMAT_VERSION = 1
_WIDEST = 48
_COMMANDS = "hooks"
"""What is executed is read letter by letter."""


def render_text(policy: EffectivePolicy) -> str:
    """A table: field, value, and the file and line that it comes from."""
    rows = [("FIELD", "VALUE", "FROM"), *_rows(policy)]
    first = max(len(row[0]) for row in rows)
    second = min(max(len(row[1]) for row in rows), _WIDEST)
    lines = [f"{a:<{first}}  {b:<{second}}  {c}".rstrip() for a, b, c in rows]
    return "\n".join([_head(policy), *_notes(policy), "", *lines]) + "\n"


def _head(policy: EffectivePolicy) -> str:
    head = f"BackupPolicy {policy.name}, {policy.source}"
    if policy.profile:
        head += f", with Profile {policy.profile}, {policy.profile_source}"
    return f"{head}, at {policy.revision}" if policy.revision else head


def _notes(policy: EffectivePolicy) -> Iterator[str]:
    if policy.grant is not None:
        yield f"note: {describe_grant(policy.grant)}"
    if policy.elsewhere:
        yield f"note: cluster {policy.cluster} does not take it: {policy.elsewhere}"
    written = next((f.value for f in policy.fields if f.path == "schedule.cron"), "")
    if not policy.cron:
        yield "note: H stands for another time in each cluster: name one with --cluster"
    elif policy.cron != written:
        where = f" in cluster {policy.cluster}" if policy.cluster else ""
        yield f"note: its schedule{where} is {policy.cron}"


def describe_grant(grant: Grant) -> str:
    """What a folder's policies may use, in a line."""
    given = [
        f"namespaces {_globs(grant.namespaces)}",
        f"Repositories {_globs(grant.repositories)}",
        f"hooks {_globs(grant.hooks)}",
        f"restores into {_globs(grant.restore_targets)}",
    ]
    if grant.shortest_interval:
        given.append(f"a run every {durations.render_duration(grant.shortest_interval)} at most")
    if grant.max_policies is not None:
        given.append(f"{grant.max_policies} policies at most")
    if grant.keep_in_clear:
        given.append("may keep in clear what default rules redact")
    return f"allowed by {grant}: {'; '.join(given)}"


def _globs(globs: tuple[str, ...]) -> str:
    return ", ".join(globs) or "none"


def _rows(policy: EffectivePolicy) -> Iterator[tuple[str, str, str]]:
    """One row per field; rules and the like have one each."""
    for field in policy.fields:
        value = field.value
        if isinstance(value, list) and any(isinstance(item, dict) for item in value):
            for number, item in enumerate(value):
                shown = _flow(item, exact=field.path == _COMMANDS)
                yield f"{field.path}[{number}]", shown, _from(field)
        else:
            yield field.path, value if isinstance(value, str) else _flow(value), _from(field)


def _from(field: EffectiveField) -> str:
    origin = field.place or "default"
    if field.origin is Origin.PROFILE:
        origin += " (profile)"
    return f"{origin}; {field.note}" if field.note else origin


def _flow(value: object, *, exact: bool = False) -> str:
    """JSON, which is YAML to every reader; ``exact``: no letter looks like another one."""
    return json.dumps(value, ensure_ascii=exact)


def to_json(policy: EffectivePolicy) -> dict[str, Any]:
    """One document with ``formatVersion``; fields may be added within a version."""
    document: dict[str, Any] = {
        "formatVersion": FORMAT_VERSION,
        "type": "policy",
        "name": policy.name,
        "source": policy.source,
        "revision": policy.revision or None,
        "profile": {"name": policy.profile, "source": policy.profile_source}
        if policy.profile
        else None,
        "cluster": policy.cluster or None,
        "elsewhere": policy.elsewhere or None,
        "cron": policy.cron or None,
        "fields": [_field_json(field) for field in policy.fields],
    }
    if policy.grant is not None:
        document["grant"] = jsonform.to_json(policy.grant)
    return document


def _field_json(field: EffectiveField) -> dict[str, Any]:
    found: dict[str, Any] = {
        "path": field.path,
        "value": field.value,
        "origin": str(field.origin),
    }
    if field.file:
        found |= {"file": field.file, "line": field.line}
    if field.note:
        found["note"] = field.note
    return found


def render_yaml(policy: EffectivePolicy) -> str:
    """The policy without its profile: the same policy, every field written out with its origin."""
    lines = [
        f"# {_head(policy)}",
        *(f"# {note}" for note in _notes(policy)),
        f"apiVersion: {API_VERSION}",
        "kind: BackupPolicy",
        f"metadata: {{name: {policy.name}}}",
        "spec:",
    ]
    above: tuple[str, ...] = ()
    for field in policy.fields:
        if field.path == "profile":
            continue
        path = tuple(field.path.split("."))
        opened = range(_shared(above, path[:-1]), len(path) - 1)
        lines += [f"{'  ' * (depth + 1)}{path[depth]}:" for depth in opened]
        above = path[:-1]
        shown = _flow(field.value, exact=field.path == _COMMANDS)
        lines.append(f"{'  ' * len(path)}{path[-1]}: {shown}  # {_from(field)}")
    return "\n".join(lines) + "\n"


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many steps two paths have in common at their beginning."""
    count = 0
    while count < min(len(one), len(other)) and one[count] == other[count]:
        count += 1
    return count
