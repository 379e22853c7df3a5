"""What the API server does with merge patches, status subresources and Events, for the fake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.fakes.copying import copied


def without_status(obj: Mapping[str, Any]) -> dict[str, Any]:
    """An object as it is created where its status is a subresource."""
    return {key: value for key, value in obj.items() if key != "status"}


def merged_patch(
    live: Mapping[str, Any], changes: Mapping[str, Any], *, status: bool
) -> dict[str, Any]:
    """A JSON merge patch (RFC 7386) of an object, or of nothing but its status."""
    new: dict[str, Any] = _merge(live, changes)
    if status:
        return {**copied(dict(live)), "status": new.get("status") or {}}
    if "status" in live:
        return {**new, "status": copied(live["status"])}
    return without_status(new)


def _merge(live: object, changes: object) -> Any:
    if not isinstance(changes, Mapping):
        return copied(changes)
    result = copied(dict(live)) if isinstance(live, Mapping) else {}
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merge(result.get(key), value)
    return result


def as_core_event(event: Mapping[str, Any]) -> dict[str, Any]:
    """An Event of events.k8s.io/v1 as the core group shows it."""
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": copied(dict(event["metadata"])),
        "involvedObject": copied(dict(event["regarding"])),
        "reason": event["reason"],
        "message": event["note"],
        "type": event["type"],
        "action": event["action"],
        "eventTime": event["eventTime"],
        "reportingComponent": event["reportingController"],
        "reportingInstance": event["reportingInstance"],
    }
