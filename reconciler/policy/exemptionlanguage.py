"""The language of Exemption: what is not backed up on purpose, why, by whom, until when."""

from __future__ import annotations

from pydantic import Field

from reconciler.policy import fields
from reconciler.policy.parts import ClustersPart, Metadata, NamespacesPart, Part


class ExemptMatchPart(Part):
    """What is exempt; different fields are AND."""

    namespaces: NamespacesPart
    """Which namespaces; a list stands for `names`."""
    claims: fields.Globs = Field(default_factory=list)
    """Names or globs of claims; by default the namespaces with all that is in them."""


class ExemptionSpec(Part):
    """What is exempt, why, by whom, until when."""

    clusters: ClustersPart | None = None
    """Which clusters of the fleet; by default all that read this repository."""
    match: ExemptMatchPart
    """What is exempt."""
    reason: fields.Line
    """Why it needs no backup; it stands in every report."""
    owner: fields.Line
    """Who answers for it: a team or a person."""
    expires: fields.Moment
    """Until when; a date means its end, UTC. After that it is unprotected again: somebody has to
    look and extend it."""


class ExemptionDocument(Part):
    """A statement that something is not backed up, on purpose."""

    api_version: str
    kind: str
    metadata: Metadata
    spec: ExemptionSpec
    """What is exempt."""
