"""Old ConfigMaps go 48 hours after their last use, when no CronJob and no Job names them.

A run that was queued, or a pod that is started again, may still need the policy it was made
for. The moment from which nobody does is kept on the ConfigMap itself, so it survives a restart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler.model import naming
from reconciler.model.objects import ObjectRef
from reconciler.model.plan import Action, Change, Observed
from reconciler.plan.cronjob import COMPONENT_POLICY

Raw = Mapping[str, Any]
UNUSED_SINCE = f"{naming.GROUP}/unused-since"
KEEP_UNUSED = timedelta(hours=48)
_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def collect(
    observed: Observed, changes: Sequence[Change], *, blocked: bool, now: datetime
) -> Iterator[Change]:
    """Changes of our ConfigMaps that no earlier change speaks of.

    Uses are counted as they will be once ``changes`` are applied, so that the next plan is empty.
    """
    spoken = {change.object.name for change in changes if change.object.kind == "ConfigMap"}
    uses = _uses(observed, changes)
    for raw in sorted(observed.config_maps, key=lambda raw: str(raw["metadata"]["name"])):
        metadata = raw["metadata"]
        ours = (metadata.get("labels") or {}).get(naming.COMPONENT) == COMPONENT_POLICY
        if ours and metadata["name"] not in spoken:
            yield _decide(raw, uses.get(metadata["name"], ""), blocked=blocked, now=now)


def _decide(raw: Raw, user: str, *, blocked: bool, now: datetime) -> Change:
    since = _since(raw)
    if user:
        if since is None:
            return _change(raw, Action.UNCHANGED, f"{user} uses it")
        return _change(raw, Action.CONFIGURED, f"{user} uses it again", _marked(raw, None))
    if since is None or since > now:  # of times to come: a clock was set back
        until = _text(now + KEEP_UNUSED)
        return _change(
            raw, Action.CONFIGURED, f"unused from now on, kept until {until}", _marked(raw, now)
        )
    end = since + KEEP_UNUSED
    if now < end:
        return _change(raw, Action.UNCHANGED, f"unused, kept until {_text(end)}")
    if blocked:
        return _change(raw, Action.SKIPPED, "unused, and kept because nothing is deleted now")
    return _change(raw, Action.DELETED, f"unused since {_text(since)}")


def _change(raw: Raw, action: Action, reason: str, body: Raw | None = None) -> Change:
    metadata = raw["metadata"]
    annotations = metadata.get("annotations") or {}
    return Change(
        action=action,
        object=ObjectRef(
            group="",
            kind="ConfigMap",
            namespace=metadata.get("namespace", ""),
            name=metadata["name"],
        ),
        reason=reason,
        policy=annotations.get(naming.POLICY, ""),
        source=annotations.get(naming.SOURCE, ""),
        body=body,
        uid=metadata.get("uid", "") if action is Action.DELETED else "",
    )


def _marked(raw: Raw, since: datetime | None) -> dict[str, Any]:
    """The whole ConfigMap again: what an apply leaves out, it gives up."""
    metadata = raw["metadata"]
    annotations = {
        key: value
        for key, value in (metadata.get("annotations") or {}).items()
        if key.startswith(f"{naming.GROUP}/") and key != UNUSED_SINCE
    }
    if since is not None:
        annotations[UNUSED_SINCE] = _text(since)
    labels = {
        key: value
        for key, value in metadata["labels"].items()
        if key.startswith(f"{naming.GROUP}/") or key == naming.MANAGED_BY
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata.get("namespace", ""),
            "labels": labels,
            "annotations": annotations,
        },
        "immutable": True,
        "data": raw.get("data") or {},
    }


def _uses(observed: Observed, changes: Sequence[Change]) -> dict[str, str]:
    """ConfigMap → who names it, after ``changes``."""
    gone = {c.object.name for c in changes if c.action is Action.DELETED}
    bodies = {
        c.object.name: c.body for c in changes if c.object.kind == "CronJob" and c.body is not None
    }
    uses: dict[str, str] = {}
    for raw in observed.cron_jobs:
        name = raw["metadata"]["name"]
        if name not in gone:
            body = bodies.get(name, raw)
            _note(uses, body["spec"]["jobTemplate"]["spec"], f"CronJob {name}")
    for raw in observed.jobs:
        _note(uses, raw.get("spec") or {}, f"Job {raw['metadata']['name']}")
    return uses


def _note(uses: dict[str, str], job_spec: Raw, user: str) -> None:
    pod = job_spec.get("template", {}).get("spec") or {}
    for volume in pod.get("volumes") or ():
        name = (volume.get("configMap") or {}).get("name", "")
        if name:
            uses.setdefault(name, user)


def _since(raw: Raw) -> datetime | None:
    text = (raw["metadata"].get("annotations") or {}).get(UNUSED_SINCE, "")
    try:
        return datetime.strptime(text, _FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None


def _text(time: datetime) -> str:
    return time.astimezone(UTC).strftime(_FORMAT)
