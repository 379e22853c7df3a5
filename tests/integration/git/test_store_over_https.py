"""Passwords, tokens and certificates over real HTTPS, and where they must never appear."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.model.errors import Refused, Transient
from tests.integration.git.conftest import BRANCH, Executed, MakeStore, push_one
from tests.rig.servers.githttps import GitHttps, basic

MARKER = "hunter2-tr0ub4dor&3"


def test_a_password_gets_in(tmp_path: Path, make_store: MakeStore, executed: Executed) -> None:
    with GitHttps(tmp_path / "web", authorization=basic("ann", MARKER)) as server:
        url = server.create("manifests")
        secret = {
            "username": b"ann",
            "password": MARKER.encode(),
            "ca.crt": server.certificate,
        }
        sha = push_one(make_store(url=url, secret=secret))
        store = make_store(url=url, secret=secret)
        assert store.tip(BRANCH) == sha
        assert dict(store.read(sha, ["shop/a"])) == {"shop/a": b"a"}
    assert MARKER not in str(executed())


def test_a_token_gets_in(tmp_path: Path, make_store: MakeStore, executed: Executed) -> None:
    with GitHttps(tmp_path / "web", authorization=f"Bearer {MARKER}") as server:
        url = server.create("manifests")
        secret = {"bearerToken": MARKER.encode(), "ca.crt": server.certificate}
        sha = push_one(make_store(url=url, secret=secret))
        assert make_store(url=url, secret=secret).tip(BRANCH) == sha
    assert MARKER not in str(executed())


@pytest.mark.parametrize(
    "credentials",
    [{"username": b"ann", "password": MARKER.encode()}, {"bearerToken": MARKER.encode()}, {}],
    ids=["password", "token", "nothing"],
)
def test_wrong_credentials_are_refused_and_not_repeated(
    tmp_path: Path, make_store: MakeStore, executed: Executed, credentials: dict[str, bytes]
) -> None:
    with GitHttps(tmp_path / "web", authorization=basic("ann", "other")) as server:
        url = server.create("manifests")
        store = make_store(url=url, secret=credentials | {"ca.crt": server.certificate})
        with pytest.raises(Refused, match="refused the credentials") as caught:
            store.tip(BRANCH)
        assert url in caught.value.message
        said = f"{caught.value.message} {caught.value.hint} {caught.value.__cause__!r}"
        assert MARKER not in said
    assert MARKER not in str(executed())


def test_an_unknown_certificate_is_refused_before_anything_is_sent(
    tmp_path: Path, make_store: MakeStore
) -> None:
    with GitHttps(tmp_path / "web", authorization=basic("ann", MARKER)) as server:
        url = server.create("manifests")
        secret = {"username": b"ann", "password": MARKER.encode()}
        with pytest.raises(Refused, match="certificate") as caught:
            make_store(url=url, secret=secret).tip(BRANCH)
        assert "ca.crt" in caught.value.hint
        assert server.seen == []


def test_a_server_that_is_down_and_a_repository_that_is_not_there(
    tmp_path: Path, make_store: MakeStore
) -> None:
    with GitHttps(tmp_path / "web", authorization=basic("ann", MARKER)) as server:
        url = server.create("manifests")
        secret = {
            "username": b"ann",
            "password": MARKER.encode(),
            "ca.crt": server.certificate,
        }
        with pytest.raises(Refused, match="no such repository"):
            make_store(url=url.replace("manifests", "nowhere"), secret=secret).tip(BRANCH)
    with pytest.raises(Transient, match="could not be reached"):
        make_store(url=url, secret=secret).tip(BRANCH)
