"""The Leases that a cycle looks at, in one list: of pods with open hooks, of remembered tips."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler import ports
from reconciler.engine import observe
from reconciler.model import kinds, naming
from reconciler.model.errors import BackstayError, Interrupted
from reconciler.plan.hooklease import COMPONENT_HOOK
from reconciler.plan.rewinds import COMPONENT_STATE

_SELECTOR = f"{naming.COMPONENT} in ({COMPONENT_HOOK},{COMPONENT_STATE})"


def read_leases(
    reader: ports.ClusterReader, namespace: str
) -> tuple[Mapping[str, Any], ...] | None:
    """All of them; None where they can't be read.

    That is told by `reconciler.engine.finishjobs`, which asks once more for those that it needs.
    """
    try:
        found = observe.read_all(
            reader, kinds.LEASES, dict, namespace=namespace, label_selector=_SELECTOR
        )
    except Interrupted:
        raise
    except BackstayError:
        return None
    return tuple(found)
