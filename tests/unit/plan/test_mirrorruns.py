"""What Jobs tell of runs: never a recovery point that may not be there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reconciler.capture.message import make_run_id
from reconciler.model.run import Outcome
from reconciler.plan.mirrorruns import ended_runs

START = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)


def job(
    number: int, begins: int, ends: int | None, *, code: int = 0, **more: Any
) -> dict[str, Any]:
    """A Job that lives from one minute to another; ``code`` of its pod."""
    conditions = []
    if ends is not None:
        when = text(ends)
        told = f"Container run for pod a/b failed with exit code {code} matching FailJob rule at 1"
        conditions = [
            {"type": "Suspended", "status": "False", "lastTransitionTime": when},
            {"type": "Failed", "status": "True", "message": told, "lastTransitionTime": when}
            if code
            else {"type": "Complete", "status": "True", "lastTransitionTime": when},
        ]
    labels = {"backstay.dev/component": "run", "backstay.dev/policy": "shop"}
    metadata = {
        "name": f"shop-{number}",
        "uid": f"0000{number}000-0000-4000-8000-000000000000",
        "creationTimestamp": text(begins),
        "labels": labels,
        **more,
    }
    return {"metadata": metadata, "status": {"conditions": conditions}}


def text(minute: int) -> str:
    return moment(minute).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def told(*jobs: dict[str, Any]) -> list[tuple[Outcome, datetime | None]]:
    """(outcome, since when its recovery point holds) of each run that ended, oldest first."""
    found = ended_runs(jobs, make_run_id).get("shop", ())
    return [(run.outcome, run.good) for run in found]


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (1, Outcome.FAILED),
        (3, Outcome.PARTIALLY_FAILED),
        (4, Outcome.FAILED_VALIDATION),
        (12, Outcome.FAILED),
        (137, Outcome.FAILED),
    ],
)
def test_only_a_run_that_ended_well_is_a_good_one(code: int, outcome: Outcome) -> None:
    assert told(job(1, 0, 5), job(2, 10, 15, code=code)) == [
        (Outcome.COMPLETED, moment(0)),
        (outcome, None),
    ]


def test_a_failure_without_an_exit_code_is_one() -> None:
    late = job(1, 0, 5, code=1)
    late["status"]["conditions"][1]["message"] = "Job was active longer than specified deadline"
    assert told(late) == [(Outcome.FAILED, None)]


def test_a_run_is_named_as_its_record_is_and_runs_are_in_order() -> None:
    runs = ended_runs([job(2, 10, 15), job(1, 0, 5), job(3, 20, None)], make_run_id)["shop"]
    assert [run.name for run in runs] == [
        "shop-20261121-040000-00001",
        "shop-20261121-041000-00002",
    ]
    assert [(run.started, run.finished) for run in runs] == [
        (moment(0), moment(5)),
        (moment(10), moment(15)),
    ]


def test_a_run_that_was_left_out_is_not_taken_for_a_good_one() -> None:
    """It ended well within the life of another, which may still fail."""
    assert told(job(1, 0, None), job(2, 5, 6)) == [(Outcome.SKIPPED, None)]
    assert told(job(1, 0, 10, code=1), job(2, 5, 6)) == [
        (Outcome.FAILED, None),
        (Outcome.SKIPPED, None),
    ]
    assert told(job(1, 0, 10), job(2, 5, 6)) == [
        (Outcome.COMPLETED, moment(0)),
        (Outcome.SKIPPED, None),
    ]


def test_of_runs_that_overlap_the_earliest_start_counts_and_only_if_all_ended_well() -> None:
    assert told(job(1, 0, 10), job(2, 5, 15)) == [
        (Outcome.COMPLETED, moment(0)),
        (Outcome.COMPLETED, moment(0)),
    ]
    assert told(job(1, 0, 10, code=1), job(2, 5, 15))[1] == (Outcome.COMPLETED, None)
    assert told(job(1, 0, 10), job(2, 5, None)) == [(Outcome.COMPLETED, None)]


def test_two_that_began_and_ended_together_are_one_good_run() -> None:
    found = told(job(1, 0, 10), job(2, 0, 10))
    assert sorted(found, key=str) == [(Outcome.COMPLETED, moment(0)), (Outcome.SKIPPED, None)]


@pytest.mark.parametrize(
    "more",
    [
        {"labels": {"backstay.dev/policy": "shop"}},
        {"labels": {"backstay.dev/component": "run"}},
        {"uid": ""},
        {"creationTimestamp": None},
    ],
)
def test_what_is_no_run_of_ours_tells_nothing(more: dict[str, Any]) -> None:
    assert told(job(1, 0, 5, **more)) == []
