"""The installed controller's health and figures, asked for by way of the API server."""

from __future__ import annotations

from tests.rig.stage import Stage
from tests.rig.stage.health import page


def test_the_pod_tells_its_health_and_its_figures(stage: Stage) -> None:
    stage.wait("the controller is well", lambda: page(stage, "healthz") == "ok\n", seconds=300)
    stage.wait("it has figures", lambda: has_figures(page(stage, "metrics")), seconds=300)


def has_figures(text: str) -> bool:
    """Whether they tell of a whole cycle."""
    names = ("cycle_duration_seconds_count", "api_requests_total", "unprotected")
    return all(f"backstay_{name}" in text for name in names)
