"""The language as JSON Schema: one walk, three dialects.

*Editor* is draft 7, as `yaml-language-server` and friends read it: short forms, no unknown field.
*Server* is the structural schema of a CRD: the long form only, because an API server knows one type
per field, and rules over several fields in CEL. Neither is ever stricter than `reconciler.policy`,
which has the last word.
"""

from __future__ import annotations

import ast
import enum
import functools
import inspect
import itertools
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from reconciler.model import capabilities
from reconciler.model.capabilities import Support
from reconciler.policy import fields, schema
from reconciler.policy.parts import Need, Part, Rule

Schema = dict[str, Any]
Names = tuple[str, ...]


class Dialect(enum.Enum):
    """Who reads the schema."""

    EDITOR = "editor"
    SERVER = "server"
    RECORD = "record"
    """Draft 7, too, of what is written: later versions add fields."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is asked for. ``kind`` and ``path`` say where the part stands; empty for no kind's.

    ``partial``: what a profile may complete is not required.
    """

    dialect: Dialect
    kind: str = ""
    path: str = ""
    partial: bool = False

    def below(self, name: str) -> View:
        """The same one step down."""
        return replace(self, path=f"{self.path}.{name}" if self.path else name)

    @property
    def note(self) -> str:
        """What to add to the description of the field at the path."""
        if not self.kind or capabilities.KINDS[self.kind] is Support.PARSED:
            return ""
        if capabilities.support_of(self.kind, self.path) is Support.PARSED:
            return "Not supported yet."
        refused = sorted(capabilities.refused_values(self.kind, self.path))
        return (
            f"Not supported yet: {', '.join(f'`{value}`' for value in refused)}." if refused else ""
        )


def describe(part: type[Part], view: View) -> Schema:
    """The schema of a part."""
    view = replace(view, partial=view.partial and not part.whole)
    properties = {
        str(info.alias): _field(part, info, view.below(str(info.alias)))
        for info in part.model_fields.values()
    }
    found: Schema = {"type": "object", "properties": properties}
    required = required_fields(part)
    if required and not view.partial:
        found["required"] = required
    needs = [need for need in part.needs if not (view.partial and need.completable)]
    if view.dialect is Dialect.SERVER:
        rules = [cel_rule(need, part) for need in needs]
        return found | ({"x-kubernetes-validations": rules} if rules else {})
    if view.dialect is Dialect.RECORD:
        return found
    found["additionalProperties"] = False
    constraints = [constraint(need, part) for need in needs]
    if constraints:
        found["allOf"] = constraints
    return _with_short_form(part, found, needs)


def text_of(item: type[Part]) -> str:
    """A part's docstring as one line."""
    return " ".join((inspect.getdoc(item) or "").split())


def meaning_of(part: type[Part], info: FieldInfo) -> str:
    """The docstring below a field of a part, as one line; empty where there is none."""
    return _meanings(part).get(str(info.alias), "")


@functools.cache
def _meanings(part: type[Part]) -> Mapping[str, str]:
    """By field as in YAML. Only schemas and reference need them: read with each part, as pydantic
    can (`use_attribute_docstrings`), they would cost a command more than all checks of Config."""
    found: dict[str, str] = {}
    for base in reversed(part.__mro__):
        if not issubclass(base, Part):
            continue
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        for field, below in itertools.pairwise(getattr(definition, "body", ())):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(
                    value=ast.Constant(value=str(text))
                ) if name in part.model_fields:
                    found[str(part.model_fields[name].alias)] = " ".join(text.split())
    return found


def required_fields(part: type[Part]) -> list[str]:
    """Fields of a part that must be given, as in YAML."""
    return [str(info.alias) for info in part.model_fields.values() if info.is_required()]


def _field(part: type[Part], info: FieldInfo, view: View) -> Schema:
    alias = str(info.alias)
    marks, below = schema.part_of(info.annotation)
    if below is None:
        found = leaf(part, alias, view.dialect)
    else:
        inner = replace(view, path=view.path + marks, partial=view.partial and not marks)
        found = describe(below, inner)
        if marks == "[]":
            outer = {key: value for key, value in _raw(part)[alias].items() if key != "items"}
            found = _plain(outer, view.dialect) | {"items": found}
        elif marks == "{}":
            found = {"type": "object", "additionalProperties": found}
    description = meaning_of(part, info) or (text_of(below) if below else "")
    description = " ".join(filter(None, (description, view.note)))
    if description:
        found = {"description": description} | found
    default = default_of(info)
    if view.dialect is Dialect.EDITOR and default not in (None, [], {}):
        found["default"] = default
    return found


def default_of(info: FieldInfo) -> Any:
    """The default of a field that is no part, as plain value; None where there is none."""
    if info.default_factory is not None:
        value = info.get_default(call_default_factory=True, validated_data={})
        return None if isinstance(value, Part) else value
    value = None if info.default is PydanticUndefined else info.default
    return value.value if isinstance(value, enum.Enum) else value


def leaf(part: type[Part], alias: str, dialect: Dialect) -> Schema:
    """The schema of a field that is no part."""
    return _plain(dict(_raw(part)[alias]), dialect)


@functools.cache
def _raw(part: type[Part]) -> Mapping[str, Schema]:
    """pydantic's own schema of each field, without references to enums and without null."""
    whole = part.model_json_schema(by_alias=True)
    definitions = whole.get("$defs", {})
    return {
        alias: _without_null(found, definitions) for alias, found in whole["properties"].items()
    }


def _without_null(found: Schema, definitions: Schema) -> Schema:
    options = [option for option in found.get("anyOf", []) if option.get("type") != "null"]
    if len(options) == 1:
        found = options[0]
    reference = str(found.get("$ref", "")).removeprefix("#/$defs/")
    return dict(definitions[reference]) if reference else found


