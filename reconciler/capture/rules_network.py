"""Services: what was allocated goes, what somebody chose stays.

Who chose is asked twice, because neither place always knows: the managers of the object
(`fields.tracked_specs`) and kubectl's last-applied annotation, for objects from before the
API server tracked managers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.capture.fields import Line, child, children, drop, last_applied, tracked_specs

TABLE = (
    Line(
        "service",
        "spec: clusterIP, clusterIPs",
        'dropped, unless "None" or set by a person',
        "allocated anew; taken addresses make a restore fail",
    ),
    Line(
        "service",
        "spec: ipFamilies, ipFamilyPolicy",
        "dropped, unless set by a person",
        "the cluster's defaults; another cluster may have others",
    ),
    Line(
        "service",
        "spec.ports[].nodePort, spec.healthCheckNodePort",
        "dropped, unless set by a person",
        "allocated anew",
    ),
)


def service(found: dict[str, Any], raw: Mapping[str, Any]) -> None:
    """Needs managedFields and last-applied of ``raw``."""
    spec = child(found, "spec")
    if not spec or spec.get("type") == "ExternalName":
        return
    managers = list(tracked_specs(raw))
    applied = last_applied(raw).get("spec")
    applied = applied if isinstance(applied, dict) else {}

    def chosen(field: str) -> bool:
        return bool(applied.get(field)) or any(f"f:{field}" in tracked for tracked in managers)

    if spec.get("clusterIP") != "None" and not (chosen("clusterIP") or chosen("clusterIPs")):
        drop(spec, "clusterIP", "clusterIPs")
    if managers:
        drop(spec, *(key for key in ("ipFamilies", "ipFamilyPolicy") if not chosen(key)))
    if not chosen("healthCheckNodePort"):
        drop(spec, "healthCheckNodePort")
    for port in children(spec, "ports"):
        if "nodePort" in port and not _chosen_port(port, managers, applied):
            del port["nodePort"]


def _chosen_port(
    port: Mapping[str, Any], managers: list[Mapping[str, Any]], applied: Mapping[str, Any]
) -> bool:
    number, protocol = port.get("port"), port.get("protocol", "TCP")
    for tracked in managers:
        for key, fields in (tracked.get("f:ports") or {}).items():
            if _is_port_key(key, number, protocol) and "f:nodePort" in fields:
                return True
    return any(
        isinstance(entry, dict)
        and entry.get("nodePort") == port["nodePort"]
        and entry.get("port") == number
        and entry.get("protocol", "TCP") == protocol
        for entry in applied.get("ports") or ()
    )


def _is_port_key(key: str, number: Any, protocol: Any) -> bool:
    """Managed fields name a list's item ``k:{"port":80,"protocol":"TCP"}``, keys in any order."""
    return key in (
        f'k:{{"port":{number},"protocol":"{protocol}"}}',
        f'k:{{"protocol":"{protocol}","port":{number}}}',
    )
