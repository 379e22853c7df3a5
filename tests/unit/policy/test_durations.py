"""Durations, sizes and percent, and what is not one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model import durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("15m", 900),
        ("26h", 93600),
        ("7d", 604800),
        ("1h30m", 5400),
        ("1d2h3m4s", 93784),
    ],
)
def test_durations(text: str, seconds: int) -> None:
    assert durations.parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "h",
        "-5m",
        "5 m",
        "1.5h",
        "0s",
        "0d0h",
        "30m1h",
        "1w",
        "5M",
        "9" * 12 + "d",
        "٣h",
        "1h\n",
    ],
)
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|longer"):
        durations.parse_duration(text)


@given(st.integers(1, durations.MAX_DURATION))
def test_rendered_durations_are_read_back(seconds: int) -> None:
    assert durations.parse_duration(durations.render_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(93600, "26h"), (5400, "1h30m"), (604800, "7d"), (86400, "24h"), (90, "1m30s")],
)
def test_rendered_durations(seconds: int, text: str) -> None:
    assert durations.render_duration(seconds) == text


@pytest.mark.parametrize(("text", "percent"), [("0%", 0), ("5%", 5), ("100%", 100)])
def test_percent(text: str, percent: int) -> None:
    assert durations.parse_percent(text) == percent


@pytest.mark.parametrize("text", ["5", "101%", "-1%", "5.5%", "%", "5 %"])
def test_no_percent(text: str) -> None:
    with pytest.raises(ValueError, match="percentage"):
        durations.parse_percent(text)


@pytest.mark.parametrize("text", ["1y", "90d", "12h", "1y6d12h"])
def test_spans_of_retention(text: str) -> None:
    assert durations.parse_keep_duration(text) == text


@pytest.mark.parametrize("text", ["", "6m", "2y5m7d3h", "30", "0d", "1d1y", "1w"])
def test_no_spans_of_retention(text: str) -> None:
    with pytest.raises(ValueError, match=r"span|months"):
        durations.parse_keep_duration(text)
