"""A change of the policies: two revisions as they were read, and what the second one will do.

A `ChangePlan` is made without a cluster, by pure functions of `reconciler.plan.change`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.model.errors import Problem
from reconciler.model.finding import Finding, Place, Severity
from reconciler.model.grants import EVERYTHING, Grant, find_grant
from reconciler.model.policy import Document, ParsedFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenField:
    """A field as a file gives it: ``path`` below ``spec``, its value as JSON, and where."""

    path: str
    value: str
    place: Place
    profile: str = ""
    """The Profile that gave it; empty for the document's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One document with the places of its fields, its profile's among them."""

    place: Place
    """The line of its name."""
    fields: tuple[WrittenField, ...] = ()
    items: Mapping[str, Place] = field(default_factory=dict)
    """Items of lists: ``volumes.rules[0]`` → its line."""
    defaults: Mapping[str, str] = field(default_factory=dict)
    """What the language takes for fields that are not written, as JSON; those it knows."""

    def find(self, path: str) -> Place:
        """The line of a field or item, or of what stands first in it, else of what is above it."""
        places = {**self.items, **{one.path: one.place for one in self.fields}}
        while path:
            if path in places:
                return places[path]
            inside = [one.place for one in self.fields if one.path.startswith(f"{path}.")]
            if inside:
                return min(inside, key=lambda place: (place.file, place.line))
            cut = max(path.rfind("."), path.rfind("["), 0)
            path = path[:cut]
        return self.place


Key = tuple[str, str]
"""Kind and name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """All policy files at one revision; ``shown`` is how people name it."""

    shown: str
    parsed: ParsedFiles = field(default_factory=ParsedFiles)
    written: Mapping[Key, Written] = field(default_factory=dict)
    """Documents that could be read, good or not."""
    grants: tuple[Grant, ...] = EVERYTHING
    """Of the Config that it was read with: what its folders may."""
    path_found: bool = True
    """Whether the folder with the policies is there; where it is not, nothing is deleted."""
    _known: dict[Key, Document] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Of two documents with one name the first counts, as in `ParsedFiles.document`."""
        known = {(one.kind, one.name): one for one in reversed(self.parsed.documents)}
        object.__setattr__(self, "_known", known)

    def document(self, kind: str, name: str) -> Document | None:
        """The document of this kind and name, good or broken."""
        return self._known.get((kind, name))

    def grant(self, document: Document) -> Grant | None:
        """The grant of the folder that a document lies in."""
        return find_grant(self.grants, document.file)

    def place(self, kind: str, name: str, path: str = "") -> Place | None:
        """Where a document says something; None if it is not here."""
        found = self.written.get((kind, name))
        return found.find(path) if found else None


class DocumentAction(enum.StrEnum):
    """What a change does to one document."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """A field before and after, as JSON; empty where it is not written. ``place`` is the line."""

    path: str
    before: str
    after: str
    place: Place | None = None
    profile: str = ""
    """The Profile that gives it now."""
    default: str = ""
    """What stands in for the side that is not written, as JSON, where the language has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentChange:
    """One document; ``place`` is its name's line, in the base for one that is removed."""

    kind: str
    name: str
    action: DocumentAction
    place: Place | None = None
    fields: tuple[FieldChange, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Protected:
    """How many namespaces, and claims whose data is copied, policies protect."""

    namespaces: int = 0
    claims: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePlan:
    """What a change will do to the backups of one cluster."""

    cluster: str
    base: str
    head: str
    findings: tuple[Finding, ...] = ()
    """Loudest first."""
    changes: tuple[DocumentChange, ...] = ()
    problems: tuple[Problem, ...] = ()
    """Of the head; they must be mended before it can be merged."""
    notes: tuple[str, ...] = ()
    """What could not be known, and why."""
    before: Protected | None = None
    """None where there is no inventory to count in."""
    after: Protected | None = None
    taken: datetime | None = None
    """When the inventory was last found to be so."""

    @property
    def empty(self) -> bool:
        """Whether the change does nothing to the policies of this cluster."""
        return not self.changes and not self.findings

    def counts(self) -> dict[str, int]:
        """Findings per severity, every severity named."""
        return {str(s): sum(one.severity is s for one in self.findings) for s in Severity}
