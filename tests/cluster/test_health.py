"""The installed controller's health and figures, asked for by way of the API server."""

from __future__ import annotations

from tests.rig.cluster.errors import RigError
from tests.rig.stage import Stage
from tests.rig.stage.stage import NAMESPACE


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


def test_the_pod_tells_its_health_and_its_figures(stage: Stage) -> None:
    stage.wait("the controller is well", lambda: page(stage, "healthz") == "ok\n", seconds=300)
    stage.wait("it has figures", lambda: has_figures(page(stage, "metrics")), seconds=300)


def has_figures(text: str) -> bool:
    """Whether they tell of a whole cycle."""
    names = ("cycle_duration_seconds_count", "api_requests_total", "unprotected")
    return all(f"backstay_{name}" in text for name in names)
