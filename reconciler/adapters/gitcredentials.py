"""Git credentials from a Secret with Flux's keys → what a git process needs, never in arguments.

Keys as Flux has them: ``username`` and ``password``, ``bearerToken``, ``identity`` with
``known_hosts``, ``ca.crt``. A key pair and certificates become files of mode 0600 in a folder
that only we can enter; passwords and tokens become variables of the git process. Host keys are
always verified: without ``known_hosts`` there is no SSH. Which keys are needed, the URL says; a
Secret may hold those of both, and nothing of it goes over plain HTTP or follows a redirect.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.adapters.gitnames import GitUrl
from reconciler.model.errors import NotSupported, Refused

_CONNECT_SECONDS = 15
_ALIVE_SECONDS = 15
# A server that counts objects sends a few bytes each five seconds, so that others know it lives.
_STALLED_BYTES = 100
KNOWN = ("username", "password", "bearerToken", "identity", "known_hosts", "ca.crt", "caFile")
"""Keys of a Secret that are read here."""
_OTHERS = ("identity.pub", "allowed_signers")
_NOT_YET = ("tls.crt", "tls.key", "certFile", "keyFile", "githubAppID")
# git asks this helper for the password; it reads it from its environment, so no argument holds it.
_HELPER = (
    '!f() { test "$1" = get || exit 0;'
    ' printf "username=%s\\npassword=%s\\n" "$BACKSTAY_GIT_USERNAME" "$BACKSTAY_GIT_PASSWORD"; }; f'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GitCredentials:
    """What a Secret gave; empty where it gave nothing. Never shown, but for its ``source``."""

    source: str = ""
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    bearer_token: str = field(default="", repr=False)
    identity: bytes = field(default=b"", repr=False)
    known_hosts: bytes = field(default=b"", repr=False)
    ca_certificate: bytes = field(default=b"", repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never appear in a text of ours."""
        basic = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        lines = self.identity.decode("ascii", "replace").splitlines()
        return tuple(
            text
            for text in (self.password, self.bearer_token, basic if self.password else "", *lines)
            if text and not text.startswith("-----")
        )

    @property
    def enters_https(self) -> bool:
        """Whether it has what an HTTPS server asks for."""
        return bool(self.password or self.bearer_token)


@dataclass(frozen=True, slots=True)
class Access:
    """Variables and configuration that a git process gets for one remote."""

    environment: Mapping[str, str] = field(repr=False)
    configuration: tuple[tuple[str, str], ...] = field(repr=False)


def parse_credentials(data: Mapping[str, bytes], where: str) -> GitCredentials:
    """The decoded data of a Secret → credentials; ``where`` names it in errors. Raises Refused."""
    _check_keys(data, where)
    username = _text(data, "username", where)
    password = _text(data, "password", where)
    token = _text(data, "bearerToken", where)
    identity = data.get("identity", b"")
    if password and token:
        raise Refused(f"{where} has both password and bearerToken", hint="remove one of them")
    if not identity and bool(password) != bool(username) and not token:
        has, lacks = ("a password", "username") if password else ("a username", "password")
        raise Refused(f"{where} has {has} and no {lacks}", hint=f"add the key {lacks}")
    if identity and not data.get("known_hosts"):
        raise Refused(
            f"{where} has identity and no known_hosts",
            hint="add the server's lines: `ssh-keyscan HOST`, after comparing their fingerprints",
        )
    if identity:
        check_identity(identity, where)
    return GitCredentials(
        source=where,
        username=username,
        password=password if username else "",
        bearer_token=token,
        identity=identity.rstrip() + b"\n" if identity else b"",
        known_hosts=data.get("known_hosts", b""),
        ca_certificate=_certificate(data, where),
    )


def _check_keys(data: Mapping[str, bytes], where: str) -> None:
    known = [key for key in KNOWN if data.get(key)]
    for key in _NOT_YET:
        if data.get(key):
            raise NotSupported(
                f"{where} has {key}; that is not supported yet",
                hint="use username and password, bearerToken, or an SSH identity",
            )
    strange = sorted(key for key in data if key not in (*KNOWN, *_OTHERS))
    if strange and not known:
        raise Refused(
            f"{where} has none of the keys that Git needs; it has {', '.join(strange)[:200]}",
            hint="https: username and password, or bearerToken; ssh: identity and known_hosts",
        )


def _certificate(data: Mapping[str, bytes], where: str) -> bytes:
    found = data.get("ca.crt") or data.get("caFile") or b""
    if found and b"-----BEGIN CERTIFICATE-----" not in found:
        raise Refused(
            f"ca.crt of {where} holds no certificate",
            hint="it is PEM: it begins with -----BEGIN CERTIFICATE-----",
        )
    return found


