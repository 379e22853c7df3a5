"""The exit code of a run's pod: what the record says, whichever pod wrote it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.cli.run import _conclude
from reconciler.engine.run import RunResult
from reconciler.model.errors import WrongPassword
from reconciler.model.run import FailureRecord, Outcome
from tests.fakes.reporter import FakeReporter
from tests.unit.capture import records


@pytest.mark.parametrize(
    ("outcome", "code"),
    [(Outcome.COMPLETED, 0), (Outcome.PARTIALLY_FAILED, 3), (Outcome.FAILED, 1)],
)
def test_an_outcome_has_its_code(outcome: Outcome, code: int) -> None:
    made = replace(records.SMALLEST, outcome=outcome)
    assert _conclude(RunResult(made, "c0ffee"), FakeReporter()) == code


@pytest.mark.parametrize("code", [1, 10, 11, 12])
def test_a_failed_run_that_another_pod_recorded_ends_with_its_code(code: int) -> None:
    made = replace(records.FAILED, failure=FailureRecord(reason="Some", exit_code=code))
    assert _conclude(RunResult(made, "c0ffee"), FakeReporter()) == code


def test_a_failed_run_ends_with_its_error() -> None:
    error = WrongPassword("wrong password")
    with pytest.raises(WrongPassword):
        _conclude(RunResult(records.FAILED, "c0ffee", error), FakeReporter())
