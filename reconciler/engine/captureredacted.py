"""What one capture redacted, for the record: object, place and rule, never a value."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.capture import canonical
from reconciler.model.run import RedactedValue

_LISTED = 1000
"""Values that a record lists; the files have all."""


class Redactions:
    """Gathers in any order; equal clusters give equal records."""

    def __init__(self) -> None:
        self._found: dict[str, canonical.Captured] = {}

    def take(self, captured: canonical.Captured) -> None:
        """Notes an object that has redacted values; every other is passed over."""
        if captured.redacted:
            self._found[captured.path] = captured

    def records(self) -> tuple[RedactedValue, ...]:
        """Sorted by object and place; the first thousand."""
        found = [
            RedactedValue(object=path, field=one.path, rule=one.rule)
            for path, captured in sorted(self._found.items())
            for one in captured.redacted
        ]
        return tuple(found[:_LISTED])

    def warnings(self) -> Iterator[str]:
        """What is more than a record lists."""
        values = sum(len(captured.redacted) for captured in self._found.values())
        if values > _LISTED:
            yield (
                f"{values} values of {len(self._found)} objects are redacted: the first {_LISTED}"
                " are listed, the files have all"
            )
