"""A commit that is open for as long as its run works."""

from __future__ import annotations

from reconciler.adapters.gitcommit import OPEN_SECONDS
from reconciler.plan.cronjob import RUN_DEADLINE


def test_a_commit_may_stay_open_for_as_long_as_a_run_lives() -> None:
    """Its record comes last, after movers that may work until the run's deadline."""
    assert OPEN_SECONDS > RUN_DEADLINE
