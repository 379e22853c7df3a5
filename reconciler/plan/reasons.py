"""Reasons of several namespaces in one sentence or list, each with its place. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reconciler.model.run import NamespaceRecord

_NAMED = 5
"""More namespaces than these are counted."""


def tell_reasons(namespaces: Iterable[NamespaceRecord]) -> tuple[str, ...]:
    """Every reason with its place, for who does not see the namespaces beside them.

    A volume is ``blog/posts``. What is true of several namespaces stands there once.
    """
    told: dict[str, list[str]] = {}
    for part in namespaces:
        for reason in part.reasons:
            placed = _placed(part, reason)
            told.setdefault(placed or reason, []).extend(() if placed else (part.name,))
    return tuple(f"{_named(names)}{reason}" for reason, names in told.items())


def _volume(claim: str) -> str:
    return f"volume {claim}: "


def _placed(part: NamespaceRecord, reason: str) -> str:
    """A reason that says its place by itself, or an empty string."""
    for volume in part.volumes:
        head = _volume(volume.claim)
        if reason.startswith(head):
            return _volume(f"{part.name}/{volume.claim}") + reason.removeprefix(head)
    return reason if f" namespace {part.name}:" in reason else ""


def _named(namespaces: Sequence[str]) -> str:
    if len(namespaces) > _NAMED:
        return f"{len(namespaces)} namespaces: "
    return f"{', '.join(namespaces)}: " if namespaces else ""
