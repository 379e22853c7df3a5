"""``backstay doctor``: reaches everything that a run needs, and changes nothing. Wiring only."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self, TypeVar

import click

from reconciler import ports
from reconciler.adapters import process
from reconciler.adapters.credentials import CredentialsResolver
from reconciler.adapters.gitsigning import parse_signing_key
from reconciler.adapters.keyring import SecretKeyring
from reconciler.adapters.kube import KubeClient
from reconciler.adapters.programs import program_version
from reconciler.cli import holders, options, wiring
from reconciler.engine.doctor import LIMIT, examine
from reconciler.engine.doctorfacts import DoctorPorts, DoctorStore, Facts
from reconciler.engine.doctorsteps import STEPS
from reconciler.model.config import Config
from reconciler.model.doctor import Checkup
from reconciler.model.errors import Refused, UsageError
from reconciler.plan.doctor import GROUPS
from reconciler.report import doctor as report

_T = TypeVar("_T")


class Silent:
    """A Reporter where nobody watches: the checkup itself is the result."""

    def event(self, message: str, **fields: object) -> None:
        """Not told."""

    def warning(self, message: str, **fields: object) -> None:
        """Not told."""

    def progress(self, what: str, done: int, total: int) -> None:
        """Not told."""


@click.command(name="doctor", short_help="Check everything that a run needs; list leftovers.")
@click.option("--policy", default="", metavar="NAME", help="Look at this policy only.")
@click.option(
    "--only", default="", metavar="GROUPS", help=f"Only these, with commas: {', '.join(GROUPS)}."
)
@click.option(
    "--timeout", type=click.FloatRange(min=1), default=LIMIT, show_default=True,
    help="Seconds that one check may take.",
)  # fmt: skip
@options.config_option
@options.kubeconfig_option
@options.context_option
@options.output_option
def command(
    policy: str, only: str, timeout: float, config_file: Path, kubeconfig: Path | None,
    context: str | None, output: str,
) -> int:  # fmt: skip
    """Check everything that a run needs, and list what dead runs have left behind.

    Changes nothing in the cluster, in Git and in restic repositories, and can be run at any time,
    from a terminal or in a pod. Each finding comes with its place and the next step.

    Exit codes: 0 nothing is wrong (there may be warnings), 1 a problem, 3 no problem was found, but
    something could not be asked, 4 Config has problems, 130 interrupted.
    """
    groups = _groups(only)
    config = wiring.load_config(config_file)
    with wiring.stop_on_signals() as stopped, World(config, kubeconfig, context) as world:
        facts = Facts(
            config=config,
            ports=world.open_ports(stopped.is_set),
            namespace=wiring.own_namespace(),
            policy=policy,
            writer=wiring.program(),
            config_map=os.environ.get("BACKSTAY_CONFIGMAP", "backstay-config"),
        )
        checkup = examine(STEPS, facts.ports, facts, groups=groups, limit=timeout)
    show(checkup, output)
    return checkup.exit_code


def show(checkup: Checkup, output: str) -> None:
    """One document, or text."""
    if output == "json":
        click.echo(json.dumps(report.to_json(checkup), indent=2))
    else:
        click.echo(report.render_text(checkup), nl=False)


def _groups(only: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in only.split(",") if name.strip())
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        raise UsageError(
            f"--only {unknown[0]}: no such group", hint=f"there are {', '.join(GROUPS)}"
        )
    return names


class World:
    """Opens ports when a check first needs them: one that can't be had fails its check alone."""

    def __init__(self, config: Config, kubeconfig: Path | None, context: str | None) -> None:
        self._config = config
        self._connect = _once(lambda: wiring.cluster(kubeconfig, context))
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # A check that took too long is left alone, but not what it started.
        process.end_all()
        self._opened.close()

    def open_ports(self, stopped: Callable[[], bool]) -> DoctorPorts:
        """As the checks get them."""
        return DoctorPorts(
            cluster=self._connect,
            source=self._source,
            store=self._store,
            inventory=self._inventory,
            keyring=self._keyring,
            program=program_version,
            clock=wiring.clock(),
            reporter=wiring.reporter() if sys.stderr.isatty() else Silent(),
            stopped=stopped,
            signing=self._signing,
            is_dead=holders.is_dead,
        )

    def _resolver(self) -> CredentialsResolver:
        """Of Secrets where there is a cluster; else folders and variables alone."""
        client: KubeClient | None
        try:
            client = self._connect()
        except Refused:
            client = None
        return wiring.resolver(client)

    def _source(self) -> ports.PolicySource:
        return self._opened.enter_context(wiring.policy_source(self._config, self._resolver()))

    def _store(self) -> DoctorStore:
        return self._opened.enter_context(wiring.manifest_store(self._config, self._resolver()))

    def _signing(self) -> str:
        found = self._resolver().resolve(
            self._config.credentials_of(self._config.manifest_store.signing_key)
        )
        return parse_signing_key(found.data, found.source).source

    def _inventory(self) -> DoctorStore:
        inventory = wiring.inventory_of(self._config)
        return self._opened.enter_context(wiring.inventory_store(inventory, self._resolver()))

    def _keyring(self) -> ports.Keyring:
        cache = wiring.cache_folder() / "restic"
        return SecretKeyring(self._config, self._resolver(), cache=cache, read_only=True)


def _once(make: Callable[[], _T]) -> Callable[[], _T]:
    made: list[_T] = []

    def get() -> _T:
        if not made:
            made.append(make())
        return made[0]

    return get
