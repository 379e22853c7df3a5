"""Questions about rights and time, over real HTTP: in whose name, and what each answer means."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.adapters.kube import KubeClient
from reconciler.model.errors import Refused, Transient
from reconciler.model.rights import Right
from tests.integration.kube.server import Clock, Reply, Server, failure, serving
from tests.integration.kube.test_http import kubeconfig

RUN = "system:serviceaccount:backstay-system:backstay-run"
ALLOWED = Reply(201, {"status": {"allowed": True}})


@pytest.fixture
def server() -> Iterator[Server]:
    """Return a server without replies."""
    with serving() as server:
        yield server


@pytest.fixture
def client(server: Server, tmp_path: Path) -> Iterator[KubeClient]:
    """Return the adapter on that server."""
    client = KubeClient.connect(kubeconfig(tmp_path / "config", server.url), clock=Clock())
    yield client
    client.close()


def test_a_right_is_asked_in_the_name_of_the_account(server: Server, client: KubeClient) -> None:
    server.replies = [ALLOWED]
    right = Right(verb="create", group="batch", resource="jobs", namespace="shop")
    assert client.may(right, subject=RUN).allowed
    assert client.may(Right(verb="get", resource="pods/log", name="web")).allowed
    first, second = server.requests
    assert first.method == "POST"
    assert first.path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    assert first.headers["impersonate-user"] == RUN
    assert first.body["spec"]["resourceAttributes"] == {
        "verb": "create", "group": "batch", "resource": "jobs", "namespace": "shop"
    }  # fmt: skip
    assert "impersonate-user" not in second.headers
    assert second.body["spec"]["resourceAttributes"] == {
        "verb": "get", "resource": "pods", "subresource": "log", "name": "web"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "allowed", "reason"),
    [
        ({"allowed": False, "reason": "no\nRBAC policy matched"}, False, "no RBAC policy matched"),
        ({"allowed": True, "denied": True}, False, ""),
        ({"allowed": "yes"}, False, ""),
        ({}, False, ""),
        ({"allowed": False, "evaluationError": "webhook away"}, False, "webhook away"),
    ],
)
def test_only_a_plain_yes_is_one(
    server: Server, client: KubeClient, status: dict[str, object], allowed: bool, reason: str
) -> None:
    server.replies = [Reply(201, {"status": status})]
    verdict = client.may(Right(verb="get", resource="pods"))
    assert (verdict.allowed, verdict.reason) == (allowed, reason)


def test_who_may_not_impersonate_is_given_the_command(server: Server, client: KubeClient) -> None:
    server.replies = [failure(403, "Forbidden", "users is forbidden: cannot impersonate")]
    for right, command in (
        (Right(verb="create", group="batch", resource="jobs"), "create jobs.batch -A"),
        (Right(verb="list", group="*", resource="*"), "list '*.*' -A"),
        (
            Right(verb="get", resource="namespaces", name="kube-system", namespace="x"),
            "get namespaces/kube-system -n x",
        ),
    ):
        with pytest.raises(Refused, match=f"in the name of {RUN}") as caught:
            client.may(right, subject=RUN)
        assert caught.value.hint.endswith(f"kubectl auth can-i {command} --as={RUN}")
    with pytest.raises(Refused, match="not allowed"):
        client.may(Right(verb="get", resource="pods"))


@pytest.mark.parametrize(
    ("reply", "name"),
    [
        (Reply(201, {"status": {"userInfo": {"username": "jane"}}}), "jane"),
        (Reply(201, {}), ""),
        (failure(404, "NotFound"), ""),
        (failure(403, "Forbidden"), ""),
    ],
)
def test_who_is_asking(server: Server, client: KubeClient, reply: Reply, name: str) -> None:
    server.replies = [reply]
    assert client.whoami() == name


def test_a_server_that_is_unwell_is_no_answer(server: Server, client: KubeClient) -> None:
    server.replies = [failure(503)]
    with pytest.raises(Transient):
        client.whoami()
    with pytest.raises(Transient):
        client.may(Right(verb="get", resource="pods"), subject=RUN)


def test_the_servers_time_is_that_of_its_answer(server: Server, client: KubeClient) -> None:
    server.replies = [Reply(200, {"gitVersion": "v1.36.3"})]
    told = client.server_time()
    assert abs((told - datetime.now(UTC)).total_seconds()) < 60
    assert server.requests[0].path == "/version"
