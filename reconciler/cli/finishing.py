"""``backstay run POLICY --finish LEASE``: what the controller's Job for a dead run's hooks does."""

from __future__ import annotations

import os
from pathlib import Path

from reconciler.cli import holders, wiring
from reconciler.engine.finishing import Finisher, finish_lease
from reconciler.engine.hookcommands import Commands
from reconciler.engine.hookleases import HookLeases


def execute(policy: str, lease: str, kubeconfig: Path | None, context: str | None) -> int:
    """Ends what is open, as soon as whoever holds the Lease is dead; 0 when nothing is left."""
    client = wiring.cluster(kubeconfig, context)
    clock, reporter = wiring.clock(), wiring.reporter()
    pod = os.environ.get("BACKSTAY_POD", "")
    leases = HookLeases(
        reader=client,
        writer=client,
        clock=clock,
        namespace=wiring.own_namespace(),
        # A machine's name says nothing of a pod: others would look for one, and call it dead.
        holder=f"finish/{pod}" if pod else holders.this_process(),
        policy=policy,
    )
    commands = Commands(execute=client.execute(), reader=client, reporter=reporter, clock=clock)
    with wiring.stop_on_signals() as stopped:
        finisher = Finisher(
            leases=leases,
            commands=commands,
            reader=client,
            stopped=stopped.is_set,
            is_gone=holders.is_dead,
        )
        finish_lease(lease, finisher, policy=policy, alone=not pod)
    return 0
