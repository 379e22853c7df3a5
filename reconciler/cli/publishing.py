"""The controller's inventory, published after a cycle was told. Wiring only."""

from __future__ import annotations

import faulthandler
from collections.abc import Callable

from reconciler.cli import wiring
from reconciler.engine.controller import Cycle, Setting
from reconciler.engine.figures import revision_in_force
from reconciler.engine.instruments import LONGEST_CYCLE
from reconciler.engine.inventorypublishing import InventoryPublisher, Sources
from reconciler.engine.keeper import StoodBack
from reconciler.model.errors import ClusterRenamed, Interrupted
from reconciler.plan.inventory import About


class InventoryTeller:
    """Gets each cycle when all else is done with it; without ``inventory`` in Config it does
    nothing."""

    def __init__(self, publish: Callable[[Sources, About], None] | None = None) -> None:
        self._publish = publish or InventoryPublisher().publish
        self._setting: Setting | None = None

    def remember(self, setting: Setting) -> Setting:
        """The setting of the cycle that begins."""
        self._setting = setting
        return setting

    def __call__(self, cycle: Cycle) -> None:
        """Publishes where it is time to; the cycle is over, whatever comes of it."""
        setting = self._setting
        if setting is None or setting.config.inventory is None or setting.stopped():
            return
        # Under a name that may be a slip in Config nothing is published, nor beside another one.
        held = isinstance(cycle.error, Interrupted | ClusterRenamed | StoodBack)
        if cycle.failed_step == "config" or held:
            return
        faulthandler.dump_traceback_later(LONGEST_CYCLE, exit=True)
        try:
            self._publish(_sources(setting), _about(setting, revision_in_force(cycle)))
        finally:
            faulthandler.cancel_dump_traceback_later()


def _about(setting: Setting, revision: str) -> About:
    cluster = setting.config.cluster
    return About(
        cluster=cluster.name,
        labels=cluster.labels,
        revision=revision,
        own_namespace=setting.place.namespace,
    )


def _sources(setting: Setting) -> Sources:
    config, resolve = setting.config, wiring.resolver(setting.reader)
    author = config.manifest_store.author
    return Sources(
        reader=setting.reader,
        inventory=lambda: wiring.inventory_store(wiring.inventory_of(config), resolve, author),
        manifests=lambda: wiring.manifest_store(config, resolve, deadline=wiring.INVENTORY_SECONDS),
        reporter=setting.reporter,
        clock=setting.clock,
        stopped=setting.stopped,
    )
