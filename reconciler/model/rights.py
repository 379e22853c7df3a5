"""A right on the API, as RBAC and an access review name it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Right:
    """``verb`` on ``resource`` (plural, ``*`` for all) of ``group`` (empty: the core one).

    ``namespace`` is empty for every namespace and for what has none. ``name`` narrows it to one
    object.
    """

    verb: str
    group: str = ""
    resource: str
    name: str = ""
    namespace: str = ""

    @property
    def kind(self) -> str:
        """``jobs.batch``, ``secrets``; ``everything`` for all resources of all groups."""
        if (self.group, self.resource) == ("*", "*"):
            return "everything"
        return f"{self.resource}.{self.group}" if self.group else self.resource

    def __str__(self) -> str:
        what = f"{self.verb} {self.kind}{' ' + self.name if self.name else ''}"
        return f"{what} in {self.namespace}" if self.namespace else what


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the API server says to a right; ``reason`` is the authorizer's, often empty."""

    allowed: bool
    reason: str = ""
