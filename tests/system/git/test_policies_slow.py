"""A policies' server slow to a crawl: each look is bounded, leaves nothing, the next one works."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from reconciler.adapters.gitcredentials import parse_credentials
from reconciler.adapters.gitsource import GitPolicySource
from reconciler.adapters.policytree import Limits
from reconciler.adapters.process import DeadlineExceeded
from reconciler.model.errors import Transient
from reconciler.model.store import Descends
from tests.rig.policyrepo import PolicyRepository
from tests.rig.proxies import SshProxy
from tests.rig.servers import githttpsmoods as moods
from tests.rig.servers.githttps import GitHttps, Request
from tests.rig.servers.sshd import Sshd

SMALL = {"policies/shop.yaml": b"kind: BackupPolicy\n"}
LARGE = {f"policies/{number}.yaml": os.urandom(2000) for number in range(100)}
Break = Callable[[SshProxy], AbstractContextManager[object]]
OpenSource = Callable[[], GitPolicySource]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    """Return an sshd that serves `policies`."""
    with Sshd(tmp_path / "sshd") as running:
        running.create("policies")
        yield running


@pytest.fixture
def proxy(server: Sshd) -> Iterator[SshProxy]:
    """Return what stands before it."""
    with SshProxy(server.address, server.port) as running:
        yield running


@pytest.fixture
def open_source(server: Sshd, proxy: SshProxy, tmp_path: Path) -> OpenSource:
    """Return who opens it by way of the proxy, with one cache."""
    credentials = parse_credentials(server.secret(by=proxy.place), "Secret git")
    return lambda: GitPolicySource(
        server.url("policies", by=proxy.place),
        ref="main",
        path="policies",
        credentials=credentials,
        workdir=tmp_path / "work",
    )


def hurry(source: GitPolicySource) -> None:
    """Its deadline is three seconds from now on; what goes well may take longer here."""
    source._cache.repository.deadline = 3


def assert_nothing_left(folder: Path) -> None:
    """No half pack, no lock, and no process: each holds the folder's lock as long as it lives."""
    (lock,) = folder.glob("policies-*/lock")
    with lock.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # who was killed may need a moment to be gone
        names = [path.name for path in folder.rglob("*")]
        assert [name for name in names if "tmp_" in name or name.endswith(".lock")] == []


@pytest.mark.parametrize(
    "broken",
    [SshProxy.frozen, lambda proxy: proxy.slow(100)],
    ids=["it takes connections and says nothing", "a hundred bytes a second"],
)
def test_over_ssh_each_call_ends_at_its_deadline_and_the_next_works(
    tmp_path: Path, server: Sshd, proxy: SshProxy, open_source: OpenSource, broken: Break
) -> None:
    repository = PolicyRepository(server.path("policies"))
    last = repository.push(SMALL)
    with open_source() as source:
        hurry(source)
        with broken(proxy), pytest.raises(DeadlineExceeded, match="git fetch took longer"):
            source.fetch(None)
    assert_nothing_left(tmp_path / "work")
    with open_source() as source:
        assert dict(source.fetch(None).files) == SMALL
        newest = repository.push(LARGE)
        patience = source._cache.repository.deadline
        hurry(source)
        with broken(proxy), pytest.raises(DeadlineExceeded, match="git ls-remote took longer"):
            source.fetch(last)
        source._cache.repository.deadline = patience
        fetched = source.fetch(last)
        assert (fetched.revision, fetched.descends) == (newest, Descends.YES)
        assert dict(fetched.files) == LARGE
    assert_nothing_left(tmp_path / "work")


@pytest.mark.parametrize("on", ["info", "ls-refs", "fetch"])
def test_over_https_a_server_that_stands_still_is_left_wherever_it_does(
    tmp_path: Path, on: Request
) -> None:
    with GitHttps(tmp_path / "web") as server:
        url = server.create("policies")
        repository = PolicyRepository(server.path("policies"))
        repository.push(SMALL)
        credentials = parse_credentials({"ca.crt": server.certificate}, "Secret git")

        def open_source(limits: Limits) -> GitPolicySource:
            return GitPolicySource(
                url, ref="main", path="policies", credentials=credentials,
                workdir=tmp_path / "work", limits=limits,
            )  # fmt: skip

        server.misbehave(moods.crawl(3600), on=on)
        with (
            open_source(Limits(stalled=2)) as source,
            pytest.raises(Transient, match="stands still"),
        ):
            source.fetch(None)
        assert_nothing_left(tmp_path / "work")
        server.behave()
        with open_source(Limits()) as source:
            assert dict(source.fetch(None).files) == SMALL
