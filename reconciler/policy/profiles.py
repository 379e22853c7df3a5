"""A policy and its profile → one tree, which still knows what came from where.

What stands in the policy replaces what stands in the profile: lists, labels and `retention` as a
whole, everything else field by field. Short forms are written out first, so a policy's
``schedule: "17 4 * * *"`` and a profile's time zone come together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.policy import nodes, schema
from reconciler.policy.language import BackupPolicySpec
from reconciler.policy.nodes import Mapping, Node, Path, Scalar
from reconciler.policy.parts import Part

Names = tuple[str, ...]
"""A path of names only."""


@dataclass(frozen=True, slots=True)
class Merged:
    """``root`` has the policy's head and everything that both give below ``spec``."""

    root: Mapping
    given: frozenset[Path]
    """The topmost paths that the profile gave."""

    def inherited(self, path: Path) -> bool:
        """Whether the value at a path is the profile's."""
        return any(path[: len(given)] == given for given in self.given)


def merge(policy: Mapping, profile: Mapping) -> Merged:
    """Neither is changed. Where one has no ``spec``, the other's stands."""
    given: set[Path] = set()
    path: Path = ("spec",)
    over, base = nodes.child(policy, "spec"), nodes.child(profile, "spec")
    root = Mapping(policy.line, policy.column, dict(policy.keys), dict(policy.values))
    if over is not None and base is not None:
        root.values["spec"] = _merge(over, base, BackupPolicySpec, path, given)
    return Merged(root, frozenset(given))


def _merge(over: Node, base: Node, part: type[Part], path: Path, given: set[Path]) -> Node:
    over, base = written_out(over, part), written_out(base, part)
    if part.whole or not isinstance(over, Mapping) or not isinstance(base, Mapping):
        return over
    merged = Mapping(over.line, over.column, dict(over.keys), dict(over.values))
    for key, value in base.values.items():
        if key not in over.values:
            merged.keys[key], merged.values[key] = base.keys[key], value
            given.add((*path, key))
            continue
        info = schema.field_of(part, key)
        marks, below = schema.part_of(info.annotation) if info else ("", None)
        if below is not None and not marks:
            merged.values[key] = _merge(over.values[key], value, below, (*path, key), given)
    return merged


def leaves(
    node: Node, part: type[Part], path: tuple[str, ...] = ()
) -> Iterator[tuple[Names, Node]]:
    """Every value below a part that is written, by its path: scalars, lists and labels."""
    node = written_out(node, part)
    if not isinstance(node, Mapping):
        return
    for key, value in node.values.items():
        info = schema.field_of(part, key)
        marks, below = schema.part_of(info.annotation) if info else ("", None)
        if below is not None and not marks:
            yield from leaves(value, below, (*path, key))
        elif info is not None:
            yield (*path, key), value


def written_out(node: Node, part: type[Part]) -> Node:
    """The long form of what may be a short one; positions stay."""
    form = part.short_form
    if form is None or isinstance(node, Mapping):
        return node
    if isinstance(node, Scalar) is not (form.written is str):
        return node
    key = Scalar(node.line, node.column, form.field, form.field)
    return Mapping(node.line, node.column, {form.field: key}, {form.field: node})
