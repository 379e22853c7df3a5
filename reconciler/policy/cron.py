"""Cron expressions that CronJob and cronsim read alike, and nothing else.

Five fields of numbers, names, ranges, lists and steps. The two parsers (robfig/cron v3 in
Kubernetes, cronsim in our previews) disagree on the rest: wrapping ranges, ``?``, ``L``, ``#``,
Sunday as 7, a step after one number, ``@every``, empty items, a zone within the text, and a
stepped star beside a weekday, which is AND to one and OR to the other. Macros are written out here
with Kubernetes' meaning, so nobody else has to know them; ``H`` is `reconciler.model.cronhash`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from reconciler.model import cronhash

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
_SPAN = re.compile(r"\d+ ?(s|m|h|d|w|min|hours?|days?|weeks?)", re.IGNORECASE)
_ZONE = re.compile(r"\s*(CRON_)?TZ=", re.IGNORECASE)
_LONGEST_MONTH = {1: 31, 2: 29, 3: 31, 4: 30, 5: 31, 6: 30, 7: 31, 8: 31, 9: 30, 10: 31, 11: 30}
_TERM = re.compile(
    r"(?P<star>\*)(?:/(?P<star_step>[0-9]{1,3}))?"
    r"|(?P<first>[0-9]{1,3}|[A-Z]{3})(?:-(?P<last>[0-9]{1,3}|[A-Z]{3})(?:/(?P<step>[0-9]{1,3}))?)?"
)


class CronError(ValueError):
    """What a schedule can't have: a predicate, and a hint that says what to write."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def parse_cron(text: str) -> str:
    """The five fields with single blanks, in upper case, macros expanded.

    ``H`` stays as it is; `cronhash.compile_cron` replaces it. Raises CronError.
    """
    if text.startswith("@"):
        if text not in MACROS:
            raise _unknown_macro(text)
        return MACROS[text]
    if _ZONE.match(text):
        raise CronError("names a time zone in its text", "the field timeZone is the place for it")
    parts = text.upper().split()
    if len(parts) != len(_FIELDS):
        seconds = "; CronJob has no seconds" if len(parts) == len(_FIELDS) + 1 else ""
        hint = f"minute hour day month weekday, such as 17 4 * * *{seconds}"
        if (macro := f"@{text.lower()}") in MACROS:
            hint = f"did you mean {macro}?"
        elif _SPAN.fullmatch(text):
            hint = "times, not a span: such as H */6 * * *"
        count = "1 field" if len(parts) == 1 else f"{len(parts)} fields"
        raise CronError(f"has {count}, not five", hint)
    values = [_parse_field(field, part) for field, part in zip(_FIELDS, parts, strict=True)]
    _refuse_disagreement(parts[2], parts[4])
    _refuse_never(days=values[2], months=values[3], any_weekday=_is_star(parts[4]))
    return " ".join(parts)


