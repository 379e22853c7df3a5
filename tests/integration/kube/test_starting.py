"""An API server that has just started: it knows no roles yet, and says 403 to everybody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.adapters.kube import KubeClient
from reconciler.model.errors import Refused, Transient
from tests.fakes.kubekinds import kind
from tests.integration.kube.server import Clock, Reply, Server, failure, serving
from tests.integration.kube.test_http import kubeconfig

FOUND = Reply(200, {"metadata": {"name": "x", "namespace": "n"}})
NO = failure(403, "Forbidden", 'configmaps "x" is forbidden: User "run" cannot get resource')


@pytest.fixture
def server() -> Iterator[Server]:
    """Return a server without replies."""
    with serving() as server:
        yield server


@pytest.fixture
def clock() -> Clock:
    """Return a clock whose sleeps are free."""
    return Clock()


@pytest.fixture
def client(server: Server, clock: Clock, tmp_path: Path) -> Iterator[KubeClient]:
    """Return the adapter on that server."""
    file = kubeconfig(tmp_path / "config", server.url)
    client = KubeClient.connect(file, clock=clock, version="1.2.3")
    yield client
    client.close()


def look(client: KubeClient) -> str:
    """A request, and what it found."""
    found = client.get(kind("ConfigMap"), "x", namespace="n")
    return str(found["metadata"]["name"]) if found else ""


@pytest.mark.parametrize("away", [Reply(0), failure(503), failure(500)])
@pytest.mark.parametrize("no", [NO, failure(401, "Unauthorized")])
def test_a_no_of_a_server_that_was_away_is_asked_again(
    server: Server, client: KubeClient, away: Reply, no: Reply
) -> None:
    server.replies = [away, no, no, FOUND]
    assert look(client) == "x"
    assert len(server.requests) == 4


@pytest.mark.parametrize("later", [60, -3600], ids=["a minute later", "the clock was set back"])
def test_one_that_goes_on_saying_no_is_transient_for_a_minute_and_believed_then(
    server: Server, client: KubeClient, clock: Clock, later: float
) -> None:
    server.replies = [Reply(0), NO]
    with pytest.raises(Transient, match="403 from an API server that was away a moment ago"):
        look(client)
    clock.sleep(later)
    server.requests.clear()
    with pytest.raises(Refused, match="not allowed"):
        look(client)
    assert len(server.requests) == 1


def test_a_no_of_a_server_that_was_there_all_the_time_is_believed_at_once(
    server: Server, client: KubeClient
) -> None:
    server.replies = [FOUND, failure(429, Retry_After="1"), NO]
    assert look(client) == "x"
    with pytest.raises(Refused, match="not allowed"):
        look(client)
    assert len(server.requests) == 3
