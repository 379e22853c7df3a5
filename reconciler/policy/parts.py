"""What every mapping of the language is made of: its base class, its rules, and shared parts.

A rule that concerns several fields (`Need`) is data, not code: the check, the JSON Schema and the
CEL rule of the CRD are all made from it. The same holds for short forms.
"""

from __future__ import annotations

import enum
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from reconciler.policy import fields
from reconciler.policy.fields import Wrong


class Rule(enum.Enum):
    """How many of some fields must be given; an empty list or mapping is not given."""

    ANY = "at least one"
    ONE = "exactly one"
    MOST_ONE = "at most one"
    TOGETHER = "the first only with the second"


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A rule over several fields of one part, named as in YAML."""

    rule: Rule
    fields: tuple[str, ...]
    message: str
    """A predicate: "selects nothing"."""
    hint: str = ""

    def met(self, given: Collection[str]) -> bool:
        """``given`` are the fields that stand there and are not empty."""
        count = sum(name in given for name in self.fields)
        match self.rule:
            case Rule.ANY:
                return count > 0
            case Rule.ONE:
                return count == 1
            case Rule.MOST_ONE:
                return count < 2
            case Rule.TOGETHER:
                return self.fields[0] not in given or self.fields[1] in given

    @property
    def completable(self) -> bool:
        """Whether what is missing may still come from a profile, or from who uses the profile."""
        return self.rule is Rule.ANY


@dataclass(frozen=True, slots=True)
class ShortForm:
    """A text or a list in place of a mapping with that one field."""

    field: str
    written: type[str | list[Any]]


class Incomplete(Wrong):
    """Wrong as it stands, and right once a profile adds what is missing."""


class Part(BaseModel):
    """Base of every mapping in the language."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
    )

    short_form: ClassVar[ShortForm | None] = None
    needs: ClassVar[tuple[Need, ...]] = ()
    whole: ClassVar[bool] = False
    """Whether it replaces a profile's as one, and is not merged by field."""

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, value: Any) -> Any:
        form = cls.short_form
        if form is not None and isinstance(value, form.written):
            return {form.field: value}
        return value

    @model_validator(mode="after")
    def _meet_needs(self) -> Self:
        if not self.needs:
            return self
        given = self.given()
        for need in self.needs:
            if not need.met(given):
                kind = Incomplete if need.completable and not self.whole else Wrong
                raise kind(need.message, need.hint)
        return self

    def given(self) -> set[str]:
        """Fields, as in YAML, that have something in them."""
        pairs = (
            (info.alias, getattr(self, name)) for name, info in type(self).model_fields.items()
        )
        return {str(alias) for alias, value in pairs if value is not None and value not in ([], {})}


class Metadata(Part):
    """What the document is called."""

    name: fields.LabelName
    """DNS-1123 label, unique per kind in the whole policy repository."""


class LabelSelector(Part):
    """Label selector; all labels must match."""

    needs = (
        Need(
            rule=Rule.ANY,
            fields=("matchLabels",),
            message="selects nothing",
            hint="give matchLabels, such as {app: db}",
        ),
    )

    match_labels: fields.Labels = Field(default_factory=dict)
    """Labels that must be carried, all of them."""


class NameRef(Part):
    """A Secret in Backstay's own namespace."""

    name: fields.ObjectName
    """Its name."""


class NamespacesPart(Part):
    """Which namespaces. Names are OR, names and labels are AND, `exclude` wins."""

    short_form = ShortForm("names", list)
    needs = (
        Need(
            rule=Rule.ANY,
            fields=("names", "matchLabels"),
            message="selects nothing",
            hint="give names or matchLabels",
        ),
    )

    names: fields.Globs = Field(default_factory=list)
    """Names or globs, one must match; by default any, if there are labels. `*` leaves out `kube-*`
    and Backstay's own namespace unless they are named."""
    match_labels: fields.Labels = Field(default_factory=dict)
    """Labels that the namespace must carry, all of them."""
    exclude: fields.Globs = Field(default_factory=list)
    """Names or globs that are left out; exclude wins."""


class ClustersPart(Part):
    """Which clusters of the fleet. Names are OR, names and labels are AND, `exclude` wins."""

    short_form = ShortForm("names", list)
    needs = (
        Need(
            rule=Rule.ANY,
            fields=("names", "matchLabels"),
            message="selects no cluster",
            hint="give names or matchLabels, or leave clusters out for all",
        ),
    )

    names: fields.Globs = Field(default_factory=list)
    """Names or globs of `cluster.name` in Config, one must match; by default any, if there are
    labels."""
    match_labels: fields.Labels = Field(default_factory=dict)
    """Labels that Config must give the cluster, all of them."""
    exclude: fields.Globs = Field(default_factory=list)
    """Names or globs that are left out; exclude wins."""
