"""What a test sees of a cluster: a kubeconfig, a way in for images, the host's address."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.rig.cluster import images, lifecycle, paths, shell
from tests.rig.cluster.errors import RigError
from tests.rig.cluster.instance import Instance
from tests.rig.cluster.processes import Process

GIVEN = "BACKSTAY_TEST_KUBECONFIG"
GIVEN_HOST = "BACKSTAY_TEST_HOST_ADDRESS"
GIVEN_KIND = "BACKSTAY_TEST_KIND_CLUSTER"
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
        if not (shutil.which("kind") and shutil.which("docker")):
            raise RigError(
                f"{name} cannot be loaded into the given cluster without kind and docker",
                hint=f"load {oci_archive} into its nodes yourself, or use the rig's own cluster",
            )
        command = ["kind", "load", "image-archive", oci_archive, "--name", self.kind_cluster]
        shell.run([str(word) for word in command], timeout=600)

    def close(self) -> None:
        """It is not ours."""


def open_cluster(name: str, *, nodes: int = 1, owner: Process | None = None) -> Provider:
    """The cluster the environment names, else our own instance `name`, brought up.

    Either way the rig's own images are on its nodes. A given cluster has as many as it has.
    """
    if os.environ.get(GIVEN):
        given = Given.from_environment()
        for image in images.ensure():
            given.load_image(image.archive, image.name)
        return given
    return Built(lifecycle.up(name, nodes=nodes, owner=owner))


def discard(name: str) -> None:
    """Take down what is there of our own instance `name`, also half of one."""
    lifecycle.down(name)


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

    def kubectl(self, *args: str, input: str | None = None, timeout: float = 120) -> str:  # noqa: A002
        """Run kubectl on this cluster and no other; return what it prints, RigError if it fails."""
        argv = [str(KUBECTL), f"--kubeconfig={self.kubeconfig}", *args]
        return shell.run(argv, stdin=input or "", timeout=timeout)
