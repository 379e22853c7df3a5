"""Flux's Secret keys → credentials, and what they turn into for git."""

from __future__ import annotations

import base64
import shlex
import stat
from pathlib import Path

import pytest

from reconciler.adapters.gitcredentials import GitCredentials, make_access, parse_credentials
from reconciler.adapters.gitnames import GitUrl, parse_url
from reconciler.model.errors import NotSupported, Refused

MARKER = "hunter2-marker"
KEY = b"-----BEGIN OPENSSH PRIVATE KEY-----\n%b\n-----END OPENSSH PRIVATE KEY-----\n"
HOSTS = b"git.example.org ssh-ed25519 AAAA\n"
SSH = parse_url("git@git.example.org:policies.git")
HTTPS = parse_url("https://git.example.org/policies.git")
HTTP = parse_url("http://git.example.org/policies.git")
CA = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def openssh(cipher: bytes) -> bytes:
    """The beginning of a key in OpenSSH's format."""
    body = b"openssh-key-v1\0" + len(cipher).to_bytes(4) + cipher + MARKER.encode() * 9
    return KEY % base64.b64encode(body)


PLAIN = openssh(b"none")


def test_an_identity_becomes_a_private_file_and_strict_options(tmp_path: Path) -> None:
    credentials = parse_credentials({"identity": PLAIN, "known_hosts": HOSTS}, "Secret git")
    folder = tmp_path / "with space%and" / "access"
    access = make_access(SSH, credentials, folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "identity").stat().st_mode) == 0o600
    assert (folder / "identity").read_bytes() == PLAIN
    assert (folder / "known_hosts").read_bytes() == HOSTS
    words = shlex.split(access.environment["GIT_SSH_COMMAND"])
    assert words[:5] == ["ssh", "-F", "/dev/null", "-i", str(folder / "identity")]
    for option in ("StrictHostKeyChecking=yes", "BatchMode=yes", "IdentitiesOnly=yes"):
        assert option in words
    assert f'UserKnownHostsFile="{str(folder).replace("%", "%%")}/known_hosts"' in words
    assert access.environment["GIT_ALLOW_PROTOCOL"] == "ssh"
    assert MARKER not in str(access.environment)


def test_a_key_without_its_last_line_break_is_mended(tmp_path: Path) -> None:
    data = {"identity": PLAIN.rstrip(), "known_hosts": HOSTS}
    make_access(SSH, parse_credentials(data, "Secret git"), tmp_path)
    assert (tmp_path / "identity").read_bytes() == PLAIN


def test_a_password_is_a_variable_of_git_and_of_nothing_else(tmp_path: Path) -> None:
    data = {"username": b"ann", "password": f"{MARKER}\n".encode(), "ca.crt": CA}
    access = make_access(HTTPS, parse_credentials(data, "Secret git"), tmp_path)
    assert access.environment["BACKSTAY_GIT_PASSWORD"] == MARKER
    assert MARKER not in str(access.configuration)
    assert Path(access.environment["GIT_SSL_CAINFO"]).read_bytes() == CA
    assert access.environment["GIT_ALLOW_PROTOCOL"] == "https"


def test_nothing_shows_a_secret(tmp_path: Path) -> None:
    data = {"bearerToken": MARKER.encode(), "ca.crt": CA + MARKER.encode()}
    credentials = parse_credentials(data, "Secret git")
    access = make_access(HTTPS, credentials, tmp_path)
    assert MARKER in str(access.configuration)
    assert MARKER not in repr(credentials) + repr(access)
    assert credentials.secrets == (MARKER,)


