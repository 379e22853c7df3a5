"""What a plain (unquoted) YAML scalar means, where YAML 1.1 and 1.2 agree.

`kubectl`, PyYAML and most editors read YAML 1.1 or a mixture, we read 1.2. ``no`` is a string
here and false there, ``010`` is 10 or 8, ``12:30`` a string or 750. A policy must mean the same
to everybody who reads it, so a scalar with two meanings is refused and the author quotes it.
Patterns: YAML 1.2.2 chapter 10.3 (core schema), yaml.org/type of YAML 1.1 as PyYAML has it, and
the spellings that the YAML library of kubectl reads as numbers.
"""

from __future__ import annotations

import re

Plain = str | int | float | bool | None

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_TRUE_11 = frozenset({"y", "Y", "yes", "Yes", "YES", "on", "On", "ON"})
_FALSE_11 = frozenset({"n", "N", "no", "No", "NO", "off", "Off", "OFF"})

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+][0-9]+)?")
_SPECIAL_FLOAT = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
    r"(?:(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9:]+))?)?"
)
_LONG_NUMBER = re.compile(r"[-+]?(?:[0-9.][-+0-9_.:eE]*|0[xXoObB][0-9a-fA-F_]*)")
_LONGEST = 100
# Looks like a number to one reader, and not, or like another number, to the next.
_TWO_NUMBERS = re.compile(
    r"""[-+]?(?:
        0[0-9_]+                                   # 010, 08: octal, decimal or text
      | 0[xX][0-9a-fA-F_]+ | 0[oO][0-7_]+ | 0[bB][01_]+
      | [0-9_]*[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?   # 1_000, 1e3
      | \.[0-9_]+(?:[eE][-+]?[0-9]+)?
      | [0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?              # 12:30 counts in sixties
    )""",
    re.VERBOSE,
)


class Ambiguous(ValueError):
    """Two readers disagree; the message says on what."""


class TooLong(Ambiguous):
    """A number that is longer than any that is meant."""


def read_plain(text: str, *, timestamps: bool = False) -> Plain:
    """The one meaning of a plain scalar; raises `Ambiguous` where there are two.

    ``timestamps`` takes times for text, for fields where text and time come to the same.
    """
    if len(text) > _LONGEST:
        return _read_long(text)
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if text in _TRUE_11 or text in _FALSE_11:
        other = "true" if text in _TRUE_11 else "false"
        raise Ambiguous(f"`{text}` is read as a string by YAML 1.2 and as {other} by YAML 1.1")
    if text in {"=", "<<"}:
        raise Ambiguous(f"`{text}` is read as a string by YAML 1.2 and has a meaning in YAML 1.1")
    if _INT.fullmatch(text):
        return _bounded_int(text)
    if _FLOAT.fullmatch(text) and not re.match(r"[-+]?0[0-9]", text):
        return float(text)
    if _SPECIAL_FLOAT.fullmatch(text):
        raise Ambiguous(f"`{text}` is a number that no field takes")
    # kubectl's library drops all underscores of what begins like a number
    if _TWO_NUMBERS.fullmatch(text) or (
        text[0] in "+-.0123456789" and _TWO_NUMBERS.fullmatch(text.replace("_", "")) and "_" in text
    ):
        raise Ambiguous(f"`{text}` is read as different values by YAML 1.1 and YAML 1.2")
    if not timestamps and _TIMESTAMP.fullmatch(text):
        raise Ambiguous(f"`{text}` is read as a string by YAML 1.2 and as a time by YAML 1.1")
    return text


def _read_long(text: str) -> str:
    """For what the other patterns would take quadratic time to find that it is not theirs."""
    if _LONG_NUMBER.fullmatch(text):
        raise TooLong("what looks like a number is too long to be read as one")
    return text


def _bounded_int(text: str) -> int:
    if len(text) > 19:
        raise TooLong("a number with more than 18 digits")
    return int(text)
