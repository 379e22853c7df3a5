"""CustomResourceDefinitions: when the API server serves what was just applied.

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
    """Until the definitions of these names are served; RigError after 300 s."""
    until = time.monotonic() + SECONDS
    asked = [f"crd/{name}" for name in names]
    while True:
        found = json.loads(kubectl("get", *asked, "-o", "json"))
        missing = [one["metadata"]["name"] for one in found.get("items", [found])
                   if not is_established(one)]  # fmt: skip
        if not missing:
            return
        if time.monotonic() > until:
            raise RigError(f"not established after {SECONDS:.0f} s: {', '.join(missing)}")
        time.sleep(PAUSE)


def is_established(definition: dict[str, Any]) -> bool:
    """Whether its condition Established is True; a new one has no conditions, or null."""
    conditions = (definition.get("status") or {}).get("conditions") or []
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)
