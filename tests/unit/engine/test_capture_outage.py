"""The API server goes away in the middle of a capture: it is waited for, and nothing is missing."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model.errors import Incomplete, Transient
from reconciler.model.run import Outcome
from tests.unit.engine.run_world import RunWorld


class Outage:
    """The reader of a world whose API server is away from one list on, for so many seconds."""

    def __init__(self, world: RunWorld, kind: str, *, seconds: float) -> None:
        self.world = world
        self.kind = kind
        self.seconds = seconds
        self.began: float | None = None
        self.failed = 0

    def away(self) -> bool:
        """Whether nothing is answered now."""
        slept = self.world.clock.slept
        return self.began is not None and slept - self.began < self.seconds

    def __getattr__(self, name: str) -> Any:
        call = getattr(self.world.cluster, name)

        def asked(*args: Any, **kwargs: Any) -> Any:
            capturing = bool(self.world.log.of("capturing"))
            if name == "pages" and args[0].kind == self.kind and self.began is None and capturing:
                self.began = self.world.clock.slept
            if self.away():
                self.failed += 1
                raise (Incomplete if name == "pages" else Transient)("connection refused")
            return call(*args, **kwargs)

        return asked


@pytest.mark.parametrize("kind", ["ConfigMap", "Deployment", "Namespace"])
def test_an_outage_while_kinds_are_listed_is_no_gap(kind: str) -> None:
    world, calm = RunWorld(), RunWorld()
    outage = Outage(world, kind, seconds=120)
    result = world.run(reader=outage)
    assert outage.failed >= 2
    assert calm.run().error is None
    assert result.record.outcome is Outcome.COMPLETED
    assert result.record.gaps == ()
    assert world.tree().keys() == calm.tree().keys()
    assert {line["what"] for line in world.log.of("trying again")} == {"listing"}


def test_an_outage_that_outlasts_the_deadline_is_a_failed_run() -> None:
    world = RunWorld()
    outage = Outage(world, "ConfigMap", seconds=1200)
    result = world.run(reader=outage)
    assert result.record.outcome is Outcome.FAILED
    assert "connection refused" in str(result.record.namespaces[0].reasons)