_LEFT_OUT = frozenset({"title", "description", "default", "anyOf"})
_EDITOR_ONLY = frozenset({"propertyNames", "const"})


def _plain(found: Schema, dialect: Dialect) -> Schema:
    """Without what pydantic adds, and what an API server does not take."""
    dropped = _LEFT_OUT | (_EDITOR_ONLY if dialect is Dialect.SERVER else frozenset())
    kept: Schema = {key: value for key, value in found.items() if key not in dropped}
    for key in ("items", "additionalProperties"):
        if isinstance(kept.get(key), dict):
            kept[key] = _plain(kept[key], dialect)
    if "enum" in kept:
        kept.setdefault("type", "string")
    if kept.pop(fields.ONE_OR_MORE, False) and dialect is Dialect.EDITOR:
        return {"anyOf": [kept["items"], kept]}
    return kept


def _with_short_form(part: type[Part], found: Schema, needs: list[Need]) -> Schema:
    form = part.short_form
    if form is None:
        return found
    # As described, since its items may be parts themselves.
    described = found["properties"][form.field]
    short = {key: value for key, value in described.items() if key not in _LEFT_OUT}
    if _never_empty(part, needs):
        short["minItems"] = 1
    return {"anyOf": [short, found]}


def _never_empty(part: type[Part], needs: list[Need]) -> bool:
    """Whether the short form is a list that some rule wants to have something in it."""
    form = part.short_form
    if form is None or form.written is str:
        return False
    return any(need.rule is Rule.ANY and form.field in need.fields for need in needs)


def constraint(need: Need, part: type[Part]) -> Schema:
    """A rule over several fields as draft 7."""
    match need.rule:
        case Rule.ANY:
            return {"anyOf": [_filled(name, part) for name in need.fields]}
        case Rule.ONE:
            return {"oneOf": [{"required": [name]} for name in need.fields]}
        case Rule.MOST_ONE:
            pairs = [
                {"required": [one, other]}
                for number, one in enumerate(need.fields)
                for other in need.fields[number + 1 :]
            ]
            return {"not": {"anyOf": pairs}}
        case Rule.TOGETHER:
            return {"dependencies": {need.fields[0]: [need.fields[1]]}}


def _filled(name: str, part: type[Part]) -> Schema:
    """Given and not empty."""
    found: Schema = {"required": [name]}
    minimum = {"array": "minItems", "object": "minProperties"}.get(_type(name, part))
    return found | ({"properties": {name: {minimum: 1}}} if minimum else {})


def _type(name: str, part: type[Part]) -> str:
    info = schema.field_of(part, name)
    marks, below = schema.part_of(info.annotation) if info else ("", None)
    if below is not None:
        return {"[]": "array", "{}": "object"}.get(marks, "part")
    return str(_raw(part)[name].get("type", ""))


def cel_rule(need: Need, part: type[Part]) -> Schema:
    """A rule over several fields as a validation of the API server."""
    return {"rule": cel(need, part), "message": sentence(need)}


def sentence(need: Need) -> str:
    """``selects nothing: give names or matchLabels``."""
    return f"{need.message}: {need.hint}" if need.hint else need.message


def cel(need: Need, part: type[Part], at: str = "self") -> str:
    """The rule in CEL, of the part at a path."""
    terms = [_cel_given(name, part, at) for name in need.fields]
    match need.rule:
        case Rule.ANY:
            return " || ".join(terms)
        case Rule.ONE:
            return " + ".join(f"({term} ? 1 : 0)" for term in terms) + " == 1"
        case Rule.MOST_ONE:
            return " + ".join(f"({term} ? 1 : 0)" for term in terms) + " <= 1"
        case Rule.TOGETHER:
            return f"!{terms[0]} || {terms[1]}"


def _cel_given(name: str, part: type[Part], at: str) -> str:
    given = f"has({at}.{name})"
    if _type(name, part) in {"array", "object"}:
        return f"({given} && size({at}.{name}) > 0)"
    return given


def completions(
    part: type[Part], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], type[Part]]]:
    """The parts, with their paths, that policy and profile together must complete."""
    yield path, part
    for info in part.model_fields.values():
        marks, below = schema.part_of(info.annotation)
        if below is not None and not marks and not below.whole:
            yield from completions(below, (*path, str(info.alias)))


def completed(part: type[Part]) -> Schema:
    """What draft 7 asks of a whole part beyond its partial schema; empty where nothing."""
    found: Schema = {}
    if required := required_fields(part):
        found["required"] = required
    needs = [need for need in part.needs if need.completable]
    if needs:
        found["allOf"] = [constraint(need, part) for need in needs]
    if _never_empty(part, needs):
        found["minItems"] = 1
    properties = {}
    for info in part.model_fields.values():
        marks, below = schema.part_of(info.annotation)
        if below is not None and not marks and not below.whole and (inner := completed(below)):
            properties[str(info.alias)] = inner
    return found | ({"properties": properties} if properties else {})


def cel_completed(part: type[Part], unless: str) -> Iterator[Schema]:
    """The same as rules of the API server, which hold ``unless`` a field is given."""
    for path, below in completions(part):
        at = ".".join(("self", *path))
        absent = [f"!has({'.'.join(('self', *path[: n + 1]))})" for n in range(len(path))]
        guard = " || ".join([f"has(self.{unless})", *absent])
        where = ".".join(path)
        for name in required_fields(below):
            field = f"{where}.{name}" if where else name
            message = f"{field} is missing, and there is no {unless} to give it"
            yield {"rule": f"{guard} || has({at}.{name})", "message": message}
        for need in below.needs:
            if need.completable:
                message = f"{where} {sentence(need)}"
                yield {"rule": f"{guard} || {cel(need, below, at)}", "message": message}
