"""What to write instead: hints for a field that is not there, and for a value of the wrong kind.

A hint must not lead to the next error. So a word that stands elsewhere in the language is shown its
place before a word that only looks alike, and one that means the opposite is never proposed.
"""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import AfterValidator
from pydantic.fields import FieldInfo

from reconciler.policy import schema
from reconciler.policy.nodes import Mapping, Node, Path, Scalar
from reconciler.policy.parts import Part

_FEW = 8
_OTHER_WORDS = {
    "include": "names",
    "folder": "path",
    "branch": "ref",
    "mininterval": "shortestInterval",
    "paused": "suspend",
    "enabled": "suspend",
}
"""Words that come to mind → the one that stands in the same place."""
_OTHER_TOOLS = {
    "includednamespaces": "spec.selector.namespaces",
    "excludednamespaces": "spec.selector.namespaces.exclude",
    "includedresources": "spec.selector.objects.include",
    "excludedresources": "spec.selector.objects.exclude",
    "labelselector": "spec.selector.objects.matchLabels",
    "ttl": "spec.retention",
    "storagelocation": "spec.volumes.repository",
    "snapshotvolumes": "spec.volumes.copyMethod",
    "defaultvolumestofsbackup": "spec.volumes.copyMethod",
}
"""Words of Velero → the field that does it here."""
_IN_NO_NAMESPACE = {
    "metadata": "leave it out: what lies in Git is in no namespace",
    "secretRef": "leave it out: Secrets are read in Backstay's own namespace",
}
_LENGTHS = {
    "check_duration": "26h",
    "check_interval": "1m",
    "check_keep_duration": "30d",
    "check_percent": "20%",
    "check_timeout": "60s",
}
"""Who checks a field → what it takes."""


def unknown_field(path: Path, root: type[Part]) -> str:
    """The hint for a field that its place does not have."""
    written, above = str(path[-1]), path[:-1]
    if written == "namespace" and above and above[-1] in _IN_NO_NAMESPACE:
        return _IN_NO_NAMESPACE[str(above[-1])]
    part = schema.part_at(root, above)
    known = [str(info.alias) for info in part.model_fields.values()] if part else []
    if (word := _OTHER_WORDS.get(written.lower(), "")) in known:
        return f"did you mean `{word}`?"
    return _elsewhere(written, above, root) or did_you_mean(written, known)


def did_you_mean(written: str, known: Sequence[str]) -> str:
    """A hint with the nearest word, or with all of them where they are few."""
    lower = {word.lower(): word for word in known}
    near = difflib.get_close_matches(written[:100].lower(), lower, n=1, cutoff=0.6)
    if near:
        return f"did you mean `{lower[near[0]]}`?"
    if len(known) == 1:
        return f"there is only `{known[0]}`"
    return f"there are {', '.join(known)}" if len(known) <= _FEW else ""


def _elsewhere(written: str, above: Path, root: type[Part]) -> str:
    """Where the language has such a field: below its place if it can be, else nearest the top."""
    fields = [step.path for step in schema.walk(root)]
    if (path := _OTHER_TOOLS.get(written.lower(), "")) in fields:
        return f"`{_shown(path)}` does that here"
    here = "".join("[]" if isinstance(step, int) else f".{step}" for step in above)[1:]
    same = [path for path in fields if path.rpartition(".")[2].rstrip("[]{}") == written]
    below = [path for path in same if path.startswith(f"{here}.")] if here else same
    found = below or same
    depth = min((path.count(".") for path in found), default=0)
    places = [path.rpartition(".")[0] for path in found if path.count(".") == depth][:2]
    if not places:
        return ""
    if not places[0]:
        return "it stands at the top, as `kind` does"
    return f"it belongs into {' or '.join(f'`{_shown(place)}`' for place in places)}"


def _shown(path: str) -> str:
    return path.removeprefix("spec.").replace("[]", "")


def wrong_type(kind: str, path: Path, node: Node | None, root: type[Part]) -> str:
    """The hint for a list or mapping that is something else; empty where there is none."""
    if kind == "list_type":
        if path[-1:] == ("command",):
            return "no shell reads it: write its words, such as [sh, -c, sync]"
        if isinstance(node, Mapping):
            return "begin each item with `- `"
        brief = (
            isinstance(node, Scalar) and node.plain and re.fullmatch(r"[\w./-]{1,40}", node.text)
        )
        return f"write [{node.text}]" if isinstance(node, Scalar) and brief else "write […]"
    part = schema.part_at(root, path)
    fields = [str(info.alias) for info in part.model_fields.values()] if part else []
    if "keepDaily" in fields:
        return "such as {keepDaily: 7, keepWeekly: 5}"
    if "names" in fields:
        return "write a list of names, such as [shop]"
    if _needs_a_name(part) and isinstance(node, Scalar) and re.fullmatch("[a-z0-9-]+", node.text):
        return f"write {{name: {node.text}}}"
    return f"it has {', '.join(fields)}" if 0 < len(fields) <= _FEW else ""


def _needs_a_name(part: type[Part] | None) -> bool:
    needed = [i.alias for i in part.model_fields.values() if i.is_required()] if part else []
    return needed == ["name"]


def duration(path: Path, root: type[Part]) -> str:
    """An example of the duration that a field takes; empty where it takes none."""
    if not path or not isinstance(path[-1], str):
        return ""
    part = schema.part_at(root, path[:-1])
    info = schema.field_of(part, path[-1]) if part else None
    checks = [getattr(found.func, "__name__", "") for found in _validators(info)] if info else []
    return next((_LENGTHS[check] for check in checks if check in _LENGTHS), "")


def _validators(info: FieldInfo) -> Iterator[AfterValidator]:
    def inside(annotation: Any) -> Iterator[Any]:
        yield annotation
        yield from getattr(annotation, "__metadata__", ())
        for argument in typing.get_args(annotation):
            yield from inside(argument)

    for found in (*info.metadata, *inside(info.annotation)):
        if isinstance(found, AfterValidator):
            yield found
