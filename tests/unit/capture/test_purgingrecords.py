"""A value that stands in a record by chance: what a restore goes by stays, or nothing is made."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.capture import record
from reconciler.capture.purging import WORD, Purge
from reconciler.capture.purgingrecords import check_record
from reconciler.model.errors import Refused
from reconciler.model.objects import Gap
from tests.unit.capture import records

TEXT = record.render_record(records.FULL)


def purged(value: str, text: bytes = TEXT) -> bytes:
    made = Purge([value]).take_out(text, "_run.yaml")
    assert made is not None, value
    return made


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("85899345", "could not be read any more"),  # bytes of a volume
        ("20261121", "name something else"),  # the run
        ("3f0a3f0a", "name something else"),  # a snapshot
        ("02ab02ab", "name something else"),  # that of the Secrets
        ("02be02be", "name something else"),  # a repository's id
        ("example.org", "name something else"),  # its URL
        ("restic-main", "name something else"),  # its Secret
        ("web-cache", "name something else"),  # a claim
        ("shop-reviews", "name something else"),  # a namespace
        ("5b0c7a2e", "name something else"),  # the cluster
        ("prod-eu", "name something else"),
        ("Completed", "could not be read any more"),  # an outcome
        ("2026-11-21T04:17", "could not be read any more"),  # a time
    ],
)
def test_what_a_restore_goes_by_is_not_changed(value: str, why: str) -> None:
    with pytest.raises(Refused, match=f"without it _run.yaml .*{why}"):
        check_record(TEXT, purged(value), "_run.yaml")


@pytest.mark.parametrize("value", ["rebuilt on start", "3 files could not", "is gone, or another"])
def test_sentences_may_lose_it(value: str) -> None:
    made = purged(value)
    check_record(TEXT, made, "_run.yaml")
    assert WORD.encode() in made


def test_warnings_and_why_something_could_not_be_listed_may_lose_it() -> None:
    gaps = (Gap(group="apps", plural="deployments", reason="said correct horse battery"),)
    warnings = ("correct horse battery was said",)
    text = record.render_record(replace(records.FULL, gaps=gaps, warnings=warnings))
    check_record(text, purged("correct horse battery", text), "_run.yaml")


def test_what_was_no_record_is_not_judged() -> None:
    check_record(b"a: leaked-it\n", purged("leaked-it", b"a: leaked-it\n"), "_run.yaml")
