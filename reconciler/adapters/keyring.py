"""Opens restic repositories with passwords that are derived from one master per Repository."""

from __future__ import annotations

from pathlib import Path

from reconciler import ports
from reconciler.adapters.credentials import CredentialsResolver, restic_environment
from reconciler.adapters.resticrepo import ResticRepository
from reconciler.capture import fingerprints
from reconciler.model.config import Config
from reconciler.model.volumes import RepositoryAccess

_SHORT_PATIENCE = 10.0
"""Seconds that a storage may be away where somebody only looks: it is asked again anyway."""


class SecretKeyring:
    """Keyring over the Secrets (or folders, or variables) that Config names.

    ``cache`` is where restic keeps its cache; one folder serves all repositories. ``read_only``
    opens them without a lock: they can be read, and nothing is written.
    """

    def __init__(
        self, config: Config, resolver: CredentialsResolver, *, cache: Path, read_only: bool = False
    ) -> None:
        self._config = config
        self._resolver = resolver
        self._cache = cache
        self._read_only = read_only

    def _environment(self, secret: str, url: str) -> tuple[str, dict[str, str]]:
        """(where the keys were read, the keys)."""
        found = self._resolver.resolve(self._config.credentials_of(secret))
        environment = restic_environment(found, url=url)
        if len(environment["RESTIC_PASSWORD"].encode()) < fingerprints.SHORTEST_MASTER:
            raise fingerprints.too_short(environment["RESTIC_PASSWORD"].encode(), found.source)
        return found.source, environment

    def access(self, *, name: str, secret: str, url: str, namespace: str) -> RepositoryAccess:
        """Keys for one namespace's part; see `ports.Keyring`."""
        source, environment = self._environment(secret, url)
        master = environment["RESTIC_PASSWORD"].encode()
        password = fingerprints.repository_password(master, self._config.cluster.name, namespace)
        environment["RESTIC_PASSWORD"] = password
        return RepositoryAccess(
            name=name, namespace=namespace, url=url, secret=secret, environment=environment,
            source=source if self._config.credentials_of(secret).secret_ref == "" else "",
        )  # fmt: skip

    def fingerprint_key(self, *, secret: str, url: str) -> bytes:
        """The key of the fingerprints; see `ports.Keyring`."""
        _, environment = self._environment(secret, url)
        master = environment["RESTIC_PASSWORD"].encode()
        return fingerprints.fingerprint_key(master, self._config.cluster.name)

    def backend(self, access: RepositoryAccess) -> ports.VolumeBackend:
        """The repository, not opened yet."""
        if self._read_only:
            return ResticRepository(
                access, cache_dir=self._cache, read_only=True, patience=_SHORT_PATIENCE
            )
        return ResticRepository(access, cache_dir=self._cache)
