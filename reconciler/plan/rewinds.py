"""What is written of branches that have lost their remembered tip, beside that tip. Pure.

A run that finds it writes it down, so that it stands there until somebody has seen to it: it goes
when the branch has the lost commit again, or when a person says that the history is right as it is.
A branch that loses its tip once more, meanwhile, has two such findings.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.model import naming
from reconciler.plan.entries import annotations_of

Raw = Mapping[str, Any]
Places = Mapping[str, int]
"""Commits of a branch → how many lie above them."""
COMPONENT_STATE = "state"
"""The label of the Leases that remember tips."""
_MOST = 5
_LONGEST = 256
"""Characters of a field; what is longer no run has written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewind:
    """Once: ``expected`` was remembered, and the branch did not have it."""

    expected: str
    found: str = ""
    """The tip that was there in its place; empty: the branch was gone."""
    at: str = ""
    """When it was found, ``2026-11-21T04:17:03Z``."""
    run: str = ""
    """The run that found it."""


@dataclass(frozen=True, slots=True)
class Rewound:
    """A branch and what it has lost, the first loss first."""

    branch: str
    rewinds: tuple[Rewind, ...]


def render_rewinds(branch: str, rewinds: Sequence[Rewind]) -> str:
    """The annotation; empty where there is nothing to say."""
    if not rewinds:
        return ""
    told = [
        {"expected": one.expected, "found": one.found, "at": one.at, "run": one.run}
        for one in rewinds
    ]
    return json.dumps({"branch": branch, "rewinds": told}, separators=(",", ":"))


def read_rewinds(text: str) -> Rewound | None:
    """What an annotation says; None where it says nothing that can be read."""
    try:
        found = json.loads(text)
        branch = _text(found["branch"])
        rewinds = tuple(
            Rewind(**{key: _text(one[key]) for key in ("expected", "found", "at", "run")})
            for one in found["rewinds"][:_MOST]
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return Rewound(branch, rewinds) if rewinds else None


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST or not value.isprintable():
        raise ValueError("not a word")
    return value


def add_rewind(rewinds: Sequence[Rewind], new: Rewind) -> tuple[Rewind, ...]:
    """Of one commit the first word stays; of many the oldest ones, and the newest."""
    if any(one.expected == new.expected for one in rewinds):
        return tuple(rewinds)
    return (*rewinds[: _MOST - 1], new)


def unaccepted(rewinds: Sequence[Rewind], places: Places, accepted: str) -> tuple[Rewind, ...]:
    """What is left once a person has said that the history that ends with ``accepted`` is right.

    That is what was found above it: of that they have said nothing. ``accepted`` is on the branch.
    """
    above = places[accepted]
    return tuple(one for one in rewinds if one.found in places and places[one.found] < above)


def find_rewound(leases: Iterable[Raw]) -> dict[str, Rewound]:
    """Name of the Lease → what it says, of those that say that a branch has lost something."""
    found = {}
    for raw in leases:
        told = read_rewinds(annotations_of(raw).get(naming.REWOUND, ""))
        if told is not None:
            found[raw["metadata"]["name"]] = told
    return found


def message_of(rewound: Rewound) -> str:
    """What has happened, for people."""
    first, *more = rewound.rewinds
    now = f"it was at {first.found}" if first.found else "it was gone"
    again = f", and {len(more)} times more since" if more else ""
    return (
        f"branch {rewound.branch} was rewound or replaced: its tip was commit {first.expected}, and"
        f" at {first.at} {now}{again}; runs go on, on top of what is there"
    )


def hint_of(policy: str, rewound: Rewound) -> str:
    """What to do next about a policy's branch."""
    expected = rewound.rewinds[0].expected
    return (
        f"see what is left: backstay verify {policy} --contains {expected}; whoever has that commit"
        " can push it to a branch of another name; once you know why, and that the history is right"
        f" as it is: backstay adopt --rewritten {policy} --tip COMMIT"
    )


def messages_by_policy(leases: Iterable[Raw]) -> Callable[[str], str]:
    """A function: policy → message and hint about its branch, empty where nothing is wrong."""
    rewound = find_rewound(leases)

    def tell(policy: str) -> str:
        found = rewound.get(naming.tip_lease_name(policy))
        return f"{message_of(found)}; {hint_of(policy, found)}" if found else ""

    return tell
