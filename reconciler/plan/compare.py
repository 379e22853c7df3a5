"""Does a live object already say what we want? Which field does not, and whose is it?

What we want is a subset of what the API server holds: it adds defaults, others add labels and
containers. So only our own fields are compared, quantities by their value, and lists of named
things by name. Who owns a field stands in ``metadata.managedFields``
(https://kubernetes.io/docs/reference/using-api/server-side-apply/); a field that another manager
took is a conflict, which is reported and never forced.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

FIELD_MANAGER = "backstay"
_ABSENT: Any = object()
# In this order: a mount has a name too, and one volume may be mounted twice.
_MERGE_KEYS = ("mountPath", "name")
_QUANTITY = re.compile(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)(m|u|n|k|[KMGTPE]i?)?")
_POWERS = {"": 0, "n": -3, "u": -2, "m": -1, "k": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


@dataclass(frozen=True, slots=True)
class Difference:
    """One field; ``path`` has one part per level, a named list item as ``[name=run]``."""

    path: tuple[str, ...]
    wanted: Any
    found: Any

    @property
    def field(self) -> str:
        """``spec.jobTemplate.spec.template.spec.containers[name=run].image``."""
        text = ""
        for part in self.path:
            # Keys with dots are one level: annotations[backstay.dev/digest].
            if part.startswith("["):
                text += part
            elif re.search(r"[./]", part):
                text += f"[{part}]"
            else:
                text += f".{part}" if text else part
        return text

    def __str__(self) -> str:
        return f"{self.field}: {_show(self.found)} → {_show(self.wanted)}"


def _show(value: Any) -> str:
    if value is _ABSENT:
        return "(nothing)"
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text if len(text) <= 80 else text[:77] + "…"


def differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Every field of ``wanted`` that ``found`` lacks or has otherwise."""
    return tuple(_compare(wanted, found, ()))


def all_differences(new: Mapping[str, Any], old: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Both ways: also what ``old`` has and ``new`` lacks. For our own values, not live objects."""
    lost = (
        Difference(one.path, _ABSENT, one.wanted)
        for one in differences(old, new)
        if one.found is _ABSENT
    )
    return tuple(sorted((*differences(new, old), *lost), key=lambda one: one.path))


def _compare(wanted: Any, found: Any, path: tuple[str, ...]) -> Iterator[Difference]:
    if isinstance(wanted, Mapping):
        if not wanted and found is _ABSENT:
            return
        if not isinstance(found, Mapping):
            yield Difference(path, wanted, found)
            return
        for key, value in wanted.items():
            yield from _compare(value, found.get(key, _ABSENT), (*path, key))
    elif isinstance(wanted, list) and wanted:
        yield from _compare_lists(wanted, found, path)
    elif not _equal(wanted, found, path):
        yield Difference(path, wanted, found)


def _compare_lists(
    wanted: Sequence[Any], found: Any, path: tuple[str, ...]
) -> Iterator[Difference]:
    key = _merge_key(wanted)
    if not isinstance(found, list) or not all(isinstance(item, Mapping) for item in found if key):
        yield Difference(path, wanted, found)
    elif key:
        by_key = {item.get(key): item for item in found}
        for item in wanted:
            place = (*path, f"[{key}={item[key]}]")
            yield from _compare(item, by_key.get(item[key], _ABSENT), place)
    elif len(wanted) != len(found) or any(
        next(_compare(want, have, path), None) for want, have in zip(wanted, found, strict=True)
    ):
        # Without keys the list is one value to the API server, and owned as one.
        yield Difference(path, wanted, found)


def _merge_key(items: Sequence[Any]) -> str:
    for key in _MERGE_KEYS:
        if all(isinstance(item, Mapping) and key in item for item in items):
            return key
    return ""


def _equal(wanted: Any, found: Any, path: tuple[str, ...]) -> bool:
    if found is _ABSENT:
        return wanted in ("", [], None)
    if type(wanted) is type(found) and wanted == found:
        return True
    if "resources" in path or path[-1:] == ("sizeLimit",):
        amount = parse_quantity(str(wanted))
        return amount is not None and amount == parse_quantity(str(found))
    return False


def parse_quantity(text: str) -> Decimal | None:
    """A Kubernetes quantity (``100m``, ``1Gi``, ``1e3``) as a number; None if it is none."""
    match = _QUANTITY.fullmatch(text)
    if match is None or match[1].count(".") > 1:
        return None
    suffix = match[2] or ""
    number = Decimal(match[1])
    if suffix in _BINARY:
        return number * Decimal(1024) ** _BINARY[suffix]
    return number * Decimal(1000) ** _POWERS[suffix]


def foreign_owner(found: Mapping[str, Any], path: tuple[str, ...]) -> str:
    """Another field manager that owns this field of a live object, or an empty string."""
    for entry in found.get("metadata", {}).get("managedFields") or ():
        manager = str(entry.get("manager", ""))
        if manager != FIELD_MANAGER and _owns(entry.get("fieldsV1") or {}, path):
            return manager
    return ""


def _owns(fields: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    for part in path:
        if part.startswith("["):
            key, _, value = part[1:-1].partition("=")
            name = "k:" + json.dumps({key: value}, separators=(",", ":"))
        else:
            name = f"f:{part}"
        if name not in fields:
            return False
        fields = fields[name]
        if not fields:
            # A leaf: a scalar, or a list or map that is owned as one.
            return True
    # An owner below the path: the value there is (partly) theirs.
    return True
