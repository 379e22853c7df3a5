"""pydantic's errors → problems at their place, in our words, with a hint where one is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from reconciler.model.errors import Problem
from reconciler.policy import advice, nodes, text
from reconciler.policy.fields import Wrong
from reconciler.policy.nodes import Mapping, Node, Path, Scalar, Sequence
from reconciler.policy.parts import Incomplete, Part

Words = tuple[str, str]
"""Message and hint."""

_TYPES = {
    "string_type": "a text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_LIMITS = {
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "too_short": "needs at least {min_length}",
    "too_long": "has more than {max_length}",
    "string_too_short": "is empty",
    "string_too_long": "is longer than {max_length} characters",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong at a path of a tree; who knows the tree's file makes a `Problem` of it."""

    path: Path
    message: str
    hint: str = ""
    at_key: bool = False


def find_wrong(
    error: ValidationError, root: Node, part: type[Part], *, partial: bool = False
) -> list[Finding]:
    """All of a document's errors, at most `nodes.MAX_PROBLEMS`.

    ``partial``: what is missing may come from elsewhere, as in a profile, and is no error.
    """
    found = []
    for detail in error.errors(include_url=False):
        path: Path = detail["loc"]
        if partial and _may_come(detail, path):
            continue
        at_key = detail["type"] == "extra_forbidden" or path[-1:] == ("[key]",)
        path = path[:-1] if path[-1:] == ("[key]",) else path
        node = None if at_key else nodes.find(root, nodes.written(root, path))
        found.append(Finding(path, *_words(detail, path, node, part), at_key))
        if len(found) == nodes.MAX_PROBLEMS:
            break
    return found


def _may_come(detail: ErrorDetails, path: Path) -> bool:
    """Whether another document may add what is missing; an item of a list is never completed."""
    below_spec = path[:1] == ("spec",) and not any(isinstance(step, int) for step in path)
    if detail["type"] == "missing":
        return below_spec and len(path) > 1
    return below_spec and isinstance(detail.get("ctx", {}).get("error"), Incomplete)


def find_empty(root: Node, path: Path = ()) -> Iterator[Finding]:
    """Every field without a value: `keepDaily:` and nothing after it."""
    match root:
        case Scalar() if root.value is None:
            yield Finding(path, f"`{_name(path)}` is empty", "give a value, or leave it out")
        case Sequence():
            for number, item in enumerate(root.items):
                yield from find_empty(item, (*path, number))
        case Mapping():
            for key, value in root.values.items():
                yield from find_empty(value, (*path, key))


def _words(detail: ErrorDetails, path: Path, node: Node | None, part: type[Part]) -> Words:
    kind = detail["type"]
    name = _name(path)
    if kind == "extra_forbidden":
        return _unknown_field(path, part)
    if kind == "missing":
        return f"required field `{name}` is missing{_inside(path)}", ""
    if kind in _TYPES:
        return _wrong_type(kind, path, node, part)
    if kind in {"enum", "literal_error"}:
        return _not_one_of(detail, name, node)
    if kind in _LIMITS:
        return f"`{name}` {_LIMITS[kind].format(**detail.get('ctx', {}))}", ""
    return _from_checker(detail, name, node)


def _shown(node: Scalar) -> str:
    """A value for a message, without what may be credentials in a URL."""
    return text.clip(text.mask(node.text[:10_000]))


def _name(path: Path) -> str:
    """The last field's name; an item of a list is named by the list."""
    for step in reversed(path):
        if isinstance(step, str):
            return text.clip(step)
    return "document"


def _inside(path: Path) -> str:
    return f" in {_name(path[:-1])}" if len(path) > 1 else ""


def _unknown_field(path: Path, part: type[Part]) -> Words:
    return f"unknown field `{_name(path)}`{_inside(path)}", advice.unknown_field(path, part)


def _wrong_type(kind: str, path: Path, node: Node | None, part: type[Part]) -> Words:
    name, wanted = _name(path), _TYPES[kind]
    if kind.startswith(("list", "dict", "model")):
        hint = advice.wrong_type(kind, path, node, part)
        wanted = "a list or a mapping" if hint.startswith("write a list") else wanted
    else:
        hint = ""
    if not isinstance(node, Scalar):
        return f"`{name}` must be {wanted}", hint
    if node.value is None:
        return f"`{name}` is empty and must be {wanted}", hint
    shown = _shown(node)
    if kind == "string_type":
        if example := advice.duration(path, part):
            return f"`{name}` `{shown}` has no unit", f"such as {example}"
        return f"`{name}` must be a text, not {_kind_of(node.value)}", f'quote it: "{shown}"'
    if kind in {"int_type", "bool_type"} and not node.plain:
        return f"`{name}` must be {wanted}, not a text", _without_quotes(kind, node)
    return f"`{name}` must be {wanted}, not `{shown}`", hint


def _without_quotes(kind: str, node: Scalar) -> str:
    """Without its quotes, a word of YAML 1.1 for true or false would be refused again."""
    word = node.text.strip().lower()
    if kind == "bool_type" and word in {"y", "yes", "on", "n", "no", "off"}:
        return f"write {'true' if word in {'y', 'yes', 'on'} else 'false'}"
    return "remove the quotes"


def _kind_of(value: object) -> str:
    return "true or false" if isinstance(value, bool) else "a number"


def _not_one_of(detail: ErrorDetails, name: str, node: Node | None) -> Words:
    expected = str(detail.get("ctx", {}).get("expected", ""))
    known = [word.strip("' ") for word in expected.replace(" or ", ", ").split(",")]
    if not isinstance(node, Scalar):
        return f"`{name}` must be one of {', '.join(known)}", ""
    shown = _shown(node)
    return f"`{name}` is `{shown}`, not one of {', '.join(known)}", advice.did_you_mean(
        shown, known
    )


def _from_checker(detail: ErrorDetails, name: str, node: Node | None) -> Words:
    context: dict[str, Any] = detail.get("ctx", {})
    error = context.get("error")
    if not isinstance(error, Wrong):
        return f"`{name}`: {text.clip(detail['msg'], 200)}", ""
    shown = f" `{_shown(node)}`" if isinstance(node, Scalar) else ""
    return f"`{name}`{shown} {error}", error.hint


def merge(of_text: list[Problem], of_meaning: list[Problem]) -> list[Problem]:
    """Both, in the order of the file; what a text's own problem explains is not told twice.

    At most `nodes.MAX_PROBLEMS`, then one that counts the rest.
    """
    told = {(problem.line, problem.column) for problem in of_text}
    new = [problem for problem in of_meaning if (problem.line, problem.column) not in told]
    merged = sorted(of_text + new, key=lambda problem: (problem.line, problem.column))
    if len(merged) <= nodes.MAX_PROBLEMS + 1:
        return merged
    shown, rest = merged[: nodes.MAX_PROBLEMS], merged[nodes.MAX_PROBLEMS :]
    message = f"{len(rest)} or more further problems in this document"
    return [*shown, replace(rest[0], message=message, hint="", path="")]
