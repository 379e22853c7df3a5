"""Which item of one list is which item of another: by their names where they have some. Pure.

Kubernetes merges many lists by a key of their items (``patchMergeKey`` and ``listMapKeys`` of
https://kubernetes.io/docs/reference/generated/kubernetes-api/), so a container that was put in
front of another one is one change, not two. Where the API server takes a list as one value, a
person reads its items by their names all the same. What has no names is aligned as lines of text
are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

_NAME = ("name",)
_KEYS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "ports": (_NAME, ("containerPort", "protocol"), ("port", "protocol")),
    "volumeMounts": (("mountPath",),),
    "volumeDevices": (("devicePath",),),
    "volumeClaimTemplates": (("metadata.name",),),
    "hostAliases": (("ip",),),
    "topologySpreadConstraints": (("topologyKey", "whenUnsatisfiable"),),
    "tolerations": (("key", "operator", "effect"), ("key", "operator", "value", "effect")),
    "subjects": (("kind", "namespace", "name"),),
    "rules": (("host",),),
    "paths": (("path",),),
    "matchExpressions": (("key", "operator"),),
    "items": (("key",), _NAME),
    "metrics": (("type", "resource.name"),),
    "parentRefs": (("kind", "namespace", "name", "sectionName"),),
}
_OTHERWISE = (_NAME, ("key",), ("type",), ("id",))
_MOST_PAIRS = 250_000
"""Aligning costs that many comparisons at the most; longer lists are one value."""


@dataclass(frozen=True, slots=True)
class Pair:
    """An item on each side; ``None`` as index where one side has none."""

    label: str
    old: int | None
    new: int | None


def item_names(field: str, items: Sequence[Any], *others: Sequence[Any]) -> list[list[str]] | None:
    """The names of the items of each list, by one key that fits all; None where there is none.

    ``field`` is the list's own name in its object. Names are unique within a list.
    """
    lists = (items, *others)
    if not all(isinstance(item, Mapping) for one in lists for item in one):
        return None
    for keys in (*_KEYS.get(field, ()), *_OTHERWISE):
        found = [[_name(item, keys) for item in one] for one in lists]
        if all("" not in names and len(set(names)) == len(names) for names in found):
            return found
    return None


def _name(item: Mapping[str, Any], keys: Sequence[str]) -> str:
    """``name=web``, ``containerPort=80,protocol=TCP``; empty where the item has none of them."""
    parts = [(key, _at(item, key)) for key in keys]
    held = [(key, value) for key, value in parts if isinstance(value, (str, int)) and value != ""]
    # The first one names it, others only tell twins apart.
    return ",".join(f"{key}={value}" for key, value in held) if held[:1] and held[0][1] else ""


def _at(item: Mapping[str, Any], key: str) -> Any:
    value: Any = item
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def align(old: Sequence[Any], new: Sequence[Any]) -> Iterator[Pair] | None:
    """Items without names, as a comparison of texts pairs lines; None where it costs too much."""
    first = [token(item) for item in old]
    second = [token(item) for item in new]
    same = 0
    while same < min(len(first), len(second)) and first[same] == second[same]:
        same += 1
    first, second = first[same:], second[same:]
    tail = 0
    while tail < min(len(first), len(second)) and first[-1 - tail] == second[-1 - tail]:
        tail += 1
    first, second = first[: len(first) - tail], second[: len(second) - tail]
    return _align(first, second, same) if len(first) * len(second) <= _MOST_PAIRS else None


def _align(first: list[str], second: list[str], same: int) -> Iterator[Pair]:
    codes = SequenceMatcher(None, first, second, autojunk=False).get_opcodes()
    for what, a, a_end, b, b_end in codes:
        if what == "replace" and a_end - a == b_end - b:
            for index in range(a_end - a):
                at = same + b + index
                yield Pair(str(at), same + a + index, at)
        elif what != "equal":
            for index in range(a, a_end):
                yield Pair(str(same + index), same + index, None)
            for index in range(b, b_end):
                yield Pair(str(same + index), None, same + index)


def token(value: Any) -> str:
    """A text that is equal where the values are: ``1``, ``1.0`` and ``true`` are three."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
