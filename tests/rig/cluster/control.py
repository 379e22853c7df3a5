"""The control plane on one machine: etcd, kube-apiserver, -controller-manager and -scheduler.

docs/rig.md says why each flag is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.rig.cluster.certs import Authority, kubeconfig, signing_key
from tests.rig.cluster.machine import Machine
from tests.rig.cluster.network import Network

PORT = 6443
ETC = "/run/rig/etc"
ETCD = "http://127.0.0.1:2379"
FAST_CLIENT = ("--kube-api-qps=200", "--kube-api-burst=400")


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """What the control plane of one instance is made of."""

    instance: str
    machine: Machine
    network: Network
    authority: Authority

    @property
    def server(self) -> str:
        """The apiserver's address, the same from host, machines and pods."""
        return f"https://{self.network.control}:{PORT}"

    def kubeconfig(self, user: str, group: str = "") -> str:
        """A kubeconfig for a user of this cluster."""
        client = self.authority.issue(user, group=group)
        name = f"backstay-rig-{self.instance}"
        return kubeconfig(server=self.server, name=name, authority=self.authority, client=client)

    def start(self) -> None:
        """Write certificates and kubeconfigs, start etcd and the apiserver; returns at once."""
        self._write(self.machine.state / "etc")
        self.machine.start("etcd", self._etcd())
        self.machine.start("kube-apiserver", self._apiserver())

    def start_clients(self) -> None:
        """Start the other two; before the apiserver is ready they exit for want of roles."""
        self.machine.start("kube-controller-manager", self._controller_manager())
        self.machine.start("kube-scheduler", self._scheduler())

    def _write(self, etc: Path) -> None:
        self.authority.pair.write(etc, "ca")
        self.authority.issue(
            "kube-apiserver",
            names=["localhost", *service_names()],
            addresses=[self.network.control, self.network.services[1]],
        ).write(etc, "apiserver")
        self.authority.issue("apiserver-to-kubelet", group="system:masters").write(
            etc, "to-kubelet"
        )
        (etc / "tokens.key").write_bytes(signing_key())
        for name in ("kube-controller-manager", "kube-scheduler"):
            (etc / f"{name}.kubeconfig").write_text(self.kubeconfig(f"system:{name}"))

    def _etcd(self) -> Sequence[str]:
        return [
            "etcd",
            "--data-dir=/var/lib/etcd",
            f"--listen-client-urls={ETCD}",
            f"--advertise-client-urls={ETCD}",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--unsafe-no-fsync",
            "--logger=zap",
        ]

    def _apiserver(self) -> Sequence[str]:
        return [
            "kube-apiserver",
            f"--etcd-servers={ETCD}",
            f"--secure-port={PORT}",
            f"--advertise-address={self.network.control}",
            f"--service-cluster-ip-range={self.network.services}",
            f"--client-ca-file={ETC}/ca.crt",
            f"--tls-cert-file={ETC}/apiserver.crt",
            f"--tls-private-key-file={ETC}/apiserver.key",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={ETC}/tokens.key",
            f"--service-account-signing-key-file={ETC}/tokens.key",
            f"--kubelet-client-certificate={ETC}/to-kubelet.crt",
            f"--kubelet-client-key={ETC}/to-kubelet.key",
            f"--kubelet-certificate-authority={ETC}/ca.crt",
            "--kubelet-preferred-address-types=InternalIP",
            "--profiling=false",
        ]

    def _controller_manager(self) -> Sequence[str]:
        return [
            "kube-controller-manager",
            *_client("kube-controller-manager"),
            *FAST_CLIENT,
            f"--root-ca-file={ETC}/ca.crt",
            f"--cluster-signing-cert-file={ETC}/ca.crt",
            f"--cluster-signing-key-file={ETC}/ca.key",
            f"--service-account-private-key-file={ETC}/tokens.key",
            "--use-service-account-credentials=true",
        ]

    def _scheduler(self) -> Sequence[str]:
        return ["kube-scheduler", *_client("kube-scheduler"), *FAST_CLIENT]


def _client(name: str) -> Sequence[str]:
    """The flags both clients of the apiserver share."""
    own = f"{ETC}/{name}.kubeconfig"
    return [
        f"--kubeconfig={own}",
        f"--authentication-kubeconfig={own}",
        f"--authorization-kubeconfig={own}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--profiling=false",
    ]


def service_names() -> Sequence[str]:
    """The names under which pods know the apiserver."""
    base = "kubernetes"
    return [base, f"{base}.default", f"{base}.default.svc", f"{base}.default.svc.cluster.local"]
