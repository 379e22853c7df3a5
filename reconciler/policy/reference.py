"""The reference, one page per kind, in four parts: example, how to write it, every field, status.

Made from the language, its docstrings, the table of capabilities and `referencetexts`, so it can't
say anything else than what is checked and executed.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import AfterValidator
from pydantic.fields import FieldInfo

from reconciler.model import capabilities
from reconciler.model.capabilities import Support
from reconciler.policy import fields, schema
from reconciler.policy.configlanguage import check_git_url, check_interval
from reconciler.policy.editors import ALL, file_name
from reconciler.policy.parts import Part
from reconciler.policy.referencetexts import EXAMPLES, MEANINGS, SNIPPETS, STATUSES, WRITING
from reconciler.policy.schema import Step
from reconciler.policy.shapes import Dialect, default_of, leaf, meaning_of, sentence, text_of
from reconciler.policy.statuslanguage import BackupPolicyStatus

_WORDS: dict[Any, str] = {
    fields.check_label_name: "name",
    fields.check_object_name: "name",
    fields.check_glob: "glob",
    fields.check_kind_glob: "kind",
    fields.check_duration: "duration",
    fields.check_timeout: "duration",
    fields.check_keep_duration: "span",
    fields.check_percent: "percentage",
    fields.check_cron: "cron",
    fields.check_time_zone: "time zone",
    fields.check_repository_url: "restic URL",
    fields.check_exclude: "pattern",
    fields.check_moment: "date or time",
    fields.check_run_id: "run id",
    fields.check_commit_id: "commit",
    check_git_url: "Git URL",
    check_interval: "duration",
}
_HEAD_FIELDS = frozenset({"apiVersion", "kind", "metadata", "spec"})


def render_page(kind: str) -> str:
    """One page of Markdown."""
    parts = (
        _head(kind),
        _example(kind),
        *_writing(kind),
        *_fields(kind),
        *_status(kind),
    )
    return "\n\n".join(parts) + "\n"


def _head(kind: str) -> str:
    made = (
        "Generated from the language by `python -m scripts.checks.language`; `scripts/lint` fails\n"
        "when it is out of date."
    )
    lines = [f"# {kind}", made, text_of(ALL[kind])]
    if capabilities.KINDS[kind] is Support.PARSED:
        lines.append(
            "**Not supported yet.** `backstay validate` checks every field of it and then refuses\n"
            "it, because nothing in this version executes it."
        )
    if capabilities.KINDS[kind] is Support.PLANNED:
        lines.append(
            "**Planned, not executed yet.** `backstay plan` and the controller say what it would\n"
            "do; nothing in this version does it."
        )
    return "\n\n".join(lines)


def _example(kind: str) -> str:
    return f"## Example\n\n```yaml\n{EXAMPLES[kind]}```\n\n{MEANINGS[kind]}"


def _writing(kind: str) -> Iterator[str]:
    yield f"## Writing {'an' if kind[0] in 'AEIOU' else 'a'} {kind}"
    where = "policies" if kind != "Config" else kind.lower()
    name = f"{where}.v1alpha1.json" if where == "policies" else file_name(kind)
    yield (
        "An unknown field is an error, and so is one that this version does not execute. Editors\n"
        f"complete and check with `# yaml-language-server: $schema=…/schemas/{name}` as the\n"
        "file's first line."
    )
    document = ALL[kind]
    spec = schema.part_at(document, ("spec",))
    for info in (spec or document).model_fields.values():
        alias = str(info.alias)
        if alias not in _HEAD_FIELDS:
            yield from _section(kind, spec or document, info)


def _section(kind: str, part: type[Part], info: FieldInfo) -> Iterator[str]:
    alias, prefix = str(info.alias), "" if part is ALL[kind] else "spec."
    yield f"### `{prefix}{alias}`"
    like = "BackupPolicy" if kind == "Profile" else kind
    yield WRITING.get((like, alias)) or meaning_of(part, info)
    _, below = schema.part_of(info.annotation)
    facts = [_requirement(kind, info)]
    if below is not None and below.short_form is not None:
        written = "A text" if below.short_form.written is str else "A list"
        facts.append(f"{written} stands for `{below.short_form.field}`.")
    facts += [f"An error: `{alias}` {sentence(need)}." for need in (below.needs if below else ())]
    if _support(kind, f"{prefix}{alias}") is Support.PARSED:
        facts.append("**Not supported yet.**")
    if any(facts):
        yield "\n".join(filter(None, facts))
    snippet = SNIPPETS.get((like, alias))
    if snippet is not None:
        indented = "\n".join(f"  {line}" for line in snippet.splitlines())
        yield f"```yaml\nspec:\n{indented}\n```"


def _requirement(kind: str, info: FieldInfo) -> str:
    if kind == "Profile":
        return ""
    if info.is_required():
        where = "here or in the profile" if kind == "BackupPolicy" else ""
        return f"Required, {where}." if where else "Required."
    default = default_of(info)
    return f"By default `{_flow(default)}`." if default not in (None, [], {}) else ""


def _flow(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _fields(kind: str) -> Iterator[str]:
    yield "## Fields"
    rows = ["| field | type | default | meaning |", "|---|---|---|---|"]
    rows += [_row(kind, step) for step in schema.walk(ALL[kind]) if step.path not in _HEAD_FIELDS]
    yield "\n".join(rows)


def _row(kind: str, step: Step) -> str:
    default = default_of(step.info)
    shown = f"`{_flow(default)}`" if default not in (None, [], {}) else ""
    if step.info.is_required() and (kind != "Profile" or not step.path.startswith("spec.")):
        shown = "required"
    meaning = " ".join(
        filter(None, (meaning_of(step.part, step.info), _support_note(kind, step.path)))
    )
    return f"| `{step.path}` | {_type(step)} | {shown} | {meaning.replace('|', chr(92) + '|')} |"


def _support(kind: str, path: str) -> Support:
    if capabilities.KINDS[kind] is not Support.EXECUTED:
        return Support.EXECUTED  # said once, of the whole kind
    return capabilities.support_of(kind, path)


def _support_note(kind: str, path: str) -> str:
    support = _support(kind, path)
    if support is Support.PARSED:
        return "**Not supported yet.**"
    if support is Support.PLANNED:
        return f"{capabilities.PLANNED_NOTE.capitalize()}."
    refused = sorted(capabilities.refused_values(kind, path))
    return f"Not supported yet: {', '.join(f'`{value}`' for value in refused)}." if refused else ""


def _type(step: Step) -> str:
    marks, below = schema.part_of(step.info.annotation)
    if below is not None:
        return {"": "mapping", "[]": "list of mappings", "{}": "mapping by name"}[marks]
    shape = leaf(step.part, str(step.info.alias), Dialect.SERVER)
    word = _word(step.info)
    if "enum" in shape:
        return ", ".join(f"`{value}`" for value in shape["enum"])
    if shape.get("type") == "array":
        return f"list of {word or 'text'}s"
    names = {
        "integer": "number",
        "boolean": "`true`, `false`",
        "string": "text",
        "object": "mapping",
    }
    return word or names.get(str(shape.get("type")), "text")


def _word(info: FieldInfo) -> str:
    """What the checker of a field (or of its items) takes."""
    for mark in info.metadata:
        if isinstance(mark, AfterValidator) and mark.func in _WORDS:
            return _WORDS[mark.func]
    return _word_in(info.annotation)


def _word_in(annotation: Any) -> str:
    if typing.get_origin(annotation) is dict:
        return ""
    for argument in typing.get_args(annotation):
        if isinstance(argument, AfterValidator) and argument.func in _WORDS:
            return _WORDS[argument.func]
        if found := _word_in(argument):
            return found
    return ""


def _status(kind: str) -> Iterator[str]:
    yield "## Status"
    if kind != "BackupPolicy":
        yield STATUSES[kind]
        return
    yield (
        "What an object of this kind says in its status, by the CustomResourceDefinition\n"
        "`backuppolicies.backstay.dev` in `schemas/crds/`. **Not supported yet**: this version's\n"
        "controller writes no such object; `backstay plan`, `backstay log` and `backstay doctor`\n"
        "tell the same to a terminal."
    )
    rows = ["| field | type | meaning |", "|---|---|---|"]
    rows += [
        f"| `status.{step.path}` | {_type(step)} | {meaning_of(step.part, step.info)} |"
        for step in schema.walk(BackupPolicyStatus)
    ]
    yield "\n".join(rows)
