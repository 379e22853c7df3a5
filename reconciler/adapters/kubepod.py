"""The access to the API server that the kubelet gives to a pod: an address, a certificate, a token.

Made of urllib3 alone: the official client takes longer to load than a pod's first request does.
Where the environment names a proxy, the client decides who goes through it.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import urllib3

from reconciler.adapters.kubetransport import THREADS, cut, no_credentials
from reconciler.model.errors import Refused

_FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class PodAccess:
    """See `reconciler.adapters.kubetransport.Access`.

    The token is read again for every request. The kubelet replaces the file before the token ends;
    it lies in memory, so reading it costs less than remembering when to.
    """

    def __init__(self, host: str, *, token: Path, ca: Path, proxied: bool = False) -> None:
        self.host = host
        self._token = token
        self._ca = ca
        self._proxied = proxied

    def pool(self) -> urllib3.PoolManager:
        """See `Access`."""
        if self._proxied:
            from kubernetes.client import ApiClient

            found: urllib3.PoolManager = ApiClient(self.configuration()).rest_client.pool_manager
            return found
        return urllib3.PoolManager(
            cert_reqs=ssl.CERT_REQUIRED,
            ca_certs=str(self._ca),
            retries=False,
            maxsize=THREADS,
        )

    def authorize(self, headers: dict[str, str], method: str, url: str, body: bytes | None) -> None:
        """See `Access`."""
        del method, url, body
        try:
            text = self._token.read_text(encoding="ascii").strip()
        except OSError as error:
            told = f"{self._token} can't be read: {error.strerror}"
            raise no_credentials(self.host, told) from error
        if not text:
            raise no_credentials(self.host, f"{self._token} is empty")
        headers["authorization"] = f"Bearer {text}"

    def configuration(self) -> Any:
        """See `Access`; without the token, which is in the headers."""
        from kubernetes.client import Configuration

        made = Configuration()
        made.host = self.host  # which chooses the proxy, too
        made.ssl_ca_cert = str(self._ca)
        made.retries = False
        made.connection_pool_maxsize = THREADS
        return made


def in_cluster(
    *,
    token: Path = _FOLDER / "token",
    ca: Path = _FOLDER / "ca.crt",
    environ: Mapping[str, str] = os.environ,
) -> PodAccess:
    """The access of the pod that this process runs in. Raises Refused where it is in none."""
    name = environ.get("KUBERNETES_SERVICE_HOST", "")
    port = environ.get("KUBERNETES_SERVICE_PORT", "")
    if not name or not port:
        raise _no_pod("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set")
    for file in (token, ca):
        try:
            empty = not file.read_bytes()
        except OSError as error:
            raise _no_pod(f"{file}: {error.strerror}") from error
        if empty:
            raise _no_pod(f"{file} is empty")
    address = f"[{name}]" if ":" in name or "%" in name else name
    proxied = any(key.lower().endswith("_proxy") and value for key, value in os.environ.items())
    return PodAccess(f"https://{address}:{port}", token=token, ca=ca, proxied=proxied)


def _no_pod(told: str) -> Refused:
    return Refused(
        f"no kubeconfig was given, and this is not a pod with a service account: {cut(told)}",
        hint="give --kubeconfig FILE",
    )
