"""Commit messages: for people above, for programs below, and nothing can pass for a trailer."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.capture import message
from reconciler.model import run
from reconciler.model.errors import Stalled
from tests.conftest import Golden
from tests.unit.capture import records

UID = "7c1e9a2e-6c1e-4a55-b3ab-5c8d3a3c9f10"


def test_the_message(golden: Golden) -> None:
    text = message.render_message(records.FULL)
    golden("capture/commit-message.txt", text)
    assert len(text.splitlines()[0]) <= 72
    trailers = message.parse_trailers(text)
    assert message.parse_summary(trailers) == message.summarise(records.FULL)


def test_the_message_of_a_run_without_remarks(golden: Golden) -> None:
    text = message.render_message(records.SMALLEST)
    golden("capture/commit-message-smallest.txt", text)
    assert message.parse_summary(message.parse_trailers(text)) == message.summarise(
        records.SMALLEST
    )


def test_counts_cover_all_parts_and_leave_out_what_was_skipped_by_rule() -> None:
    found = message.summarise(records.FULL)
    assert found.objects == run.Counts(captured=416, created=4, changed=1, deleted=3)
    assert (found.volumes_stored, found.volumes_wanted) == (1, 2)
    assert found.volumes_added == 1_288_490_188


@given(st.text(max_size=80))
def test_no_reason_can_forge_a_trailer(reason: str) -> None:
    warnings = (reason + "\n\nBackstay-Outcome: Completed", "Backstay-Run: mine")
    record = dataclasses.replace(records.FULL, warnings=warnings)
    trailers = message.parse_trailers(message.render_message(record))
    assert message.parse_summary(trailers) == message.summarise(record)
    assert list(trailers) == list(message.render_trailers(message.summarise(record)))


def test_other_commits_are_no_runs() -> None:
    assert message.parse_trailers("fix\n\nSome text\nBackstay-Run: x\n") == {}
    assert message.parse_trailers("") == {}
    assert message.parse_summary({"Signed-off-by": "jane"}) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (message.OBJECTS, "many"),
        (message.VOLUMES, "1 of 2"),
        (message.OUTCOME, "Fine"),
        (message.STARTED, "yesterday"),
        (message.STARTED, "2026-13-21T04:17:03Z"),
        (message.STARTED, "2026-11-21T04:17:03+00:00"),
        (message.STARTED, "2026-W47-6T04:17:03Z"),
    ],
)
def test_broken_trailers_of_a_run_are_an_error(key: str, value: str) -> None:
    trailers = message.render_trailers(message.summarise(records.FULL))
    with pytest.raises(Stalled, match="trailers of run shop-20261121-041703-7c1e9"):
        message.parse_summary({**trailers, key: value})


def test_run_ids_are_made_and_read_back() -> None:
    created = datetime(2026, 11, 21, 5, 17, 3, tzinfo=timezone(timedelta(hours=1)))
    run_id = message.make_run_id("shop-2", created, UID)
    assert run_id == "shop-2-20261121-041703-7c1e9"
    assert message.parse_run_id(run_id) == (
        "shop-2",
        datetime(2026, 11, 21, 4, 17, 3, tzinfo=UTC),
    )
    with pytest.raises(ValueError, match="not a uid"):
        message.make_run_id("shop", created, "xyz")
    for text in ("shop", "shop-20261121-041703", "shop-20261121-041703-7C1E9"):
        with pytest.raises(ValueError, match="not a run id"):
            message.parse_run_id(text)
