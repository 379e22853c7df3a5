"""The policy files of one revision with the line of every field: what a plan of a change reads."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from reconciler.model.change import Key, Revision, Written, WrittenField
from reconciler.model.config import Config
from reconciler.model.errors import Problem
from reconciler.model.finding import Place
from reconciler.model.grants import EVERYTHING
from reconciler.model.policy import Kind
from reconciler.policy import nodes, text
from reconciler.policy.drafts import Draft
from reconciler.policy.language import KINDS
from reconciler.policy.parsing import close, draft_files
from reconciler.policy.profiles import leaves
from reconciler.policy.schema import part_at, walk
from reconciler.policy.shapes import default_of


def read_revision(
    files: Mapping[str, bytes],
    config: Config | None = None,
    *,
    shown: str,
    problems: Iterable[Problem] = (),
) -> Revision:
    """Parses the files; ``problems`` are those of files that were not read. Never raises."""
    drafts = draft_files(files, config)
    parsed = close(drafts)
    parsed = replace(parsed, problems=(*problems, *parsed.problems))
    grants = config.grants if config is not None else EVERYTHING
    return Revision(shown=shown, parsed=parsed, written=_written(drafts), grants=grants)


def _written(drafts: Iterable[Draft]) -> dict[Key, Written]:
    found: dict[Key, Written] = {}
    for draft in drafts:
        if draft.kind and draft.name:
            found.setdefault((draft.kind, draft.name), _document(draft))
    return found


def _document(draft: Draft) -> Written:
    line, _ = nodes.place(draft.root, ("metadata", "name"))
    fields = tuple(_fields(draft))
    items = dict(_items(draft, fields))
    # A Profile leaves to its policies what it does not write.
    known = _defaults() if draft.kind == Kind.BACKUP_POLICY else {}
    return Written(place=Place(draft.file, line), fields=fields, items=items, defaults=known)


@functools.cache
def _defaults() -> Mapping[str, str]:
    """Of a policy's fields, by path below ``spec``; its parts are always there, but for lists."""
    part = part_at(KINDS[Kind.BACKUP_POLICY], ("spec",))
    steps = walk(part) if part is not None else ()
    found = {step.path: default_of(step.info) for step in steps if "[]" not in step.path}
    return {path: json.dumps(value) for path, value in found.items() if value not in (None, [], {})}


def _fields(draft: Draft) -> Iterator[WrittenField]:
    spec = nodes.child(draft.tree, "spec")
    part = part_at(KINDS[draft.kind], ("spec",)) if draft.kind in KINDS else None
    if spec is None or part is None:
        return
    for path, node in leaves(spec, part):
        source, line, _ = draft.place(("spec", *path))
        value = json.dumps(nodes.plain_value(node), ensure_ascii=False, sort_keys=True)
        yield WrittenField(
            path=".".join(path),
            value=text.mask(value),
            place=Place(source.file, line),
            profile=source.name if source is not draft else "",
        )


def _items(draft: Draft, fields: tuple[WrittenField, ...]) -> Iterator[tuple[str, Place]]:
    """The line of every item of a list."""
    for one in fields:
        path: nodes.Path = ("spec", *one.path.split("."))
        node = nodes.find(draft.tree, nodes.written(draft.tree, path))
        if isinstance(node, nodes.Sequence):
            for number in range(len(node.items)):
                source, line, _ = draft.place((*path, number))
                yield f"{one.path}[{number}]", Place(source.file, line)
