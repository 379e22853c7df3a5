"""What a test sees of a cluster: a kubeconfig, a way in for images, the host's address."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Protocol

from tests.rig.cluster import images, lifecycle, network, paths, shell
from tests.rig.cluster.errors import RigError
from tests.rig.cluster.instance import Instance
from tests.rig.cluster.processes import Process

GIVEN = "BACKSTAY_TEST_KUBECONFIG"
GIVEN_HOST = "BACKSTAY_TEST_HOST_ADDRESS"
GIVEN_KIND = "BACKSTAY_TEST_KIND_CLUSTER"
CHOSEN = "BACKSTAY_TEST_PROVIDER"
KIND_IMAGE = "BACKSTAY_TEST_KIND_IMAGE"
KUBECTL = paths.REPOSITORY / ".venv" / "bin" / "kubectl"


class Provider(Protocol):
    """A running cluster."""

    @property
    def kubeconfig(self) -> Path:
        """An administrator's kubeconfig."""

    @property
    def host_address(self) -> str:
        """This machine's address as pods reach it."""

    def load_image(self, oci_archive: Path, name: str) -> None:
        """Put an image on every node; `name` is the one the archive carries."""

    def close(self) -> None:
        """Take the cluster down, if it was brought up for the caller."""


@dataclass(frozen=True, slots=True)
class Built:
    """A cluster of the rig's own."""

    instance: Instance

    @property
    def kubeconfig(self) -> Path:
        """Below the instance's folder."""
        return self.instance.kubeconfig

    @property
    def host_address(self) -> str:
        """The host's end of the instance's bridge."""
        return str(self.instance.network.host)

    def load_image(self, oci_archive: Path, name: str) -> None:
        """Import it on every node."""
        for node in self.instance.members():
            node.load(oci_archive, name)

    def reach(self, address: str) -> None:
        """Let its nodes and pods reach another address of this machine: another cluster's host."""
        for node in self.instance.members():
            network.lead(node.machine, self.instance.network, IPv4Address(address))

    def close(self) -> None:
        """Leave nothing behind."""
        lifecycle.down(self.instance.name)


