"""``backstay controller``: the loop, and ``--once``. Wiring only."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.adapters.bell import SystemBell
from reconciler.cli import options, wiring
from reconciler.cli.installation import Installation
from reconciler.cli.publishing import InventoryTeller
from reconciler.engine.controller import Cycle, Setting, run_cycle
from reconciler.engine.telling import Teller


@click.command(name="controller", short_help="Make the cluster's schedules match the policies.")
@click.option("--once", is_flag=True, help="One cycle, then exit.")
@click.option(
    "--listen",
    default="",
    metavar="[HOST]:PORT",
    help="Serve /healthz, /readyz and /metrics here; by default nowhere.",
)
@click.option(
    "--listen-webhook",
    default="",
    metavar="[HOST]:PORT",
    help="Take the webhook of policySource.webhook here; by default nowhere.",
)
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
    bell, inventory = SystemBell(), InventoryTeller()
    with (
        wiring.stop_on_signals(bell.ring) as stopped,
        Installation(config_file, kubeconfig, context) as home,
    ):

        def prepare() -> Setting:
            return inventory.remember(home.setting(reporter=reporter, stopped=stopped.is_set))

        if once:
            teller = Teller(reporter, clock)

            def tell(cycle: Cycle) -> None:
                teller(cycle)
                inventory(cycle)

            return _exit_code(run_cycle(prepare(), tell))
        # One cycle does without servers, metrics and watches: it does not load them.
        from reconciler.cli import looping

        looping.loop(
            home,
            prepare,
            inventory,
            addresses=(listen, listen_webhook),
            bell=bell,
            stopped=stopped,
            reporter=reporter,
            clock=clock,
        )
    return 0


def _exit_code(cycle: Cycle) -> int:
    """Raises the error of a cycle that failed, for its message and hint; else its exit code."""
    if cycle.error is not None:
        raise cycle.error
    return cycle.exit_code
