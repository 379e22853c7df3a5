"""JSON values → YAML text that every reader reads back alike.

Why our own: no YAML library for Python writes strings that kubectl, a YAML 1.1 reader and a
YAML 1.2 reader all read back as the same strings (``on``, ``1e3``, ``08``, ``0o7``, ``12:30``,
U+0085, …). What is written here is a small part of YAML that has one meaning in all of them:

* block style, two spaces, LF, UTF-8; list items stand in the column of their key;
* a string is *plain* only if it matches `_PLAIN` and is no reserved word, a *literal block* if it
  has line breaks and nothing in it that a reader could change, else *double-quoted* with escapes;
* keys in code point order, except the few that `ORDER` puts first;
* a key longer than a reader accepts before its colon is written in the explicit form ``? key``.

Promises: equal values give equal bytes; reading the bytes gives the value back (integers and
floats stay what they are). Property tests hold both. Fast, because it runs for every object.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

_WORD = r"[A-Za-z0-9_./@+=-]"
_PLAIN = re.compile(rf"-{{0,2}}[A-Za-z/]{_WORD}*(?:[ :]{_WORD}+)*|[0-9]+(?:m|s|h|Ki|Mi|Gi|Ti)")
_RESERVED = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_LONGEST_RESERVED = 5

# What no reader takes for something else inside a literal block. Left out: control characters,
# CR, the line breaks NEL, LS and PS, the byte order mark, and what is not a character.
_CLEAN_TEXT = re.compile(
    "[\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]+"
)
_ESCAPED = re.compile(
    '["\\\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]',
)
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"}

# libyaml and its kin give up on a key whose colon is more than 1024 characters away.
_LONGEST_SIMPLE_KEY = 1000
_OFTEN_SEEN = 48

TOP = ("apiVersion", "kind", "metadata")
METADATA = ("name", "namespace")


def emit(document: Mapping[str, Any]) -> bytes:
    """One document as UTF-8, ending in LF.

    ``document`` holds what JSON can hold. At its top apiVersion, kind and metadata come first, in
    metadata name and namespace do; everything else is in code point order. Raises TypeError for a
    value that JSON does not have and ValueError for a number that is not finite or for half of a
    surrogate pair, neither of which an API server can send.
    """
    if not document:
        return b"{}\n"
    out: list[str] = []
    for key in _ordered(document, TOP):
        value = document[key]
        if key == "metadata" and type(value) is dict and value:
            out.append("metadata:\n")
            _mapping(out, value, _ordered(value, METADATA), "  ", "  ")
        else:
            _mapping(out, document, (key,), "", "")
    return "".join(out).encode()


def emit_in_order(document: Mapping[str, Any]) -> bytes:
    """Like `emit`, with the keys of every mapping in the order that they are given in.

    For texts whose shape is ours, such as the record, where the order is part of the format.
    """
    out: list[str] = []
    _mapping(out, document, document, "", "", ordered=True)
    return "".join(out).encode() if document else b"{}\n"


def _ordered(mapping: Mapping[str, Any], first: Sequence[str]) -> list[str]:
    keys = [key for key in first if key in mapping]
    keys.extend(sorted(key for key in mapping if key not in first))
    return keys


def _mapping(
    out: list[str],
    mapping: Mapping[str, Any],
    keys: Sequence[str] | Mapping[str, Any],
    lead: str,
    pad: str,
    ordered: bool = False,
) -> None:
    """Writes ``keys`` of a mapping; ``lead`` is what stands before the first, ``pad`` the rest."""
    add = out.append
    for key in keys:
        value = mapping[key]
        name = _key(key)
        if not name:
            add(f"{lead}? {_form(key)}\n")
            _explicit_value(out, value, pad, ordered)
        elif type(value) is str:
            text = _short(value) if len(value) <= _OFTEN_SEEN else ""
            add(f"{lead}{name} {text or _text(value, pad)}\n")
        elif value and isinstance(value, dict):
            add(f"{lead}{name}\n")
            deeper = pad + "  "
            _mapping(out, value, value if ordered else sorted(value), deeper, deeper, ordered)
        elif value and isinstance(value, (list, tuple)):
            add(f"{lead}{name}\n")
            _sequence(out, value, pad, pad, ordered)
        else:
            add(f"{lead}{name} {_scalar(value, pad)}\n")
        lead = pad


def _sequence(
    out: list[str], items: Sequence[Any], lead: str, pad: str, ordered: bool = False
) -> None:
    add = out.append
    deeper = pad + "  "
    for item in items:
        if type(item) is str:
            add(f"{lead}- {_text(item, pad)}\n")
        elif item and isinstance(item, dict):
            keys = item if ordered else sorted(item)
            _mapping(out, item, keys, f"{lead}- ", deeper, ordered)
        elif item and isinstance(item, (list, tuple)):
            _sequence(out, item, f"{lead}- ", deeper, ordered)
        else:
            add(f"{lead}- {_scalar(item, pad)}\n")
        lead = pad


def _explicit_value(out: list[str], value: Any, pad: str, ordered: bool) -> None:
    lead, deeper = f"{pad}: ", pad + "  "
    if value and isinstance(value, dict):
        _mapping(out, value, value if ordered else sorted(value), lead, deeper, ordered)
    elif value and isinstance(value, (list, tuple)):
        _sequence(out, value, lead, deeper, ordered)
    else:
        out.append(f"{lead}{_scalar(value, pad)}\n")


def _scalar(value: Any, pad: str) -> str:
    if isinstance(value, str):
        return _text(value, pad)
    if value is True:
        return "true"
    if value is False:
        return "false"
    if value is None:
        return "null"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, (list, tuple)):
        return "[]"
    raise TypeError(f"JSON has no {type(value).__name__}")


def _number(value: float) -> str:
    """The shortest decimal that reads back as the same double; YAML 1.1 wants a dot in it."""
    if not math.isfinite(value):
        raise ValueError(f"not a JSON number: {value}")
    text = repr(value)
    mantissa, exponent, power = text.partition("e")
    return text if "." in mantissa else f"{mantissa}.0{exponent}{power}"


def _form(key: str) -> str:
    return key if _is_plain(key) else _quoted(key)


@lru_cache(maxsize=8192)
def _key(key: str) -> str:
    """With its colon; empty where the explicit form is needed."""
    name = _form(key)
    return f"{name}:" if len(name) <= _LONGEST_SIMPLE_KEY else ""


def _text(value: str, pad: str) -> str:
    if len(value) <= _OFTEN_SEEN:
        known = _short(value)
        if known:
            return known
    elif _is_plain(value):
        return value
    if "\n" in value and _CLEAN_TEXT.fullmatch(value) and value.strip("\n"):
        return _literal(value, pad + "  ")
    return _quoted(value)


@lru_cache(maxsize=8192)
def _short(value: str) -> str:
    """The form of a short string on one line: most of them come again and again."""
    if _is_plain(value):
        return value
    return "" if "\n" in value else _quoted(value)


def _is_plain(value: str) -> bool:
    if _PLAIN.fullmatch(value) is None:
        return False
    return len(value) > _LONGEST_RESERVED or value.lower() not in _RESERVED


def _literal(value: str, pad: str) -> str:
    # A first line that is empty or begins with white space would be taken for the indentation.
    indent = "2" if value[0] in " \t\n" else ""
    body = value.rstrip("\n")
    ends = len(value) - len(body)
    chomp = "-" if ends == 0 else "" if ends == 1 else "+"
    if "\n\n" in body or body[0] == "\n":
        text = "\n".join(f"{pad}{line}" if line else "" for line in body.split("\n"))
    else:
        text = pad + body.replace("\n", f"\n{pad}")
    return f"|{indent}{chomp}\n{text}" + "\n" * max(0, ends - 1)


def _quoted(value: str) -> str:
    return f'"{_ESCAPED.sub(_escape, value)}"'


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    short = _SHORT.get(char)
    if short is not None:
        return short
    code = ord(char)
    if 0xD800 <= code <= 0xDFFF:
        raise ValueError("half of a surrogate pair is no text")
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"
