"""A node: containerd, kubelet and kube-proxy on a machine of their own.

docs/rig.md says why each setting is there.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.rig.cluster import cgroups, network
from tests.rig.cluster.control import ControlPlane
from tests.rig.cluster.errors import RigError
from tests.rig.cluster.images import PAUSE
from tests.rig.cluster.machine import Machine
from tests.rig.cluster.network import Network

ETC = "/run/rig/etc"
SOCKET = "/run/containerd/containerd.sock"
CONTAINERD_SECONDS = 300.0
CONTAINERD = f"""\
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
]
[grpc]
  address = "{SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{ETC}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
"""


@dataclass(frozen=True, slots=True)
class Node:
    """Node `index` (from 1) of an instance, on its machine."""

    index: int
    machine: Machine
    network: Network
    cgroup: str  # absolute, below the cgroup root

    @property
    def name(self) -> str:
        """The node's name in the cluster."""
        return self.machine.name

    def prepare(self, nodes: int) -> None:
        """Network and containerd: what needs no apiserver."""
        network.open_node(self.machine, self.network, self.index)
        network.route_to_nodes(self.network, nodes, machine=self.machine, skip=self.index)
        etc = self.machine.state / "etc"
        (etc / "cni").mkdir(exist_ok=True)
        (etc / "cni" / "10-rig.conflist").write_text(json.dumps(self._cni()))
        (etc / "containerd.toml").write_text(CONTAINERD)
        (etc / "resolv.conf").touch()
        self.machine.start("containerd", ["containerd", "--config", f"{ETC}/containerd.toml"])

    def wait_for_containerd(self) -> None:
        """Until its socket answers."""
        deadline = time.monotonic() + CONTAINERD_SECONDS
        while True:
            try:
                self.machine.enter(["ctr", "version"])
                return  # noqa: TRY300 - the loop ends here
            except RigError:
                if time.monotonic() > deadline:
                    raise RigError(
                        "containerd does not answer", hint=self.machine.log("containerd")
                    ) from None
                time.sleep(0.05)

    def load(self, archive: Path, name: str) -> None:
        """Import an OCI archive into the node's containerd under this image name."""
        ctr = ["ctr", "--namespace", "k8s.io", "images"]
        self.machine.enter([*ctr, "import", archive], timeout=300)
        if name not in self.machine.enter([*ctr, "list", "-q", f"name=={name}"]).split():
            found = self.machine.enter([*ctr, "list", "-q"])
            raise RigError(f"{archive} does not hold {name}", hint=f"the node has:\n  {found}")

    def join(self, control: ControlPlane) -> None:
        """Start kubelet and kube-proxy; they wait for the apiserver themselves."""
        etc = self.machine.state / "etc"
        cgroups.make(self.cgroup)
        (etc / "ca.crt").write_bytes(control.authority.pem)
        serving = control.authority.issue(
            self.name, names=[self.name], addresses=[self.machine.address]
        )
        serving.write(etc, "kubelet")
        node_user = control.kubeconfig(f"system:node:{self.name}", "system:nodes")
        (etc / "kubelet.kubeconfig").write_text(node_user)
        (etc / "kube-proxy.kubeconfig").write_text(control.kubeconfig("system:kube-proxy"))
        (etc / "kubelet.json").write_text(json.dumps(self._kubelet(), indent=1))
        (etc / "kube-proxy.json").write_text(json.dumps(self._kube_proxy(), indent=1))
        self.machine.start(
            "kubelet",
            [
                "kubelet",
                f"--config={ETC}/kubelet.json",
                f"--kubeconfig={ETC}/kubelet.kubeconfig",
                f"--hostname-override={self.name}",
                f"--node-ip={self.machine.address}",
            ],
        )
        self.machine.start("kube-proxy", ["kube-proxy", f"--config={ETC}/kube-proxy.json"])

    def _cni(self) -> dict[str, Any]:
        own = self.network.pods_of(self.index)
        bridge = {
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": False,  # the address is there already, and forwarding is ours to set
            "ipMasq": False,
            "hairpinMode": True,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": str(own), "gateway": str(own[1])}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }
        return {"cniVersion": "0.4.0", "name": "rig", "plugins": [bridge]}

    def _kubelet(self) -> dict[str, Any]:
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": f"{ETC}/ca.crt"},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": f"{ETC}/kubelet.crt",
            "tlsPrivateKeyFile": f"{ETC}/kubelet.key",
            "containerRuntimeEndpoint": f"unix://{SOCKET}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": self.cgroup,
            "failCgroupV1": False,
            "failSwapOn": False,
            "enforceNodeAllocatable": [],
            "evictionHard": {},
            "imageGCHighThresholdPercent": 100,
            "clusterDomain": "cluster.local",
            "clusterDNS": ["127.0.0.1"],
            "resolvConf": f"{ETC}/resolv.conf",
            "kubeAPIQPS": 100,
            "kubeAPIBurst": 200,
            "registryPullQPS": 0,
            "eventRecordQPS": 0,
        }

    def _kube_proxy(self) -> dict[str, Any]:
        return {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "hostnameOverride": self.name,
            "clusterCIDR": str(self.network.pods),
            "clientConnection": {"kubeconfig": f"{ETC}/kube-proxy.kubeconfig"},
            "healthzBindAddress": "127.0.0.1:10256",
            "metricsBindAddress": "127.0.0.1:10249",
            "nftables": {"masqueradeAll": True},
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
        }