@dataclass(frozen=True, slots=True)
class CronSets:
    """The five fields as numbers; ``either``: a day that matches one of its two is enough."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool

    def on(self, day: date) -> bool:
        """Whether it runs on a day."""
        if day.month not in self.months:
            return False
        of_month, of_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return of_month or of_week if self.either else of_month and of_week


def read_sets(cron: str) -> CronSets:
    """What `parse_cron` accepted, without ``H``, as numbers."""
    parts = cron.split()
    minutes, hours, days, months, weekdays = (
        _parse_field(field, part) for field, part in zip(_FIELDS, parts, strict=True)
    )
    either = not (_is_star(parts[2]) or _is_star(parts[4]))
    return CronSets(minutes, hours, days, months, weekdays, either)


def _unknown_macro(text: str) -> CronError:
    known = ", ".join(MACROS)
    if text.startswith("@every"):
        hint = "CronJob would count from when it was made; such as */15 * * * * or H */6 * * *"
        return CronError("has @every, whose times nobody can foresee", hint)
    near = f"did you mean {text.lower()}? " if text.lower() in MACROS else ""
    return CronError(f"knows no macro `{text[:20]}`", f"{near}there are {known}")


def _parse_field(field: _Field, text: str) -> frozenset[int]:
    if "," in text and "*" in text:
        raise CronError(f"has `*` in a list for the {field.name}", "write the numbers")
    return frozenset().union(*(_parse_term(field, term) for term in text.split(",")))


def _parse_term(field: _Field, term: str) -> frozenset[int]:
    if "H" in term and field.name in cronhash.RANGES:
        return _parse_hash(field, term)
    found = _TERM.fullmatch(term)
    if found is None:
        raise CronError(f"has `{term[:20]}` for the {field.name}", _advice(field, term))
    if found["star"]:
        step = _step(field, found["star_step"])
        return frozenset(range(field.low, field.high + 1, step))
    first = _number(field, found["first"])
    last = _number(field, found["last"]) if found["last"] else first
    _refuse_wrapping(field, term, first, last)
    if found["step"] and first == last:
        # one number to CronJob, "from there on" to cronsim
        raise CronError(
            f"has a step on a range of one for the {field.name}, `{term}`", f"write {first}"
        )
    return frozenset(range(first, last + 1, _step(field, found["step"])))


def _parse_hash(field: _Field, term: str) -> frozenset[int]:
    """All that the ``H`` may come to stand for."""
    found = cronhash.TERM.fullmatch(term)
    if found is None:
        raise CronError(
            f"has `{term[:20]}` for the {field.name}",
            "there are H, H(0-15), H/4 and H(0-15)/4, also in a list",
        )
    first, last = field.low, field.high
    if found["first"] is not None:
        first, last = (_number(field, found[end]) for end in ("first", "last"))
        if first == last:
            raise CronError(f"has `{term}`, which is always {first}", f"write {first}")
        if last < first:
            raise CronError(f"has a range that wraps for the {field.name}, `{term}`")
    if found["step"] is not None and not 1 < int(found["step"]) <= last - first:
        raise CronError(
            f"has `{term}` for the {field.name}, whose step does not fit into {first}-{last}",
            f"a step is from 2 to {last - first}",
        )
    return frozenset(range(first, last + 1))


def _refuse_wrapping(field: _Field, term: str, first: int, last: int) -> None:
    if last < first:
        raise CronError(
            f"has a range that wraps for the {field.name}, `{term}`",
            f"write two with a comma: {_range(first, field.high)},{_range(field.low, last)}",
        )


def _range(first: int, last: int) -> str:
    return f"{first}-{last}" if first < last else str(first)


def _advice(field: _Field, term: str) -> str:
    if "?" in term:
        return "write `*`" if field.name.startswith("day") else "write a number, or `H`"
    if not term:
        return "a comma too many"
    if term == "H":
        return "`H` stands in minute and hour only"
    if re.fullmatch(r"[0-9A-Z]+/[0-9]+", term):
        first, _, step = term.partition("/")
        return f"a step needs a range, such as {first}-{field.high}/{step}"
    if re.search(r"[LW#]", term) and field.name.startswith("day"):
        return "CronJob has no L, W and #; such as 1-7 for the first week"
    return "there are numbers, names, `*`, ranges, lists and steps"


def _number(field: _Field, text: str) -> int:
    if text in field.names:
        return field.names.index(text) + field.low
    if not text.isdigit():
        known = f"there are {', '.join(field.names)}" if field.names else "write its number"
        raise CronError(f"has `{text}` for the {field.name}, which is no name there", known)
    number = int(text)
    if field.names and number == 7 and field.high == 6:
        raise CronError(
            "has 7 for the day of week, which CronJob refuses", "write 0 or SUN for Sunday"
        )
    if not field.low <= number <= field.high:
        raise CronError(
            f"has {number} for the {field.name}, which goes from {field.low} to {field.high}"
        )
    return number


def _step(field: _Field, text: str | None) -> int:
    step = int(text) if text else 1
    if not 1 <= step <= field.high:
        raise CronError(
            f"has a step of {step} for the {field.name}, which no run would reach",
            f"a step is from 1 to {field.high}",
        )
    return step


def _is_star(part: str) -> bool:
    return part in {"*", "*/1"}


def _refuse_disagreement(day: str, weekday: str) -> None:
    if _is_star(day) or _is_star(weekday):
        return
    if "*" in day or "*" in weekday:
        raise CronError(
            "has a step after `*` beside a restricted day: CronJob runs when either matches,"
            " others when both do",
            "write the range, such as 1-31/2 or 0-6/2; either matches then",
        )


def _refuse_never(*, days: frozenset[int], months: frozenset[int], any_weekday: bool) -> None:
    if any_weekday and min(days) > max(_LONGEST_MONTH.get(month, 31) for month in months):
        raise CronError(f"never runs: no such month has a day {min(days)}", "such as 28")
