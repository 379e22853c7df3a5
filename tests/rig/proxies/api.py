"""A proxy in front of the apiserver, with a certificate of the cluster's own authority.

Tokens pass through it, so a client is who it is; client certificates end here, so a laptop uses
`kubeconfig`. It can make lists come in small pages, which the real server then gives.
"""

from __future__ import annotations

import json
import re
import ssl
from ipaddress import IPv4Address
from pathlib import Path

from tests.rig.cluster.certs import Authority, token_kubeconfig
from tests.rig.cluster.control import PORT
from tests.rig.cluster.instance import Instance
from tests.rig.cluster.providers import Cluster
from tests.rig.proxies.http import HttpProxy
from tests.rig.proxies.rules import Answer

ACCOUNT = "rig-proxy"
_NAMESPACE = "kube-system"
_REASONS = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}
_TEXTS = {
    410: "The provided continue parameter is too old to display a consistent list result.",
    429: "the server has received too many requests and has asked us to try again later",
}


class ApiProxy(HttpProxy):
    """In front of the apiserver ``upstream``, whose certificate ``authority`` has signed.

    `kubeconfig` and its own certificate go below ``folder``.
    """

    def __init__(
        self, upstream: str, authority: Authority, folder: Path, *, address: str = "127.0.0.1"
    ) -> None:
        self._authority = authority
        self._folder = folder
        super().__init__(
            upstream,
            address=address,
            serve=self._own_tls(IPv4Address(address)),
            trust=ssl.create_default_context(cadata=authority.pem.decode()),
        )
        self.page_size = 0
        """Objects per page of a list, whatever the client asks for; 0 leaves it to the client."""

    @classmethod
    def of(cls, instance: Instance, folder: Path) -> ApiProxy:
        """In front of one of the rig's own clusters, at the address by which pods reach us."""
        authority = Authority.load(instance.control.state / "etc")
        upstream = f"https://{instance.network.control}:{PORT}"
        return cls(upstream, authority, folder, address=str(instance.network.host))

    def _own_tls(self, address: IPv4Address) -> ssl.SSLContext:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._authority.issue("api-proxy", addresses=[address]).write(self._folder, "api-proxy")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._folder / "api-proxy.crt", self._folder / "api-proxy.key")
        return context

    def rewrite(self, target: str) -> str:
        """The same with another page size, if there is one."""
        if not self.page_size:
            return target
        return re.sub(r"(?<=[?&]limit=)\d+", str(self.page_size), target)

    @staticmethod
    def status(code: int, message: str = "", *, retry_after: int = 1) -> Answer:
        """An answer as the apiserver gives it; 429 and 503 say when to ask again (seconds)."""
        body = {
            "apiVersion": "v1",
            "kind": "Status",
            "metadata": {},
            "status": "Failure",
            "message": message or _TEXTS.get(code, f"made by a test: {code}"),
            "reason": _REASONS[code],
            "code": code,
        }
        headers = {"Content-Type": "application/json"}
        if code in (429, 503):
            headers["Retry-After"] = str(retry_after)
        return Answer(code, json.dumps(body).encode(), headers)

    def kubeconfig(self, cluster: Cluster) -> Path:
        """A kubeconfig of an administrator by way of the proxy; makes the account it needs."""
        account = {"apiVersion": "v1", "kind": "ServiceAccount"}
        binding = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": ACCOUNT},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "cluster-admin",
            },
            "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": _NAMESPACE}],
        }
        metadata = {"metadata": {"name": ACCOUNT, "namespace": _NAMESPACE}}
        made = {"apiVersion": "v1", "kind": "List", "items": [account | metadata, binding]}
        cluster.kubectl("apply", "-f", "-", input=json.dumps(made))
        token = cluster.kubectl("-n", _NAMESPACE, "create", "token", ACCOUNT, "--duration=12h")
        path = self._folder / "kubeconfig"
        path.touch(mode=0o600)
        text = token_kubeconfig(server=self.url, authority=self._authority.pem, token=token.strip())
        path.write_text(text)
        return path
