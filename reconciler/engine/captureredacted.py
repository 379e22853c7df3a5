"""What one capture redacted, for the record: object, place and rule, never a value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.capture import canonical, redactpolicy, redactrules
from reconciler.engine.context import RunRequest
from reconciler.model.grants import find_grant
from reconciler.model.objects import Resource
from reconciler.model.redaction import Redact
from reconciler.model.run import RedactedValue

_LISTED = 1000
"""Values that a record lists; the files have all."""


class Redactions:
    """Gathers in any order; equal clusters give equal records."""

    def __init__(self, request: RunRequest) -> None:
        own = request.compiled.policy.manifests.redact or Redact()
        grant = find_grant(request.config.grants, own.keep_file) if own.keep_file else None
        may_keep = grant is not None and grant.keep_in_clear
        self._ungranted = own.keep and not may_keep
        self._keeper = f"folder {grant.folder}" if grant else own.keep_file or "its file"
        self._own = redactpolicy.PolicyRules(
            own, may_keep=may_keep, only_namespaced=grant is None or grant.limit is not None
        )
        # Most policies say nothing, and every object of a cluster comes by.
        self._rules = self._own if own.rules or own.keep else redactrules.DEFAULT
        self._found: dict[str, canonical.Captured] = {}

    def capture(
        self, raw: Mapping[str, Any], resource: Resource, key: bytes | None
    ) -> canonical.Captured | canonical.LeftOut:
        """`canonical.capture_object`, by the rules of the run's policy."""
        return canonical.capture_object(raw, resource, fingerprint_key=key, rules=self._rules)

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
        """What is more than a record lists, and what the policy says in vain."""
        if self._ungranted:
            yield (
                f"{redactpolicy.FIELD}.keep is not granted to {self._keeper}: what the default"
                " rules find is redacted"
            )
        yield from self._own.unmatched()
        values = sum(len(captured.redacted) for captured in self._found.values())
        if values > _LISTED:
            yield (
                f"{values} values of {len(self._found)} objects are redacted: the first {_LISTED}"
                " are listed, the files have all"
            )
