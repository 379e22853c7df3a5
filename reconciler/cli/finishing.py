"""``backstay run POLICY --finish LEASE``: what the controller's Job for a dead run's hooks does."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from reconciler.cli import wiring
from reconciler.engine.finishing import Finisher, finish_lease
from reconciler.engine.hookleases import HookLeases
from reconciler.engine.hooks import Commands


def execute(policy: str, lease: str, kubeconfig: Path | None, context: str | None) -> int:
    """Ends what is open, as soon as whoever holds the Lease is dead; 0 when nothing is left."""
    client = wiring.cluster(kubeconfig, context)
    clock, reporter = wiring.clock(), wiring.reporter()
    leases = HookLeases(
        reader=client,
        writer=client,
        clock=clock,
        namespace=wiring.own_namespace(),
        holder=f"finish/{os.environ.get('BACKSTAY_POD') or socket.gethostname()}",
        policy=policy,
    )
    commands = Commands(execute=client.execute(), reader=client, reporter=reporter, clock=clock)
    with wiring.stop_on_signals() as stopped:
        finisher = Finisher(leases=leases, commands=commands, reader=client)
        finish_lease(lease, finisher, stopped.is_set)
    return 0
