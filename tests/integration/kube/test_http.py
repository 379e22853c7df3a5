"""The Kubernetes adapter against an API server that behaves badly, over real HTTP."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.kube import KubeClient
from reconciler.adapters.kubeconfig import from_kubeconfig
from reconciler.adapters.kubetransport import TRIES, Transport
from reconciler.model.errors import Expired, Incomplete, Refused, Transient
from reconciler.model.objects import ObjectRef
from tests.fakes.kubekinds import kind
from tests.integration.kube.server import Clock, Reply, Server, failure, serving

CONFIGMAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "n"}}
DISCOVERY = {
    "kind": "APIGroupDiscoveryList",
    "items": [
        {
            "metadata": {},
            "versions": [
                {
                    "version": "v1",
                    "resources": [
                        {
                            "resource": "configmaps",
                            "responseKind": {"kind": "ConfigMap"},
                            "scope": "Namespaced",
                            "verbs": ["get", "list"],
                        }
                    ],
                }
            ],
        }
    ],
}


@pytest.fixture
def server() -> Iterator[Server]:
    """Return a server without replies."""
    with serving() as server:
        yield server


@pytest.fixture
def clock() -> Clock:
    """Return a clock whose sleeps are free."""
    return Clock()


def kubeconfig(path: Path, url: str, token: str = "s3cr3t-token", **cluster: Any) -> Path:
    """A kubeconfig with a token."""
    body = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url, **cluster}}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(json.dumps(body))
    return path


@pytest.fixture
def client(server: Server, clock: Clock, tmp_path: Path) -> Iterator[KubeClient]:
    """Return the adapter on that server."""
    file = kubeconfig(tmp_path / "config", server.url)
    client = KubeClient.connect(file, clock=clock, version="1.2.3")
    yield client
    client.close()


def serve_discovery(server: Server) -> None:
    """Answers discovery beside the replies."""
    server.routes["/api"] = Reply(200, DISCOVERY)
    server.routes["/apis"] = Reply(200, {"kind": "APIGroupDiscoveryList", "items": []})


def page(*names: str, token: str = "") -> Reply:
    """One page of a list."""
    items = [{"metadata": {"name": name, "namespace": "n"}} for name in names]
    return Reply(200, {"metadata": {"continue": token}, "items": items})


def names(pages: Iterator[list[dict[str, Any]]]) -> list[str]:
    """Names in all pages."""
    return [raw["metadata"]["name"] for found in pages for raw in found]


def test_who_asks(server: Server, client: KubeClient) -> None:
    server.replies = [Reply(404)]
    assert client.get(kind("ConfigMap"), "x", namespace="n") is None
    (request,) = server.requests
    assert request.path == "/api/v1/namespaces/n/configmaps/x"
    assert request.headers["authorization"] == "Bearer s3cr3t-token"
    assert request.headers["user-agent"] == "backstay/1.2.3"
    assert client.requests == {"GET": 1}


def test_pages_follow_the_token(server: Server, client: KubeClient) -> None:
    server.replies = [page("a", "b", token="t/1="), page("c")]
    found = client.pages(
        kind("Deployment"), namespace="n", label_selector="a in (b,c)", field_selector="x=y"
    )
    assert names(found) == ["a", "b", "c"]
    first, second = server.requests
    assert first.path == "/apis/apps/v1/namespaces/n/deployments"
    fixed = {"labelSelector": "a in (b,c)", "fieldSelector": "x=y"}
    assert first.query == {**fixed, "limit": "100"}
    assert second.query == {**fixed, "limit": "500", "continue": "t/1="}


def test_heavy_objects_come_in_small_pages(server: Server, client: KubeClient) -> None:
    heavy = {"metadata": {"name": "helm"}, "data": {"release": "x" * 1_000_000}}
    server.replies = [
        Reply(200, {"metadata": {"continue": "t"}, "items": [heavy, heavy]}),
        Reply(200, {"metadata": {"continue": "t"}, "items": []}),
        page("a"),
    ]
    assert names(client.pages(kind("Secret"))) == ["helm", "helm", "a"]
    assert [request.query["limit"] for request in server.requests] == ["100", "4", "4"]


def test_odd_values_are_written(server: Server, client: KubeClient) -> None:
    serve_discovery(server)
    server.replies = [Reply(200, CONFIGMAP)]
    client.apply({**CONFIGMAP, "spec": {"big": 2**70, 1: "one"}})
    assert server.requests[-1].body["spec"] == {"big": 2**70, "1": "one"}
    with pytest.raises(Refused, match="ConfigMap 'x' can't be written as JSON"):
        client.apply({**CONFIGMAP, "spec": {"what": object()}})


def test_a_token_that_expires_half_way(server: Server, client: KubeClient) -> None:
    server.replies = [page("a", token="t"), failure(410, "Expired", "too old")]
    pages = client.pages(kind("ConfigMap"))
    assert len(next(pages)) == 1
    with pytest.raises(Expired, match=r"list configmap.*410"):
        next(pages)


@pytest.mark.parametrize("second", [failure(500), failure(404), Reply(200, b'{"items": [{')])
def test_a_list_without_its_end_raises(server: Server, client: KubeClient, second: Reply) -> None:
    server.replies = [page("a", token="t"), second]
    pages = client.pages(kind("ConfigMap"), namespace="n")
    next(pages)
    with pytest.raises(Incomplete, match="list configmap in namespace n"):
        next(pages)


def test_a_list_that_may_not_be_read(server: Server, client: KubeClient) -> None:
    told = 'secrets is forbidden: User "x" cannot list resource "secrets"'
    server.replies = [failure(403, "Forbidden", told)]
    with pytest.raises(Refused, match="not allowed") as caught:
        names(client.pages(kind("Secret"), namespace="n"))
    assert "list on secrets" in caught.value.hint
    assert len(server.requests) == 1


def test_the_servers_rhythm_is_kept(server: Server, client: KubeClient, clock: Clock) -> None:
    busy = failure(429, "TooManyRequests", Retry_After="7")
    server.replies = [busy, failure(503, Retry_After="1"), failure(500), page("a")]
    assert names(client.pages(kind("ConfigMap"))) == ["a"]
    assert clock.slept == [7.0, 1.0, 2.0]


def test_a_wait_without_end_is_cut(server: Server, client: KubeClient, clock: Clock) -> None:
    odd = failure(429, Retry_After="Wed, 21 Oct 2026 07:28:00 GMT")
    server.replies = [
        failure(429, Retry_After="86400"),
        failure(429, Retry_After="-5"),
        odd,
        page(),
    ]
    assert names(client.pages(kind("ConfigMap"))) == []
    assert clock.slept == [30.0, 0.0, 2.0]


def test_tries_are_counted(server: Server, client: KubeClient, clock: Clock) -> None:
    server.replies = [failure(503, "ServiceUnavailable", "etcd is down")]
    with pytest.raises(Incomplete, match=r"HTTP 503 ServiceUnavailable: etcd is down"):
        names(client.pages(kind("ConfigMap")))
    assert len(server.requests) == TRIES
    assert clock.slept == [0.5, 1.0, 2.0, 4.0]


@pytest.mark.parametrize("bad", [Reply(0), Reply(200, {"items": []}, cut=True)])
def test_a_lost_connection_is_made_again(server: Server, client: KubeClient, bad: Reply) -> None:
    server.replies = [bad, bad, page("a")]
    assert names(client.pages(kind("ConfigMap"))) == ["a"]
    assert client.requests == {"GET": 3}


def test_a_server_that_hangs_is_left(server: Server, clock: Clock, tmp_path: Path) -> None:
    found = from_kubeconfig(kubeconfig(tmp_path / "config", server.url), None)
    transport = Transport(found, clock=clock, user_agent="x")
    server.replies = [Reply(200, hang=1.5), Reply(200, {"a": 1})]
    assert transport.send("GET", "/x", read_seconds=0.5).json("x") == {"a": 1}
    # A busy machine may need half a second for a good answer, too, and is asked once more.
    assert len(server.requests) >= 2
    transport.close()


def test_nobody_there(clock: Clock, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    client = KubeClient.connect(kubeconfig(tmp_path / "config", url), clock=clock)
    with pytest.raises(Transient, match=r"no answer.*refused") as caught:
        client.get(kind("ConfigMap"), "x", namespace="n")
    assert url in caught.value.message
    assert len(clock.slept) == TRIES - 1


def test_a_redirect_takes_no_token_elsewhere(server: Server, client: KubeClient) -> None:
    with serving() as other:
        other.replies = [page("a")]
        server.replies = [Reply(307, headers={"Location": f"{other.url}/api"})]
        with pytest.raises(Incomplete, match="307"):
            names(client.pages(kind("ConfigMap")))
        assert other.requests == []


def test_discovery_is_two_requests(server: Server, client: KubeClient) -> None:
    serve_discovery(server)
    assert [r.folder for r in client.discover().resources] == ["configmap"]
    assert [request.path for request in server.requests] == ["/api", "/apis"]
    assert (
        "g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        in server.requests[0].headers["accept"]
    )


def test_kinds_are_looked_up_once(server: Server, client: KubeClient) -> None:
    serve_discovery(server)
    server.replies = [Reply(200, CONFIGMAP)]
    for _ in range(3):
        client.apply(CONFIGMAP)
    assert client.requests == {"GET": 2, "PATCH": 3}
    sent = server.requests[-1]
    assert sent.path == "/api/v1/namespaces/n/configmaps/x"
    assert sent.query == {"fieldManager": "backstay", "force": "false"}
    assert sent.headers["content-type"] == "application/apply-patch+yaml"
    assert sent.body == CONFIGMAP
    with pytest.raises(Refused, match="does not serve Ghost"):
        client.apply({**CONFIGMAP, "kind": "Ghost"})
    assert client.requests == {"GET": 4, "PATCH": 3}


def test_a_conflict_is_refused(server: Server, client: KubeClient) -> None:
    serve_discovery(server)
    cause = {
        "reason": "FieldManagerConflict",
        "field": ".data.a",
        "message": 'conflict with "helm"',
    }
    body = {"kind": "Status", "reason": "Conflict", "details": {"causes": [cause]}}
    server.replies = [Reply(409, body)]
    with pytest.raises(Refused, match=r"n/configmap/x.*\.data\.a.*helm"):
        client.apply(CONFIGMAP)


def test_a_creation_whose_answer_was_lost(server: Server, client: KubeClient) -> None:
    serve_discovery(server)
    made = {**CONFIGMAP, "metadata": {"name": "x", "namespace": "n", "uid": "u"}}
    server.replies = [Reply(0), failure(409, "AlreadyExists"), Reply(200, made)]
    assert client.create(CONFIGMAP) == (made, False)


def test_a_name_given_back_at_once(server: Server, client: KubeClient) -> None:
    serve_discovery(server)
    taken = failure(409, "AlreadyExists")
    server.replies = [taken, failure(404), taken, failure(404), Reply(201, CONFIGMAP)]
    assert client.create(CONFIGMAP) == (CONFIGMAP, True)


def test_a_deletion_names_uid_and_propagation(server: Server, client: KubeClient) -> None:
    serve_discovery(server)
    server.replies = [Reply(200), failure(409, "Conflict"), failure(404), failure(403, "Forbidden")]
    ref = ObjectRef(group="", kind="ConfigMap", namespace="n", name="x")
    assert client.delete(ref, uid="u", orphan=True)
    assert server.requests[-1].body == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": "Orphan",
        "preconditions": {"uid": "u"},
    }
    assert not client.delete(ref, uid="u")
    assert server.requests[-1].body["propagationPolicy"] == "Background"
    assert not client.delete(ref)
    with pytest.raises(Refused, match="delete n/configmap/x"):
        client.delete(ref)


def test_logs_of_a_container_that_has_not_begun(server: Server, client: KubeClient) -> None:
    text = "a line with \xff".encode("latin-1")
    server.replies = [failure(400, "BadRequest", "waiting to start"), Reply(200, text)]
    assert client.logs("n", "p", container="c", tail=3) == ""
    assert client.logs("n", "p", container="c", tail=3) == "a line with \ufffd"
    assert server.requests[-1].query == {"tailLines": "3", "limitBytes": "65536", "container": "c"}


def test_credentials_that_are_refused(server: Server, client: KubeClient) -> None:
    server.replies = [failure(401, "Unauthorized")]
    with pytest.raises(Refused, match="credentials") as caught:
        client.identity()
    assert "s3cr3t-token" not in str(caught.value)
    assert len(server.requests) == 1


def test_a_cluster_without_kube_system(server: Server, client: KubeClient) -> None:
    server.replies = [failure(404)]
    with pytest.raises(Refused, match="is this a Kubernetes cluster"):
        client.identity()
