"""What the installed controller tells over HTTP, asked for by way of the API server."""

from __future__ import annotations

from tests.rig.cluster.errors import RigError
from tests.rig.stage.stage import NAMESPACE, Stage


def page(stage: Stage, name: str) -> str:
    """A page of the controller's pod; empty while there is none that answers."""
    names = "jsonpath={.items[*].metadata.name}"
    running = "--field-selector=status.phase=Running"
    select = ("-l", "backstay.dev/component=controller", running, "-o", names)
    try:
        pods = stage.kubectl("-n", NAMESPACE, "get", "pods", *select).split()
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pods[-1]}:8080/proxy/{name}"
        return stage.kubectl("get", "--raw", path)
    except (RigError, IndexError):
        return ""
