"""The record and its neighbours: as the golden files show them, and read back equal."""

from __future__ import annotations

import dataclasses
import re

import pytest

from reconciler.capture import record
from reconciler.model import run
from reconciler.model.errors import Stalled
from tests.conftest import Golden
from tests.unit.capture import records


def test_a_failed_run_says_how_it_ends() -> None:
    text = record.render_record(records.FAILED)
    assert b"outcome: Failed\nfailure:\n  reason: WrongPassword\n  exitCode: 12\n" in text
    assert record.parse_record(text) == records.FAILED


def test_the_record(golden: Golden) -> None:
    text = record.render_record(records.FULL)
    golden("capture/_run.yaml", text)
    assert record.parse_record(text) == records.FULL


def test_the_smallest_record(golden: Golden) -> None:
    text = record.render_record(records.SMALLEST)
    golden("capture/_run-smallest.yaml", text)
    assert record.parse_record(text) == records.SMALLEST


def test_the_repositories(golden: Golden) -> None:
    text = record.render_repositories(records.ENTRIES)
    golden("capture/_repositories.yaml", text)
    assert record.parse_repositories(text) == tuple(reversed(records.ENTRIES))
    assert record.render_repositories(tuple(reversed(records.ENTRIES))) == text
    assert record.parse_repositories(record.render_repositories(())) == ()


def test_the_marker(golden: Golden) -> None:
    text = record.render_cluster(records.MARKER)
    golden("capture/_cluster.yaml", text)
    assert record.parse_cluster(text) == records.MARKER


def test_a_failed_volume_has_no_numbers_and_stays_failed() -> None:
    failed = run.VolumeRecord(
        claim="x", copy_method="Direct", why="y", outcome=run.Outcome.FAILED, reason="no space"
    )
    part = dataclasses.replace(records.FULL.namespaces[0], volumes=(failed,))
    text = record.render_record(dataclasses.replace(records.FULL, namespaces=(part,)))
    assert b"size" not in text
    assert record.parse_record(text).namespaces[0].volumes == (failed,)


def test_zero_files_are_not_the_same_as_no_snapshot() -> None:
    empty = dataclasses.replace(records.FULL.namespaces[0].volumes[0], files=0, size=0, added=0)
    part = dataclasses.replace(records.FULL.namespaces[0], volumes=(empty,))
    text = record.render_record(dataclasses.replace(records.FULL, namespaces=(part,)))
    assert b"files: 0" in text
    assert record.parse_record(text).namespaces[0].volumes == (empty,)


def test_fields_of_a_later_version_are_ignored() -> None:
    text = record.render_record(records.SMALLEST) + b"hooks:\n- name: quiesce\n"
    assert record.parse_record(text) == records.SMALLEST


@pytest.mark.parametrize(
    ("pattern", "instead", "message"),
    [
        ("kind: Run", "kind: Walk", "_run.yaml.kind: must be Run"),
        ("v1alpha1", "v2", "apiVersion: must be backstay.dev/v1alpha1"),
        ("outcome: Completed", "outcome: Fine", "outcome: must be one of Skipped, Completed"),
        ("files: 1204", "files: many", r"volumes\[0\].files: must be a whole number"),
        ("files: 1204", "files: -1", "files: must be a whole number"),
        ("files: 1204", "files: true", "files: must be a whole number"),
        ('"2026-11-21T04:19:07Z"', "yesterday", "finished: must be a time in UTC"),
        ('"2026-11-21T04:19:07Z"', "2026", "finished: must be a string"),
        ("warnings:\n", "warnings:\n- a: b\n", "warnings: must be a list of strings"),
        ("gaps:\n", "gaps:\n- text\n", "gaps: must be a list of mappings"),
        ("keepLast: 3", "keepLast: [3]", "retention: must be a mapping to numbers and strings"),
        ("  uid: .*\n", "", "_run.yaml.cluster.uid: must be a string"),
        ("namespaces:\n", "namespaces: 1\nx:\n", "namespaces: must be there"),
    ],
)
def test_a_broken_record_says_where(pattern: str, instead: str, message: str) -> None:
    text = record.render_record(records.FULL).decode()
    broken = re.sub(pattern, instead, text, count=1)
    assert broken != text
    with pytest.raises(Stalled, match=message):
        record.parse_record(broken.encode())


def test_every_time_is_utc() -> None:
    assert record.render_time(records.FULL.started) == "2026-11-21T04:17:03Z"
