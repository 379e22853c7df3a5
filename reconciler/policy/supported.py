"""Refusing what this version understands and does not execute, where it stands.

The table is `reconciler.model.capabilities`. Looks at what was written, not at the checked
value, so a refusal is told beside all other problems of a document.
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model import capabilities
from reconciler.model.capabilities import Support
from reconciler.policy import nodes, schema
from reconciler.policy.nodes import Mapping, Node, Path, Scalar, Sequence
from reconciler.policy.parts import Part
from reconciler.policy.problems import Finding

_LATER = "leave it out; a later version executes it"


def find_refused(kind: str, part: type[Part], root: Node) -> list[Finding]:
    """One for each topmost field, and each value, that is parsed only.

    None for a kind that is refused as a whole.
    """
    found: list[Finding] = []
    if capabilities.KINDS[kind] is Support.PARSED:
        return found
    for path, generic, node in _written(kind, root, part):
        name = generic.rpartition(".")[2].removesuffix("[]")
        if capabilities.support_of(kind, generic) is Support.PARSED:
            found.append(Finding(path, f"`{name}` is not supported yet", _LATER, at_key=True))
        elif message := _refused_value(kind, generic, node):
            found.append(Finding(path, message, _instead(kind, generic)))
    return found


def _written(kind: str, root: Node, part: type[Part]) -> Iterator[tuple[Path, str, Node]]:
    """Every field of the language that a document has; not below one that is refused whole."""
    waiting: list[tuple[Path, str, Node, type[Part]]] = [((), "", root, part)]
    while waiting:
        path, prefix, node, definition = waiting.pop()
        if not isinstance(node, Mapping):
            continue
        for key, value in node.values.items():
            info = schema.field_of(definition, key)
            if info is None:
                continue
            generic = f"{prefix}{key}"
            yield (*path, key), generic, value
            if capabilities.support_of(kind, generic) is Support.PARSED:
                continue
            marks, below = schema.part_of(info.annotation)
            if below is not None:
                for inner, item in _items((*path, key), value, marks):
                    waiting.append((inner, f"{generic}{marks}.", item, below))


def _items(path: Path, node: Node, marks: str) -> Iterator[tuple[Path, Node]]:
    if not marks:
        yield path, node
    elif isinstance(node, Sequence):
        for number, item in enumerate(node.items):
            yield (*path, number), item
    elif isinstance(node, Mapping):
        for key, item in node.values.items():
            yield (*path, key), item


def _refused_value(kind: str, generic: str, node: Node) -> str:
    if not isinstance(node, Scalar):
        return ""
    name = generic.rpartition(".")[2]
    if node.text in capabilities.refused_values(kind, generic):
        return f"`{name}: {node.text}` is not supported yet"
    return ""


def _instead(kind: str, generic: str) -> str:
    values = capabilities.VALUES[kind, generic].items()
    words = [value for value, support in values if support is Support.EXECUTED]
    return f"this version has {' and '.join(words)}"


def _is_told(root: Node, path: nodes.Path) -> bool:
    """Whether nothing can stand there, because what is above it is missing or no mapping."""
    above = [nodes.find(root, path[:count]) for count in range(1, len(path))]
    return above[0] is None or any(
        node is not None and not isinstance(node, nodes.Mapping) for node in above
    )


def find_refused_defaults(kind: str, part: type[Part], root: Node) -> list[Finding]:
    """A default that is not executed must be replaced in so many words."""
    found = []
    for known_kind, generic in capabilities.VALUES:
        path = tuple(generic.split("."))
        if known_kind != kind or "[]" in generic or nodes.find(root, path) is not None:
            continue
        if _is_told(root, path):
            continue
        parent = schema.part_at(part, path[:-1])
        info = schema.field_of(parent, path[-1]) if parent else None
        default = str(info.default) if info else ""
        if default in capabilities.refused_values(kind, generic):
            name = ".".join(path[1:])
            message = f"`{name}` must be given: its default, {default}, is not supported yet"
            found.append(Finding(path, message, _instead(kind, generic)))
    return found