@dataclass(frozen=True, slots=True)
class Given:
    """A cluster that somebody else runs and named for the tests; nothing of it is taken down."""

    kubeconfig: Path
    address: str
    kind_cluster: str

    @staticmethod
    def from_environment() -> Given:
        """The cluster that BACKSTAY_TEST_KUBECONFIG names; never the ambient one."""
        path = os.environ.get(GIVEN)
        if not path:
            raise RigError(
                f"{GIVEN} is not set",
                hint="it names the kubeconfig of a cluster made for these tests",
            )
        if not Path(path).is_file():
            raise RigError(f"{GIVEN}={path}: no such file")
        return Given(
            Path(path).absolute(),
            os.environ.get(GIVEN_HOST, ""),
            os.environ.get(GIVEN_KIND, "kind"),
        )

    @property
    def host_address(self) -> str:
        """As told."""
        if not self.address:
            raise RigError(
                f"{GIVEN_HOST} is not set", hint="it is this machine's address as pods see it"
            )
        return self.address

    def load_image(self, oci_archive: Path, name: str) -> None:
        """By kind, the one way that needs no registry."""
        _load_into_kind(oci_archive, name, self.kind_cluster)

    def close(self) -> None:
        """It is not ours."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A cluster of kind's, in docker, made for the caller."""

    name: str

    @property
    def folder(self) -> Path:
        """What of it lies on disk."""
        return paths.state() / f"kind-{self.name}"

    @property
    def kubeconfig(self) -> Path:
        """Apart from the user's own, which kind would change otherwise."""
        return self.folder / "kubeconfig"

    def create(self, nodes: int, own: Sequence[images.Image]) -> None:
        """Bring it up, with these images on its nodes."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # kind keeps workloads off its control plane as soon as there is another node.
        roles = ["control-plane", *(["worker"] * nodes if nodes > 1 else [])]
        document = {
            "kind": "Cluster",
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            "nodes": [{"role": role} for role in roles],
        }
        command = ["kind", "create", "cluster", "--name", self.name, "--config", "-"]
        image = os.environ.get(KIND_IMAGE)
        command += ["--kubeconfig", str(self.kubeconfig), "--wait", "180s"]
        command += ["--image", image] if image else []
        shell.run(command, stdin=json.dumps(document), timeout=900)
        for each in own:
            self.load_image(each.archive, each.name)

    @property
    def host_address(self) -> str:
        """The host's end of docker's network of that name."""
        text = shell.run(["docker", "network", "inspect", "kind"])
        for part in json.loads(text)[0]["IPAM"]["Config"]:
            gateway = part.get("Gateway", "")
            if gateway and ":" not in gateway:
                return str(gateway)
        raise RigError("docker's network kind has no IPv4 gateway", hint=text)

    def load_image(self, oci_archive: Path, name: str) -> None:
        """Put it on every node."""
        _load_into_kind(oci_archive, name, self.name)

    def close(self) -> None:
        """Leave nothing behind; no effect if it is gone."""
        _require_kind(f"to delete {self.name}")
        command = ["kind", "delete", "cluster", "--name", self.name]
        shell.run([*command, "--kubeconfig", str(self.kubeconfig)], timeout=300)
        shutil.rmtree(self.folder, ignore_errors=True)


def _require_kind(what: str) -> None:
    missing = [program for program in ("kind", "docker") if shutil.which(program) is None]
    if missing:
        raise RigError(f"{what} needs {' and '.join(missing)}", hint="install it, or use the rig's")


def _load_into_kind(oci_archive: Path, name: str, cluster: str) -> None:
    _require_kind(f"loading {name} into a node of kind")
    command = ["kind", "load", "image-archive", str(oci_archive), "--name", cluster]
    shell.run(command, timeout=600)


def open_cluster(name: str, *, nodes: int = 1, owner: Process | None = None) -> Provider:
    """The cluster the environment names, else an instance `name` of ours or of kind's, brought up.

    Either way the rig's own images are on its nodes. A given cluster has as many as it has.
    """
    if os.environ.get(GIVEN):
        given = Given.from_environment()
        for image in images.ensure():
            given.load_image(image.archive, image.name)
        return given
    if _by_kind():
        _require_kind(f"{CHOSEN}=kind")
        made = Kind(name)
        made.create(nodes, images.ensure())
        return made
    return Built(lifecycle.up(name, nodes=nodes, owner=owner))


def discard(name: str) -> None:
    """Take down what is there of an instance `name`, also half of one."""
    if _by_kind():
        Kind(name).close()
    else:
        lifecycle.down(name)


def _by_kind() -> bool:
    chosen = os.environ.get(CHOSEN, "built")
    if chosen not in ("built", "kind"):
        raise RigError(f"{CHOSEN}={chosen}: use built (the rig's own) or kind")
    return chosen == "kind"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A provider's cluster, and kubectl on it."""

    provider: Provider

    @property
    def kubeconfig(self) -> Path:
        """An administrator's kubeconfig."""
        return self.provider.kubeconfig

    @property
    def host_address(self) -> str:
        """This machine's address as pods reach it."""
        return self.provider.host_address

    def load_image(self, oci_archive: Path, name: str) -> None:
        """Put an image on every node; `name` is the one the archive carries."""
        self.provider.load_image(oci_archive, name)

    def kubectl(self, *args: str, input: str | None = None, timeout: float = 400) -> str:  # noqa: A002
        """Run kubectl on this cluster and no other; return what it prints, RigError if it fails."""
        argv = [str(KUBECTL), f"--kubeconfig={self.kubeconfig}", *args]
        return shell.run(argv, stdin=input or "", timeout=timeout)

    def wait_for_account(self, namespace: str) -> None:
        """Until a namespace has the service account without which it lets no bare pod in.

        The API server itself waits for it for a second or two; on a busy machine it comes later.
        """
        there = ("--for=create", "serviceaccount/default", "--timeout=300s")
        self.kubectl("-n", namespace, "wait", *there)

    def create_namespace(self, name: str) -> None:
        """Make a namespace into which pods can be put."""
        self.kubectl("create", "namespace", name)
        self.wait_for_account(name)
