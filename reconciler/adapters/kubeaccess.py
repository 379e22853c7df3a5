"""Questions about rights, about ourselves and about time, that the API server answers by itself.

Reviews are sent with POST and stored nowhere. Rights of another account are asked in its place
(impersonation), so that the answer is the very one it would get, whatever authorizer decides.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from reconciler.adapters.kubeerrors import Call, explain, read_status
from reconciler.adapters.kubetransport import Transport
from reconciler.model.errors import Refused, Transient
from reconciler.model.rights import Right, Verdict

_ACCESS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_SELF = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


def review(transport: Transport, right: Right, subject: str = "") -> Verdict:
    """A SelfSubjectAccessReview, as ``subject`` or as ourselves."""
    resource, _, subresource = right.resource.partition("/")
    attributes = {
        "verb": right.verb,
        "group": right.group,
        "resource": resource,
        "subresource": subresource,
        "name": right.name,
        "namespace": right.namespace,
    }
    body = _body(
        "authorization.k8s.io/v1",
        "SelfSubjectAccessReview",
        {"resourceAttributes": {key: value for key, value in attributes.items() if value}},
    )
    answer = transport.send("POST", _ACCESS, body=body, acting_as=subject)
    what = Call(verb="create", kind="SelfSubjectAccessReview")
    if answer.status == 403 and subject:
        raise Refused(
            f"not allowed to ask in the name of {subject} ({read_status(answer)})",
            hint=f"ask with more rights: kubectl auth can-i {right.verb} {_kubectl(right)}"
            f" --as={subject}",
        )
    if not answer.ok:
        raise explain(answer, what)
    status = answer.json(str(what)).get("status") or {}
    allowed = status.get("allowed") is True and status.get("denied") is not True
    reason = str(status.get("reason") or status.get("evaluationError") or "")
    return Verdict(allowed, " ".join(reason.split())[:300])


def whoami(transport: Transport) -> str:
    """The user name of a SelfSubjectReview; empty from a server that has none (before 1.28)."""
    body = _body("authentication.k8s.io/v1", "SelfSubjectReview")
    answer = transport.send("POST", _SELF, body=body)
    what = Call(verb="create", kind="SelfSubjectReview")
    if answer.status in {403, 404}:
        return ""
    if not answer.ok:
        raise explain(answer, what)
    info = (answer.json(str(what)).get("status") or {}).get("userInfo") or {}
    return str(info.get("username") or "")


def server_time(transport: Transport) -> datetime:
    """The Date header of an answer that needs no right."""
    answer = transport.send("GET", "/version")
    try:
        return parsedate_to_datetime(answer.headers["Date"]).astimezone(UTC)
    except (KeyError, ValueError, TypeError) as error:
        raise Transient(f"API server {transport.host}: its answer has no usable Date") from error


def _body(api_version: str, kind: str, spec: dict[str, Any] | None = None) -> bytes:
    made: dict[str, Any] = {"apiVersion": api_version, "kind": kind}
    if spec is not None:
        made["spec"] = spec
    return orjson.dumps(made)


def _kubectl(right: Right) -> str:
    """The right as ``kubectl auth can-i`` takes it."""
    what = "'*'" if right.resource == "*" else right.kind
    if right.group == "*":
        what = "'*.*'"
    where = f"-n {right.namespace}" if right.namespace else "-A"
    return f"{what}{'/' + right.name if right.name else ''} {where}"