def make_access(
    url: GitUrl, credentials: GitCredentials, folder: Path, *, stalled: int = 0
) -> Access:
    """Writes what must be files into ``folder`` (made, mode 0700) and returns the rest.

    An HTTP server that says nothing for ``stalled`` seconds is given up; 0: only by the deadline.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if url.scheme == "ssh":
        return _ssh_access(url, credentials, folder)
    if url.scheme == "https":
        return _https_access(url, credentials, folder, stalled)
    if url.scheme == "http":
        return _http_access(url, credentials, stalled)
    return Access({"GIT_ALLOW_PROTOCOL": "file"}, ())


def _ssh_access(url: GitUrl, credentials: GitCredentials, folder: Path) -> Access:
    pair = {"identity": credentials.identity, "known_hosts": credentials.known_hosts}
    missing = " and no ".join(name for name, value in pair.items() if not value)
    if missing:
        said = f": {credentials.source} has no {missing}" if credentials.source else ""
        raise Refused(
            f"{url.shown} needs an SSH key and the server's host key{said}",
            hint="give a Secret with the keys identity and known_hosts",
        )
    key = write_private(folder / "identity", credentials.identity)
    hosts = write_private(folder / "known_hosts", credentials.known_hosts)
    options = {
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "UserKnownHostsFile": _quoted_for_ssh(hosts),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "BatchMode": "yes",
        "PreferredAuthentications": "publickey",
        "ConnectTimeout": str(_CONNECT_SECONDS),
        "ServerAliveInterval": str(_ALIVE_SECONDS),
        "ServerAliveCountMax": "3",
        "ControlMaster": "no",
        "ControlPath": "none",
        "ForwardAgent": "no",
        "ClearAllForwardings": "yes",
        "LogLevel": "ERROR",
    }
    flags = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    command = ["ssh", "-F", "/dev/null", "-i", str(key), *flags]
    environment = {
        "GIT_ALLOW_PROTOCOL": "ssh",
        "GIT_SSH_COMMAND": shlex.join(command),
        "GIT_SSH_VARIANT": "ssh",
    }
    return Access(environment, ())


def _https_access(url: GitUrl, credentials: GitCredentials, folder: Path, stalled: int) -> Access:
    if credentials.identity and not credentials.enters_https:
        raise Refused(
            f"{url.shown} needs a password or a token, and {credentials.source or 'the Secret'}"
            " has only an SSH identity",
            hint="add username and password, or bearerToken; or write the URL as ssh://",
        )
    environment = {"GIT_ALLOW_PROTOCOL": "https"}
    configuration = _http_configuration(stalled)
    if credentials.ca_certificate:
        path = write_private(folder / "ca.crt", credentials.ca_certificate)
        environment["GIT_SSL_CAINFO"] = str(path)
    if credentials.bearer_token:
        header = f"Authorization: Bearer {credentials.bearer_token}"
        configuration.append(("http.extraHeader", header))
    elif credentials.password:
        environment["BACKSTAY_GIT_USERNAME"] = credentials.username
        environment["BACKSTAY_GIT_PASSWORD"] = credentials.password
        configuration.append(("credential.helper", _HELPER))
    return Access(environment, tuple(configuration))


def _http_access(url: GitUrl, credentials: GitCredentials, stalled: int) -> Access:
    if credentials.enters_https or credentials.identity:
        raise Refused(
            f"credentials would go over plain http to {url.shown}",
            hint="use https:// or ssh://, or no credentials where anybody may read",
        )
    return Access({"GIT_ALLOW_PROTOCOL": "http"}, tuple(_http_configuration(stalled)))


def _http_configuration(stalled: int) -> list[tuple[str, str]]:
    # A redirect could carry a token to another host; the URL has to be the final one.
    configuration = [("http.followRedirects", "false"), ("http.sslVerify", "true")]
    if stalled:
        configuration.append(("http.lowSpeedLimit", str(_STALLED_BYTES)))
        configuration.append(("http.lowSpeedTime", str(stalled)))
    return configuration


def _text(data: Mapping[str, bytes], key: str, where: str) -> str:
    try:
        text = data.get(key, b"").decode().strip("\r\n")
    except UnicodeDecodeError as error:
        raise Refused(f"{key} of {where} is not UTF-8") from error
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise Refused(f"{key} of {where} holds control characters")
    return text


def check_identity(identity: bytes, where: str) -> None:
    """Raises Refused unless this is a private SSH key that opens without a password."""
    lines = identity.split()
    if b"ENCRYPTED" in identity or _openssh_cipher(identity) not in {b"", b"none"}:
        raise NotSupported(
            f"identity of {where} is encrypted; that is not supported yet",
            hint="make a key for Backstay alone: `ssh-keygen -t ed25519 -N ''`",
        )
    if not lines or not identity.lstrip().startswith(b"-----BEGIN "):
        raise Refused(
            f"identity of {where} is no private SSH key", hint="it begins with -----BEGIN"
        )


def _openssh_cipher(identity: bytes) -> bytes:
    """The cipher that OpenSSH's own key format names (PROTOCOL.key), or nothing for others."""
    body = re.search(rb"BEGIN OPENSSH PRIVATE KEY-----(.*?)-----END", identity, re.DOTALL)
    if body is None:
        return b""
    magic = b"openssh-key-v1\0"
    with contextlib.suppress(binascii.Error):
        raw = base64.b64decode(b"".join(body[1].split())[:200])
        start = len(magic) + 4
        return raw[start : start + int.from_bytes(raw[len(magic) : start])]
    return b""


def write_private(path: Path, data: bytes) -> Path:
    """Writes a file that only we can read, which may not be a link; returns ``path``."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(data)
    return path


def _quoted_for_ssh(path: Path) -> str:
    # ssh splits this option at spaces and expands %; both have an escape.
    return f'"{path}"'.replace("%", "%%")