def test_every_form_of_a_secret_is_masked() -> None:
    basic = parse_credentials({"username": b"ann", "password": MARKER.encode()}, "Secret git")
    assert set(basic.secrets) == {MARKER, base64.b64encode(f"ann:{MARKER}".encode()).decode()}
    key = parse_credentials({"identity": PLAIN, "known_hosts": HOSTS}, "Secret git")
    assert list(key.secrets) == PLAIN.decode().splitlines()[1:-1]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"username": b"a", "password": b"b", "bearerToken": b"c"}, "both"),
        ({"password": b"b"}, "no username"),
        ({"username": b"a"}, "a username and no password"),
        ({"user": b"a", "pass": b"b"}, "none of the keys that Git needs; it has pass, user"),
        ({"bearerToken": b"a", "ca.crt": b"AAAA"}, "ca.crt of .* holds no certificate"),
        ({"identity": PLAIN}, "no known_hosts"),
        ({"identity": b"ssh-ed25519 AAAA", "known_hosts": HOSTS}, "no private SSH key"),
        ({"username": b"a", "password": b"b\xff"}, "not UTF-8"),
        ({"username": b"a\nb", "password": b"c"}, "control characters"),
        ({"bearerToken": b"a\r\nX-Evil: 1"}, "control characters"),
    ],
)
def test_a_secret_that_cannot_work_is_refused_by_name(data: dict[str, bytes], says: str) -> None:
    with pytest.raises(Refused, match=says) as caught:
        parse_credentials(data, "Secret backstay-system/git")
    assert "Secret backstay-system/git" in caught.value.message


@pytest.mark.parametrize(
    "identity",
    [
        openssh(b"aes256-ctr"),
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n",
    ],
)
def test_an_encrypted_key_is_not_supported_yet(identity: bytes) -> None:
    with pytest.raises(NotSupported, match="encrypted") as caught:
        parse_credentials({"identity": identity, "known_hosts": HOSTS}, "Secret git")
    assert "ssh-keygen" in caught.value.hint


@pytest.mark.parametrize("key", ["tls.crt", "keyFile", "githubAppID"])
def test_keys_of_flux_that_are_not_read_yet_are_named(key: str) -> None:
    data = {key: b"x", "username": b"ann", "password": b"b"}
    with pytest.raises(NotSupported, match=f"Secret git has {key}"):
        parse_credentials(data, "Secret git")


BASIC = {"username": b"ann", "password": MARKER.encode()}
TOKEN = {"bearerToken": MARKER.encode()}
PAIR = {"identity": PLAIN, "known_hosts": HOSTS}


@pytest.mark.parametrize(
    ("url", "data", "says"),
    [
        (SSH, {}, "needs an SSH key and the server's host key"),
        (SSH, BASIC, "Secret git has no identity and no known_hosts"),
        (SSH, TOKEN, "Secret git has no identity and no known_hosts"),
        (SSH, {"known_hosts": HOSTS}, "Secret git has no identity$"),
        (SSH, PAIR, ""),
        (SSH, PAIR | BASIC, ""),
        (HTTPS, {}, ""),
        (HTTPS, {"ca.crt": CA}, ""),
        (HTTPS, BASIC, ""),
        (HTTPS, TOKEN, ""),
        (HTTPS, TOKEN | {"username": b"ann"}, ""),
        (HTTPS, PAIR | BASIC | {"ca.crt": CA}, ""),
        (HTTPS, PAIR, "Secret git has only an SSH identity"),
        (HTTPS, {"allowed_signers": b"x"}, ""),
        (HTTP, {}, ""),
        (HTTP, {"ca.crt": CA}, ""),
        (HTTP, BASIC, "over plain http"),
        (HTTP, TOKEN, "over plain http"),
        (HTTP, PAIR, "over plain http"),
    ],
)
def test_what_each_kind_of_url_needs(
    tmp_path: Path, url: GitUrl, data: dict[str, bytes], says: str
) -> None:
    credentials = parse_credentials(data, "Secret git")
    if not says:
        access = make_access(url, credentials, tmp_path)
        assert access.environment["GIT_ALLOW_PROTOCOL"] == url.scheme
        return
    with pytest.raises(Refused, match=says) as caught:
        make_access(url, credentials, tmp_path)
    assert caught.value.hint
    assert MARKER not in caught.value.message + caught.value.hint


def test_no_redirect_is_followed_and_a_server_that_stands_still_is_given_up(
    tmp_path: Path,
) -> None:
    for url in (HTTPS, HTTP):
        found = dict(make_access(url, GitCredentials(), tmp_path, stalled=7).configuration)
        assert found["http.followRedirects"] == "false"
        assert found["http.sslVerify"] == "true"
        assert found["http.lowSpeedTime"] == "7"
        assert "http.lowSpeedTime" not in dict(
            make_access(url, GitCredentials(), tmp_path).configuration
        )


def test_ssh_without_a_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="needs an SSH key") as caught:
        make_access(SSH, GitCredentials(), tmp_path)
    assert "known_hosts" in caught.value.hint
