"""Policies over real HTTPS: who gets in, where nothing may go, and servers that behave badly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from reconciler.adapters.gitcredentials import parse_credentials
from reconciler.adapters.gitsource import GitPolicySource
from reconciler.adapters.policytree import Limits
from reconciler.adapters.process import DeadlineExceeded
from reconciler.model.errors import BackstayError, Refused, Transient
from reconciler.model.store import Descends
from tests.integration.git.conftest import Executed
from tests.rig.policyrepo import PolicyRepository
from tests.rig.servers import githttpsmoods as moods
from tests.rig.servers.githttps import GitHttps, basic

MARKER = "hunter2-tr0ub4dor&3"
GOOD = {"policies/shop.yaml": b"kind: BackupPolicy\n"}
BASIC = {"username": b"ann", "password": MARKER.encode()}
OpenSource = Callable[..., GitPolicySource]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitHttps]:
    """Lets ann in, and has one repository, `repository`."""
    with GitHttps(tmp_path / "web", authorization=basic("ann", MARKER)) as running:
        running.create("policies")
        yield running


@pytest.fixture
def repository(server: GitHttps) -> PolicyRepository:
    """The policies on the server, with one commit."""
    made = PolicyRepository(server.path("policies"))
    made.push(GOOD)
    return made


@pytest.fixture
def open_source(server: GitHttps, tmp_path: Path) -> Iterator[OpenSource]:
    """Opens sources on it as ann, with one cache, the one before closed."""
    opened: list[GitPolicySource] = []

    def start(
        secret: Mapping[str, bytes] | None = None, *, url: str = "", limits: Limits | None = None
    ) -> GitPolicySource:
        if opened:
            opened.pop().close()
        data = BASIC | {"ca.crt": server.certificate} if secret is None else secret
        opened.append(
            GitPolicySource(
                url or server.url("policies"),
                ref="main",
                path="policies",
                credentials=parse_credentials(data, "Secret git"),
                workdir=tmp_path / "work",
                limits=limits,
            )
        )
        return opened[-1]

    yield start
    for source in opened:
        source.close()


def said(error: BackstayError) -> str:
    """All that a person might read of an error."""
    return f"{error.message} {error.hint} {error!r} {error.__cause__!r}"


@pytest.mark.usefixtures("repository")
def test_a_password_and_a_token_get_in(
    server: GitHttps, open_source: OpenSource, executed: Executed
) -> None:
    assert dict(open_source().fetch(None).files) == GOOD
    server.authorization = f"Bearer {MARKER}"
    token = {"bearerToken": MARKER.encode(), "ca.crt": server.certificate}
    assert dict(open_source(token).fetch(None).files) == GOOD
    assert MARKER not in str(executed())


def test_credentials_that_are_revoked_and_renewed(
    server: GitHttps, repository: PolicyRepository, open_source: OpenSource
) -> None:
    source = open_source()
    last = source.fetch(None).revision
    server.authorization = basic("ann", "another")
    newer = repository.push({"policies/new.yaml": b"1"})
    for _ in range(2):
        with pytest.raises(Refused, match="refused the credentials") as caught:
            source.fetch(last)
        assert MARKER not in said(caught.value)
    renewed = {"username": b"ann", "password": b"another", "ca.crt": server.certificate}
    fetched = open_source(renewed).fetch(last)
    assert (fetched.revision, fetched.descends) == (newer, Descends.YES)


@pytest.mark.usefixtures("repository")
def test_a_certificate_that_expired_or_is_for_another_host_and_is_renewed(
    server: GitHttps, open_source: OpenSource
) -> None:
    source = open_source()
    last = source.fetch(None).revision
    before = len(server.seen)
    server.renew(days=-1)
    with pytest.raises(Refused, match="certificate is not trusted") as caught:
        source.fetch(last)
    assert "expired" in caught.value.hint
    server.renew(host="git.example.org")
    with pytest.raises(Refused, match="for another host"):
        source.fetch(last)
    assert len(server.seen) == before
    server.renew()
    assert source.fetch(last).descends is Descends.YES


@pytest.mark.parametrize("where", ["https", "http"])
@pytest.mark.usefixtures("repository")
def test_a_redirect_carries_nothing_to_another_server(
    server: GitHttps, open_source: OpenSource, tmp_path: Path, where: str
) -> None:
    with GitHttps(tmp_path / "thief", tls=where == "https") as thief:
        server.misbehave(moods.redirect(thief.address))
        for secret in (BASIC, {"bearerToken": MARKER.encode()}):
            server.authorization = basic("ann", MARKER) if secret is BASIC else f"Bearer {MARKER}"
            source = open_source(secret | {"ca.crt": server.certificate})
            with pytest.raises(Refused, match="sends elsewhere") as caught:
                source.fetch(None)
            assert MARKER not in said(caught.value)
        assert thief.seen == []


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        (401, Refused, "refused the credentials"),
        (403, Refused, "refused the credentials"),
        (404, Refused, "no such repository"),
        (429, Transient, "could not be reached or broke off"),
        (500, Transient, "could not be reached or broke off"),
        (503, Transient, "could not be reached or broke off"),
    ],
)
@pytest.mark.parametrize("on", ["info", "fetch"])
@pytest.mark.usefixtures("repository")
def test_what_a_server_says_and_what_becomes_of_it(
    server: GitHttps,
    open_source: OpenSource,
    code: int,
    kind: type[BackstayError],
    says: str,
    on: str,
) -> None:
    mood = moods.status(code, MARKER)
    server.misbehave(mood, on="info" if on == "info" else "fetch")
    source = open_source()
    with pytest.raises(kind, match=says) as caught:
        source.fetch(None)
    assert MARKER not in said(caught.value)
    server.behave()
    assert dict(source.fetch(None).files) == GOOD


@pytest.mark.parametrize("after", [0, 30, 200])
@pytest.mark.usefixtures("repository")
def test_an_answer_that_is_cut_short(server: GitHttps, open_source: OpenSource, after: int) -> None:
    source = open_source()
    for on in ("info", "ls-refs", "fetch"):
        server.misbehave(moods.cut(after), on=on)
        with pytest.raises(Transient):
            source.fetch(None)
        server.behave()
    assert dict(source.fetch(None).files) == GOOD


@pytest.mark.usefixtures("repository")
def test_a_server_that_crawls_is_left_at_the_deadline_and_one_that_stands_still_before(
    server: GitHttps, open_source: OpenSource, tmp_path: Path
) -> None:
    server.misbehave(moods.crawl(0.2), on="fetch")
    with pytest.raises(DeadlineExceeded, match="took longer than 3 s"):
        open_source(limits=Limits(deadline=3)).fetch(None)
    server.misbehave(moods.crawl(3600), on="fetch")
    with pytest.raises(Transient, match="stands still"):
        open_source(limits=Limits(stalled=2)).fetch(None)
    assert not leftovers(tmp_path)
    server.behave()
    assert dict(open_source().fetch(None).files) == GOOD


def leftovers(tmp_path: Path) -> list[str]:
    """Half packs and locks in the cache."""
    folder = tmp_path / "work"
    return [p.name for p in folder.rglob("*") if "tmp_" in p.name or p.name.endswith(".lock")]


@pytest.mark.usefixtures("repository")
def test_without_credentials_plain_http_is_read_and_with_them_it_is_never_asked(
    tmp_path: Path, open_source: OpenSource
) -> None:
    with GitHttps(tmp_path / "plain", tls=False) as plain:
        url = plain.create("policies")
        PolicyRepository(plain.path("policies")).push(GOOD)
        assert dict(open_source({}, url=url).fetch(None).files) == GOOD
        before = len(plain.seen)
        with pytest.raises(Refused, match="over plain http"):
            open_source(BASIC, url=url)
        assert len(plain.seen) == before
        assert set(plain.seen) == {""}
