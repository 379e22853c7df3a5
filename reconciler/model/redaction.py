"""What a policy says of credentials outside Secrets: ``manifests.redact``, as checked values."""

from __future__ import annotations

from dataclasses import dataclass, field

from reconciler.model.jsonform import WHEN_SET

ANNOTATIONS_ONLY = frozenset(
    {
        "secret",
        "namespace",
        "persistentvolumeclaim",
        "customresourcedefinition.apiextensions.k8s.io",
    }
)
"""Kinds of which a policy's rule gets the annotations alone: values of Secrets are never in Git,
and Backstay itself reads the rest of the others when it restores."""
MOST_PATHS = 500
"""Of a policy, in all of its rules."""
MOST_WILDCARDS = 3
"""Of a path: the more, the more parts of an object fit many paths at once, and each costs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactRule:
    """Redacts what stands at ``paths``, or below them, in ``kinds`` (globs of ``kind.group``)."""

    name: str
    kinds: tuple[str, ...]
    paths: tuple[str, ...]
    """As `fieldpaths.parse` reads them."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepRule:
    """Leaves in clear what a default rule finds at exactly these ``paths``."""

    name: str
    kinds: tuple[str, ...]
    paths: tuple[str, ...]
    names: tuple[str, ...] = ()
    """Globs of the objects' names; none means all."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Redact:
    """Both lists, in the policy's order."""

    rules: tuple[RedactRule, ...] = ()
    keep: tuple[KeepRule, ...] = ()
    keep_file: str = field(default="", metadata=WHEN_SET)
    """The file that says ``keep``, the policy's or its Profile's: whether it may is for the grant
    that it has on the day of the run. Empty where no grant was asked."""
