"""What the API server and the way to it can say, told as our own errors.

Every message names the object or the list and the HTTP status; the hint says what to do. Bodies
are cut. What the server says about a Secret is left out but for field names: validation errors
quote values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from reconciler.model.errors import (
    BackstayError,
    Expired,
    Incomplete,
    NotServed,
    Refused,
    Transient,
)
from reconciler.model.objects import ObjectRef, Resource

_LONGEST = 400
"""Characters of a server's message that are kept."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said, with any status code."""

    status: int
    data: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def ok(self) -> bool:
        """Whether the request was carried out."""
        return 200 <= self.status < 300

    def json(self, what: str) -> dict[str, Any]:
        """The body; raises Transient if it isn't a JSON object (a proxy's page, a cut body)."""
        try:
            body = orjson.loads(self.data)
        except orjson.JSONDecodeError as error:
            raise Transient(f"{what}: the API server's answer is not JSON") from error
        if not isinstance(body, dict):
            raise Transient(f"{what}: the API server's answer is not an object")
        return body


@dataclass(frozen=True, slots=True)
class Cause:
    """One ``details.causes`` entry of a Status."""

    reason: str
    message: str
    field: str


@dataclass(frozen=True, slots=True)
class Status:
    """A ``metav1.Status``, or what could be read of it."""

    code: int
    reason: str = ""
    message: str = ""
    causes: tuple[Cause, ...] = ()

    def __str__(self) -> str:
        return " ".join(part for part in (f"HTTP {self.code}", self.reason) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Which request is explained: verb as in RBAC, kind, where and which object."""

    verb: str
    resource: Resource | None = None
    kind: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def sensitive(self) -> bool:
        """Whether the server may quote a Secret's values."""
        return self.kind == "Secret" or (
            self.resource is not None and self.resource.kind == "Secret"
        )

    def __str__(self) -> str:
        what = str(self.resource) if self.resource else self.kind
        if self.name:
            return f"{self.verb} {self.namespace + '/' if self.namespace else ''}{what}/{self.name}"
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.verb} {what}{where}"

    @property
    def right(self) -> str:
        """The RBAC rule that allows it, in one line."""
        if self.resource is None:
            return f"{self.verb} on {self.kind}"
        group = self.resource.group or '""'
        return f"{self.verb} on {self.resource.plural} (API group {group})"


def call(verb: str, ref: ObjectRef) -> Call:
    """A call about one object whose kind has not been looked up."""
    return Call(verb=verb, kind=ref.kind, namespace=ref.namespace, name=ref.name)


def read_status(answer: Answer) -> Status:
    """The Status in an answer that is not ok; a proxy's HTML page gives the code alone."""
    try:
        body = orjson.loads(answer.data)
    except orjson.JSONDecodeError:
        return Status(answer.status)
    if not isinstance(body, dict) or body.get("kind") != "Status":
        return Status(answer.status)
    details = body.get("details") or {}
    causes = tuple(
        Cause(str(c.get("reason", "")), _cut(c.get("message", "")), str(c.get("field", "")))
        for c in (details.get("causes") or ())
        if isinstance(c, dict)
    )
    return Status(
        answer.status, str(body.get("reason") or ""), _cut(body.get("message") or ""), causes
    )


def explain(answer: Answer, what: Call) -> BackstayError:
    """The error for an answer that is not ok."""
    status = read_status(answer)
    if status.code == 401:
        return Refused(
            f"{what}: the API server does not accept the credentials ({status})",
            hint="the token or certificate has expired or belongs to another cluster",
        )
    if status.code == 403:
        return _forbidden(status, what)
    if status.code == 409:
        return _conflict(status, what)
    if status.code == 429 or status.code >= 500:
        return Transient(
            f"{what}: the API server can't answer now ({_with_message(status, what)})",
            hint="look at the API server's health: kubectl get --raw /readyz?verbose",
        )
    return Refused(f"{what}: {_with_message(status, what)}", hint=_hint(status))


def explain_list(answer: Answer, what: Call) -> BackstayError:
    """The error for a list that did not reach its end."""
    status = read_status(answer)
    if status.code in {401, 403}:
        return explain(answer, what)
    if status.code == 410:
        return Expired(f"{what}: the list expired before its end ({status})")
    if status.code == 404:
        return NotServed(
            f"{what}: can't be listed ({_with_message(status, what)})",
            hint="the kind is not served: is its CustomResourceDefinition there?",
        )
    hint = ""
    if status.code == 429 or status.code >= 500:
        hint = "the API server, or the aggregated API behind this kind, is not answering"
    return Incomplete(f"{what}: can't be listed ({_with_message(status, what)})", hint=hint)


def _forbidden(status: Status, what: Call) -> Refused:
    if "cannot" not in status.message and status.message:
        # An admission webhook, a quota or a terminating namespace says no with 403 as well.
        return Refused(f"{what}: {_with_message(status, what)}", hint=_hint(status))
    where = f" in namespace {what.namespace}" if what.namespace else ""
    return Refused(
        f"{what}: not allowed ({_with_message(status, what)})",
        hint=f"grant this service account {what.right}{where}",
    )


def _conflict(status: Status, what: Call) -> BackstayError:
    owned = [cause for cause in status.causes if cause.reason == "FieldManagerConflict"]
    if not owned:
        return Transient(f"{what}: changed by somebody else meanwhile ({status})")
    fields = "; ".join(f"{cause.field}: {cause.message}" for cause in owned)
    return Refused(
        f"{what}: other field managers own what Backstay wants to set: {_cut(fields)}",
        hint="delete the object, or let the other manager give these fields up",
    )


def _with_message(status: Status, what: Call) -> str:
    if not what.sensitive:
        return f"{status}: {status.message}" if status.message else str(status)
    fields = ", ".join(sorted({cause.field for cause in status.causes if cause.field}))
    return f"{status}: {fields}" if fields else str(status)


def _hint(status: Status) -> str:
    if status.code == 404:
        return "does the namespace exist, and is the kind served?"
    if "exceeded quota" in status.message:
        return "raise the ResourceQuota of this namespace"
    if "being terminated" in status.message:
        return "the namespace is being deleted"
    if "admission webhook" in status.message:
        return "the admission webhook named in the message must allow it"
    return ""


def _cut(text: object) -> str:
    plain = " ".join(str(text).split())
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}…"
