"""A Keyring over restic repositories in memory, with passwords derived as the real one does."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler import ports
from reconciler.capture import fingerprints
from reconciler.model.errors import Refused
from reconciler.model.volumes import RepositoryAccess
from tests.fakes.volumebackend import FakeStorage, FakeVolumeBackend

MASTER = "correct-horse-battery-staple-0123456789"


class FakeKeyring:
    """``masters``: name of a Secret → master password; a test may change it."""

    def __init__(
        self,
        storage: FakeStorage,
        cluster: str,
        masters: Mapping[str, str] | None = None,
        *,
        read_only: bool = False,
    ) -> None:
        self._read_only = read_only
        self._storage = storage
        self._cluster = cluster
        self.masters = dict(masters or {"restic-main": MASTER})

    def access(self, *, name: str, secret: str, url: str, namespace: str) -> RepositoryAccess:
        """As the port says."""
        password = fingerprints.repository_password(self._master(secret), self._cluster, namespace)
        return RepositoryAccess(
            name=name,
            namespace=namespace,
            url=url,
            secret=secret,
            environment={"RESTIC_PASSWORD": password},
        )

    def fingerprint_key(self, *, secret: str, url: str) -> bytes:
        """As the port says."""
        del url
        return fingerprints.fingerprint_key(self._master(secret), self._cluster)

    def backend(self, access: RepositoryAccess) -> ports.VolumeBackend:
        """As the port says."""
        return FakeVolumeBackend(access, self._storage, read_only=self._read_only)

    def _master(self, secret: str) -> bytes:
        if secret not in self.masters:
            raise Refused(f"Secret backstay-system/{secret} does not exist")
        return self.masters[secret].encode()
