"""What an API server says becomes an error of ours that says what to do."""

from __future__ import annotations

import json
import ssl
from typing import Any

import pytest
import urllib3

from reconciler.adapters.kubeerrors import Answer, Call, explain, explain_list, read_status
from reconciler.adapters.kubetransport import foreign
from reconciler.model.errors import (
    BackstayError,
    Expired,
    Incomplete,
    NotServed,
    Refused,
    Transient,
)
from tests.fakes.kubekinds import kind

PODS = Call(verb="list", resource=kind("Pod"), namespace="shop")
DEPLOYMENT = Call(verb="patch", resource=kind("Deployment"), namespace="shop", name="web")
SECRET = Call(verb="create", resource=kind("Secret"), namespace="shop", name="keys")


def status(code: int, message: str = "", reason: str = "", **details: Any) -> Answer:
    """A Status object as the server writes it."""
    body = {"kind": "Status", "code": code, "message": message, "reason": reason}
    return Answer(code, json.dumps({**body, "details": details}).encode())


def test_a_missing_right_is_named() -> None:
    told = (
        'pods is forbidden: User "system:serviceaccount:backstay-system:backstay-run" cannot list'
        ' resource "pods" in API group "" in the namespace "shop"'
    )
    error = explain_list(status(403, told, "Forbidden"), PODS)
    assert type(error) is Refused
    assert "list pod in namespace shop: not allowed (HTTP 403 Forbidden" in error.message
    assert "backstay-run" in error.message
    assert error.hint == (
        'grant this service account list on pods (API group "") in namespace shop'
    )


@pytest.mark.parametrize(
    ("told", "hint"),
    [
        ('pods "x" is forbidden: exceeded quota: small', "ResourceQuota"),
        ("unable to create new content because it is being terminated", "being deleted"),
        ('admission webhook "policy.example.org" denied the request: no', "admission webhook"),
    ],
)
def test_403_has_other_reasons(told: str, hint: str) -> None:
    error = explain(status(403, told, "Forbidden"), DEPLOYMENT)
    assert type(error) is Refused
    assert told in error.message
    assert hint in error.hint
    assert "not allowed" not in error.message


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (status(410, "The provided continue parameter is too old", "Expired"), Expired),
        (status(404, "not found", "NotFound"), NotServed),
        (status(405, "not allowed", "MethodNotAllowed"), Incomplete),
        (status(429, "too many requests"), Incomplete),
        (status(500, "boom"), Incomplete),
        (Answer(503, b"<html>gateway</html>"), Incomplete),
        (status(401, "Unauthorized", "Unauthorized"), Refused),
        (status(403, "cannot list"), Refused),
    ],
)
def test_a_list_that_ends_early(answer: Answer, expected: type[BackstayError]) -> None:
    error = explain_list(answer, PODS)
    assert type(error) is expected
    for part in ("list pod", "namespace shop", f"HTTP {answer.status}"):
        assert part in error.message


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (status(400, "bad"), Refused),
        (status(401, "Unauthorized"), Refused),
        (status(404, 'namespaces "shop" not found', "NotFound"), Refused),
        (status(409, "the object has been modified", "Conflict"), Transient),
        (status(422, "is invalid", "Invalid"), Refused),
        (status(429, "later"), Transient),
        (status(500, "boom"), Transient),
        (Answer(502, b"\xff\xfe<html>"), Transient),
    ],
)
def test_one_object(answer: Answer, expected: type[BackstayError]) -> None:
    error = explain(answer, DEPLOYMENT)
    assert type(error) is expected
    assert "patch shop/deployment.apps/web" in error.message


def test_a_conflict_names_fields_and_managers() -> None:
    cause = {
        "reason": "FieldManagerConflict",
        "message": 'conflict with "kubectl" using apps/v1',
        "field": ".spec.replicas",
    }
    error = explain(status(409, "Apply failed", "Conflict", causes=[cause]), DEPLOYMENT)
    assert type(error) is Refused
    assert '.spec.replicas: conflict with "kubectl" using apps/v1' in error.message


def test_what_is_said_of_a_secret_is_not_repeated() -> None:
    marker = "hunter2-hunter2"
    causes = [
        {"reason": "FieldValueInvalid", "message": f"Invalid value: {marker}", "field": "data[a]"}
    ]
    for code in (400, 403, 409, 422, 500):
        told = f'admission webhook "x" denied: {marker}'
        error = explain(status(code, told, "Invalid", causes=causes), SECRET)
        assert marker not in f"{error.message} {error.hint}"
        assert f"HTTP {code}" in error.message
    assert "data[a]" in explain(status(422, marker, "Invalid", causes=causes), SECRET).message


def test_long_messages_are_cut() -> None:
    assert len(explain(status(422, "x" * 100_000), DEPLOYMENT).message) < 600


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"null", b"<html>", b'{"kind":"Pod"}', b'{"kind":"Status"}']
)
def test_any_body_gives_a_status(data: bytes) -> None:
    assert read_status(Answer(418, data)).code == 418


@pytest.mark.parametrize("data", [b"", b"[]", b"<html>", b'{"items": [{"a":'])
def test_an_answer_that_is_no_object_is_transient(data: bytes) -> None:
    with pytest.raises(Transient, match="API server's answer"):
        Answer(200, data).json("list pod")


def _pool() -> urllib3.HTTPSConnectionPool:
    return urllib3.HTTPSConnectionPool("10.96.0.1", 443)


def _verification() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate")
    error.verify_message = "self-signed certificate"
    return error


FOREIGN: list[tuple[Exception, type[BackstayError]]] = [
    (urllib3.exceptions.NewConnectionError(_pool(), "refused"), Transient),  # type: ignore[arg-type]
    (urllib3.exceptions.ConnectTimeoutError(), Transient),
    (urllib3.exceptions.ReadTimeoutError(_pool(), "/api", "Read timed out."), Transient),
    (urllib3.exceptions.ProtocolError("Connection aborted."), Transient),
    (urllib3.exceptions.IncompleteRead(1, 2), Transient),
    (urllib3.exceptions.DecodeError("bad gzip"), Transient),
    (urllib3.exceptions.ProxyError("proxy", OSError("refused")), Transient),
    (urllib3.exceptions.SSLError(_verification()), Refused),
    (_verification(), Refused),
    (ssl.SSLError(1, "wrong version number"), Transient),
    (urllib3.exceptions.LocationParseError("http://["), Refused),
    (urllib3.exceptions.LocationValueError("No host"), Refused),
    (ConnectionResetError(104, "reset"), Transient),
    (TimeoutError(), Transient),
    (FileNotFoundError(2, "No such file or directory"), Transient),
    (EOFError(), Transient),
    (ValueError("Invalid header value b'bearer x\\n'"), Refused),
]


@pytest.mark.parametrize(
    ("error", "expected"), FOREIGN, ids=lambda v: getattr(v, "__name__", type(v).__name__)
)
def test_every_foreign_error_ends_here(error: Exception, expected: type[BackstayError]) -> None:
    told = foreign(error, "https://10.96.0.1")
    assert type(told) is expected
    assert "https://10.96.0.1" in told.message
    assert "bearer x" not in told.message
    assert " object at 0x" not in told.message


def test_our_own_mistakes_are_not_hidden() -> None:
    assert foreign(KeyError("x"), "https://10.96.0.1") is None
    assert foreign(Transient("x"), "https://10.96.0.1") is None
