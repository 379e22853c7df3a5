"""The API server goes away in the middle of a capture: it is waited for, and nothing is missing."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.engine.run import execute_run
from reconciler.model.errors import Incomplete, Interrupted, Transient
from reconciler.model.run import Outcome
from tests.unit.engine.run_world import RunWorld


class Outage:
    """The reader of a world whose API server is away from one list on, for so many seconds."""

    def __init__(
        self, world: RunWorld, kind: str, *, seconds: float, call: str = "pages", nth: int = 1
    ) -> None:
        self.world = world
        self.kind = kind
        self.call = call
        self.left = nth
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
            if name == self.call and self.began is None:
                if name == "discover" or (capturing and args[0].kind == self.kind):
                    self.left -= 1
                if self.left == 0:
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


def test_an_outage_while_kinds_are_discovered_is_waited_for() -> None:
    world = RunWorld()
    outage = Outage(world, "", seconds=120, call="discover")
    assert world.run(reader=outage).record.outcome is Outcome.COMPLETED
    assert {line["what"] for line in world.log.of("trying again")} == {"discovering kinds"}


def test_an_outage_as_namespaces_are_looked_at_again_is_waited_for() -> None:
    """Everything is captured then: a run that failed now would have worked for nothing."""
    world = RunWorld()
    outage = Outage(world, "Namespace", seconds=120, nth=2)
    result = world.run(reader=outage)
    assert result.record.outcome is Outcome.COMPLETED
    assert result.record.gaps == ()
    told = {line["what"] for line in world.log.of("trying again")}
    assert told == {"looking at the namespaces again"}


@pytest.mark.parametrize(
    ("call", "nth"), [("discover", 1), ("pages", 1), ("pages", 2)], ids=lambda found: str(found)
)
def test_a_run_that_is_to_stop_does_not_wait_for_the_api_server(call: str, nth: int) -> None:
    world = RunWorld()
    outage = Outage(world, "Namespace", seconds=10**6, call=call, nth=nth)
    ports = world.ports(reader=outage)
    with pytest.raises(Interrupted):
        execute_run(world.request(), ports, stopped=lambda: world.clock.slept > 20)
    assert world.clock.slept < 25
