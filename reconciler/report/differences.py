"""A field before and after, short enough for a line, so that the difference is seen.

A long list or mapping is entered as far as one thing in it differs, and what is still too long is
cut around the first character that differs. The JSON form of a plan has both values whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

LONGEST = 120
_BEFORE = 30
"""Characters shown before the first one that differs."""
_MISSING = object()


def difference(path: str, before: str, after: str, *, default: str = "") -> str:
    """``hooks[0].pre.timeout: "30s" → "50s"`` of two values as JSON, empty where not written.

    ``default`` is what stands in for the side that is not written, empty where nothing is known to.
    """
    if max(len(before), len(after)) > LONGEST:
        path, before, after = _entered(path, before, after)
    before, after = _cut(before, after)
    absent = f"{default} (default)" if default else "not written"
    return f"{path}: {before or absent} → {after or absent}"


def _entered(path: str, before: str, after: str) -> tuple[str, str, str]:
    try:
        old, new = json.loads(before), json.loads(after)
    except ValueError:  # one is not written, or what is masked in it made it none
        return path, before, after
    while len(found := list(_differing(old, new))) == 1:
        step, old, new = found[0]
        path += step
    return path, _written(old), _written(new)


def _differing(old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """What differs in two lists of one length, or two mappings; nothing where they are neither."""
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (was, now) in enumerate(zip(old, new, strict=True)):
            if _written(was) != _written(now):
                yield f"[{number}]", was, now
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            was, now = old.get(key, _MISSING), new.get(key, _MISSING)
            if _written(was) != _written(now):
                yield f".{key}", was, now


def _written(value: Any) -> str:
    return "" if value is _MISSING else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _cut(before: str, after: str) -> tuple[str, str]:
    """Both from shortly before the first character that differs, where either is too long."""
    if max(len(before), len(after)) <= LONGEST:
        return before, after
    same = next(
        (at for at, (was, now) in enumerate(zip(before, after, strict=False)) if was != now),
        min(len(before), len(after)),
    )
    start = max(0, same - _BEFORE)
    return _shown(before, start), _shown(after, start)


def _shown(value: str, start: int) -> str:
    text = f"…{value[start:]}" if value and start else value
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
