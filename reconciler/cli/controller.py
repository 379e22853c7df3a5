"""``backstay controller``: the loop, and ``--once``. Wiring only."""

from __future__ import annotations

import faulthandler
import os
import random
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

import click

from reconciler import policy, ports
from reconciler.adapters.bell import SystemBell
from reconciler.adapters.credentials import CredentialsResolver
from reconciler.adapters.kube import KubeClient
from reconciler.cli import listening, options, watching, wiring
from reconciler.cli.policysource import PolicySource, Unopened, read_keys
from reconciler.cli.publishing import InventoryTeller
from reconciler.engine.controller import Cycle, Setting, run_controller, run_cycle
from reconciler.engine.instruments import LONGEST_CYCLE
from reconciler.engine.refusals import Refusals
from reconciler.engine.telling import Teller
from reconciler.engine.waking import Waker
from reconciler.model.config import Config
from reconciler.model.errors import BackstayError, Interrupted
from reconciler.plan.cronjob import Place

_JITTER = 0.05


@click.command(name="controller", short_help="Make the cluster's schedules match the policies.")
@click.option("--once", is_flag=True, help="One cycle, then exit.")
@listening.listen_option
@listening.webhook_option
@options.config_option
@options.kubeconfig_option
@options.context_option
def command(
    once: bool,
    listen: str,
    listen_webhook: str,
    config_file: Path,
    kubeconfig: Path | None,
    context: str | None,
) -> int:
    """Keep the cluster's schedules as the policies in Git say, until stopped.

    Each cycle fetches the policies, compares the CronJobs and ConfigMaps they ask for with what
    is there, and applies the difference. `backstay plan` shows it without changing anything.

    Exit codes with --once: 0 done, 4 the policies or Config have problems (the rest was
    applied), 1 failed, 130 interrupted. Without: 0 when it was asked to stop.
    """
    reporter, clock = wiring.reporter(), wiring.clock()
    teller, bell, inventory = Teller(reporter, clock), SystemBell(), InventoryTeller()
    with (
        wiring.stop_on_signals(bell.ring) as stopped,
        Installation(config_file, kubeconfig, context) as home,
    ):

        def prepare() -> Setting:
            return inventory.remember(home.setting(reporter=reporter, stopped=stopped.is_set))

        if once:
            return _exit_code(run_cycle(prepare(), _watched(teller, inventory)))
        waker = Waker(bell, stopped=stopped.is_set)
        watch = watching.LateWatch(home.connect)
        with (
            listening.serving(
                listen, listen_webhook, waker, reporter=reporter, clock=clock, bell=bell
            ) as served,
            watching.applications(
                watch, waker, served.instruments, stopped=stopped, reporter=reporter, clock=clock
            ) as noticer,
            watching.FolderHint(waker, reporter) as folder,
        ):
            instruments = served.instruments
            tellers = (teller, instruments.end, noticer.end, served.door.end)
            served.metrics.count_requests(watching.summed(home.requests, watch.requests))
            run_controller(
                _watching(
                    lambda: noticer.begin(
                        folder.begin(served.door.begin(instruments.begin(prepare)))
                    )
                ),
                _watched(*tellers, instruments.goes_on, inventory),
                pause=listening.instrumented(waker.pause, lambda: waker.woken_by, instruments),
                jitter=lambda: random.uniform(1 - _JITTER, 1 + _JITTER),  # noqa: S311 - no secret
                reporter=reporter,
            )
    return 0


def _exit_code(cycle: Cycle) -> int:
    """Raises the error of a cycle that failed, for its message and hint; else its exit code."""
    if cycle.error is not None:
        raise cycle.error
    return cycle.exit_code


def _watching(prepare: Callable[[], Setting]) -> Callable[[], Setting]:
    def begin() -> Setting:
        # Sooner than the liveness probe: a hanging cycle shows where, and the pod starts again.
        faulthandler.dump_traceback_later(LONGEST_CYCLE, exit=True)
        return prepare()

    return begin


def _watched(*tellers: Callable[[Cycle], None]) -> Callable[[Cycle], None]:
    def tell(cycle: Cycle) -> None:
        faulthandler.cancel_dump_traceback_later()
        for teller in tellers:
            teller(cycle)

    return tell


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
