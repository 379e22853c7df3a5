"""CustomResourceDefinitions: when the API server serves what was just applied, and no longer.

`kubectl wait --for=condition=Established` ends with an error, not with patience, for a definition
so new that its status holds no list of conditions yet ("accessor error: <nil> is of the type
<nil>"); so this asks itself.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from tests.rig.cluster.errors import RigError

SECONDS = 300.0
PAUSE = 0.2


def wait_established(kubectl: Callable[..., str], *names: str) -> None:
    """Until the definitions of these names are served, and listed; RigError after 300 s."""
    asked = [f"crd/{name}" for name in names]

    def missing() -> list[str]:
        found = json.loads(kubectl("get", *asked, "-o", "json"))
        definitions = found.get("items", [found])
        wanting = [one["metadata"]["name"] for one in definitions if not is_established(one)]
        return wanting or [name for name in names if not _is_listed(kubectl, name)]

    _wait(missing, "not established")


def wait_gone(kubectl: Callable[..., str], *names: str) -> None:
    """Until the server lists these deleted definitions' kinds no more; RigError after 300 s.

    Who asks for all that is served, and then for each, would meet one that is not there.
    """
    _wait(lambda: [name for name in names if _is_listed(kubectl, name)], "still listed")


def _wait(missing: Callable[[], list[str]], what: str) -> None:
    until = time.monotonic() + SECONDS
    while left := missing():
        if time.monotonic() > until:
            raise RigError(f"{what} after {SECONDS:.0f} s: {', '.join(left)}")
        time.sleep(PAUSE)


def _is_listed(kubectl: Callable[..., str], name: str) -> bool:
    """Whether discovery, which follows the definition a moment later, has the kind."""
    plural, _, group = name.partition(".")
    try:
        versions = json.loads(kubectl("get", "--raw", f"/apis/{group}"))["versions"]
        paths = [f"/apis/{one['groupVersion']}" for one in versions]
        resources = [json.loads(kubectl("get", "--raw", path))["resources"] for path in paths]
    except RigError:  # the group has just come, or gone
        return False
    return any(one["name"] == plural for found in resources for one in found)


def is_established(definition: dict[str, Any]) -> bool:
    """Whether its condition Established is True; a new one has no conditions, or null."""
    conditions = (definition.get("status") or {}).get("conditions") or []
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)
