"""A command's output in the run's log: bounded, and without what looks secret."""

from __future__ import annotations

import pytest

from reconciler.engine.hookoutput import LONGEST, Output, redact
from tests.fakes.reporter import FakeReporter

SECRET = "S3cret-Marker-4711"


@pytest.mark.parametrize(
    "line",
    [
        f"password={SECRET}",
        f"PGPASSWORD: '{SECRET}'",
        f'{{"api_key": "{SECRET}", "user": "me"}}',
        f"Authorization: Bearer {SECRET}",
        f"curl -H 'bearer {SECRET}'",
        f"postgres://app:{SECRET}@db:5432/shop",
        f"the token is {SECRET}",
        f"aws_secret_access_key = {SECRET}",
        f"eyJhbGciOiJIUzI1NiJ9.{SECRET}.{SECRET}",
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\n{SECRET}",
    ],
)
def test_what_looks_secret_is_blotted_out(line: str) -> None:
    assert SECRET not in redact(line)
    assert "*" in redact(line)


@pytest.mark.parametrize("line", ["backup label: 17", "locked 3 tables in 0.2 s", "passed: 12"])
def test_what_does_not_is_shown(line: str) -> None:
    assert redact(line) == line


def test_it_is_bounded_and_counted() -> None:
    output, log = Output(), FakeReporter()
    for _ in range(300):
        output.take(b"x" * 999 + b"\n")
    output.tell(log, hook="q")
    assert output.count == 300_000
    assert len(log.of("hook says")) == LONGEST // 1000 + 1
    assert log.of("hook says more") == [{"hook": "q", "bytes": 300_000}]
    assert all(len(str(line["line"])) <= 500 for line in log.of("hook says"))


def test_control_characters_do_not_reach_a_terminal() -> None:
    output, log = Output(), FakeReporter()
    output.take(b"\x1b[31mred\x00\xff\n\n")
    output.tell(log)
    (line,) = log.of("hook says")
    assert str(line["line"]).isprintable()
