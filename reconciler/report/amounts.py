"""Amounts as people read them."""

from __future__ import annotations

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def render_count(count: int, thing: str) -> str:
    """``1 file``, ``2 files``; for words whose plural is made with an s."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def render_bytes(count: int) -> str:
    """Bytes in the largest binary unit that leaves at least one: ``1.2 GiB``, ``17 B``."""
    amount = float(count)
    for unit in _UNITS:
        if round(abs(amount), 1) < 1024 or unit == _UNITS[-1]:
            break
        amount /= 1024
    text = f"{amount:.1f}".removesuffix(".0") if unit != "B" else str(count)
    return f"{text} {unit}"


def render_seconds(count: float) -> str:
    """Seconds as ``2m 4s``, ``1h 0m``, ``17s``."""
    seconds = round(count)
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m {seconds % 60}s"
    return f"{seconds // 3600}h {seconds % 3600 // 60}m"
