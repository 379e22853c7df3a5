"""What a cycle needs, built from Config: for the controller, for ``plan`` and for ``coverage``."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from reconciler import policy, ports
from reconciler.adapters.credentials import CredentialsResolver
from reconciler.adapters.kube import KubeClient
from reconciler.cli import wiring
from reconciler.cli.policysource import PolicySource, Unopened, read_keys
from reconciler.engine.controller import Setting
from reconciler.engine.mirror import Absence
from reconciler.engine.refusals import Refusals
from reconciler.model.config import Config
from reconciler.model.errors import BackstayError, Interrupted
from reconciler.plan.cronjob import Place


class Installation:
    """Config and the ports built from it, built anew when Config or a credential has changed."""

    def __init__(self, config_file: Path, kubeconfig: Path | None, context: str | None) -> None:
        self._config_file = config_file
        self._cluster: KubeClient | None = None
        self.connect: Callable[[], KubeClient] = lambda: wiring.cluster(kubeconfig, context)
        self._source: PolicySource | None = None
        self._made_of: tuple[Config, tuple[Mapping[str, bytes], ...]] | None = None
        self._policies = policy.Rereader()
        self._refusals = Refusals()
        self._absence = Absence()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._source is not None:
            self._source.close()

    def setting(
        self, *, reporter: ports.Reporter, stopped: Callable[[], bool] = lambda: False
    ) -> Setting:
        """What a cycle needs; raises where Config, credentials or the cluster can't be had."""
        config = wiring.load_config(self._config_file)
        cluster = self.cluster()
        return Setting(
            config=config,
            place=Place(
                namespace=wiring.own_namespace(),
                config_map=os.environ.get("BACKSTAY_CONFIGMAP", "backstay-config"),
            ),
            holder=_holder(),
            source=self._policy_source(config, cluster),
            reader=cluster,
            writer=cluster,
            reporter=reporter,
            clock=wiring.clock(),
            stopped=stopped,
            parse=self._policies.parse,
            refusals=self._refusals,
            absence=self._absence,
            program=wiring.program(),
        )

    def cluster(self) -> KubeClient:
        """The one cluster of this process."""
        if self._cluster is None:
            self._cluster = self.connect()
        return self._cluster

    def requests(self) -> Mapping[str, int]:
        """Requests to the API server so far, by method."""
        return self._cluster.requests if self._cluster else {}

    def _policy_source(self, config: Config, cluster: KubeClient) -> ports.PolicySource:
        try:
            return self._open_source(config, wiring.resolver(cluster))
        except Interrupted:
            raise
        except BackstayError as error:
            return Unopened(error)

    def _open_source(self, config: Config, resolve: CredentialsResolver) -> PolicySource:
        made_of = (config, read_keys(config, resolve))
        if self._source is None or made_of != self._made_of:
            if self._source is not None:
                self._source.close()
                self._source = None
            # What it fetched last is its memory: a new one for each cycle would fetch again.
            self._source = wiring.policy_source(config, resolve)
            self._made_of = made_of
        return self._source


def _holder() -> str:
    """Who we are in a Lease; a container that starts again in its pod is the same one."""
    pod, uid = os.environ.get("BACKSTAY_POD", ""), os.environ.get("BACKSTAY_POD_UID", "")
    return f"{pod}/{uid}" if pod else f"{socket.gethostname()}/{os.getpid()}"
