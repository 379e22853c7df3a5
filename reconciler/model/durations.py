"""Durations ``30s 15m 26h 7d`` and percent ``5%``: text ↔ integers.

All functions raise ValueError with a sentence for the person who wrote the text.
"""

from __future__ import annotations

import re

MAX_DURATION = 100 * 365 * 86400

_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(
    r"(?:([0-9]{1,12})d)?(?:([0-9]{1,12})h)?(?:([0-9]{1,12})m)?(?:([0-9]{1,12})s)?"
)
_PERCENT = re.compile(r"([0-9]{1,3})%")
_KEEP = re.compile(r"(?:([0-9]{1,6})y)?(?:([0-9]{1,6})d)?(?:([0-9]{1,6})h)?")


def parse_duration(text: str) -> int:
    """Seconds of ``90s``, ``15m``, ``1h30m``, ``7d``; more than none, at most 100 years."""
    found = _DURATION.fullmatch(text)
    if found is None or not text:
        raise ValueError("is not a duration such as 30s, 15m, 26h, 1h30m or 7d")
    parts = zip(found.groups(), _SECONDS.values(), strict=True)
    seconds = sum(int(number) * factor for number, factor in parts if number)
    if not 0 < seconds <= MAX_DURATION:
        raise ValueError("must be longer than 0 s and not longer than 36500d")
    return seconds


def render_duration(seconds: int) -> str:
    """The shortest text that `parse_duration` reads back: 93600 → ``26h``, 5400 → ``1h30m``."""
    for unit, factor in _SECONDS.items():
        if seconds % factor == 0 and (unit != "d" or seconds >= 2 * factor):
            return f"{seconds // factor}{unit}"
        if unit != "d" and seconds > factor:
            return f"{seconds // factor}{unit}{render_duration(seconds % factor)}"
    return f"{seconds}s"


def parse_percent(text: str) -> int:
    """0 to 100 from ``5%``."""
    found = _PERCENT.fullmatch(text)
    if found is None or int(found[1]) > 100:
        raise ValueError("is not a percentage from 0% to 100%")
    return int(found[1])


def parse_keep_duration(text: str) -> str:
    """Checks a span of retention, ``1y6d12h``, and returns it: restic's form without its months.

    ``m`` is refused: it means months to restic and minutes everywhere else in a policy.
    """
    if re.search(r"[0-9]m", text):
        raise ValueError("has `m`, which is months to restic and minutes elsewhere: write days")
    found = _KEEP.fullmatch(text)
    if found is None or not any(number and int(number) for number in found.groups()):
        raise ValueError("is not a span such as 1y, 90d or 1y6d12h")
    return text
