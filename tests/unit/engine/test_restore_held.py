"""Whether a restore still has its Lease: asked each ten seconds, whatever the clock does."""

from __future__ import annotations

import pytest

from reconciler.engine.restoreguards import Held
from tests.fakes.clock import FakeClock


@pytest.mark.parametrize(("seconds", "asked"), [(5, 1), (11, 2), (-1, 2), (-3600, 2)])
def test_it_is_asked_again_when_it_is_time_and_when_the_clock_was_set_back(
    seconds: float, asked: int
) -> None:
    questions: list[None] = []
    clock = FakeClock()
    held = Held(lambda: questions.append(None), clock)
    assert held.look() is False
    clock.advance(seconds)
    held.look()
    assert len(questions) == asked
