"""Places in one object that are redacted, and how many may be: what they cost is bounded here.

A place is the way to a value, so many values far down in an object are more than the object itself:
a megabyte and a half of it can hold 300,000 of them, three hundred steps deep. Whoever may write
objects chooses that, and every run of a policy that selects them pays. What has more than a run can
bear is left out and told, as what is nested too deeply is. An object as large as etcd takes, with
all of its values a few steps down, is not there yet.
"""

from __future__ import annotations

from typing import TypeVar

Keys = tuple[str | int, ...]
V = TypeVar("V")

MOST_STEPS = 1_000_000
"""From the top of an object to all of its redacted values."""
MOST_TEXT = 4_000_000
"""Characters of all of their paths, as people read them: keys and names may be long."""


class TooMany(Exception):
    """One object has more to redact than is followed."""


class Places(dict[Keys, V]):
    """Place → what is said of it. Raises TooMany instead of growing further."""

    __slots__ = ("_steps",)

    def __init__(self) -> None:
        super().__init__()
        self._steps = 0

    def __setitem__(self, keys: Keys, said: V) -> None:
        if keys not in self:
            self._steps += len(keys)
            if self._steps > MOST_STEPS:
                raise TooMany
        super().__setitem__(keys, said)

    def setdefault(self, keys: Keys, said: V) -> V:
        """As of any mapping."""
        if keys not in self:
            self[keys] = said
        return self[keys]
