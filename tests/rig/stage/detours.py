"""The proxies of a stage: what Backstay does passes by them, what a test looks at does not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.rig.cluster.errors import RigError
from tests.rig.cluster.providers import Built, Cluster
from tests.rig.proxies import ApiProxy, S3Proxy, SshProxy
from tests.rig.servers.seaweedfs import SeaweedFS
from tests.rig.servers.sshd import Sshd


@dataclass(frozen=True, slots=True)
class Detours:
    """One in front of each server."""

    api: ApiProxy
    s3: S3Proxy
    ssh: SshProxy

    @staticmethod
    def start(cluster: Cluster, folder: Path, s3: SeaweedFS, sshd: Sshd) -> Detours:
        """Starts them, at the address by which pods reach this machine."""
        if not isinstance(cluster.provider, Built):
            raise RigError("only an apiserver of the rig's own can be put behind a proxy")
        here = cluster.host_address
        made = Detours(
            ApiProxy.of(cluster.provider.instance, folder),
            S3Proxy(s3.url, address=here),
            SshProxy(sshd.address, sshd.port, address=here),
        )
        for proxy in (made.api, made.s3, made.ssh):
            proxy.start()
        return made

    def stop(self) -> None:
        """Ends them."""
        for proxy in (self.ssh, self.s3, self.api):
            proxy.stop()
