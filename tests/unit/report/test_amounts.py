"""Amounts as people read them."""

from __future__ import annotations

import pytest

from reconciler.report.amounts import render_bytes, render_seconds


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (17, "17 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (1024**2 - 1, "1 MiB"),
        (1_288_490_188, "1.2 GiB"),
        (85_899_345_920, "80 GiB"),
        (5 * 1024**6, "5120 PiB"),
    ],
)
def test_bytes(count: int, text: str) -> None:
    assert render_bytes(count) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0s"), (17.4, "17s"), (59.6, "1m 0s"), (124, "2m 4s"), (3599, "59m 59s"),
        (3600, "1h 0m"), (90_061, "25h 1m"),
    ],
)  # fmt: skip
def test_seconds(count: float, text: str) -> None:
    assert render_seconds(count) == text
