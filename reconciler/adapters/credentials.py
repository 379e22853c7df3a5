"""Where the keys of a Secret are read: a mounted folder, the API, a folder, or the environment.

A Secret is looked for in the mounted folder first, because the controller has no right on
Secrets: its Deployment mounts the one it needs.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reconciler import ports
from reconciler.adapters.resticenv import FROM_SECRET
from reconciler.model import kinds
from reconciler.model.config import Credentials
from reconciler.model.errors import Refused

MOUNTED = Path("/etc/backstay/secrets")
URL_PREFIX = "backstay.dev/url-prefix"
RESTIC_KEYS = ("RESTIC_PASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
GIT_KEYS = (
    *("username", "password", "bearerToken", "identity", "known_hosts", "ca.crt"),
    "allowed_signers",
)


@dataclass(frozen=True, slots=True)
class SecretValue:
    """The keys of one Secret, which its repr never shows, and its annotations (if it has any).

    ``annotations`` is None where the source can't carry any: a folder or the environment.
    """

    source: str
    data: Mapping[str, bytes] = field(repr=False)
    annotations: Mapping[str, str] | None = None


class CredentialsResolver:
    """Resolves `Credentials` to keys. ``reader`` and ``namespace`` serve ``secretRef``."""

    def __init__(
        self,
        *,
        reader: ports.ClusterReader | None,
        namespace: str,
        mounted: Path = MOUNTED,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._reader = reader
        self._namespace = namespace
        self._mounted = mounted
        self._environment = os.environ if environment is None else environment

    def resolve(self, credentials: Credentials) -> SecretValue:
        """The keys; raises Refused naming the place where they should have been."""
        if credentials.file:
            return SecretValue(str(credentials), _read_folder(Path(credentials.file)))
        if credentials.env:
            return SecretValue(str(credentials), self._from_environment(credentials))
        folder = self._mounted / credentials.secret_ref
        if folder.is_dir():
            # Mounted or not: it is renewed in the cluster, where it has this name.
            return SecretValue(self._name_of(credentials.secret_ref), _read_folder(folder))
        return self._from_api(credentials.secret_ref)

    def _from_environment(self, credentials: Credentials) -> dict[str, bytes]:
        found = {
            key: self._environment[credentials.variable(key)].encode()
            for key in GIT_KEYS
            if credentials.variable(key) in self._environment
        }
        # restic's keys are variables already, and there is no list of all of them.
        found |= {
            name.removeprefix(credentials.env): value.encode()
            for name, value in self._environment.items()
            if name.startswith(credentials.env) and name != credentials.env
        }
        if not found:
            raise Refused(
                f"no environment variable begins with {credentials.env}",
                hint=f"export {credentials.variable('RESTIC_PASSWORD')}=… and the like",
            )
        return found

    def _name_of(self, secret: str) -> str:
        return f"Secret {self._namespace}/{secret}"

    def _from_api(self, name: str) -> SecretValue:
        where = self._name_of(name)
        if self._reader is None:
            raise Refused(
                f"{where} can't be read without a cluster",
                hint=f"in Config give secrets.{name} a `file:` or an `env:`",
            )
        raw = self._reader.get(kinds.SECRETS, name, namespace=self._namespace)
        if raw is None:
            raise Refused(f"{where} does not exist", hint=f"create it, or correct the name {name}")
        metadata = raw.get("metadata", {})
        return SecretValue(
            where, _decode(where, raw.get("data") or {}), metadata.get("annotations") or {}
        )


def _decode(where: str, data: Mapping[str, str]) -> dict[str, bytes]:
    try:
        return {key: base64.b64decode(value, validate=True) for key, value in data.items()}
    except (binascii.Error, TypeError) as error:
        raise Refused(f"{where} holds data that is not base64") from error


def _read_folder(folder: Path) -> dict[str, bytes]:
    """One file per key. The kubelet's own entries (``..data``) begin with two dots."""
    try:
        return {
            entry.name: entry.read_bytes()
            for entry in sorted(folder.iterdir())
            if entry.is_file() and not entry.name.startswith("..")
        }
    except OSError as error:
        raise Refused(
            f"credentials folder {folder} can't be read: {error.strerror}",
            hint="it holds one file per key, such as identity and known_hosts",
        ) from error


def restic_environment(secret: SecretValue, *, url: str) -> dict[str, str]:
    """The Secret's keys as environment variables for restic, after the check of its annotation.

    Only what restic reads is taken: all of it is copied into a tenant's namespace for a mover, and
    becomes its environment. What else the Secret holds must not leave this process.

    A Secret may be used only for URLs that start with its ``backstay.dev/url-prefix``: otherwise
    whoever may write a Repository could send the keys of another place to a place of theirs.
    Raises Refused. Folders and the environment carry no annotation: they are the person's own.
    """
    if secret.annotations is not None:
        prefix = secret.annotations.get(URL_PREFIX, "")
        if not _is_below(url, prefix):
            said = f"allows {prefix}" if prefix else f"has no annotation {URL_PREFIX}"
            raise Refused(
                f"{secret.source} may not be used for {url}: it {said}",
                hint=f"annotate it with {URL_PREFIX}: the beginning of the URLs it is for",
            )
    environment = {}
    for key, value in secret.data.items():
        if not FROM_SECRET.fullmatch(key):
            continue
        # A file of a key often ends with a newline that nobody meant.
        text = value.decode("utf-8", "surrogateescape")
        environment[key] = text.removesuffix("\n").removesuffix("\r")
    if not environment.get("RESTIC_PASSWORD"):
        raise Refused(
            f"{secret.source} has no key RESTIC_PASSWORD",
            hint="it holds the master password that the repositories began with; only where there"
            " is none yet, make one with `openssl rand -hex 32`",
        )
    return environment


def _is_below(url: str, prefix: str) -> bool:
    """Whether a URL begins with a prefix at a boundary of its parts: no bucket-of-somebody-else."""
    if not prefix or not url.startswith(prefix) or ".." in url.split("/"):
        return False
    return prefix.endswith(("/", ":")) or url[len(prefix) : len(prefix) + 1] in ("", "/", ":")
