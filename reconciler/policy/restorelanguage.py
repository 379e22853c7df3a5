"""The language of Restore: one restore, merged into Git, executed once in one cluster."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from reconciler.policy import fields
from reconciler.policy.fields import Wrong
from reconciler.policy.parts import Metadata, Need, Part, Rule


class FromPart(Part):
    """Which recovery point is restored."""

    needs = (
        Need(
            rule=Rule.ONE,
            fields=("at", "run", "commit"),
            message="needs exactly one of at, run and commit",
            hint="such as {policy: shop, at: 2026-11-21T02:00:00Z}",
        ),
        Need(
            rule=Rule.TOGETHER,
            fields=("at", "policy"),
            message="has at without policy",
            hint="name the policy whose recovery point it is",
        ),
        Need(
            rule=Rule.TOGETHER,
            fields=("commit", "policy"),
            message="has commit without policy",
            hint="name the policy on whose branch the commit is",
        ),
    )

    policy: fields.LabelName | None = None
    """Whose recovery point it is; a run's name has it already."""
    at: fields.Moment | None = None
    """The newest recovery point of which all was copied by this time; a date means its end, UTC.
    Not `latest`: which one that is changes from day to day, and this is executed once."""
    run: fields.RunId | None = None
    """The recovery point of this run."""
    commit: fields.CommitId | None = None
    """The recovery point of this commit."""
    cluster: fields.LabelName | None = None
    """Whose recovery points; by default those of the cluster that executes it."""


class RestoreSelectorPart(Part):
    """What of the recovery point is restored. All fields narrow it down."""

    namespaces: Annotated[list[fields.LabelName], Field(max_length=1000)] = Field(
        default_factory=list
    )
    """Captured namespaces; by default all."""
    match_labels: fields.Labels = Field(default_factory=dict)
    """Labels that an object must carry, all of them."""
    claims: fields.Globs = Field(default_factory=list)
    """Names or globs of claims; by default all."""
    paths: Annotated[list[fields.Exclude], Field(max_length=1000)] = Field(default_factory=list)
    """Files and folders below the volumes' roots; by default all."""


class RestoreSpec(Part):
    """What is restored, where, and how."""

    cluster: fields.LabelName
    """The cluster that executes it, by `cluster.name` in Config."""
    from_: FromPart = Field(alias="from")
    """Which recovery point is restored."""
    selector: RestoreSelectorPart = Field(default_factory=RestoreSelectorPart)
    """What of it; by default everything."""
    map_namespaces: fields.NameMap = Field(default_factory=dict)
    """Captured namespace → namespace that it is restored as, beside the original."""
    volumes: Literal["New", "InPlace", "Skip"] = "New"
    """`New` fills only claims that the restore creates. `InPlace` also those that exist, with their
    users scaled to 0 and back. `Skip` none."""
    existing_resource_policy: Literal["Keep", "Update"] = "Keep"
    """What happens to objects that exist."""

    @model_validator(mode="after")
    def _targets_differ(self) -> Self:
        targets = list(self.map_namespaces.values())
        same = sorted(name for name, target in self.map_namespaces.items() if name == target)
        if same:
            raise Wrong(f"maps {same[0]} to itself", "leave it out: it goes to where it was")
        twice = sorted({name for name in targets if targets.count(name) > 1})
        if twice:
            raise Wrong(f"has two namespaces that would become {twice[0]}")
        return self


class RestoreDocument(Part):
    """One restore: merged, it is executed once, in one cluster."""

    api_version: str
    kind: str
    metadata: Metadata
    spec: RestoreSpec
    """What is restored."""
