"""The controller's inventory, published after a cycle was told. Wiring only."""

from __future__ import annotations

import faulthandler
from collections.abc import Callable

from reconciler.cli import wiring
from reconciler.engine.controller import Cycle, Setting
from reconciler.engine.figures import revision_in_force
from reconciler.engine.instruments import LONGEST_CYCLE
from reconciler.engine.inventorypublishing import InventoryPublisher, Sources
from reconciler.engine.keeper import StoodBack, stand_back
from reconciler.model.errors import BackstayError, ClusterRenamed, Interrupted
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
        if isinstance(cycle.error, Interrupted) or not _is_ours(setting, cycle):
            return
        faulthandler.dump_traceback_later(LONGEST_CYCLE, exit=True)
        try:
            self._publish(_sources(setting), _about(setting, revision_in_force(cycle)))
        finally:
            faulthandler.cancel_dump_traceback_later()


def _is_ours(setting: Setting, cycle: Cycle) -> bool:
    """Whether it is for this controller to say what is in this cluster, under this name.

    Only a plan has held the name against the schedules that are there: without one it may be a
    slip in Config, or the Config of another cluster, whose keys do not fit here.
    """
    if cycle.plan is None or isinstance(cycle.error, ClusterRenamed | StoodBack):
        return False
    try:
        # A cycle that has nothing to write has not asked this.
        stand_back(setting.reader, setting.place.namespace, setting.keeper, cycle.memory.keeper)
    except BackstayError:
        return False
    return True


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
