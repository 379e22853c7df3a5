"""A plain scalar means the same to every reader, or is refused."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from reconciler.policy.plain import Ambiguous, read_plain


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("FALSE", False),
        ("0", 0),
        ("-12", -12),
        ("+7", 7),
        ("1.5", 1.5),
        ("-0.25", -0.25),
        ("shop", "shop"),
        ("26h", "26h"),
        ("10Gi", "10Gi"),
        ("5%", "5%"),
        ("7d", "7d"),
        ("1y6d", "1y6d"),
        ("0 4 * * *", "0 4 * * *"),
        ("Etc/UTC", "Etc/UTC"),
        ("v1.2.3", "v1.2.3"),
        ("1.2.3", "1.2.3"),
        ("yes-please", "yes-please"),
        ("deployment.apps", "deployment.apps"),
        ("s3:https://s3.example.org/b", "s3:https://s3.example.org/b"),
    ],
)
def test_one_meaning(text: str, value: object) -> None:
    assert read_plain(text) == value


@pytest.mark.parametrize(
    "text",
    [
        *("y", "Y", "n", "N", "yes", "No", "ON", "off", "=", "<<"),
        *("010", "08", "0o7", "0O7", "0x1F", "0b11", "1_000", "1__0", "685_230.15", "1_", "6E0_1"),
        *("12:30", "1:30:45", "190:20:30.15", "1e3", "1E5", "12e03", "1e-7", "1.0e3", "01.5"),
        *(".inf", "-.INF", ".nan", "2026-01-01", "2026-11-21T02:00:00Z", "2026-1-1 2:00:00"),
        "12345678901234567890",
    ],
)
def test_two_meanings(text: str) -> None:
    with pytest.raises(Ambiguous):
        read_plain(text)


def test_times_are_text_where_a_field_takes_them() -> None:
    assert read_plain("2026-11-21T02:00:00Z", timestamps=True) == "2026-11-21T02:00:00Z"
    with pytest.raises(Ambiguous):
        read_plain("12:30", timestamps=True)


def test_long_texts_are_read_in_linear_time() -> None:
    """A quadratic pattern would need minutes for these."""
    for text in ("1" * 200_000 + "x", "1_" * 100_000 + "!", "12:" * 60_000 + "x"):
        assert read_plain(text) == text
    for text in ("1" * 200_000, "1_" * 100_000, "12:30" * 40_000, "0x" + "f" * 200_000):
        with pytest.raises(Ambiguous, match="too long"):
            read_plain(text)


WORDS = st.text(st.sampled_from("0123456789_.:eExoObB+-yYnNTZ"), min_size=1, max_size=12)


@settings(max_examples=300, derandomize=True)
@given(WORDS)
def test_what_is_taken_reads_alike_in_yaml_1_1_and_1_2(word: str) -> None:
    """PyYAML is the 1.1 reader, ruamel.yaml the one for 1.2."""
    try:
        value = read_plain(word)
    except Ambiguous:
        return
    try:
        old = yaml.safe_load(word)
        new = YAML(typ="safe", pure=True).load(word)
    except (yaml.YAMLError, YAMLError, ValueError):
        return  # no scalar to one of them
    if isinstance(old, str | int | float | bool | None) and word != "-":
        assert (type(old), old) == (type(value), value)
        assert (type(new), new) == (type(value), value)
