"""A policy as it is in force, field by field, each with the place that it comes from."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from reconciler.model.grants import Grant


class Origin(enum.StrEnum):
    """Who gave a field its value."""

    POLICY = "policy"
    PROFILE = "profile"
    DEFAULT = "default"
    """Nobody: the language's own, or for ``volumes.repository`` the only one that there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveField:
    """One value. ``path`` is dotted, below ``spec``: ``schedule.timeZone``."""

    path: str
    value: object
    """Plain: text, number, bool, a list, or a mapping of labels."""
    origin: Origin
    file: str = ""
    line: int = 0
    note: str = ""
    """What there is to say of it: that this version records it only, what else was in question."""

    @property
    def place(self) -> str:
        """``policies/shop.yaml:15``; empty for a default."""
        return f"{self.file}:{self.line}" if self.file else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectivePolicy:
    """A good policy with everything that its profile and the language add."""

    name: str
    source: str
    """``policies/shop.yaml:12``, where its name stands."""
    fields: tuple[EffectiveField, ...]
    revision: str = ""
    """``main@sha1:<hex>``; empty where it was read from a folder."""
    profile: str = ""
    profile_source: str = ""
    cluster: str = ""
    """For which cluster; empty where nobody said."""
    elsewhere: str = ""
    """Why that cluster does not take it."""
    grant: Grant | None = None
    """What its folder may use, by Config."""
    cron: str = ""
    """The schedule as the CronJob gets it; empty where that depends on a cluster not named."""
