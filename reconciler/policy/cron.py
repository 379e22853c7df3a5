"""Cron expressions that CronJob and cronsim read alike, and nothing else.

Five fields of numbers, names, ranges, lists and steps. The two parsers (robfig/cron v3 in
Kubernetes, cronsim in our previews) disagree on the rest: wrapping ranges, ``?``, ``L``, ``#``,
Sunday as 7, a step after one number, ``@every``, and a stepped star beside a weekday, which is
AND to one and OR to the other. Macros are written out here, so nobody else has to know them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field(
        "month",
        1,
        12,
        ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"),
    ),
    _Field("day of week", 0, 6, ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")),
)
_LONGEST_MONTH = {1: 31, 2: 29, 3: 31, 4: 30, 5: 31, 6: 30, 7: 31, 8: 31, 9: 30, 10: 31, 11: 30}
_TERM = re.compile(
    r"(?P<star>\*)(?:/(?P<star_step>[0-9]{1,3}))?"
    r"|(?P<first>[0-9]{1,3}|[A-Z]{3})(?:-(?P<last>[0-9]{1,3}|[A-Z]{3})(?:/(?P<step>[0-9]{1,3}))?)?"
)


def uses_hash(cron: str) -> bool:
    """Whether minute or hour is ``H``, a stable hash of cluster and policy."""
    return "H" in cron.upper().split()[:2]


def parse_cron(text: str) -> str:
    """The five fields with single blanks, in upper case, macros expanded.

    ``H`` may stand for the whole minute or hour. Raises ValueError with the reason.
    """
    if text.startswith("@"):
        if text not in MACROS:
            known = ", ".join(MACROS)
            raise ValueError(f"knows no macro `{text[:20]}`; there are {known}")
        return MACROS[text]
    parts = text.upper().split()
    if len(parts) != len(_FIELDS):
        raise ValueError(f"has {len(parts)} fields, not five: minute hour day month weekday")
    values = [
        _parse_field(field, part) for field, part in zip(_FIELDS, _without_hash(parts), strict=True)
    ]
    _refuse_disagreement(parts[2], parts[4])
    _refuse_never(days=values[2], months=values[3], any_weekday=_is_star(parts[4]))
    return " ".join(parts)


def _without_hash(parts: list[str]) -> list[str]:
    """The fields with 0 in place of ``H`` where it may stand."""
    return ["0" if part == "H" else part for part in parts[:2]] + parts[2:]


def _parse_field(field: _Field, text: str) -> frozenset[int]:
    if "," in text and "*" in text:
        raise ValueError(f"has `*` in a list for the {field.name}: write the numbers")
    return frozenset().union(*(_parse_term(field, term) for term in text.split(",")))


def _parse_term(field: _Field, term: str) -> frozenset[int]:
    found = _TERM.fullmatch(term)
    if found is None:
        raise ValueError(f"has `{term[:20]}` for the {field.name}: {_advice(field, term)}")
    if found["star"]:
        step = _step(field, found["star_step"])
        return frozenset(range(field.low, field.high + 1, step))
    first = _number(field, found["first"])
    last = _number(field, found["last"]) if found["last"] else first
    if last < first:
        raise ValueError(
            f"has a range that wraps for the {field.name}, `{term}`: write two ranges with a comma"
        )
    if found["step"] and first == last:
        # one number to CronJob, "from there on" to cronsim
        raise ValueError(f"has a step on a range of one for the {field.name}, `{term}`")
    return frozenset(range(first, last + 1, _step(field, found["step"])))


def _advice(field: _Field, term: str) -> str:
    if "?" in term:
        return "write `*`"
    if "H" in term and field.name in {"minute", "hour"}:
        return "`H` stands alone"
    if re.fullmatch(r"[0-9A-Z]+/[0-9]+", term):
        first, _, step = term.partition("/")
        return f"a step needs a range, such as `{first}-{field.high}/{step}`"
    return "only numbers, names, `*`, ranges, lists and steps are read alike by CronJob and us"


def _number(field: _Field, text: str) -> int:
    if text in field.names:
        return field.names.index(text) + field.low
    if not text.isdigit():
        raise ValueError(f"has `{text}` for the {field.name}, which is no name there")
    number = int(text)
    if field.names and number == 7 and field.high == 6:
        raise ValueError("has 7 for the day of week, which CronJob refuses: write 0 for Sunday")
    if not field.low <= number <= field.high:
        raise ValueError(
            f"has {number} for the {field.name}, which goes from {field.low} to {field.high}"
        )
    return number


def _step(field: _Field, text: str | None) -> int:
    step = int(text) if text else 1
    if not 1 <= step <= field.high:
        raise ValueError(f"has a step of {step} for the {field.name}, which no run would reach")
    return step


def _is_star(part: str) -> bool:
    return part in {"*", "*/1"}


def _refuse_disagreement(day: str, weekday: str) -> None:
    if _is_star(day) or _is_star(weekday):
        return
    if "*" in day or "*" in weekday:
        raise ValueError(
            "has a step after `*` beside a restricted day: CronJob runs when either matches,"
            " others when both do; list the days"
        )


def _refuse_never(*, days: frozenset[int], months: frozenset[int], any_weekday: bool) -> None:
    if any_weekday and min(days) > max(_LONGEST_MONTH.get(month, 31) for month in months):
        raise ValueError(f"never runs: no such month has a day {min(days)}")
