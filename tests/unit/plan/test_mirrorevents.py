"""Events: one for each change of state, none without, and the same one when it is said again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.plan.mirrorevents import MirrorEvent, make_event, status_events

NOW = datetime(2026, 11, 21, 4, 17, 3, 42, tzinfo=UTC)
LIVE = {
    "apiVersion": "backstay.dev/v1alpha1",
    "kind": "BackupPolicy",
    "metadata": {
        "name": "s" * 63,
        "namespace": "backstay-system",
        "uid": "7c1e9000-0000-4000-8000-000000000001",
        "resourceVersion": "7",
    },
}


def event(note: str = "x", **metadata: str) -> dict[str, Any]:
    live = LIVE | {"metadata": {**LIVE["metadata"], **metadata}}  # type: ignore[dict-item]
    return make_event(MirrorEvent("Applied", note), live, instance="pod/uid", now=NOW)


def condition(kind: str, status: str, reason: str, message: str = "x") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


READY = {"conditions": [condition("Ready", "True", "Applied")], "digest": "1"}


def reasons(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return [one.reason for one in status_events(old, new)]


def test_its_name_is_made_of_what_it_says_and_of_what_version() -> None:
    name = event()["metadata"]["name"]
    assert name == event()["metadata"]["name"]
    assert len({name, *(e["metadata"]["name"] for e in (
        event("y"), event(resourceVersion="8"), event(uid="another")
    ))}) == 4  # fmt: skip
    assert len(name) <= 253


@pytest.mark.parametrize("sign", ["a", "\N{SNOWMAN}", "\N{GRINNING FACE}"])
def test_a_long_note_is_cut_to_what_the_server_takes(sign: str) -> None:
    note = event(sign * 5000)["note"]
    assert len(note.encode()) <= 1024
    assert note.endswith("…")


def test_the_same_status_says_nothing() -> None:
    assert reasons(READY, READY) == []
    assert reasons(READY, READY | {"nextRun": "2026-11-22T02:17:00Z"}) == []


def test_what_stalls_is_told_when_it_begins_changes_and_ends() -> None:
    def stalled(message: str) -> dict[str, Any]:
        both = ("InvalidPolicy", message)
        return READY | {
            "conditions": [
                condition("Ready", "False", *both), condition("Stalled", "True", *both)
            ]
        }  # fmt: skip

    assert reasons(READY, stalled("a:1:1")) == ["InvalidPolicy"]
    assert reasons(stalled("a:1:1"), stalled("a:1:1")) == []
    assert reasons(stalled("a:1:1"), stalled("a:2:1")) == ["InvalidPolicy"]
    assert reasons(stalled("a:2:1"), READY) == ["Recovered"]


@pytest.mark.parametrize("kind", ["Reconciling", "Stalled"])
def test_trouble_of_the_whole_cycle_is_not_told_of_each_policy(kind: str) -> None:
    away = READY | {"conditions": [*READY["conditions"], condition(kind, "True", "SourceFailed")]}
    assert reasons(READY, away) == []
    assert reasons(away, READY) == []


def test_a_run_is_told_once_and_only_if_something_was_wrong() -> None:
    def ran(name: str, outcome: str) -> dict[str, Any]:
        return READY | {"lastRun": {"name": name, "outcome": outcome}}

    assert reasons(READY, ran("a", "Completed")) == []
    assert reasons(READY, ran("a", "Skipped")) == []
    for outcome in ("Failed", "PartiallyFailed", "FailedValidation"):
        assert reasons(ran("a", "Completed"), ran("b", outcome)) == [f"Run{outcome}"]
        assert reasons(ran("b", outcome), ran("b", outcome)) == []
