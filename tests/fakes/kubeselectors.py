"""Label and field selectors as the API server reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_SET = re.compile(r"(\S+)\s+(in|notin)\s+\(([^)]*)\)")
_EQUAL = re.compile(r"([^=!\s]+)\s*(==|=|!=)\s*(\S*)")


def match_labels(selector: str, labels: Mapping[str, str]) -> bool:
    """Whether all comma-separated requirements hold; the empty selector matches all."""
    return all(_label(part.strip(), labels) for part in _parts(selector))


def match_fields(selector: str, obj: Mapping[str, Any]) -> bool:
    """``metadata.name=x,spec.nodeName!=y``."""
    return all(_field(part.strip(), obj) for part in _parts(selector))


def _parts(selector: str) -> list[str]:
    return [part for part in re.split(r",(?![^(]*\))", selector) if part.strip()]


def _label(part: str, labels: Mapping[str, str]) -> bool:
    if found := _SET.fullmatch(part):
        key, verb, text = found.groups()
        values = {value.strip() for value in text.split(",")}
        return (labels.get(key) in values) == (verb == "in")
    if found := _EQUAL.fullmatch(part):
        key, verb, value = found.groups()
        return (labels.get(key) == value) == (verb != "!=")
    if part.startswith("!"):
        return part[1:] not in labels
    return part in labels


def _field(part: str, obj: Mapping[str, Any]) -> bool:
    found = _EQUAL.fullmatch(part)
    if found is None:
        raise ValueError(f"not a field selector: {part}")
    value: object = obj
    for key in found[1].split("."):
        value = value.get(key, "") if isinstance(value, Mapping) else ""
    return (str(value) == found[3]) == (found[2] != "!=")
